"""A short form of `make fuzz`: the same targets for a fixed number of inputs, and each seed by itself."""

from pathlib import Path

import pytest

from tests.fuzz.__main__ import TARGETS as NAMES
from tests.fuzz.__main__ import fuzz, is_available
from tests.fuzz.targets import TARGETS

SEEDS = sorted(Path(__file__).parent.glob("seeds/*/*"))
RUNS = 3_000


@pytest.mark.parametrize("seed", SEEDS, ids=lambda seed: f"{seed.parent.name}/{seed.name}")
def test_every_law_holds_for_each_seed(seed: Path) -> None:
    """Among them what once broke one."""
    TARGETS[seed.parent.name](seed.read_bytes())


def test_every_target_has_seeds_and_is_run() -> None:
    assert set(NAMES) == set(TARGETS) == {seed.parent.name for seed in SEEDS}


@pytest.mark.skipif(not is_available(), reason="atheris is not installed: it has no wheel for this Python or machine")
@pytest.mark.parametrize("target", NAMES)
def test_no_input_that_the_fuzzer_makes_breaks_a_law(target: str, tmp_path: Path) -> None:
    outcome = fuzz(target, f"-runs={RUNS}", kept=tmp_path)

    assert outcome.finding == ""
    assert outcome.runs >= RUNS
    assert outcome.coverage > 5
