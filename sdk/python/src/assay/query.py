"""Filters as keyword arguments, made into a query string."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timezone
from typing import Any
from urllib.parse import urlencode

_RENAMED = {"from_": "from", "to_": "to"}


def query_of(filters: Mapping[str, Any]) -> str:
    """Return the query string: None is left out, a list repeats its name, `metadata={"k": v}` is `metadata.k=v`.

    >>> query_of({"name": ["a", "b"], "metadata": {"release": "v2"}, "value": True, "to": None})
    'name=a&name=b&metadata.release=v2&value=true'
    """
    pairs: list[tuple[str, str]] = []
    for name, value in filters.items():
        if name == "metadata" and isinstance(value, Mapping):
            for key, inner in value.items():
                pairs += [(f"metadata.{key}", text) for text in _texts(inner)]
        else:
            pairs += [(_RENAMED.get(name, name), text) for text in _texts(value)]
    return urlencode(pairs)


def _texts(value: Any) -> Iterable[str]:
    if value is None:
        return []
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_text(one) for one in value]
    return [_text(value)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.astimezone(timezone.utc).isoformat()
    if isinstance(value, date):
        return datetime(value.year, value.month, value.day, tzinfo=timezone.utc).isoformat()
    return str(value)
