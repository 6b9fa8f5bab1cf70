"""The short form of `make chaos`: everything is killed, stopped and frozen at random; every score is accounted for."""

import os

import pytest

from tests.chaos.run import run
from tests.chaos.table import table

SEED = int(os.environ.get("ASSAY_CHAOS_SEED", "2982"))
KILLS = int(os.environ.get("ASSAY_CHAOS_KILLS", "7"))
RATE = 1000.0

pytestmark = pytest.mark.xdist_group("chaos")


def test_every_score_is_accounted_for_after_chaos() -> None:
    print(f"chaos: seed {SEED} (ASSAY_CHAOS_SEED), {KILLS} kills (ASSAY_CHAOS_KILLS)")

    result = run(seed=SEED, kills=KILLS, rate=RATE)

    print(table(result))
    assert result.findings.problems == []
    assert (result.findings.lost, result.findings.doubled, result.findings.rollup_differences) == (0, 0, 0)
    assert set(result.manager_steps) >= {"send", "delete one"}
    assert result.findings.acknowledged == result.findings.stored + result.findings.rejected > 0
