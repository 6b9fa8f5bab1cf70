"""Text that would do something elsewhere - in a page, a statement, a shell, a log, a terminal - comes out as it went
in, and does nothing. And nothing of it is in a log.
"""

import json
import re
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.hostile.house import House
from tests.hostile.raw import Wire, head
from tests.system.processes import Service
from tests.waiting import wait_until

MARK = "zq7mark"

TEXTS = [
    f"{MARK}<script>alert(1)</script>",
    f'{MARK}"><img src=x onerror=alert(1)>',
    f"{MARK}<!--#exec cmd=/bin/ls--><?php echo 1 ?>",
    f"{MARK}&lt;b&gt; &amp;amp; &#x3c;",
    f"{MARK}'; DROP TABLE scores; --",
    f'{MARK}" OR ""="',
    f"{MARK}') UNION SELECT secret FROM api_keys --",
    f"{MARK}$1 $$ $tag$ \\'; COPY scores TO PROGRAM 'id'",
    f"{MARK}\\x00 \\u0000 \\n \\\\",
    f"{MARK}%s%s%n %(x)s {{x}} {{0}} ${{x}}",
    f"{MARK}{{{{7*7}}}} <%= 7*7 %> #{{7*7}} ${{jndi:ldap://127.0.0.1/a}}",
    f"{MARK}`id` $(id) | id; && id",
    f"{MARK}../../etc/passwd ..%2f..%2f",
    f"=cmd|'/c calc'!A1 {MARK} +1 @SUM(1)",
    f"{MARK}\u202egnp.exe\u2066 \u200f\u061c bidirectional",
    f"{MARK}a\u0301 a\u0301\u0323 \ufeff \u200b \u00ad \ufffd",
    f"{MARK}\U0001f469\u200d\U0001f469\u200d\U0001f467 \U000e0041 \uffff \U0010ffff",
    f'{MARK}\r\n{{"event":"request_answered","level":"info","service":"ingest"}}',
    f"{MARK}\n2026-01-01T00:00:00Z [info] nothing to see",
    f"{MARK}\x1b[2J\x1b[31mred\x1b]0;title\x07 \x08\x7f\x85\u2028\u2029",
    f"{MARK}\t,;\"'|\x01\x1f",
    f" {MARK} ",
]  # fmt: skip
NAMES = [text for text in TEXTS if text.isprintable() and text == text.strip()]


@pytest.fixture(scope="module")
def stored(house: House) -> list[dict[str, Any]]:
    """One score for each text, with that text wherever a score may have text."""
    scores = [
        {
            "id": f"id {text}", "session_id": f"session {text}", "name": NAMES[at % len(NAMES)], "value": text,
            "comment": text, "author": text, "environment": text,
            "metadata": {text: text, "list": [text, {text: [text]}]},
        }
        for at, text in enumerate(TEXTS)
    ]  # fmt: skip
    answer = house.send(*scores)
    assert answer.status_code == 202, answer.text
    receipt = house.read(f"/v1/batches/{answer.json()['batch_id']}", wait=30).json()
    assert (receipt["status"], receipt["stored"]) == ("done", len(TEXTS))
    return scores


def fields_of(item: dict[str, Any], score: dict[str, Any]) -> dict[str, Any]:
    return {field: item[field] for field in score}


def test_every_text_comes_out_as_it_went_in(house: House, stored: list[dict[str, Any]]) -> None:
    items = {item["id"]: item for item in house.read("/v1/scores", limit=1000).json()["items"]}

    for score in stored:
        assert fields_of(items[score["id"]], score) == score


@pytest.mark.parametrize("field", ["session_id", "environment", "author", "value"])
def test_a_filter_with_the_text_finds_the_one_that_has_it(
    house: House, stored: list[dict[str, Any]], field: str
) -> None:
    for score in stored:
        found = house.read("/v1/scores", **{field: score[field]}).json()["items"]
        assert [item["id"] for item in found] == [score["id"]]


def test_a_filter_on_metadata_takes_the_text_as_key_and_as_value(house: House, stored: list[dict[str, Any]]) -> None:
    for score in stored:
        found = house.read("/v1/scores", **{f"metadata.{score['comment']}": score["comment"]}).json()["items"]
        assert [item["id"] for item in found] == [score["id"]]


def test_the_text_in_a_path_finds_the_one_that_has_it(house: House, stored: list[dict[str, Any]]) -> None:
    for score in stored:
        found = house.read(f"/v1/scores/{quote(score['id'], safe='')}")
        assert (found.status_code, found.json()["comment"]) == (200, score["comment"])


