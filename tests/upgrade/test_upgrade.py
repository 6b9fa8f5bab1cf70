"""The short form of `make upgrade`: out in the one order, back, out in the other order, under load. Nothing is lost."""

from pathlib import Path

import pytest

from tests.upgrade.release import NoPreviousRelease, Release, new_migrations, previous_release
from tests.upgrade.run import run
from tests.upgrade.table import table

# A request that is refused is none of these. 207 and 422: the senders mix in some malformed scores on purpose.
TAKEN = {"202", "207", "422"}

pytestmark = pytest.mark.xdist_group("chaos")


@pytest.fixture
def previous(tmp_path: Path) -> Release:
    try:
        return previous_release(tmp_path)
    except NoPreviousRelease as reason:
        pytest.skip(str(reason))


def test_an_upgrade_in_either_order_and_the_way_back_lose_nothing(previous: Release) -> None:
    result = run(previous, seed=2982, rate=300.0)

    print(table(result))
    assert result.findings.problems == []
    assert (result.findings.lost, result.findings.doubled, result.findings.rollup_differences) == (0, 0, 0)
    assert result.findings.acknowledged == result.findings.stored + result.findings.rejected > 0
    assert set(result.outcomes) <= TAKEN
    assert set(result.manager_steps) >= {"send", "delete one"}


@pytest.mark.usefixtures("previous")
def test_post_migrations_come_last_in_their_release() -> None:
    is_post = [name.endswith(".post.sql") for name in new_migrations()]

    assert is_post == sorted(is_post)
