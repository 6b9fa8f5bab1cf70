"""What a PATCH asks for: the fields that were sent, by name. Pure."""

from typing import Any

import msgspec
from msgspec import UNSET, Struct


def changes_of(body: Struct) -> dict[str, Any]:
    """Without those that were left out."""
    return {name: value for name, value in msgspec.structs.asdict(body).items() if value is not UNSET}
