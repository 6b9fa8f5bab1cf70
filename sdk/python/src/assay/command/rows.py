"""Files of scores, row by row: JSON Lines, CSV and Parquet; the first two also as gzip."""

from __future__ import annotations

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, cast

from assay.command.screen import FAILED, CommandError

FORMATS = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".csv": "csv", ".tsv": "csv", ".parquet": "parquet"}
_CELL_CHARACTERS_MAX = 16 << 20
_UNREADABLE = (csv.Error, EOFError, UnicodeDecodeError, zlib.error, gzip.BadGzipFile)


class Row(NamedTuple):
    """One row, from 1. `fields` is None when it can't be read; then `fault` says why, and `text` is its beginning."""

    number: int
    fields: dict[str, Any] | None
    fault: str = ""
    text: str = ""


class RowFile:
    """A file of rows. `columns` are known beforehand for CSV and Parquet, `fraction` is how much is read by now."""

    def __init__(self, path: Path, format: str | None = None, delimiter: str | None = None) -> None:
        if not path.is_file():
            raise CommandError(f"There is no file {path}.")
        self.path = path
        self.name = path.name
        self.format = format or format_of(path)
        self.columns: list[str] | None = None
        self._delimiter = delimiter or ("\t" if ".tsv" in path.suffixes else ",")
        self._file: BinaryIO | None = None
        self._position = 0
        self._size = max(1, path.stat().st_size)
        self._rows_total = 0
        self.rows_read = 0
        self._read_columns()

    @property
    def stem(self) -> str:
        """The name without any ending: `scores` of `scores.jsonl.gz`."""
        return self.name.split(".")[0]

    @property
    def bare_name(self) -> str:
        """The name without the endings that say what it is: `a.b` of `a.b.jsonl.gz`."""
        name = self.name[:-3] if self.name.endswith(".gz") else self.name
        return name.rpartition(".")[0] or name

    @property
    def has_typed_values(self) -> bool:
        """Whether a value is what it looks like: in a CSV everything is text, and a Parquet column is of one type."""
        return self.format == "jsonl"

    def fraction(self) -> float:
        """Any thread may ask; the file itself belongs to the one that reads it."""
        if self._rows_total:
            return self.rows_read / self._rows_total
        return min(1.0, self._position / self._size)

    def __iter__(self) -> Iterator[Row]:
        reader = {"jsonl": self._json_lines, "csv": self._csv, "parquet": self._parquet}[self.format]
        try:
            for row in reader():
                self.rows_read = row.number
                self._position = self._file.tell() if self._file is not None else 0
                yield row
        except _UNREADABLE as error:
            raise CommandError(f"{self.path} can't be read after row {self.rows_read:,}: {error}", FAILED) from error

    def _json_lines(self) -> Iterator[Row]:
        """Lines end with a newline alone: the other characters that count as line ends do occur inside comments."""
        with self._opened() as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _json_row(number, line)

    def _csv(self) -> Iterator[Row]:
        with self._opened() as file, self._csv_reader(file) as reader:
            for number, cells in enumerate(reader, start=1):
                if None in cells:
                    text = ",".join(str(cell) for cell in cells.values())
                    yield Row(number, None, "the row has more cells than the header", text[:1000])
                else:
                    yield Row(number, {name: cell for name, cell in cells.items() if cell})

    @contextmanager
    def _csv_reader(self, file: BinaryIO) -> Iterator[csv.DictReader[str]]:
        csv.field_size_limit(_CELL_CHARACTERS_MAX)
        with io.TextIOWrapper(file, "utf-8-sig", newline="") as text:
            yield csv.DictReader(text, delimiter=self._delimiter, strict=True)

    def _parquet(self) -> Iterator[Row]:
        number = 0
        for batch in _parquet_file(self.path).iter_batches(batch_size=5000):
            for fields in batch.to_pylist():
                number += 1
                yield Row(number, {name: _plain(cell) for name, cell in fields.items() if not _is_missing(cell)})

    def _read_columns(self) -> None:
        if self.format == "csv":
            self.columns = self._csv_columns()
        elif self.format == "parquet":
            parquet = _parquet_file(self.path)
            self.columns = list(parquet.schema_arrow.names)
            self._rows_total = parquet.metadata.num_rows

    def _csv_columns(self) -> list[str]:
        try:
            with self._opened() as file, self._csv_reader(file) as reader:
                return list(reader.fieldnames or [])
        except _UNREADABLE as error:
            raise CommandError(f"{self.path} can't be read as CSV: {error}", FAILED) from error

    @contextmanager
    def _opened(self) -> Iterator[BinaryIO]:
        with self.path.open("rb") as file:
            self._file = file
            if file.peek(2)[:2] == b"\x1f\x8b":
                with gzip.GzipFile(fileobj=file) as unzipped:
                    yield cast(BinaryIO, unzipped)
            else:
                yield file


def format_of(path: Path) -> str:
    """Return jsonl, csv or parquet, as the name says. Raises CommandError when it says nothing."""
    for suffix in reversed(path.suffixes):
        if suffix.lower() in FORMATS:
            return FORMATS[suffix.lower()]
    raise CommandError(f"{path.name} does not say what it is. Give --format jsonl, csv or parquet.")


def _json_row(number: int, line: bytes) -> Row:
    text = line.decode("utf-8-sig" if number == 1 else "utf-8", "replace").strip()
    try:
        fields = json.loads(text)
    except ValueError as error:
        return Row(number, None, f"not JSON: {error}", text[:1000])
    if not isinstance(fields, dict):
        return Row(number, None, "not a JSON object", text[:1000])
    if isinstance(fields.get("score"), dict) and "code" in fields:
        fields = fields["score"]  # a line of a file of rejected rows, perhaps put right
    return Row(number, fields)


def _parquet_file(path: Path) -> Any:
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise CommandError("Parquet needs pyarrow: pip install 'assay[parquet]'") from error
    try:
        return pyarrow.parquet.ParquetFile(path)
    except pyarrow.ArrowException as error:
        raise CommandError(f"{path} can't be read as Parquet: {error}", FAILED) from error


def _is_missing(cell: Any) -> bool:
    return cell is None or (isinstance(cell, float) and cell != cell)


def _plain(cell: Any) -> Any:
    """Return a cell as JSON has it; a time without an offset is taken as UTC."""
    if isinstance(cell, datetime):
        return (cell if cell.tzinfo else cell.replace(tzinfo=timezone.utc)).isoformat()
    return cell
