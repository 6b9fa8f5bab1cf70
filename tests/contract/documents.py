"""The OpenAPI documents as a judge of answers: which are documented, and what their bodies have to look like."""

from typing import Any

import httpx
from jsonschema import Draft202012Validator  # type: ignore[import-untyped]

from services.api.app import DOCUMENT as API
from services.ingest.app import DOCUMENT as INGEST
from tests.contract.problems import assert_problem

Operation = tuple[str, str]
"""(method, path template of the document)."""


def operations_of(document: dict[str, Any]) -> set[Operation]:
    return {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}


def assert_documented(document: dict[str, Any], operation: Operation, answer: httpx.Response) -> None:
    """Whether `answer` has a status, a content type and a body that the document promises for the operation."""
    method, path = operation
    responses = document["paths"][path][method.lower()]["responses"]
    status = str(answer.status_code)
    assert status in responses, f"{method} {path} answers {status}: {answer.text[:300]}"
    content = responses[status].get("content")
    if content is None:
        assert answer.content == b""
        return
    media_type = answer.headers["content-type"]
    assert media_type in content
    if answer.status_code >= 400 and media_type == "application/problem+json":
        assert_problem(answer, answer.status_code)
    schema = content[media_type]["schema"] | {"components": document["components"]}
    wrong = [f"{error.json_path}: {error.message}" for error in Draft202012Validator(schema).iter_errors(answer.json())]
    assert not wrong, f"{method} {path}: {wrong[:3]}"


__all__ = ["API", "INGEST", "Operation", "assert_documented", "operations_of"]
