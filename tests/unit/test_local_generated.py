"""The generated scores: marked as such, repeatable, within their configs and the last thirty days."""

from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec

from deploy.local.generated import CONFIGS, DAYS, generate

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def scores(count: int, seed: int = 1) -> list[dict[str, Any]]:
    return [msgspec.json.decode(score) for score in generate(count, seed=seed, now=NOW)]


def test_as_many_as_asked_for_each_with_an_id_of_its_own() -> None:
    assert len({score["id"] for score in scores(2003)}) == 2003


def test_every_score_is_marked_as_generated() -> None:
    assert all(score["metadata"]["generated"] is True for score in scores(100))


def test_the_same_seed_gives_the_same_scores_and_another_one_others() -> None:
    assert scores(50) == scores(50)
    assert not {score["id"] for score in scores(50)} & {score["id"] for score in scores(50, seed=2)}


def test_every_name_has_a_config_and_every_config_is_used() -> None:
    assert {score["name"] for score in scores(500)} == {config["name"] for config in CONFIGS}


def test_they_lie_within_the_last_thirty_days() -> None:
    times = [datetime.fromisoformat(score["timestamp"]) for score in scores(500)]

    assert NOW - timedelta(days=DAYS, minutes=2) <= min(times)
    assert max(times) < NOW
