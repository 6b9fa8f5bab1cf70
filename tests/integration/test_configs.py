"""The life of a score config (SPEC 4)."""

from typing import Any

import msgspec
import pytest

from shared.configs import Rules, ScoreConfig, rules_of
from shared.scores import DataType, Score, data_type_of
from shared.validation import Invalid, validate
from tests.builders import a_categorical_config, a_numeric_config, a_score
from tests.stack import Stack, make_project


async def create(stack: Stack, body: dict[str, Any]) -> dict[str, Any]:
    answer = await stack.post("/v1/score-configs", body)
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"name": "a", "data_type": "NUMERIC", "min_value": 0}, "missing_bound"),
        ({"name": "a", "data_type": "NUMERIC", "min_value": 1, "max_value": 1}, "bounds_out_of_order"),
        (
            {"name": "a", "data_type": "NUMERIC", "min_value": 0, "max_value": 1, "categories": ["a"]},
            "superfluous_field",
        ),
        ({"name": "a", "data_type": "CATEGORICAL"}, "too_few_categories"),
        ({"name": "a", "data_type": "CATEGORICAL", "categories": ["a", "a"]}, "duplicate_category"),
        ({"name": "a", "data_type": "CATEGORICAL", "categories": ["a", " "]}, "invalid_category"),
        ({"name": "a", "data_type": "BOOLEAN", "min_value": 0}, "superfluous_field"),
        ({"name": "A", "data_type": "BOOLEAN"}, "invalid_body"),
        ({"name": "a", "data_type": "BOOLEAN", "foo": 1}, "invalid_body"),
    ],
)
async def test_what_is_no_rule_is_refused_with_its_code(stack: Stack, body: dict[str, Any], code: str) -> None:
    answer = await stack.post("/v1/score-configs", body)

    assert (answer.status_code, answer.json()["code"]) == (422, code)


async def test_an_open_end_takes_everything_on_its_side(stack: Stack) -> None:
    await create(stack, a_numeric_config(name="latency", min_value=0, max_value=None))

    receipt = await stack.store(a_score(name="latency", value=1e12), a_score(name="latency", value=-1))

    assert (receipt["stored"], receipt["rejected"]) == (1, 1)


async def test_a_name_has_one_active_config(stack: Stack) -> None:
    first = await create(stack, a_numeric_config())

    second = await stack.post("/v1/score-configs", a_numeric_config())
    await stack.post(f"/v1/score-configs/{first['id']}/archive", {})
    third = await stack.post("/v1/score-configs", a_numeric_config())
    restored = await stack.post(f"/v1/score-configs/{first['id']}/restore", {})

    assert (second.status_code, third.status_code, restored.status_code) == (409, 201, 409)
    names = [item["is_archived"] for item in await stack.items("/v1/score-configs", include_archived="true")]
    assert names == [False, True]


async def test_an_archived_config_can_be_restored_and_judges_again(stack: Stack) -> None:
    config = await create(stack, a_numeric_config())
    await stack.post(f"/v1/score-configs/{config['id']}/archive", {})
    named = await stack.store(a_score(config_id=config["id"]))
    free = await stack.store(a_score(value=99))
    await stack.post(f"/v1/score-configs/{config['id']}/restore", {})
    judged = await stack.store(a_score(value=99))

    assert [one["code"] for one in named["rejections"]] == ["archived_config"]
    assert (free["stored"], judged["rejected"]) == (1, 1)


async def test_another_project_s_config_is_unknown(stack: Stack) -> None:
    config = await create(stack, a_numeric_config())
    other = await make_project(stack.database_url, stack.redis_url, "other")

    receipt = await stack.store(a_score(config_id=config["id"]), project=other)
    answer = await stack.read(f"/v1/score-configs/{config['id']}", project=other)

    assert [one["code"] for one in receipt["rejections"]] == ["unknown_config"]
    assert answer.status_code == 404


async def test_every_version_that_judged_is_kept(stack: Stack) -> None:
    config = await create(stack, a_numeric_config())
    await stack.store(a_score(id="s1", trace_id="t1"))
    await stack.patch(f"/v1/score-configs/{config['id']}", {"max_value": 2})
    await stack.store(a_score(id="s2", trace_id="t1"))

    items = await stack.items("/v1/traces/t1/scores")

    assert {(item["id"], item["config"]["version"], item["config"]["max_value"]) for item in items} == {
        ("s1", 1, 1), ("s2", 2, 2),
    }  # fmt: skip


async def test_a_change_that_changes_nothing_makes_no_version(stack: Stack) -> None:
    config = await create(stack, a_numeric_config())

    same = await stack.patch(f"/v1/score-configs/{config['id']}", {"max_value": 1})

    assert same.json()["version"] == 1


VALUES: list[Any] = [0.1, 0.5, 0.9, 5, "safe", "odd", True]


@pytest.mark.parametrize(
    "change",
    [
        {"min_value": 0.2, "max_value": 0.8},
        {"min_value": None, "max_value": 0.5},
        {"min_value": 0.5, "max_value": None},
    ],
)
async def test_a_check_counts_what_validation_would_refuse(stack: Stack, change: dict[str, Any]) -> None:
    config = await create(stack, a_numeric_config(min_value=None, max_value=None, enforcement="warn"))
    await stack.store(*(a_score(value=value) for value in VALUES))

    answer = (await stack.post(f"/v1/score-configs/{config['id']}/check", change)).json()

    [proposed] = await stack.items("/v1/score-configs")
    assert proposed["version"] == 1
    assert answer["by_code"] == _codes(await _stored_config(stack, change), VALUES)
    assert (answer["checked"], answer["refused"]) == (len(VALUES), sum(answer["by_code"].values()))
    assert len(answer["examples"]) == answer["refused"]


async def test_a_check_of_categories_counts_what_validation_would_refuse(stack: Stack) -> None:
    config = await create(stack, a_categorical_config(enforcement="warn"))
    await stack.store(*(a_score(name="safety", value=value) for value in VALUES))

    answer = (await stack.post(f"/v1/score-configs/{config['id']}/check", {"categories": ["odd", "b"]})).json()

    assert answer["by_code"] == {"wrong_data_type": 5, "unknown_category": 1}


async def _stored_config(stack: Stack, change: dict[str, Any]) -> Rules:
    """The changed rule, made ready as the worker does it."""
    [config] = await stack.items("/v1/score-configs")
    changed = msgspec.convert(config | change | {"enforcement": "reject"}, ScoreConfig)
    return rules_of([changed])


def _codes(rules: Rules, values: list[Any]) -> dict[str, int]:
    codes: dict[str, int] = {}
    for value in values:
        score = Score(name="relevance", value=value, trace_id="t")
        verdict = validate(score, DataType(data_type_of(value)), rules)
        if isinstance(verdict, Invalid):
            codes[verdict.code] = codes.get(verdict.code, 0) + 1
    return codes


async def test_templates_are_adopted_all_or_some(stack: Stack) -> None:
    await create(stack, a_numeric_config(name="relevance"))

    some = (await stack.post("/v1/score-templates/adopt", {"names": ["relevance", "thumbs"]})).json()
    rest = (await stack.post("/v1/score-templates/adopt", {})).json()

    templates = await stack.items("/v1/score-templates")
    assert [config["name"] for config in some["adopted"]] == ["thumbs"]
    assert some["skipped"] == ["relevance"]
    assert (len(templates), len(rest["adopted"])) == (19, 17)
    toxicity = next(template for template in templates if template["name"] == "toxicity")
    assert toxicity["higher_is_better"] is False
