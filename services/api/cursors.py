"""Opaque cursors: where a page ended, bound to the order it was read in. Anything else is refused. Pure."""

import base64
import binascii
from typing import TypeVar

import msgspec
from msgspec import Struct

from services.api.queries.rejected import RejectedPosition
from services.api.queries.scores import Order, Position
from services.api.writes.audit_log import AuditPosition
from shared.errors import Malformed
from shared.filters import YEAR_MAX, YEAR_MIN

MICROSECONDS_MAX = 1 << 53

T = TypeVar("T", bound=Struct)


class _Cursor(Struct, array_like=True, forbid_unknown_fields=True):
    order: Order
    position: Position


def write_cursor(order: Order, position: Position) -> str:
    return _write(_Cursor(order, position))


def read_cursor(text: str, order: Order) -> Position:
    """Raises `Malformed` for what `write_cursor` did not make, or made for the other order."""
    cursor = _read(text, _Cursor)
    if cursor.order != order:
        detail = f"The cursor was made with order={cursor.order}."
        raise Malformed(detail, code="invalid_cursor", pointer="cursor")
    if abs(cursor.position.scored_at_us) > MICROSECONDS_MAX:
        raise _no_cursor()
    return cursor.position


def write_rejected_cursor(position: RejectedPosition) -> str:
    return _write(position)


def read_rejected_cursor(text: str) -> RejectedPosition:
    """Raises `Malformed` for what `write_rejected_cursor` did not make."""
    position = _read(text, RejectedPosition)
    moment = position.rejected_at
    if moment.tzinfo is None or not YEAR_MIN <= moment.year <= YEAR_MAX or not 0 <= position.index < 1 << 31:
        raise _no_cursor()
    return position


def write_audit_cursor(position: AuditPosition) -> str:
    return _write(position)


def read_audit_cursor(text: str) -> AuditPosition:
    """Raises `Malformed` for what `write_audit_cursor` did not make."""
    position = _read(text, AuditPosition)
    if position.at.tzinfo is None or not YEAR_MIN <= position.at.year <= YEAR_MAX:
        raise _no_cursor()
    return position


def _write(cursor: Struct) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(cursor)).decode().rstrip("=")


def _read(text: str, kind: type[T]) -> T:
    try:
        json = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
        cursor = msgspec.json.decode(json, type=kind)
    except (binascii.Error, msgspec.DecodeError, UnicodeError, ValueError) as error:
        raise _no_cursor() from error
    if b"\\u0000" in json:
        raise _no_cursor()
    return cursor


def _no_cursor() -> Malformed:
    return Malformed("That is no cursor of ours.", code="invalid_cursor", pointer="cursor")
