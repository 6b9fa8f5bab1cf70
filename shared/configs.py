"""Score configs: the rule for a name, and what makes such a rule well formed (SPEC 4)."""

import math
from datetime import datetime
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct

from shared.scores import CATEGORY_LENGTH_MAX, NAME_LENGTH_MAX, DataType

CONFIG_NAME_PATTERN = r"^[a-z][a-z0-9_]*$(?!\n)"  # Python's "$" alone lets a line feed at the end pass
CATEGORIES_MAX = 500


class Enforcement(StrEnum):
    REJECT = "reject"
    WARN = "warn"


class ScoreConfig(Struct, frozen=True, kw_only=True):
    """A rule as it is stored. A bound that is None leaves that end open."""

    id: UUID
    project_id: UUID
    name: Annotated[str, Meta(pattern=CONFIG_NAME_PATTERN, max_length=NAME_LENGTH_MAX)]
    data_type: DataType
    description: str | None = None
    min_value: float | None = None
    max_value: float | None = None
    categories: tuple[str, ...] | None = None
    higher_is_better: bool | None = None
    enforcement: Enforcement = Enforcement.REJECT
    version: int = 1
    is_archived: bool = False
    created_at: datetime
    updated_at: datetime


class Valid(Struct, frozen=True):
    """The verdict on a score that may be stored. `violation` is the code of the rule it breaks where the config only
    warns."""

    name: str
    config_id: UUID | None
    config_version: int | None
    violation: str | None


class Rule(Struct, frozen=True):
    """A config made ready for judging: open ends are infinities, categories a set; `obeyed` is the verdict on every
    score that obeys it."""

    config: ScoreConfig
    low: float
    high: float
    categories: frozenset[str]
    obeyed: Valid


class Rules(Struct, frozen=True):
    """All rules of one project: every config by id, archived ones too, and the active ones by name."""

    by_id: dict[UUID, Rule]
    active: dict[str, Rule]


def rules_of(configs: list[ScoreConfig]) -> Rules:
    rules = [_rule(config) for config in configs]
    return Rules(
        by_id={rule.config.id: rule for rule in rules},
        active={rule.config.name: rule for rule in rules if not rule.config.is_archived},
    )


def _rule(config: ScoreConfig) -> Rule:
    return Rule(
        config=config,
        low=-math.inf if config.min_value is None else config.min_value,
        high=math.inf if config.max_value is None else config.max_value,
        categories=frozenset(config.categories or ()),
        obeyed=Valid(config.name, config.id, config.version, None),
    )


class Fault(Struct, frozen=True):
    """What is wrong with a rule that someone wants to set; `field` is the wire field."""

    code: str
    field: str
    detail: str


def fault_of_rule(
    data_type: DataType,
    bounds: tuple[float | None, float | None],
    categories: tuple[str, ...] | None,
) -> Fault | None:
    """The first thing that makes (data_type, bounds, categories) no rule, or None."""
    match data_type:
        case DataType.NUMERIC:
            return _fault_of_bounds(*bounds) or _superfluous("categories", categories)
        case DataType.CATEGORICAL:
            return _fault_of_categories(categories) or _superfluous_bounds(*bounds)
        case DataType.BOOLEAN:
            return _superfluous_bounds(*bounds) or _superfluous("categories", categories)


def _fault_of_bounds(low: float | None, high: float | None) -> Fault | None:
    for field, bound in (("min_value", low), ("max_value", high)):
        if bound is not None and not math.isfinite(bound):
            return Fault("bound_not_finite", field, "a bound is a finite number, or null for an open end")
    if low is not None and high is not None and low >= high:
        return Fault("bounds_out_of_order", "min_value", "min_value must be less than max_value")
    return None


def _fault_of_categories(categories: tuple[str, ...] | None) -> Fault | None:
    if categories is None or len(categories) < 2:
        return Fault("too_few_categories", "categories", "a CATEGORICAL config names at least two categories")
    if len(categories) > CATEGORIES_MAX:
        return Fault("too_many_categories", "categories", f"at most {CATEGORIES_MAX} categories")
    for category in categories:
        if not category.strip() or len(category) > CATEGORY_LENGTH_MAX or "\x00" in category:
            return Fault("invalid_category", "categories", f"a category is non-blank text up to {CATEGORY_LENGTH_MAX}")
    if len(set(categories)) < len(categories):
        return Fault("duplicate_category", "categories", "categories must be distinct")
    return None


def _superfluous_bounds(low: float | None, high: float | None) -> Fault | None:
    return _superfluous("min_value", low) or _superfluous("max_value", high)


def _superfluous(field: str, value: object) -> Fault | None:
    return None if value is None else Fault("superfluous_field", field, f"{field} has no meaning for this data type")
