"""Posts batches to an ingest over one kept-alive connection. Not safe for two threads at once: each has its own."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING

from assay.outcome import Fate, Outcome, outcome_of
from assay.settings import Settings

if TYPE_CHECKING:
    from assay.transport import Connection

_GZIP_FROM_BYTES = 1024


class Ingest:
    """The ingest of the settings, as their key sees it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: Connection | None = None

    def post(self, body: bytes) -> Outcome:
        """Send a batch and return what became of it: `unreachable` when there was no answer. Raises nothing."""
        from assay.transport import TROUBLES  # http.client costs time that the first call should not take

        headers = {"Content-Type": "application/json"}
        if self._settings.gzip and len(body) >= _GZIP_FROM_BYTES:
            body, headers["Content-Encoding"] = zipped(body), "gzip"
        try:
            answer = self._connected().request("POST", "/v1/scores", body, headers)
        except TROUBLES as error:
            where = self._settings.ingest_url
            return Outcome(Fate.LATER, code="unreachable", detail=f"{where}: {str(error) or type(error).__name__}")
        return outcome_of(answer.status, answer.headers, answer.body)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def abandon(self) -> None:
        """Forget the connection: in the child of a fork it belongs to the parent."""
        if self._connection is not None:
            self._connection.abandon()

    def _connected(self) -> Connection:
        from assay.transport import Connection

        if self._connection is None:
            settings = self._settings
            self._connection = Connection(settings.ingest_url, settings.api_key or "", settings.timeout_seconds)
        return self._connection


def zipped(body: bytes) -> bytes:
    """Return the body as gzip, fast: the level that costs least. The work is done without the interpreter's lock."""
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    return packer.compress(body) + packer.flush()
