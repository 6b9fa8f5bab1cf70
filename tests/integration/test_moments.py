"""Moments that the worker writes are those that everybody else reads, to the microsecond."""

from datetime import UTC, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import asyncpg
import pytest

from services.worker.moments import pass_moments_as_microseconds
from shared.scores import FIRST_MOMENT

MOMENTS = [
    FIRST_MOMENT,
    datetime(1969, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC),
    datetime(2000, 1, 1, tzinfo=UTC),
    datetime(2026, 11, 20, 12, 46, 0, 1, tzinfo=UTC),
    datetime(2026, 11, 20, 12, 46, tzinfo=timezone(timedelta(hours=5, minutes=45))),
    datetime(2026, 10, 25, 2, 30, fold=0, tzinfo=ZoneInfo("Europe/Berlin")),
    datetime(2026, 10, 25, 2, 30, fold=1, tzinfo=ZoneInfo("Europe/Berlin")),
]


@pytest.mark.parametrize("moment", MOMENTS, ids=str)
async def test_a_moment_is_written_and_read_as_by_the_driver_itself(database_url: str, moment: datetime) -> None:
    plain, quick = await asyncpg.connect(database_url), await asyncpg.connect(database_url)
    await pass_moments_as_microseconds(quick)
    await plain.execute("CREATE TABLE moments (at timestamptz)")

    await quick.copy_records_to_table("moments", records=[(moment,)], columns=["at"])

    in_utc = moment.astimezone(UTC)  # else the hour that comes twice a year is equal to nothing
    assert await plain.fetchval("SELECT at FROM moments") == in_utc
    assert await quick.fetchval("SELECT at FROM moments WHERE at = ANY($1::timestamptz[])", [moment]) == in_utc
    assert await plain.fetchval("SELECT count(*) FROM moments WHERE at = $1", moment) == 1
    for connection in (plain, quick):
        await connection.close()
