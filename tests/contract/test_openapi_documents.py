"""Both OpenAPI documents are valid, checked in, served, and name every operation with what it needs."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from services.api.app import ENDPOINTS
from tests.contract.documents import API, INGEST, operations_of
from tests.stack import Stack

CHECKED_IN = Path(__file__).parents[2] / "docs" / "openapi"
both = pytest.mark.parametrize(("name", "document"), [("ingest", INGEST), ("api", API)], ids=["ingest", "api"])


@both
def test_the_document_is_valid_openapi_3_1(name: str, document: dict[str, Any]) -> None:
    as_json = msgspec.json.decode(msgspec.json.encode(document))

    assert as_json["openapi"].startswith("3.1")
    assert [error.message for error in OpenAPIV31SpecValidator(as_json).iter_errors()] == []


@both
def test_the_document_is_checked_in_as_it_is_served(name: str, document: dict[str, Any]) -> None:
    checked_in = msgspec.json.decode((CHECKED_IN / f"{name}.json").read_bytes())

    assert checked_in == msgspec.json.decode(msgspec.json.encode(document)), "run `make openapi`"


async def test_the_documents_are_served(stack: Stack) -> None:
    for client, document in ((stack.ingest, INGEST), (stack.api, API)):
        served = await client.get("/openapi.json")

        assert served.json() == msgspec.json.decode(msgspec.json.encode(document))


def test_every_endpoint_is_in_the_document() -> None:
    assert len(operations_of(API)) == len(ENDPOINTS)
    assert operations_of(INGEST) == {("POST", "/v1/scores")}


@both
def test_every_operation_has_its_own_id_a_summary_and_the_answers_of_a_stranger(
    name: str, document: dict[str, Any]
) -> None:
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]

    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)
    assert all({"403", "503"} <= operation["responses"].keys() for operation in operations)
    assert all("401" in operation["responses"] for operation in operations if operation["security"])


@both
def test_every_operation_that_takes_a_body_says_how_it_is_refused(name: str, document: dict[str, Any]) -> None:
    for methods in document["paths"].values():
        for operation in methods.values():
            if "requestBody" in operation:
                assert {"400", "413", "415", "422"} <= operation["responses"].keys(), operation["operationId"]


def test_the_documents_name_the_fields_of_a_score_in_snake_case() -> None:
    fields = INGEST["components"]["schemas"]["Score"]["properties"]

    assert set(fields) >= {"id", "name", "value", "trace_id", "span_id", "session_id", "user_id", "timestamp"}
    assert all(field == field.lower() for field in fields)
