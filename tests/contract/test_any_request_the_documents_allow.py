"""Schemathesis makes requests that the OpenAPI documents allow, and others that they don't: none is answered with a
5xx, or in another shape. `ASSAY_EXAMPLES=500` makes it as many for each operation.
"""

import os
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.builders import a_categorical_config, a_numeric_config, a_score
from tests.contract.documents import API, INGEST
from tests.stack import Stack, open_stack

CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
quick = settings(
    max_examples=int(os.environ.get("ASSAY_EXAMPLES", "15")),
    deadline=None,
    database=None,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class House:
    """The stack in a thread of its own, for requests from tests that are not async."""

    def __init__(self, portal: BlockingPortal, stack: Stack) -> None:
        self._portal = portal
        self._stack = stack

    def prepare(self) -> None:
        """Something to find: configs, scores stored and rejected."""
        for config in (a_numeric_config(), a_categorical_config()):
            self._portal.call(self._stack.post, "/v1/score-configs", config)
        self._portal.call(self._stack.store, a_score(id="0"), a_score(id="1", name="safety", value="perhaps"))

    def send(self, client: httpx.AsyncClient, case: Any) -> httpx.Response:
        said = case.as_transport_kwargs(base_url="http://assay", headers=self._stack.project.headers)
        wanted = {
            name: said[name] for name in ("method", "url", "params", "headers", "json") if said.get(name) is not None
        }
        if isinstance(said.get("data"), bytes | str):
            wanted["content"] = said["data"]
        return self._portal.call(lambda: client.request(**wanted))

    def client_of(self, service: str) -> httpx.AsyncClient:
        return self._stack.ingest if service == "ingest" else self._stack.api


@pytest.fixture
def house(database_url: str, redis_url: str) -> Iterator[House]:
    with ExitStack() as parts:
        portal = parts.enter_context(start_blocking_portal())
        stack = parts.enter_context(portal.wrap_async_context_manager(open_stack(database_url, redis_url)))
        opened = House(portal, stack)
        opened.prepare()
        yield opened


def cases_of(operation: Any, mode: GenerationMode) -> list[Any]:
    """Requests for an operation, as its document allows or as it does not. They are sent later: services beside use
    `random`, which Hypothesis watches over."""
    cases: list[Any] = []

    @quick
    @given(operation.as_strategy(generation_mode=mode))
    def collect(case: Any) -> None:
        cases.append(case)

    collect()
    return cases


@pytest.mark.parametrize("mode", GenerationMode, ids=["allowed", "not allowed"])
@pytest.mark.parametrize(("service", "document"), [("ingest", INGEST), ("api", API)], ids=["ingest", "api"])
def test_no_request_fails_or_is_answered_in_another_shape(
    house: House, service: str, document: dict[str, Any], mode: GenerationMode
) -> None:
    as_json = msgspec.json.decode(msgspec.json.encode(document))
    client = house.client_of(service)
    broken: dict[str, str] = {}
    answered: Counter[int] = Counter()

    for result in schemathesis.openapi.from_dict(as_json).get_all_operations():
        assert isinstance(result, Ok)
        operation = result.ok()
        for case in cases_of(operation, mode):
            try:
                answer = house.send(client, case)
            except httpx.InvalidURL:  # longer than the client sends
                continue
            answered[answer.status_code] += 1
            try:
                case.validate_response(answer, checks=CHECKS)
            except FailureGroup as failures:  # every operation gets its turn, then all is told
                broken[operation.label] = str(failures.exceptions[0])[:600]
    print(f"{service}, {mode.value}: {answered.total()} requests, {dict(sorted(answered.items()))}")
    assert broken == {}
