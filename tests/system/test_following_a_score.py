"""One score is followed from its sender's request through the logs of all services, by the request's id alone."""

from collections.abc import Iterator

import pytest

from tests.builders import a_score
from tests.system.plant import Plant, running_plant
from tests.waiting import wait_until

BATCHES = 100
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
RULE = {"name": "relevance", "data_type": "NUMERIC", "min_value": 0, "max_value": 1}


@pytest.fixture
def plant(database_url: str, redis_url: str) -> Iterator[Plant]:
    with running_plant(database_url, redis_url) as running:
        running.api.start()
        yield running


def send(plant: Plant, number: int, value: float) -> str:
    score = a_score(id=f"s{number}", value=value)
    return plant.send(f"sender-{number}", score, traceparent=f"00-{TRACE}-{number + 1:016x}-01")


async def test_each_of_a_hundred_batches_has_its_line_in_every_service_it_went_through(plant: Plant) -> None:
    plant.call(plant.api, "POST", "/v1/score-configs", "rule-1", RULE)
    batch_ids = [send(plant, number, value=7 if number == 42 else 0.5) for number in range(BATCHES)]

    plant.worker.start()

    await wait_until(lambda: plant.persisted() == BATCHES, what="the line of each batch")
    for number, batch_id in enumerate(batch_ids):
        queued, persisted = plant.lines_of(f"sender-{number}")
        assert (queued["service"], queued["event"]) == ("ingest", "request_answered")
        assert (persisted["service"], persisted["event"]) == ("worker", "score_batch_persisted")
        assert queued["batch_id"] == persisted["batch_id"] == batch_id
        assert queued["trace_id"] == persisted["trace_id"] == TRACE
        assert (persisted["stored"], persisted["rejected"]) == ((0, 1) if number == 42 else (1, 0))


async def test_from_the_lines_the_way_leads_to_the_receipt_the_rejected_score_and_the_audit_log(plant: Plant) -> None:
    plant.call(plant.api, "POST", "/v1/score-configs", "rule-1", RULE)
    send(plant, 1, value=7)
    plant.worker.start()

    [queued, *_] = plant.lines_of("sender-1")
    receipt = plant.call(plant.api, "GET", f"/v1/batches/{queued['batch_id']}?wait=20", "reader-1")
    [rejected] = plant.call(plant.api, "GET", "/v1/rejected-scores", "reader-2")["items"]
    audited = plant.call(plant.api, "GET", "/v1/audit-log", "reader-3")["items"]

    assert (receipt["status"], receipt["rejected"]) == ("done", 1)
    assert (rejected["request_id"], rejected["score_id"]) == ("sender-1", "s1")
    assert [line["request_id"] for line in audited if line["action"] == "config_made"] == ["rule-1"]
    [made] = plant.lines_of("rule-1")
    assert (made["service"], made["status"]) == ("api", 201)


async def test_a_probe_that_finds_all_well_leaves_no_line(plant: Plant) -> None:
    for path in ("/healthz", "/readyz", "/metrics"):
        assert plant.ask(plant.api, "GET", path, "probe").is_success
    plant.call(plant.api, "GET", "/v1/scores", "reader")

    await wait_until(lambda: bool(plant.lines_of("reader")), what="the reader's line")
    assert plant.lines_of("probe") == []
