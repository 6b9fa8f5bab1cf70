"""Ids made by the sender: of scores (UUIDv7), and of traces and spans as OpenTelemetry has them."""

from __future__ import annotations

import os
import time

_VARIANT_AND_VERSION = (0x7 << 76) | (0x2 << 62)
_RANDOM_BITS = (((1 << 12) - 1) << 64) | ((1 << 62) - 1)


def new_score_id() -> str:
    """Return a UUIDv7: 48 bits of milliseconds, then random bits of the operating system.

    Not of `random`, which a script may seed: two runs would then send the same ids.

    >>> new_score_id()[14]
    '7'
    """
    random_bits = int.from_bytes(os.urandom(10), "big") & _RANDOM_BITS
    digits = f"{(time.time_ns() // 1_000_000 << 80) | _VARIANT_AND_VERSION | random_bits:032x}"
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def new_trace_id() -> str:
    """Return 32 hex digits, never all zero.

    >>> len(new_trace_id())
    32
    """
    return _hex_digits(16)


def new_span_id() -> str:
    """Return 16 hex digits, never all zero.

    >>> len(new_span_id())
    16
    """
    return _hex_digits(8)


def _hex_digits(size_bytes: int) -> str:
    digits = os.urandom(size_bytes).hex()
    return digits if digits.strip("0") else _hex_digits(size_bytes)
