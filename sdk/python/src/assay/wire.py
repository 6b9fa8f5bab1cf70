"""One score as it goes over the wire: JSON made at the call, so later changes of the caller's objects don't matter.

What the server would refuse for certain is refused here, with the server's word for it.
"""

from __future__ import annotations

import json
import math
import re
import time
from collections.abc import Mapping
from datetime import date, datetime, timezone
from typing import Any, Union

from assay.errors import InvalidScore

Value = Union[bool, int, float, str]
ITEM_BYTES_MAX = 512 << 10

_TEXT_LIMITS = {
    "id": 200, "name": 100, "trace_id": 200, "span_id": 200, "session_id": 200, "user_id": 200,
    "author": 200, "environment": 100, "comment": 10_000, "config_id": 36,
}  # fmt: skip
_SOURCES = ("SDK", "HUMAN", "LLM_JUDGE", "EXTERNAL")
_STAMP = re.compile(rb',"timestamp":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z"\}$')


def encode_score(fields: dict[str, Any], now: float | None = None) -> bytes:
    """Return the JSON of a score whose fields are given; those that are None are left out.

    Without a `timestamp` the score gets the present moment, as its last field (see `without_stamp`).
    Raises InvalidScore.

    >>> encode_score({"trace_id": "t1", "name": "relevance", "value": 0.9, "timestamp": "2025-03-01T10:00:00Z"})
    b'{"trace_id":"t1","name":"relevance","value":0.9,"timestamp":"2025-03-01T10:00:00Z"}'
    """
    wire = {name: field for name, field in fields.items() if field is not None}
    wire["value"] = _value(fields.get("value"))
    _check_texts(wire)
    _check_target(wire)
    if "name" not in wire and "config_id" not in wire:
        raise InvalidScore("missing_field", "A score needs a name, or a config_id that has one.")
    if "metadata" in wire and not isinstance(wire["metadata"], Mapping):
        raise InvalidScore("wrong_type", "metadata must be a mapping.")
    if "timestamp" in wire:
        wire["timestamp"] = _timestamp(wire["timestamp"])
    else:
        wire["timestamp"] = stamp(time.time() if now is None else now)
    return to_bytes(wire)


def stamp(now: float) -> str:
    """Return seconds since 1970 as the wire has it.

    >>> stamp(0.25)
    '1970-01-01T00:00:00.250000Z'
    """
    global _last_second
    second = int(now)
    known, text = _last_second
    if known != second:
        text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        _last_second = (second, text)
    return f"{text}.{int((now - second) * 1_000_000):06d}Z"


_last_second = (0, "1970-01-01T00:00:00")


def without_stamp(item: bytes) -> bytes | None:
    """Return the item without the time that `encode_score` gave it; None when its time is the caller's own.

    >>> without_stamp(b'{"name":"a","timestamp":"1970-01-01T00:00:00.000000Z"}')
    b'{"name":"a"}'
    """
    stripped = _STAMP.sub(b"}", item)
    return stripped if len(stripped) != len(item) else None


def _value(value: Any) -> Value:
    """Return the value as JSON has it: numpy's and torch's scalars, decimals and enums as what they stand for."""
    kind = type(value)
    if kind is float or kind is bool or kind is int or kind is str:
        plain: Value = value
    else:
        plain = _plain_value(value)
    if isinstance(plain, float) and not math.isfinite(plain):
        raise InvalidScore("number_out_of_range", f"{plain} is no judgement; a value must be finite.")
    if isinstance(plain, str) and not 1 <= len(plain) <= 500:
        raise InvalidScore("too_long" if plain else "too_short", "A category has 1 to 500 characters.")
    if type(plain) is int and abs(plain) > 1 << 1023:
        raise InvalidScore("number_out_of_range", "The number is larger than a float64 holds.")
    return plain


def _plain_value(value: Any) -> Value:
    if value is None:
        raise InvalidScore("null_value", "value is None: without a judgement there is no score.")
    plain = _scalar(value)
    if plain is None:
        raise InvalidScore("wrong_type", f"value is a {type(value).__name__}; it must be a number, a text or a bool.")
    return plain


