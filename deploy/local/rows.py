"""Scores as they lie in a JSON Lines file: numbered rows that know their ids, and batches of them."""

import gzip
import itertools
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from shared.ids import uuid7


class Row(msgspec.Struct, frozen=True):
    """One line of a file, from 1. `score` is its JSON with an id, or None when the line is no JSON object."""

    line: int
    id: str
    score: bytes | None
    fault: str = ""


def count_lines(path: Path) -> int:
    with _open(path) as file:
        return sum(1 for line in file if line.strip())


def read_rows(path: Path, make_id: Callable[[int], str]) -> Iterator[Row]:
    """Stream the rows of a file, gzip'd or not. A row without an id gets `make_id(line number)`.

    Lines end with \\n alone: the other characters that Python counts as line ends do occur inside real comments.
    """
    with _open(path) as file:
        yield from rows_of(file, make_id)


def rows_of(lines: Iterable[bytes], make_id: Callable[[int], str]) -> Iterator[Row]:
    """Yield a row for each line that isn't blank."""
    for number, line in enumerate(lines, start=1):
        if line.strip():
            yield _row(number, line, make_id)


def random_id(_line: int) -> str:
    return uuid7()


def stable_id(prefix: str) -> Callable[[int], str]:
    """Return ids that are the same in every run: uuid5 of "<prefix>:<line number>" in the URL namespace of RFC 4122."""
    return lambda line: str(uuid.uuid5(uuid.NAMESPACE_URL, f"{prefix}:{line}"))


def batches(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    iterator = iter(rows)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _open(path: Path) -> BinaryIO:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")  # type: ignore[return-value]


def _row(number: int, line: bytes, make_id: Callable[[int], str]) -> Row:
    try:
        score = msgspec.json.decode(line, type=dict[str, msgspec.Raw])
    except msgspec.DecodeError as error:
        return Row(number, "", None, fault=str(error))
    if "id" not in score:
        score = {"id": msgspec.Raw(msgspec.json.encode(make_id(number))), **score}
    return Row(number, _text(score["id"]), msgspec.json.encode(score))


def _text(raw: msgspec.Raw) -> str:
    value: Any = msgspec.json.decode(raw)
    return value if isinstance(value, str) else ""
