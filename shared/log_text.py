"""What a log may say of an exception, and in which characters: where it came from, and its words only when they can't
quote what was sent. Pure.

A decoder's words quote its input, and PostgreSQL's the row it refused; both would bring a score's payload into the log.
"""

import traceback
from collections.abc import Iterator

_WITHHELD = "(its words are withheld: they may quote what was sent)"
_QUOTING_KINDS = (ValueError, KeyError)  # msgspec's, Unicode's and asyncpg's errors of data are ValueErrors
_QUOTING_CLASSES = ("22", "23")  # SQLSTATE: a value that can't be, a constraint that is broken


def told(error: BaseException) -> str:
    """The traceback of `error` and of what led to it, the cause first."""
    return "\nThat led to:\n".join(reversed([_one(link) for link in _chain(error)]))


def words_of(error: BaseException) -> str:
    """In one line."""
    sqlstate = getattr(error, "sqlstate", None)
    if sqlstate:
        constraint = getattr(error, "constraint_name", None) or ""
        said = _WITHHELD if sqlstate[:2] in _QUOTING_CLASSES else str(error.args[0]) if error.args else ""
        return printable(" ".join(part for part in (sqlstate, constraint, said) if part))
    if isinstance(error, _QUOTING_KINDS):
        return _WITHHELD
    return printable(str(error).partition(", with args")[0])  # Redis repeats the arguments of a command it refuses


def printable(text: str) -> str:
    """Without characters that could begin a line, colour a terminal or turn the direction of what follows."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _chain(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    link: BaseException | None = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)


def _one(error: BaseException) -> str:
    kind = f"{type(error).__module__}.{type(error).__qualname__}".removeprefix("builtins.")
    parts = "".join(f"\n{told(part)}" for part in getattr(error, "exceptions", ()))  # of an exception group
    return f"{''.join(traceback.format_tb(error.__traceback__))}{kind}: {words_of(error)}{parts}"
