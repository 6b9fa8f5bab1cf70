"""The short form of `python -m tests.chaos.frozen_postgres`."""

import pytest

from tests.chaos.frozen_postgres import run, table

pytestmark = pytest.mark.xdist_group("chaos")


def test_ingest_does_not_notice_a_postgres_that_stands_still() -> None:
    frozen = run(frozen_seconds=5, rate=800, calm_seconds=1.5)

    print(table(frozen))
    assert [answer.outcome for answer in frozen.refused] == []
    assert len(frozen.answers["during"]) > 0
    assert frozen.findings.problems == []
    assert frozen.pids_after == frozen.pids_before
