"""Make what tests send: scores and configs with what matters to the test said, and the rest filled in."""

from typing import Any


def a_score(**fields: Any) -> dict[str, Any]:
    """A well-formed NUMERIC score about trace "t1", but for what `fields` say."""
    targets = {"trace_id", "span_id", "session_id", "user_id"}
    target = {} if targets & fields.keys() else {"trace_id": "t1"}
    return {"name": "relevance", "value": 0.5, **target, **fields}


def a_numeric_config(**fields: Any) -> dict[str, Any]:
    return {"name": "relevance", "data_type": "NUMERIC", "min_value": 0, "max_value": 1, **fields}


def a_categorical_config(**fields: Any) -> dict[str, Any]:
    return {"name": "safety", "data_type": "CATEGORICAL", "categories": ["safe", "unsafe"], **fields}
