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

from shared.access import Role
from tests.accounts import SignedInMember, a_member
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
        self._owner: SignedInMember | None = None

    def prepare(self) -> None:
        """Something to find: configs, scores stored and rejected."""
        for config in (a_numeric_config(), a_categorical_config()):
            self._portal.call(self._stack.post, "/v1/score-configs", config)
        self._portal.call(self._stack.store, a_score(id="0"), a_score(id="1", name="safety", value="perhaps"))

    def send(self, client: httpx.AsyncClient, case: Any, *, as_owner: bool = False) -> httpx.Response:
        """With a key, or as an owner who names our workspace and project, and signs in again where that has ended."""
        if not as_owner:
            return self._send(client, case, self._stack.project.headers)
        if self._owner is None:
            self._owner = self._portal.call(lambda: a_member(self._stack, Role.OWNER))
        if "workspace_id" in case.path_parameters:
            case.path_parameters["workspace_id"] = str(self._owner.workspace_id)
        if "project_id" in (case.query or {}):
            case.query["project_id"] = str(self._stack.project.id)
        answer = self._send(client, case, self._owner.headers)
        if answer.status_code == 401 or "set-cookie" in answer.headers:
            self._owner = None
        return answer

    def _send(self, client: httpx.AsyncClient, case: Any, headers: dict[str, str]) -> httpx.Response:
        said = case.as_transport_kwargs(base_url="http://assay", headers=headers)
        wanted = {
            name: said[name] for name in ("method", "url", "params", "headers", "json") if said.get(name) is not None
        }
        made_up = {"authorization", "x-api-key", "cookie"} - {name.lower() for name in headers}
        wanted["headers"] = {
            name: text for name, text in wanted.get("headers", {}).items() if name.lower() not in made_up
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
@pytest.mark.parametrize(
    ("service", "document", "as_owner"),
    [("ingest", INGEST, False), ("api", API, False), ("api", API, True)],
    ids=["ingest", "api with a key", "api as an owner"],
)
def test_no_request_fails_or_is_answered_in_another_shape(
    house: House, service: str, document: dict[str, Any], as_owner: bool, mode: GenerationMode
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
                answer = house.send(client, case, as_owner=as_owner)
            except httpx.InvalidURL:  # longer than the client sends
                continue
            answered[answer.status_code] += 1
            try:
                case.validate_response(answer, checks=CHECKS)
            except FailureGroup as failures:  # every operation gets its turn, then all is told
                broken[operation.label] = str(failures.exceptions[0])[:600]
    print(f"{service}, {mode.value}: {answered.total()} requests, {dict(sorted(answered.items()))}")
    assert broken == {}
