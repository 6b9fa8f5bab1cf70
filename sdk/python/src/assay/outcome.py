"""What the server's answer to a batch means for its scores. Pure."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

RETRY_AFTER_SECONDS_MAX = 300.0
_LATER = (408, 425, 429, 502, 503, 504)
_TOO_MUCH_AT_ONCE = (400, 413, 422)


class Fate(enum.Enum):
    """What to do with the batch."""

    SETTLED = "settled"  # every score was taken in or refused for good
    LATER = "later"  # the server is busy or away: this batch first, later
    BEHIND = "behind"  # the server failed over it: others first, it may be the batch's own fault
    HALVE = "halve"  # it was refused as a whole: some score in it, or its size, is to blame
    BARRED = "barred"  # the key or the address is wrong: nothing goes through until somebody changes that


class Refusal(NamedTuple):
    """One score that the server refused: its place in the batch, the server's word and reason."""

    place: int
    code: str
    detail: str


class Outcome(NamedTuple):
    """`code` and `detail` are the server's, for a batch that is not settled.

    `batch_id` is the handle of what was taken in, None when nothing was.
    """

    fate: Fate
    refusals: Sequence[Refusal] = ()
    retry_after_seconds: float | None = None
    code: str = ""
    detail: str = ""
    batch_id: str | None = None


def outcome_of(status: int, headers: Mapping[str, str], body: bytes) -> Outcome:
    """Return what an answer means. `headers` have lower-case names.

    >>> outcome_of(503, {"retry-after": "2"}, b"").retry_after_seconds
    2.0
    """
    said = _object(body)
    if isinstance(said.get("errors"), list) and status in (200, 202, 207, 422):
        batch_id = said.get("batch_id")
        return Outcome(Fate.SETTLED, [_refusal(error) for error in said["errors"]], batch_id=batch_id)
    code, detail = str(said.get("code") or f"http_{status}"), str(said.get("detail") or said.get("title") or "")
    if 200 <= status < 300:
        return Outcome(Fate.BARRED, code="not_assay", detail="The answer is not that of an Assay ingest.")
    return Outcome(_fate(status), (), retry_after(headers), code, detail)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds the server asks for, at most 5 minutes; dates count as not asked."""
    text = headers.get("retry-after", "").strip()
    return min(float(text), RETRY_AFTER_SECONDS_MAX) if text.isascii() and text.isdigit() else None


def _fate(status: int) -> Fate:
    if status in _LATER:
        return Fate.LATER
    if status >= 500:
        return Fate.BEHIND
    return Fate.HALVE if status in _TOO_MUCH_AT_ONCE else Fate.BARRED


def _object(body: bytes) -> dict[str, Any]:
    try:
        said = json.loads(body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _refusal(error: Mapping[str, Any]) -> Refusal:
    return Refusal(int(error["index"]), str(error["code"]), str(error.get("detail", "")))
