"""A project has so many turns at once, and one project's are no other's."""

import asyncio
from uuid import UUID

import pytest

from services.api.query_budget import QueryBudget
from shared.errors import TooManyQueries

ONE, OTHER = UUID(int=1), UUID(int=2)


async def test_a_project_has_as_many_turns_as_it_may_and_then_none() -> None:
    budget = QueryBudget(2, wait_seconds=0.01)

    async with budget.turn(ONE), budget.turn(ONE), budget.turn(OTHER):
        with pytest.raises(TooManyQueries):
            async with budget.turn(ONE):
                pass


async def test_who_waits_gets_the_turn_that_is_given_back() -> None:
    budget, order = QueryBudget(1), []

    async def use(name: str) -> None:
        async with budget.turn(ONE):
            order.append(name)
            await asyncio.sleep(0)

    await asyncio.gather(use("a"), use("b"), use("c"))

    assert order == ["a", "b", "c"]


async def test_a_turn_is_given_back_by_who_fails_and_who_is_cancelled() -> None:
    budget = QueryBudget(1, wait_seconds=0.01)

    async def fail() -> None:
        async with budget.turn(ONE):
            raise ValueError("failed")

    async def hang() -> None:
        async with budget.turn(ONE):
            await asyncio.Event().wait()

    with pytest.raises(ValueError, match="failed"):
        await fail()
    hanging = asyncio.create_task(hang())
    await asyncio.sleep(0)
    hanging.cancel()
    await asyncio.wait({hanging})

    async with budget.turn(ONE):
        pass


async def test_a_project_that_nobody_asks_about_is_forgotten() -> None:
    budget = QueryBudget(1)

    for number in range(100):
        async with budget.turn(UUID(int=number)):
            pass

    assert budget.projects == 0
