"""The one function that judges a score by the rules of its project (SPEC 4). Pure, for worker and annotation."""

from uuid import UUID

from msgspec import Struct

from shared.configs import Enforcement, Rule, Rules, Valid
from shared.scores import DataType, Score


class Invalid(Struct, frozen=True):
    """The score breaks a rule. `pointer` is a JSON pointer into the score."""

    code: str
    pointer: str
    detail: str
    config_id: UUID | None = None
    config_version: int | None = None


def validate(score: Score, data_type: DataType, rules: Rules) -> Valid | Invalid:
    """Judge one well-formed score. It obeys the config it names, or else the active config of its name, if any."""
    if score.config_id is not None:
        return _by_named_config(score, score.config_id, data_type, rules)
    name = score.name
    if name is None:  # ingest refuses this, a replayed score cannot have it
        return Invalid("missing_field", "/name", "name may be left out only where config_id is given")
    rule = rules.active.get(name)
    if rule is None:
        return Valid(name, None, None, None)
    return _by_rule(score, data_type, rule)


def _by_named_config(score: Score, config_id: UUID, data_type: DataType, rules: Rules) -> Valid | Invalid:
    rule = rules.by_id.get(config_id)
    if rule is None:  # unknown and foreign look the same on purpose
        return Invalid("unknown_config", "/config_id", f"there is no score config {config_id} in this project")
    config = rule.config
    if config.is_archived:
        return Invalid("archived_config", "/config_id", f"{config.name} is archived", config.id, config.version)
    if score.name is not None and score.name != config.name:
        detail = f"the config is for {config.name!r}, the score's name is {score.name!r}"
        return Invalid("config_name_mismatch", "/name", detail, config.id, config.version)
    return _by_rule(score, data_type, rule)


def _by_rule(score: Score, data_type: DataType, rule: Rule) -> Valid | Invalid:
    config = rule.config
    broken = _broken(score.value, data_type, rule)
    if broken is None:
        return rule.obeyed
    code, detail = broken
    # A value of another type has no place in the statistics of its name's rule, but it is marked and kept all the same
    # where the config only warns: data type is part of what a statistic is grouped by.
    if config.enforcement is Enforcement.WARN:
        return Valid(config.name, config.id, config.version, code)
    return Invalid(code, "/value", detail, config.id, config.version)


def _broken(value: bool | float | str, data_type: DataType, rule: Rule) -> tuple[str, str] | None:
    wanted = rule.config.data_type
    if data_type is not wanted:
        return "wrong_data_type", f"{rule.config.name} is {wanted}, the value is {data_type}"
    if isinstance(value, str):
        if value in rule.categories:
            return None
        return "unknown_category", f"{_shortened(value)} is not a category of {rule.config.name}"
    if isinstance(value, bool) or rule.low <= value <= rule.high:
        return None
    if value < rule.low:
        return "below_minimum", f"{value} is below the minimum {rule.low}"
    return "above_maximum", f"{value} is above the maximum {rule.high}"


def _shortened(value: str, length_max: int = 80) -> str:
    return repr(value if len(value) <= length_max else value[: length_max - 1] + "…")
