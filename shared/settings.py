"""Settings come from the environment, once, at start: a Struct in, the same Struct filled out, or every fault named.

A field `batch_scores_max` is read from `ASSAY_BATCH_SCORES_MAX`; `database_url` and `redis_url` from `DATABASE_URL` and
`REDIS_URL`, as everywhere. The field's `Meta(description=…)` is its line in docs/operating.md.
"""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import msgspec
from msgspec import Struct

from shared.redis_address import BadAddress, read_address

_UNPREFIXED = {"database_url", "redis_url"}
_CHECKS: Mapping[str, Callable[[str], object]] = {"redis_url": read_address}

T = TypeVar("T", bound=Struct)


class SettingsError(Exception):
    """The environment does not make sense. The message names each variable."""


def variable_of(field: str) -> str:
    return field.upper() if field in _UNPREFIXED else f"ASSAY_{field.upper()}"


def read_settings(kind: type[T], environment: Mapping[str, str]) -> T:
    """Raises `SettingsError` that names every variable that is missing or unusable."""
    given: dict[str, Any] = {}
    faults: list[str] = []
    for field in msgspec.structs.fields(kind):
        variable = variable_of(field.name)
        text = environment.get(variable)
        if text is None or text == "":
            if field.required:
                faults.append(f"{variable} is not set")
            continue
        try:
            given[field.name] = msgspec.convert(text, field.type, strict=False)
            if field.name in _CHECKS:
                _CHECKS[field.name](text)
        except (msgspec.ValidationError, BadAddress) as error:
            faults.append(f"{variable}: {error}")
    if faults:
        raise SettingsError("; ".join(faults))
    return kind(**given)
