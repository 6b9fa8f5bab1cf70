"""Functions, coroutines and generators of which each call is a step of its own.

A generator is inside its step only while it runs: between two values its caller is where it was before, which a plain
`with` in the generator would not give, as generators share the context of their caller.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import contextmanager
from typing import Any, Callable, Protocol

from assay import context
from assay.context import Place


class Ending(Protocol):
    """A step, as far as it matters here."""

    def end(self, error: type[BaseException] | None = None) -> None: ...


Opening = Callable[[], tuple[Ending, Place]]


def wrapped(function: Callable[..., Any], opening: Opening) -> Callable[..., Any]:
    """Return a function of the same kind that opens a step for each call."""
    if inspect.isasyncgenfunction(function):
        return _async_generator(function, opening)
    if inspect.isgeneratorfunction(function):
        return _generator(function, opening)
    if inspect.iscoroutinefunction(function):
        return _coroutine(function, opening)
    return _function(function, opening)


class _Call:
    """One call: the step, and the place inside it as its last part left it."""

    def __init__(self, opening: Opening) -> None:
        self._step, self._place = opening()

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Be in the step for a while, as deep in it as the while before."""
        token = context.enter(self._place)
        try:
            yield
        finally:
            self._place = context.our_place() or self._place
            context.leave(token)

    @contextmanager
    def whole(self) -> Iterator[None]:
        """End the step after the block, with its error if it raises one."""
        try:
            yield
        except (GeneratorExit, StopIteration, StopAsyncIteration):
            self._step.end()
            raise
        except BaseException as error:
            self._step.end(type(error))
            raise
        self._step.end()


def _function(function: Callable[..., Any], opening: Opening) -> Callable[..., Any]:
    def called(*args: Any, **kwargs: Any) -> Any:
        call = _Call(opening)
        with call.whole(), call.inside():
            return function(*args, **kwargs)

    return called


def _coroutine(function: Callable[..., Any], opening: Opening) -> Callable[..., Any]:
    async def awaited(*args: Any, **kwargs: Any) -> Any:
        call = _Call(opening)
        with call.whole(), call.inside():
            return await function(*args, **kwargs)

    return awaited


def _generator(function: Callable[..., Any], opening: Opening) -> Callable[..., Any]:
    def generated(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        call = _Call(opening)
        generator = function(*args, **kwargs)
        resume = functools.partial(next, generator)
        with call.whole():
            while True:
                try:
                    with call.inside():
                        item = resume()
                except StopIteration as stop:
                    return stop.value
                try:
                    resume = functools.partial(generator.send, (yield item))
                except GeneratorExit:
                    with call.inside():
                        generator.close()
                    raise
                except BaseException as error:  # noqa: BLE001  it was thrown in by the caller, and is passed on
                    resume = functools.partial(generator.throw, error)

    return generated


def _async_generator(function: Callable[..., Any], opening: Opening) -> Callable[..., Any]:
    async def generated(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        call = _Call(opening)
        generator = function(*args, **kwargs)
        resume = generator.__anext__
        with call.whole():
            while True:
                try:
                    with call.inside():
                        item = await resume()
                except StopAsyncIteration:
                    return
                try:
                    resume = functools.partial(generator.asend, (yield item))
                except GeneratorExit:
                    with call.inside():
                        await generator.aclose()
                    raise
                except BaseException as error:  # noqa: BLE001  it was thrown in by the caller, and is passed on
                    resume = functools.partial(generator.athrow, error)

    return generated
