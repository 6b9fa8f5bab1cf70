"""`validate` agrees with a naive reading of SPEC 4, rule by rule, for whatever configs and scores there are."""

from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from shared.configs import Enforcement, ScoreConfig, Valid, rules_of
from shared.scores import DataType, Score, data_type_of
from shared.validation import validate
from tests.unit.making import a_config, the_score

NAMES = ["relevance", "safety", "thumbs"]
IDS = [UUID(int=n) for n in range(1, 5)]
FOREIGN = UUID(int=99)

edges = st.sampled_from([-1e308, -1.0, -5e-324, 0.0, 5e-324, 0.5, 1.0, 2.0, 1e308])
values = edges | st.integers(-2, 2) | st.booleans() | st.sampled_from(["a", "b", "c", "A", "true"])


@st.composite
def configs(draw: st.DrawFn, config_id: UUID) -> ScoreConfig:
    data_type = draw(st.sampled_from(DataType))
    rule: dict[str, Any] = {}
    if data_type is DataType.NUMERIC:
        rule = {"min_value": draw(st.none() | edges), "max_value": draw(st.none() | edges)}
    if data_type is DataType.CATEGORICAL:
        rule = {"categories": tuple(draw(st.sets(st.sampled_from("abc"), min_size=2)))}
    return a_config(
        id=config_id, name=draw(st.sampled_from(NAMES)), data_type=data_type, version=draw(st.integers(1, 9)),
        is_archived=draw(st.booleans()), enforcement=draw(st.sampled_from(Enforcement)), **rule,
    )  # fmt: skip


@st.composite
def projects(draw: st.DrawFn) -> list[ScoreConfig]:
    """At most one active config a name, as the database sees to."""
    drawn = [draw(configs(config_id)) for config_id in draw(st.lists(st.sampled_from(IDS), unique=True))]
    taken: set[str] = set()
    kept = []
    for config in drawn:
        if config.is_archived or config.name not in taken:
            kept.append(config)
            taken |= set() if config.is_archived else {config.name}
    return kept


scores = st.builds(
    lambda name, value, config_id: the_score(name=name, value=value, config_id=config_id),
    st.sampled_from([*NAMES, None]),
    values,
    st.none() | st.sampled_from([*IDS, FOREIGN]),
)


def broken_rule(score: Score, config: ScoreConfig) -> str | None:
    """What the value breaks, read off SPEC 4."""
    value = score.value
    kinds: dict[DataType, Any] = {DataType.BOOLEAN: bool, DataType.CATEGORICAL: str, DataType.NUMERIC: (int, float)}
    is_number_by_accident = isinstance(value, bool) and config.data_type is DataType.NUMERIC
    if not isinstance(value, kinds[config.data_type]) or is_number_by_accident:
        return "wrong_data_type"
    if config.categories is not None:
        return None if value in config.categories else "unknown_category"
    if config.min_value is not None and float(value) < config.min_value:
        return "below_minimum"
    if config.max_value is not None and float(value) > config.max_value:
        return "above_maximum"
    return None


def oracle(score: Score, project: list[ScoreConfig]) -> tuple[str, str | None]:
    """("stored", violation) or ("rejected", code)."""
    named = [config for config in project if config.id == score.config_id]
    by_name = [config for config in project if config.name == score.name and not config.is_archived]
    if score.config_id is not None:
        if not named:
            return "rejected", "unknown_config"
        if named[0].is_archived:
            return "rejected", "archived_config"
        if score.name not in (None, named[0].name):
            return "rejected", "config_name_mismatch"
    elif score.name is None:
        return "rejected", "missing_field"
    obeyed = named or by_name
    rule = obeyed[0] if obeyed else None
    broken = None if rule is None else broken_rule(score, rule)
    if broken is None or (rule is not None and rule.enforcement is Enforcement.WARN):
        return "stored", broken
    return "rejected", broken


@given(scores, projects())
def test_validation_agrees_with_the_spec(score: Score, project: list[ScoreConfig]) -> None:
    verdict = validate(score, data_type_of(score.value), rules_of(project))

    found = ("stored", verdict.violation) if isinstance(verdict, Valid) else ("rejected", verdict.code)
    assert found == oracle(score, project)


@given(scores, projects())
def test_what_is_stored_has_a_name_and_the_version_of_its_rule(score: Score, project: list[ScoreConfig]) -> None:
    verdict = validate(score, data_type_of(score.value), rules_of(project))

    if isinstance(verdict, Valid):
        versions = {(config.id, config.version) for config in project if config.name == verdict.name}
        assert score.name in (None, verdict.name)
        assert (verdict.config_id, verdict.config_version) in versions | {(None, None)}
