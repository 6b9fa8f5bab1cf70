"""A rejected score is kept, counted, and replayed once its rule is mended."""

from typing import Any

from shared.scores import SCORE_BYTES_MAX
from tests.builders import a_categorical_config, a_numeric_config, a_score
from tests.stack import Stack
from tests.waiting import wait_until


async def ended(stack: Stack, job: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = (await stack.read(f"/v1/jobs/{job['id']}", wait=20)).json()
    assert found["state"] == "done", found
    return found


async def config(stack: Stack, **fields: Any) -> str:
    found: str = (await stack.post("/v1/score-configs", a_numeric_config(**fields))).json()["id"]
    return found


async def test_a_mended_config_and_a_replay_store_the_score_with_its_time(stack_with_jobs: Stack) -> None:
    stack = stack_with_jobs
    config_id = await config(stack, max_value=1)
    receipt = await stack.store(a_score(id="s1", value=5, timestamp="2025-01-02T03:04:05Z"), a_score(id="s2"))
    [rejected] = await stack.items("/v1/rejected-scores")
    await stack.patch(f"/v1/score-configs/{config_id}", {"max_value": 10})

    job = (await stack.post(f"/v1/rejected-scores/{rejected['id']}/replay", None)).json()

    assert (job["state"], job["counts"]["stored"]) == ("done", 1)
    score = (await stack.read("/v1/scores/s1")).json()
    assert (score["value"], score["scored_at"], score["config_version"]) == (5, "2025-01-02T03:04:05Z", 2)
    assert await stack.items("/v1/rejected-scores") == []
    moved = await stack.receipt(receipt["batch_id"])
    assert (moved["stored"], moved["rejected"]) == (2, 0)


async def test_a_replayed_score_without_a_time_keeps_the_time_it_was_received(stack_with_jobs: Stack) -> None:
    stack = stack_with_jobs
    config_id = await config(stack)
    await stack.store(a_score(id="s1", value=5))
    [rejected] = await stack.items("/v1/rejected-scores")
    await stack.patch(f"/v1/score-configs/{config_id}", {"max_value": None})

    await stack.post(f"/v1/rejected-scores/{rejected['id']}/replay", None)

    assert (await stack.read("/v1/scores/s1")).json()["scored_at"] == rejected["received_at"]


async def test_a_replay_that_fails_again_says_the_reason_of_now(stack_with_jobs: Stack) -> None:
    stack = stack_with_jobs
    config_id = await config(stack, max_value=1)
    await stack.store(a_score(id="s1", value=5))
    await stack.patch(f"/v1/score-configs/{config_id}", {"min_value": 6, "max_value": 9})
    [rejected] = await stack.items("/v1/rejected-scores")

    job = (await stack.post(f"/v1/rejected-scores/{rejected['id']}/replay", None)).json()

    assert job["counts"] == {"stored": 0, "replaced": 0, "unchanged": 0, "rejected": 1}
    [again] = await stack.items("/v1/rejected-scores")
    assert (again["id"], again["code"], again["config_version"]) == (rejected["id"], "below_minimum", 2)


async def test_an_edited_score_is_judged_in_place_of_the_one_that_was_sent(stack_with_jobs: Stack) -> None:
    stack = stack_with_jobs
    await config(stack)
    await stack.store(a_score(id="s1", value=5))
    [rejected] = await stack.items("/v1/rejected-scores")

    job = await stack.post(
        f"/v1/rejected-scores/{rejected['id']}/replay", {"score": a_score(value=0.5, comment="typing error")}
    )

    assert (job.status_code, job.json()["counts"]["stored"]) == (200, 1)
    score = (await stack.read("/v1/scores/s1")).json()
    assert (score["value"], score["comment"]) == (0.5, "typing error")


async def test_an_edit_that_is_no_score_is_refused(stack: Stack) -> None:
    await config(stack)
    await stack.store(a_score(id="s1", value=5))
    [rejected] = await stack.items("/v1/rejected-scores")

    answer = await stack.post(f"/v1/rejected-scores/{rejected['id']}/replay", {"score": {"value": 1, "foo": 2}})

    assert answer.status_code == 422


async def test_an_edit_that_is_larger_than_a_score_may_be_is_refused(stack: Stack) -> None:
    await config(stack)
    await stack.store(a_score(id="s1", value=5))
    [rejected] = await stack.items("/v1/rejected-scores")

    answer = await stack.api.post(
        f"/v1/rejected-scores/{rejected['id']}/replay",
        content=b'{"score": {"trace_id": "t1", "name": "relevance",' + b" " * SCORE_BYTES_MAX + b'"value": 0.5}}',
        headers=stack.project.headers | {"Content-Type": "application/json"},
    )

    assert (answer.status_code, answer.json()["code"]) == (422, "item_too_large")
    assert answer.json()["pointer"] == "/score"


async def test_a_replay_does_not_undo_a_newer_score(stack_with_jobs: Stack) -> None:
    stack = stack_with_jobs
    config_id = await config(stack)
    await stack.store(a_score(id="s1", value=5))
    await stack.store(a_score(id="s1", value=0.5))
    await stack.patch(f"/v1/score-configs/{config_id}", {"max_value": 10})
    [rejected] = await stack.items("/v1/rejected-scores")

    job = (await stack.post(f"/v1/rejected-scores/{rejected['id']}/replay", None)).json()

    assert job["counts"]["unchanged"] == 1
    assert (await stack.read("/v1/scores/s1")).json()["value"] == 0.5


async def test_rejected_scores_are_replayed_by_filter(stack_with_jobs: Stack) -> None:
    stack = stack_with_jobs
    config_id = await config(stack)
    await stack.post("/v1/score-configs", a_categorical_config())
    for start in range(0, 500, 100):
        await stack.store(*(a_score(id=f"s{n}", value=n + 2) for n in range(start, start + 100)))
    await stack.store(a_score(id="other", name="safety", value="odd"))
    await stack.patch(f"/v1/score-configs/{config_id}", {"max_value": 400})

    dry = await stack.post("/v1/rejected-scores/replay", {"filter": {"name": ["relevance"]}, "dry_run": True})
    job = (await stack.post("/v1/rejected-scores/replay", {"filter": {"name": ["relevance"]}})).json()
    found = await ended(stack, job)

    assert dry.json()["count"] == 500
    assert (found["counts"]["stored"], found["counts"]["rejected"]) == (399, 101)
    counts = {item["name"]: item["count"] for item in await stack.items("/v1/rejected-scores/counts")}
    assert counts == {"relevance": 101, "safety": 1}


async def test_rejected_scores_are_deleted_one_by_one_and_by_filter(stack_with_jobs: Stack) -> None:
    stack = stack_with_jobs
    await config(stack)
    await stack.store(*(a_score(id=f"s{n}", value=n) for n in (-1, 5, 6)))
    [first, *_] = await stack.items("/v1/rejected-scores", code="below_minimum")

    answer = await stack.api.delete(f"/v1/rejected-scores/{first['id']}", headers=stack.project.headers)
    job = (await stack.post("/v1/rejected-scores/delete", {"filter": {"code": ["above_maximum"]}})).json()

    assert answer.status_code == 204
    assert (await ended(stack, job))["counts"] == {"deleted": 2}
    assert await stack.items("/v1/rejected-scores") == []


async def test_one_rejected_score_comes_with_the_score_as_it_was_sent(stack: Stack) -> None:
    await config(stack)
    sent = a_score(id="s1", value=5, metadata={"a": 1})
    await stack.store(sent)
    [rejected] = await stack.items("/v1/rejected-scores")

    answer = await stack.read(f"/v1/rejected-scores/{rejected['id']}")

    assert (answer.status_code, answer.json()["original"]) == (200, sent)
    assert (await stack.read("/v1/rejected-scores/1-0-0.7")).status_code == 404


async def test_a_replay_of_several_scores_of_one_batch_loses_none_to_one_that_postgres_refuses(
    stack_with_jobs: Stack,
) -> None:
    stack = stack_with_jobs
    config_id = await config(stack, max_value=1)
    refused = '{"id":"x","trace_id":"t1","name":"relevance","value":6,"metadata":{"poison":true}}'
    good = '{"id":"x","trace_id":"t1","name":"relevance","value":5}'
    answer = await stack.ingest.post(
        "/v1/scores", content=f'{{"scores":[{good},{refused}]}}', headers=stack.project.headers
    )
    await stack.receipt(answer.json()["batch_id"])
    await stack.patch(f"/v1/score-configs/{config_id}", {"max_value": 10})

    job = (await stack.post("/v1/rejected-scores/replay", {"filter": {}})).json()
    found = await ended(stack, job)

    assert (found["counts"]["stored"], found["counts"]["rejected"]) == (1, 1)
    assert (await stack.read("/v1/scores/x")).json()["value"] == 5
    assert [one["code"] for one in await stack.items("/v1/rejected-scores")] == ["storage_error"]
    receipt = await stack.receipt(answer.json()["batch_id"])
    assert (receipt["stored"], receipt["rejected"]) == (1, 1)


async def test_of_two_scores_of_one_id_in_a_batch_the_later_wins_also_when_it_is_replayed(
    stack_with_jobs: Stack,
) -> None:
    stack = stack_with_jobs
    config_id = await config(stack, max_value=1)
    receipt = await stack.store(a_score(id="s1", value=0.5), a_score(id="s1", value=5))
    await stack.patch(f"/v1/score-configs/{config_id}", {"max_value": None})
    [rejected] = await stack.items("/v1/rejected-scores")

    job = (await stack.post(f"/v1/rejected-scores/{rejected['id']}/replay", None)).json()

    assert job["counts"]["replaced"] == 1
    assert (await stack.read("/v1/scores/s1")).json()["value"] == 5
    moved = await stack.receipt(receipt["batch_id"])
    assert (moved["stored"], moved["replaced"], moved["rejected"]) == (1, 1, 0)


async def test_the_earlier_of_two_scores_of_one_id_in_a_batch_changes_nothing_when_it_is_replayed(
    stack_with_jobs: Stack,
) -> None:
    stack = stack_with_jobs
    config_id = await config(stack, max_value=1)
    await stack.store(a_score(id="s1", value=5), a_score(id="s1", value=0.5))
    await stack.patch(f"/v1/score-configs/{config_id}", {"max_value": None})
    [rejected] = await stack.items("/v1/rejected-scores")

    job = (await stack.post(f"/v1/rejected-scores/{rejected['id']}/replay", None)).json()

    assert job["counts"]["unchanged"] == 1
    assert (await stack.read("/v1/scores/s1")).json()["value"] == 0.5


async def test_a_replay_meets_what_a_replay_before_it_is_just_rejecting_by_the_old_rule(
    stack_with_jobs: Stack,
) -> None:
    stack = stack_with_jobs
    config_id = await config(stack, max_value=1)
    await stack.store(*(a_score(id=f"s{number}", value=5) for number in range(20)))
    await stack.fetch(
        "CREATE FUNCTION dawdle() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_sleep(0.1); RETURN NEW; END'"
    )
    await stack.fetch("CREATE TRIGGER dawdle BEFORE UPDATE ON rejected_scores FOR EACH ROW EXECUTE FUNCTION dawdle()")

    first = (await stack.post("/v1/rejected-scores/replay", {})).json()
    is_judging = """
        SELECT 1 FROM pg_stat_activity
        WHERE query LIKE '%UPDATE rejected_scores%' AND state = 'active' AND pid <> pg_backend_pid()
        """
    await wait_until(lambda: stack.fetch(is_judging))
    await stack.patch(f"/v1/score-configs/{config_id}", {"max_value": 10})
    second = (await stack.post("/v1/rejected-scores/replay", {})).json()

    assert (await ended(stack, first))["counts"]["rejected"] == 20
    assert (await ended(stack, second))["counts"]["stored"] == 20
