"""End tasks for certain."""

import asyncio
from collections.abc import Iterable
from typing import Any

PATIENCE_SECONDS = 1.0


async def end_tasks(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancel the tasks and return once all have ended. A library that is about to time out can swallow a cancellation
    and its task goes on: then it is cancelled again."""
    pending = {task for task in tasks if not task.done()}
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=PATIENCE_SECONDS)
