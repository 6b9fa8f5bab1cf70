"""`POST /v1/scores`: the outcomes of SPEC 5 and what their bodies look like."""

import msgspec
import pytest

from shared.envelope import decode
from shared.queue import FIELD, find
from tests.builders import a_score
from tests.contract.intake import PROJECT, Intake
from tests.contract.problems import assert_problem

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
FIELDS = {"status", "batch_id", "accepted", "rejected", "ids", "errors"}


async def test_a_good_batch_is_accepted_with_202(intake: Intake) -> None:
    answer = await intake.send(a_score(id="a"), a_score())

    body = answer.json()
    assert (answer.status_code, answer.headers["content-type"]) == (202, "application/json")
    assert set(body) == FIELDS
    assert (body["status"], body["accepted"], body["rejected"], body["errors"]) == ("accepted", 2, 0, [])
    assert body["ids"][0] == "a"
    assert len(body["ids"]) == 2


async def test_the_batch_id_leads_to_what_was_queued(intake: Intake) -> None:
    body = (await intake.send(a_score(id="a"), a_score())).json()

    entry = await find(intake.redis, body["batch_id"])

    assert entry is not None
    envelope, scores = decode(entry.data)
    assert (envelope.project_id, envelope.ids, len(scores)) == (PROJECT, body["ids"], 2)


async def test_request_id_and_traceparent_travel_with_the_batch(intake: Intake) -> None:
    content = msgspec.json.encode({"scores": [a_score()]})

    answer = await intake.post(content, traceparent=TRACE, tracestate="v=1", x_request_id="r-1")

    entry = await find(intake.redis, answer.json()["batch_id"])
    assert entry is not None
    envelope, _ = decode(entry.data)
    assert (envelope.request_id, envelope.traceparent, envelope.tracestate) == ("r-1", TRACE, "v=1")


@pytest.mark.parametrize("headers", [[("traceparent", "nonsense")], [("traceparent", TRACE), ("traceparent", TRACE)]])
async def test_a_traceparent_that_is_not_valid_is_as_if_not_sent(
    intake: Intake, headers: list[tuple[str, str]]
) -> None:
    said = [*headers, ("Authorization", f"Bearer {intake.key}")]

    answer = await intake.client.post("/v1/scores", json={"scores": [a_score()]}, headers=said)

    entry = await find(intake.redis, answer.json()["batch_id"])
    assert answer.status_code == 202
    assert entry is not None
    assert decode(entry.data)[0].traceparent is None


async def test_a_batch_with_good_and_bad_items_is_partial_with_207(intake: Intake) -> None:
    answer = await intake.send(a_score(id="a"), a_score(id="b", value=None), a_score(id="c"))

    body = answer.json()
    assert (answer.status_code, set(body)) == (207, FIELDS)
    assert (body["status"], body["accepted"], body["rejected"], body["ids"]) == ("partial", 2, 1, ["a", "c"])
    [error] = body["errors"]
    assert set(error) == {"index", "id", "code", "pointer", "detail"}
    assert (error["index"], error["id"], error["code"], error["pointer"]) == (1, "b", "null_value", "/scores/1/value")


async def test_an_error_of_an_item_without_an_id_has_none(intake: Intake) -> None:
    [error] = (await intake.send(7)).json()["errors"]

    assert set(error) == {"index", "code", "pointer", "detail"}


async def test_a_batch_of_bad_items_alone_is_rejected_with_422_and_nothing_is_queued(intake: Intake) -> None:
    answer = await intake.send(a_score(value=None), 7)

    body = answer.json()
    assert (answer.status_code, answer.headers["content-type"], set(body)) == (422, "application/json", FIELDS)
    assert (body["status"], body["batch_id"], body["accepted"], body["rejected"]) == ("rejected", None, 0, 2)
    assert await intake.queued() == 0


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "invalid_json"), (b"nonsense", "invalid_json"), (b'{"scores":[', "invalid_json"),
        (b"\xff", "invalid_json"),
        (b"[]", "not_a_batch"), (b"{}", "not_a_batch"), (b'{"scores":{}}', "not_a_batch"),
        (b'{"scores":[{}],"x":1}', "not_a_batch"), (b'{"scores":[]}', "empty_batch"),
    ],
    ids=str,
)  # fmt: skip
async def test_what_is_no_batch_is_a_400(intake: Intake, content: bytes, code: str) -> None:
    assert_problem(await intake.post(content), 400, code)

    assert await intake.queued() == 0


async def test_a_body_nested_without_end_is_a_400(intake: Intake) -> None:
    assert_problem(await intake.post(b"[" * 100_000), 400)
    assert_problem(await intake.post(b'{"scores":' + b"[" * 100_000), 400, "invalid_json")
    assert_problem(await intake.post(b'{"scores":' * 100_000), 400)


async def test_an_item_nested_without_end_is_refused_alone(intake: Intake) -> None:
    deep = b'{"id":"deep","trace_id":"t","name":"n","value":1,"metadata":' + b'{"a":' * 50_000 + b"1" + b"}" * 50_001

    answer = await intake.post(b'{"scores":[' + deep + b',{"id":"good","trace_id":"t","name":"n","value":1}]}')

    assert (answer.status_code, answer.json()["ids"]) == (207, ["good"])
    [error] = answer.json()["errors"]
    assert (error["code"], error["id"], error["pointer"]) == ("nested_too_deeply", "deep", "/scores/0/metadata")


async def test_a_thousand_scores_are_a_batch_and_one_more_are_a_413(intake: Intake) -> None:
    assert (await intake.send(*[a_score()] * 1000)).status_code == 202

    assert_problem(await intake.send(*[a_score()] * 1001), 413, "too_many_scores")


async def test_each_batch_is_one_entry(intake: Intake) -> None:
    for _ in range(3):
        await intake.send(a_score(), a_score())

    assert await intake.queued() == 3


async def test_a_score_is_queued_byte_for_byte(intake: Intake) -> None:
    score = b'{"trace_id" : "t1","name":"gr\xc3\xbc\\u00df","value":1.50}'

    answer = await intake.post(b'{"scores":[ ' + score + b" ]}")

    entry = await find(intake.redis, answer.json()["batch_id"])
    assert entry is not None
    assert score in entry.data


async def test_nothing_but_the_field_of_the_envelope_is_in_an_entry(intake: Intake) -> None:
    await intake.send(a_score())

    [key] = [key async for key in intake.redis.scan_iter("assay:scores:*")]
    [(_, fields)] = await intake.redis.xrange(key)
    assert set(fields) == {FIELD}
