"""What makes a rule well formed, and which rules are in force."""

import math
import re
from typing import Any
from uuid import UUID

import pytest

from shared.configs import CATEGORIES_MAX, CONFIG_NAME_PATTERN, fault_of_rule, rules_of
from shared.scores import DataType
from tests.unit.making import CONFIG, a_config

NUMERIC, CATEGORICAL, BOOLEAN = DataType
OPEN = (None, None)


@pytest.mark.parametrize(
    ("data_type", "bounds", "categories"),
    [
        (NUMERIC, (0.0, 1.0), None), (NUMERIC, (None, 1.0), None), (NUMERIC, (0.0, None), None), (NUMERIC, OPEN, None),
        (NUMERIC, (-1e308, 1e308), None), (CATEGORICAL, OPEN, ("a", "b")), (CATEGORICAL, OPEN, ("a", "A", " a")),
        (CATEGORICAL, OPEN, tuple(map(str, range(CATEGORIES_MAX)))), (CATEGORICAL, OPEN, ("x" * 500, "y")),
        (BOOLEAN, OPEN, None),
    ],
)  # fmt: skip
def test_a_well_formed_rule_has_no_fault(data_type: DataType, bounds: Any, categories: Any) -> None:
    assert fault_of_rule(data_type, bounds, categories) is None


@pytest.mark.parametrize(
    ("data_type", "bounds", "categories", "code", "field"),
    [
        (NUMERIC, (1.0, 1.0), None, "bounds_out_of_order", "min_value"),
        (NUMERIC, (2.0, 1.0), None, "bounds_out_of_order", "min_value"),
        (NUMERIC, (-0.0, 0.0), None, "bounds_out_of_order", "min_value"),
        (NUMERIC, (math.nan, 1.0), None, "bound_not_finite", "min_value"),
        (NUMERIC, (-math.inf, None), None, "bound_not_finite", "min_value"),
        (NUMERIC, (0.0, math.inf), None, "bound_not_finite", "max_value"),
        (NUMERIC, (0.0, 1.0), ("a", "b"), "superfluous_field", "categories"),
        (NUMERIC, (0.0, 1.0), (), "superfluous_field", "categories"),
        (CATEGORICAL, OPEN, None, "too_few_categories", "categories"),
        (CATEGORICAL, OPEN, (), "too_few_categories", "categories"),
        (CATEGORICAL, OPEN, ("a",), "too_few_categories", "categories"),
        (CATEGORICAL, OPEN, ("a", "b", "a"), "duplicate_category", "categories"),
        (CATEGORICAL, OPEN, ("a", ""), "invalid_category", "categories"),
        (CATEGORICAL, OPEN, ("a", " \t"), "invalid_category", "categories"),
        (CATEGORICAL, OPEN, ("a", "x" * 501), "invalid_category", "categories"),
        (CATEGORICAL, OPEN, ("a", "b\x00"), "invalid_category", "categories"),
        (CATEGORICAL, OPEN, tuple(map(str, range(CATEGORIES_MAX + 1))), "too_many_categories", "categories"),
        (CATEGORICAL, (0.0, None), ("a", "b"), "superfluous_field", "min_value"),
        (CATEGORICAL, (None, 1.0), ("a", "b"), "superfluous_field", "max_value"),
        (BOOLEAN, (0.0, None), None, "superfluous_field", "min_value"),
        (BOOLEAN, (None, 0.0), None, "superfluous_field", "max_value"),
        (BOOLEAN, OPEN, ("true", "false"), "superfluous_field", "categories"),
    ],
)
def test_a_rule_that_is_none_is_refused_with_the_field_named(
    data_type: DataType, bounds: Any, categories: Any, code: str, field: str
) -> None:
    fault = fault_of_rule(data_type, bounds, categories)

    assert fault is not None
    assert (fault.code, fault.field) == (code, field)


@pytest.mark.parametrize("name", ["a", "relevance", "context_recall_2", "a" * 100])
def test_a_config_name_is_lower_case_and_begins_with_a_letter(name: str) -> None:
    assert re.search(CONFIG_NAME_PATTERN, name)


@pytest.mark.parametrize("name", ["", "A", "_a", "2a", "a-b", "a b", "a\n", "ä"])
def test_anything_else_is_no_config_name(name: str) -> None:
    assert not re.search(CONFIG_NAME_PATTERN, name)


def test_archived_configs_are_known_by_id_and_not_in_force_by_name() -> None:
    rules = rules_of([a_config(is_archived=True)])

    assert set(rules.by_id) == {CONFIG}
    assert rules.active == {}


def test_the_active_config_of_a_name_is_in_force_whatever_the_order() -> None:
    active, archived = a_config(), a_config(id=UUID(int=7), is_archived=True)

    for configs in ([active, archived], [archived, active]):
        assert rules_of(configs).active["relevance"].config.id == CONFIG
