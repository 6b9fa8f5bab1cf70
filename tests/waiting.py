"""Wait for what is awaited, never for a time."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")

PATIENCE_SECONDS = 30.0


@overload
async def wait_until(
    condition: Callable[[], Awaitable[T]], *, what: str = "", patience_seconds: float = PATIENCE_SECONDS
) -> T: ...


@overload
async def wait_until(
    condition: Callable[[], T], *, what: str = "", patience_seconds: float = PATIENCE_SECONDS
) -> T: ...


async def wait_until(
    condition: Callable[[], Any], *, what: str = "", patience_seconds: float = PATIENCE_SECONDS
) -> Any:
    """The first truthy answer of `condition`, which may be async. Raises `TimeoutError` that says what was awaited."""
    deadline = time.monotonic() + patience_seconds
    while True:
        answer = condition()
        found = await answer if inspect.isawaitable(answer) else answer
        if found:
            return found
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {patience_seconds} s for {what or condition}; last answer: {found!r}")
        await asyncio.sleep(0.01)
