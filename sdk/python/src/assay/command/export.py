"""`assay export`: scores into a file, in a form that `assay load` takes."""

from __future__ import annotations

import argparse
import csv
import json
import os
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from assay.answers import Score
from assay.command.filters import add_filters, filters_of
from assay.command.mapping import FIELDS
from assay.command.rows import format_of
from assay.command.screen import CommandError, Screen, open_client

_PARQUET_ROWS = 10_000
_DESCRIPTION = """\
Write scores to standard output as JSON Lines, or to a file: JSON Lines, CSV or Parquet (with pyarrow) as its name says.

The columns are the fields of `POST /v1/scores`, so that `assay load` takes the file in; --full writes all that the api
answers. Oldest first.
"""


def describe(commands: Any, common: argparse.ArgumentParser) -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "export", help="write scores to a file", description=_DESCRIPTION, parents=[common], formatter_class=form
    )
    parser.set_defaults(do=export)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="default: standard output")
    parser.add_argument("--format", choices=["jsonl", "csv", "parquet"], help="default: what the file's name says")
    parser.add_argument("--limit", type=int, metavar="N", help="at most so many")
    parser.add_argument("--full", action="store_true", help="all fields of the api's answer")
    add_filters(parser)


def export(options: argparse.Namespace, screen: Screen) -> int:
    with open_client(options) as client:
        return _export(client.scores(order="asc", limit=options.limit, **filters_of(options)), options, screen)


def _export(scores: Iterable[Score], options: argparse.Namespace, screen: Screen) -> int:
    rows: Iterable[Mapping[str, Any]] = scores if options.full else map(wire_form, scores)
    if options.output is None:
        if options.format == "parquet":
            raise CommandError("Parquet needs a file: give --output.")
        count = _WRITERS[options.format or "jsonl"](rows, sys.stdout)
        screen.note(f"{count:,} scores")
        return 0
    count = _write_file(rows, options.output, options.format or format_of(options.output))
    screen.result({"file": str(options.output), "scores": count}, [f"{count:,} scores in {options.output}"])
    return 0


def wire_form(score: Score) -> dict[str, Any]:
    """Return a stored score as it would be sent, to any project: without the id of the config that judged it."""
    fields = {**score, "timestamp": score["scored_at"], "config_id": None}
    return {name: fields[name] for name in FIELDS if fields.get(name) is not None}


def _write_file(rows: Iterable[Mapping[str, Any]], path: Path, format: str) -> int:
    """Write beside and put in place when complete: a file is never half of one."""
    new = path.with_name(path.name + ".part")
    try:
        if format == "parquet":
            count = _write_parquet(rows, new)
        else:
            with new.open("w", encoding="utf-8", newline="") as file:
                count = _WRITERS[format](rows, file)
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)
    return count


def _write_jsonl(rows: Iterable[Mapping[str, Any]], file: TextIO) -> int:
    count = 0
    for row in rows:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")
        count += 1
    return count


def _write_csv(rows: Iterable[Mapping[str, Any]], file: TextIO) -> int:
    writer: Any = None
    count = 0
    for row in rows:
        writer = writer or _csv_writer(file, list(row) if "project_id" in row else FIELDS)
        writer.writerow({name: _cell(value) for name, value in row.items()})
        count += 1
    if writer is None:
        _csv_writer(file, FIELDS)
    return count


def _csv_writer(file: TextIO, columns: Sequence[str]) -> csv.DictWriter[str]:
    writer = csv.DictWriter(file, columns)
    writer.writeheader()
    return writer


def _write_parquet(rows: Iterable[Mapping[str, Any]], path: Path) -> int:
    """Write texts, of values and metadata too: a column has one type."""
    try:
        import pyarrow as pa
        import pyarrow.parquet as pq
    except ImportError as error:
        raise CommandError("Parquet needs pyarrow: pip install 'assay[parquet]'") from error
    count, columns, writer = 0, list(FIELDS), None
    for chunk in _chunks(rows):
        columns = list(chunk[0]) if "project_id" in chunk[0] else columns
        schema = pa.schema([(name, pa.string()) for name in columns])
        writer = writer or pq.ParquetWriter(path, schema)
        cells = [{name: _cell(row.get(name)) for name in columns} for row in chunk]
        writer.write_table(pa.Table.from_pylist(cells, schema=schema))
        count += len(chunk)
    if writer is None:
        writer = pq.ParquetWriter(path, pa.schema([(name, pa.string()) for name in columns]))
    writer.close()
    return count


def _chunks(rows: Iterable[Mapping[str, Any]]) -> Iterable[list[Mapping[str, Any]]]:
    chunk: list[Mapping[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _PARQUET_ROWS:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _cell(value: Any) -> str | None:
    """Return what a cell holds: text as it is, anything else as JSON."""
    return value if value is None or isinstance(value, str) else json.dumps(value, ensure_ascii=False)


_WRITERS = {"jsonl": _write_jsonl, "csv": _write_csv}
