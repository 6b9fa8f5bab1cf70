"""Make ids: UUIDv7 (RFC 9562), in the order of time, so that new rows land at one end of an index."""

import os
import time
from uuid import UUID

_TAIL_MAX = 1 << 47  # leaves room to count up within the last 48 bits


def uuid7(now_ms: int | None = None) -> str:
    """One id, as text with hyphens."""
    return uuid7s(1, now_ms)[0]


def uuid7s(n: int, now_ms: int | None = None) -> list[str]:
    """`n` ids of one millisecond in ascending order: one random start whose tail counts up (RFC 9562, 6.2 method 2)."""
    ms = time.time_ns() // 1_000_000 if now_ms is None else now_ms
    noise = int.from_bytes(os.urandom(10), "big")
    high, low, tail = noise >> 68, (noise >> 48) & 0x3FFF, noise % _TAIL_MAX
    form = f"{ms >> 16:08x}-{ms & 0xFFFF:04x}-7{high:03x}-{0x8000 | low:04x}-%012x"
    return [form % number for number in range(tail, tail + n)]


def parse_uuid(text: str) -> UUID | None:
    """The UUID that `text` spells, or None: for ids from outside, where anything may stand."""
    try:
        return UUID(text)
    except ValueError:
        return None
