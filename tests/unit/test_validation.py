"""The one function that judges a score by the rules of its project."""

import math
from typing import Any
from uuid import UUID

import pytest

from shared.configs import Enforcement, Rules, ScoreConfig, Valid
from shared.scores import DataType, Score, data_type_of
from shared.validation import Invalid, validate
from tests.unit.making import CONFIG, a_config, rules, the_score

UNKNOWN = UUID(int=99)


def judged(score: Score, *configs: ScoreConfig) -> Valid | Invalid:
    return validate(score, data_type_of(score.value), rules(*configs))


def code_of(score: Score, *configs: ScoreConfig) -> str | None:
    """The code of the broken rule, or None for a score that may be stored."""
    verdict = judged(score, *configs)
    return verdict.code if isinstance(verdict, Invalid) else None


def test_a_score_whose_name_has_no_config_is_stored_as_it_is() -> None:
    assert judged(the_score(name="anything", value=1e300)) == Valid("anything", None, None, None)


def test_a_good_score_keeps_the_version_of_the_rule_that_judged_it() -> None:
    verdict = judged(the_score(value=0.5), a_config(version=7))

    assert verdict == Valid("relevance", CONFIG, 7, None)


def test_a_score_without_a_name_has_the_name_of_its_config() -> None:
    verdict = judged(the_score(name=None, config_id=CONFIG), a_config())

    assert verdict == Valid("relevance", CONFIG, 1, None)


def test_a_score_without_a_name_and_a_config_is_refused() -> None:
    assert code_of(the_score(name=None)) == "missing_field"


@pytest.mark.parametrize("value", [0.0, -0.0, 0, 1, 1.0, 0.5, 5e-324])
def test_bounds_are_inclusive(value: float) -> None:
    assert code_of(the_score(value=value), a_config()) is None


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (math.nextafter(0, -1), "below_minimum"), (-1e308, "below_minimum"),
        (math.nextafter(1, 2), "above_maximum"), (2, "above_maximum"),
    ],
)  # fmt: skip
def test_a_number_out_of_bounds_is_refused_with_its_own_code(value: float, code: str) -> None:
    verdict = judged(the_score(value=value), a_config())

    assert isinstance(verdict, Invalid)
    assert (verdict.code, verdict.pointer, verdict.config_id, verdict.config_version) == (code, "/value", CONFIG, 1)


@pytest.mark.parametrize(
    ("bounds", "value"),
    [({"max_value": None}, 1e308), ({"min_value": None}, -1e308), ({"min_value": None, "max_value": None}, 1e308)],
)
def test_an_open_end_lets_every_number_through(bounds: dict[str, Any], value: float) -> None:
    assert code_of(the_score(value=value), a_config(**bounds)) is None


def test_an_open_end_leaves_the_other_bound_in_force() -> None:
    assert code_of(the_score(value=-1), a_config(max_value=None)) == "below_minimum"
    assert code_of(the_score(value=2), a_config(min_value=None)) == "above_maximum"


A_CHOICE = a_config(data_type=DataType.CATEGORICAL, categories=("safe", "unsafe"))
A_BOOLEAN = a_config(data_type=DataType.BOOLEAN)


@pytest.mark.parametrize("value", ["Safe", "safe ", "saf", "safe\x00"])
def test_a_category_is_compared_exactly(value: str) -> None:
    assert code_of(the_score(value="safe"), A_CHOICE) is None
    assert code_of(the_score(value=value), A_CHOICE) == "unknown_category"


def test_the_detail_of_a_long_category_is_short() -> None:
    verdict = judged(the_score(value="x" * 500), A_CHOICE)

    assert isinstance(verdict, Invalid)
    assert len(verdict.detail) < 200


@pytest.mark.parametrize("value", [True, False])
def test_booleans_have_no_bounds(value: bool) -> None:
    assert code_of(the_score(value=value), A_BOOLEAN) is None


@pytest.mark.parametrize(
    ("value", "config"),
    [
        (True, a_config()), (False, a_config()), ("0.5", a_config()), (1, A_BOOLEAN), (0, A_BOOLEAN),
        ("true", A_BOOLEAN),
        (1, A_CHOICE), (True, A_CHOICE),
    ],
)  # fmt: skip
def test_a_value_of_another_type_is_refused_and_true_is_no_1(value: Any, config: ScoreConfig) -> None:
    assert code_of(the_score(value=value), config) == "wrong_data_type"


def test_a_named_config_that_is_unknown_is_refused() -> None:
    verdict = judged(the_score(config_id=UNKNOWN), a_config())

    assert isinstance(verdict, Invalid)
    assert (verdict.code, verdict.pointer, verdict.config_id) == ("unknown_config", "/config_id", None)


def test_a_config_of_another_project_looks_unknown() -> None:
    of_another_project: Rules = rules()

    verdict = validate(the_score(config_id=CONFIG), DataType.NUMERIC, of_another_project)

    assert isinstance(verdict, Invalid)
    assert verdict.code == "unknown_config"


def test_a_named_config_that_is_archived_is_refused() -> None:
    verdict = judged(the_score(config_id=CONFIG), a_config(is_archived=True, version=3))

    assert isinstance(verdict, Invalid)
    assert (verdict.code, verdict.pointer, verdict.config_version) == ("archived_config", "/config_id", 3)


def test_an_archived_config_binds_nobody_by_name() -> None:
    assert judged(the_score(value=7), a_config(is_archived=True)) == Valid("relevance", None, None, None)


def test_a_score_whose_name_is_not_its_configs_is_refused() -> None:
    verdict = judged(the_score(name="Relevance", config_id=CONFIG), a_config())

    assert isinstance(verdict, Invalid)
    assert (verdict.code, verdict.pointer) == ("config_name_mismatch", "/name")


def test_the_named_config_counts_and_not_the_active_one_of_another_name() -> None:
    wide = a_config(id=UNKNOWN, name="latency", max_value=None)

    assert code_of(the_score(name="latency", value=9, config_id=UNKNOWN), a_config(), wide) is None


@pytest.mark.parametrize(
    ("value", "violation"),
    [(0.5, None), (-1, "below_minimum"), (2, "above_maximum"), ("x", "wrong_data_type"), (True, "wrong_data_type")],
)
def test_a_config_that_only_warns_marks_the_score(value: Any, violation: str | None) -> None:
    verdict = judged(the_score(value=value), a_config(enforcement=Enforcement.WARN))

    assert verdict == Valid("relevance", CONFIG, 1, violation)


def test_a_config_that_only_warns_marks_an_unknown_category() -> None:
    lenient = a_config(data_type=DataType.CATEGORICAL, categories=("a", "b"), enforcement=Enforcement.WARN)

    assert judged(the_score(value="c"), lenient) == Valid("relevance", CONFIG, 1, "unknown_category")


def test_a_wrong_reference_is_refused_also_where_the_config_only_warns() -> None:
    lenient = a_config(enforcement=Enforcement.WARN, is_archived=True)

    assert code_of(the_score(config_id=CONFIG), lenient) == "archived_config"
    assert code_of(the_score(name="other", config_id=CONFIG), a_config(enforcement=Enforcement.WARN)) is not None
