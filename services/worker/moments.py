"""Moments on their way to Postgres and back: as microseconds, which is half the driver's own work for one.

The driver compares each with both infinities and brings it to UTC, and asks its time zone anew for each of that. A
score has two moments: that was a sixth of the worker's CPU time.
"""

from datetime import UTC, datetime, timedelta

from shared.postgres import Connection

_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's own


async def pass_moments_as_microseconds(connection: Connection) -> None:
    await connection.set_type_codec(
        "timestamptz", schema="pg_catalog", encoder=microseconds_of, decoder=moment_of, format="tuple"
    )


def microseconds_of(moment: datetime) -> tuple[int]:
    """Since 2000; of a moment in UTC without asking its time zone. Raises `TypeError` for one without a time zone."""
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds,)


def moment_of(microseconds: tuple[int]) -> datetime:
    return _EPOCH + timedelta(microseconds=microseconds[0])