def test_statistics_are_kept_apart_by_the_texts(house: House, stored: list[dict[str, Any]]) -> None:
    for dimension in ("author", "environment", "metadata.list"):
        items = house.read("/v1/scores/aggregate", group_by=dimension).json()["items"]
        assert sum(item["count"] for item in items) == len(stored)
    authors = house.read("/v1/scores/aggregate", group_by="author").json()["items"]
    assert {item["group"]["author"] for item in authors} == set(TEXTS)


def test_configs_and_rejected_scores_keep_their_texts(house: House) -> None:
    config = {"name": "kind", "data_type": "CATEGORICAL", "categories": TEXTS[:5], "description": TEXTS[0]}
    made = httpx.post(f"{house.api.url}/v1/score-configs", json=config, headers=house.authorization)
    batch_id = house.send({"trace_id": "t", "name": "kind", "value": TEXTS[6], "comment": TEXTS[17]}).json()["batch_id"]
    house.read(f"/v1/batches/{batch_id}", wait=30)
    [rejected] = house.read("/v1/rejected-scores", batch_id=batch_id).json()["items"]

    assert made.status_code == 201, made.text
    assert (made.json()["categories"], made.json()["description"]) == (TEXTS[:5], TEXTS[0])
    assert (rejected["original"]["value"], rejected["original"]["comment"]) == (TEXTS[6], TEXTS[17])


def test_an_answer_that_a_browser_opens_is_data(house: House, stored: list[dict[str, Any]]) -> None:
    for path in ("/v1/scores", f"/v1/scores/{quote('<script>', safe='')}", "/<script>alert(1)</script>"):
        answer = house.read(path)
        assert answer.headers["content-type"].startswith(("application/json", "application/problem+json"))
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["content-security-policy"]


HEADERS = [
    f"X-Request-Id: {MARK} a".encode(),
    f'X-Request-Id: {MARK}"}}'.encode(),
    b"X-Request-Id: \x1b[31m" + MARK.encode(),
    f"User-Agent: {MARK}\x1b[31m".encode(),
    f"traceparent: {MARK}\t{{}}".encode(),
    f"X-Forwarded-For: {MARK}, 1.2.3.4".encode(),
    f"Authorization: Bearer {MARK}".encode(),
    f"Referer: http://{MARK}/".encode(),
    f"Content-Type: {MARK}".encode(),
    f"Content-Encoding: {MARK}".encode(),
    f"Cookie: session={MARK}".encode(),
]
PATHS = [
    f"/{MARK}%0a%7B%22event%22:%22x%22%7D", f"/v1/scores?name={MARK}%0d%0a", f"/v1/scores/{MARK}%1b%5b31m",
    f"/v1/scores?{MARK}=1", f"/v1/scores?cursor={MARK}", f"/v1/batches/{MARK}%e2%80%ae", f"/docs/ui/{MARK}%0a",
]  # fmt: skip


def bother(service: Service, key: str) -> int:
    """Send every hostile head; how many of them were a request to the app, and no 400 of the parser's."""
    authorization = f"Authorization: Bearer {key}".encode()
    requests = [head("GET", "/v1/scores", line) for line in HEADERS]
    requests += [head("GET", path, authorization) for path in PATHS]
    understood = 0
    for request in requests:
        with Wire(service.port) as wire:
            answer = wire.send(request).answer()
        assert answer is not None
        assert answer.status < 500
        understood += not answer.headers["content-type"].startswith("text/plain")
    assert understood > len(requests) / 2
    return understood


def lines_of(service: Service) -> list[str]:
    return service.log.read_text().splitlines()


@pytest.mark.parametrize("name", ["ingest", "api"])
async def test_what_is_in_a_request_begins_no_line_of_the_log(house: House, name: str) -> None:
    service = house.ingest if name == "ingest" else house.api
    before = len(lines_of(service))

    def events() -> list[str]:
        return [json.loads(line)["event"] for line in lines_of(service)[before:]]

    sent = bother(service, house.key)

    await wait_until(lambda: events().count("request_answered") >= sent)
    assert events().count("request_answered") == sent
    assert set(events()) == {"request_answered", "request_refused"}


@pytest.mark.usefixtures("stored")
def test_nothing_of_it_is_in_a_log(house: House) -> None:
    for service in house.services:
        text = service.log.read_text()
        assert text
        assert MARK not in text
        assert house.key not in text
        assert all("event" in json.loads(line) for line in text.splitlines())


async def test_the_log_for_people_has_one_line_for_each_request_too(house: House) -> None:
    settings = {"ASSAY_LOG_FORMAT": "console"}
    with Service("api", house.api.database_url, house.api.redis_url, settings) as service:
        sent = bother(service, house.key)
        await wait_until(lambda: service.log.read_text().count("request_answered") == sent)

        told = [line for line in lines_of(service) if re.match(r"\S+ \[(?:info|warning) +\] ", line)]
        assert len(told) == len(lines_of(service))
        assert MARK not in service.log.read_text()
