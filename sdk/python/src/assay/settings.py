"""What can be set, where each default comes from, and the limits of the server that the client keeps to."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, NamedTuple

from assay.errors import ConfigurationError

INGEST_URL = "http://127.0.0.1:8001"
API_URL = "http://127.0.0.1:8000"
BATCH_SCORES_LIMIT = 1000
BATCH_BYTES_LIMIT = 4 << 20
WHEN_FULL = ("drop_newest", "drop_oldest", "block")

_ENVIRONMENT = {
    "api_key": "ASSAY_API_KEY",
    "ingest_url": "ASSAY_INGEST_URL",
    "api_url": "ASSAY_API_URL",
    "environment": "ASSAY_ENVIRONMENT",
    "spool_dir": "ASSAY_SPOOL_DIR",
}
_AT_LEAST = {
    "batch_size": 1,
    "batch_bytes": 1024,
    "batch_age_seconds": 0,
    "queue_size": 1,
    "queue_bytes": 1024,
    "spool_bytes": 1024,
    "timeout_seconds": 0.001,
    "shutdown_seconds": 0,
    "log_seconds": 0,
    "receipts_seconds": 0,
}


_NUMBER, _WHOLE, _TEXT = ((int, float), "number"), (int, "whole number"), ((str, type(None)), "text")
_KINDS: dict[str, tuple[Any, str]] = {
    **dict.fromkeys(("api_key", "environment", "ingest_url", "api_url"), _TEXT),
    **dict.fromkeys(("batch_size", "batch_bytes", "queue_size", "queue_bytes", "spool_bytes"), _WHOLE),
    **{name: _NUMBER for name in _AT_LEAST if name.endswith("_seconds")},
}


class Settings(NamedTuple):
    """The settings of a client. Times are in seconds, sizes in bytes.

    * `api_key`, `ingest_url`, `api_url`, `environment`, `spool_dir`: when not given, taken from `ASSAY_API_KEY`,
      `ASSAY_INGEST_URL`, `ASSAY_API_URL`, `ASSAY_ENVIRONMENT` and `ASSAY_SPOOL_DIR`.
    * `batch_size`, `batch_bytes`, `batch_age_seconds`: a batch is sent when it has so many scores, so many bytes, or
      when its first score is so old.
    * `queue_size`, `queue_bytes`: how much is held while the server is away, what is being sent included.
    * `when_full`: `drop_newest` refuses the new score, `drop_oldest` gives up the oldest one that waits, `block` makes
      the caller wait. What is dropped is counted and logged.
    * `spool_dir`, `spool_bytes`: keep what waits in files of this folder, at most so many bytes.
    * `timeout_seconds`: for one answer. `shutdown_seconds`: how long the program's end waits for the last batch.
    * `log_seconds`: at most one log line of a kind in that time.
    * `receipts_seconds`: how often the api is asked what became of batches that were taken in; 0: never. It is 0 where
      an `ingest_url` was given and no `api_url`: a key goes nowhere that was not named.
    """

    api_key: str | None = None
    ingest_url: str = INGEST_URL
    api_url: str = API_URL
    environment: str | None = None
    strict: bool = False
    enabled: bool = True
    gzip: bool = True
    batch_size: int = 500
    batch_bytes: int = 1 << 20
    batch_age_seconds: float = 1.0
    queue_size: int = 100_000
    queue_bytes: int = 64 << 20
    when_full: str = "drop_newest"
    spool_dir: str | None = None
    spool_bytes: int = 1 << 30
    timeout_seconds: float = 10.0
    shutdown_seconds: float = 5.0
    log_seconds: float = 10.0
    receipts_seconds: float = 5.0

    @property
    def sends(self) -> bool:
        """Whether scores are taken over and sent: it is enabled, and there is a key."""
        return self.enabled and bool(self.api_key)


def make_settings(given: Mapping[str, Any], environ: Mapping[str, str] | None = None) -> Settings:
    """Return settings: what is given, else the environment's, else the default.

    Raises ConfigurationError when one can't be.

    >>> make_settings({"batch_size": 50}, {"ASSAY_API_KEY": "assay_x"})[:2]
    ('assay_x', 'http://127.0.0.1:8001')
    """
    environ = os.environ if environ is None else environ
    from_environment = {name: environ[variable] for name, variable in _ENVIRONMENT.items() if environ.get(variable)}
    stated = {name: value for name, value in given.items() if value is not None}
    unknown = sorted(set(stated) - set(Settings._fields))
    if unknown:
        raise ConfigurationError(f"There is no setting {unknown[0]!r}. There are: {', '.join(Settings._fields)}.")
    chosen = {**from_environment, **stated}
    if isinstance(chosen.get("api_key"), str):
        chosen["api_key"] = chosen["api_key"].strip()  # secrets that come from files end with a newline
    settings = Settings(**chosen)
    _check(settings)
    if "ingest_url" in chosen and "api_url" not in chosen:
        settings = settings._replace(receipts_seconds=0)
    return settings._replace(ingest_url=settings.ingest_url.rstrip("/"), api_url=settings.api_url.rstrip("/"))


def _check(settings: Settings) -> None:
    for name, (kind, word) in _KINDS.items():
        value = getattr(settings, name)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise ConfigurationError(f"{name} is {value!r}, which is no {word}.")
    for name in ("ingest_url", "api_url"):
        if not str(getattr(settings, name)).startswith(("http://", "https://")):
            raise ConfigurationError(f"{name} is {getattr(settings, name)!r}, which is no http:// or https:// URL.")
    for name, least in _AT_LEAST.items():
        if not getattr(settings, name) >= least:
            raise ConfigurationError(f"{name} is {getattr(settings, name)!r}; it must be at least {least}.")
    if settings.batch_size > BATCH_SCORES_LIMIT or settings.batch_bytes > BATCH_BYTES_LIMIT:
        raise ConfigurationError(f"A batch has at most {BATCH_SCORES_LIMIT} scores and {BATCH_BYTES_LIMIT} bytes.")
    if settings.when_full not in WHEN_FULL:
        raise ConfigurationError(f"when_full is {settings.when_full!r}; it must be one of {', '.join(WHEN_FULL)}.")
    if settings.api_key is not None and not (settings.api_key.isascii() and settings.api_key.isprintable()):
        raise ConfigurationError("api_key holds a character that can't be in one.")