def _scalar(value: Any) -> Value | None:
    """Return what a subclass or a scalar of another library stands for; None when it stands for none."""
    for kind in (int, float, str):
        if isinstance(value, kind) and not isinstance(value, bool):
            return kind.__str__(value) if kind is str else kind(value)
    if callable(getattr(value, "item", None)) and getattr(value, "ndim", 0) == 0:  # numpy, torch
        return _scalar(value.item()) if not isinstance(value.item(), bool) else bool(value.item())
    if hasattr(value, "as_tuple") and hasattr(value, "is_finite"):  # decimal.Decimal, without importing it
        return float(value)
    return value if isinstance(value, bool) else None


def _json_of(value: Any) -> Any:
    """Return how metadata holds what JSON has no type for."""
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, (set, frozenset)):
        return sorted(value, key=str)
    scalar = _scalar(value)
    return str(value) if scalar is None else scalar


def _timestamp(moment: Any) -> str:
    """Return RFC 3339. A datetime without an offset is taken as local time, as Python takes it."""
    if isinstance(moment, datetime):
        return moment.astimezone(timezone.utc).isoformat()
    if isinstance(moment, (int, float)) and not isinstance(moment, bool):
        return datetime.fromtimestamp(moment, timezone.utc).isoformat()
    if isinstance(moment, str):
        return moment
    raise InvalidScore("invalid_timestamp", "timestamp must be a datetime, RFC 3339 text or seconds since 1970.")


def _check_texts(wire: dict[str, Any]) -> None:
    for name, text in wire.items():
        limit = _TEXT_LIMITS.get(name)
        if limit is None:
            continue
        if not isinstance(text, str):
            if name != "config_id":
                raise InvalidScore("wrong_type", f"{name} must be a text, not {type(text).__name__}.")
            wire[name] = str(text)
        elif not text and name != "comment":
            raise InvalidScore("too_short", f"{name} is empty.")
        elif len(text) > limit:
            raise InvalidScore("too_long", f"{name} has {len(text)} characters; {limit} are allowed.")
    if wire.get("source", "SDK") not in _SOURCES:
        raise InvalidScore("unknown_word", f"source is {wire['source']!r}; it must be one of {', '.join(_SOURCES)}.")


def _check_target(wire: dict[str, Any]) -> None:
    targets = ("trace_id" in wire or "span_id" in wire) + ("session_id" in wire) + ("user_id" in wire)
    if targets == 1:
        return
    if targets:
        raise InvalidScore("several_targets", "A score is about one of trace, span, session or user.")
    raise InvalidScore(
        "missing_target", "Name a trace_id, span_id, session_id or user_id, or score inside `with assay.trace():`."
    )


def to_bytes(wire: dict[str, Any]) -> bytes:
    try:
        text = _encode(wire)
    except ValueError:  # a NaN somewhere in metadata: JSON has none, and the score is worth more than it
        text = _encode({**wire, "metadata": _without_nan(wire.get("metadata"))})
    except (TypeError, RecursionError) as error:
        raise InvalidScore("wrong_type", f"metadata can't be written as JSON: {error}") from error
    try:
        item = text.encode()
    except UnicodeEncodeError:  # half a surrogate pair: text that was cut in the middle of a character
        item = text.encode("utf-8", "surrogatepass").decode("utf-8", "replace").encode()
    if len(item) > ITEM_BYTES_MAX:
        raise InvalidScore("metadata_too_large", f"The score has {len(item)} bytes; {ITEM_BYTES_MAX} are allowed.")
    return item


def _without_nan(value: Any, depth: int = 0) -> Any:
    """Return the same with null for what is not finite. Raises InvalidScore for what holds itself."""
    if depth > 100:
        raise InvalidScore("wrong_type", "metadata is nested too deeply, or holds itself.")
    if isinstance(value, Mapping):
        return {key: _without_nan(inner, depth + 1) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(inner, depth + 1) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), allow_nan=False, default=_json_of).encode
