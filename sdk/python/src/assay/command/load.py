"""`assay load`: files of scores, sent and accounted for, row by row."""

from __future__ import annotations

import argparse
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from assay.client import Client
from assay.command.delivery import Delivery, Item, Shipment
from assay.command.journal import Account, Journal, Rejected, Settled, state_path
from assay.command.mapping import Columns, MakeId, content_id, line_id, random_id, value_of_text
from assay.command.progress import Progress, duration
from assay.command.rows import Row, RowFile
from assay.command.screen import FAILED, INCOMPLETE, CommandError, Screen, open_client
from assay.errors import ApiError, InvalidScore
from assay.wire import to_bytes

_DESCRIPTION = """\
Send files of scores and wait until every row is accounted for.

Files are JSON Lines, CSV or Parquet (with pyarrow); the first two may be gzip. A row is a score: its columns are the
fields of `POST /v1/scores`, and metadata.<key>. In CSV, values are read as their data_type says, else as the score
config of their name says, else as they look.

A row without an id gets one that follows from the file's name, its number and its content: loading a file again doubles
nothing. Interrupted, the same command goes on where it was.
"""
_EXAMPLES = """\
examples:
  assay load scores.jsonl.gz
  assay load ratings.csv --map value=rating --map trace_id=run --set name=helpfulness --set source=HUMAN
  assay load results.parquet --extra metadata
"""


def describe(commands: Any, common: argparse.ArgumentParser) -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = commands.add_parser(
        "load", help="send files of scores", description=_DESCRIPTION, epilog=_EXAMPLES, parents=[common],
        formatter_class=form,
    )  # fmt: skip
    parser.set_defaults(do=load)
    add = parser.add_argument
    add("files", nargs="+", type=Path, metavar="FILE")
    add("--format", choices=["jsonl", "csv", "parquet"], help="default: what the file's name says")
    add("--delimiter", help="between the cells of a CSV; default: a comma, a tab in .tsv")
    add("--map", action="append", default=[], metavar="FIELD=COLUMN", help="the column that a field is in")
    add("--set", action="append", default=[], metavar="FIELD=VALUE", help="what a field is where a row has none")
    add("--extra", choices=["refuse", "metadata", "ignore"], default="refuse", help="columns that are no field")
    add("--ids", choices=["content", "line", "random"], default="content", help="ids of rows without: %(default)s")
    add("--id-prefix", help="what ids are made from beside; default: the file's name without endings")
    add("--batch-size", type=_number(1, 1000), default=500, help="scores in a request (default %(default)s)")
    add("--senders", type=_number(1, 32), default=2, help="requests at a time (default %(default)s)")
    add("--patience", type=float, default=120.0, metavar="SECONDS", help="how long a server may be away")
    add("--rejected", type=Path, metavar="FILE", help="rejected rows; default: NAME.rejected.jsonl in this folder")
    add("--restart", action="store_true", help="from the beginning, even if it was interrupted before")
    add("--state-dir", type=Path, metavar="DIR", help="where it is noted how far a load is")


def load(options: argparse.Namespace, screen: Screen) -> int:
    """Load all files. Returns 0 when every row is stored, 3 when some were rejected, 1 when some have no receipt."""
    files = [RowFile(path, options.format, options.delimiter) for path in options.files]
    columns = Columns(_pairs(options.map), _pairs(options.set), options.extra)
    for file in files:
        if file.columns is not None:
            columns.check(file.columns)
    places = _rejected_paths(files, options.rejected)
    with open_client(options) as client:
        results = [_load_one(client, file, columns, rejected, options, screen) for file, rejected in zip(files, places)]
    screen.result({"files": results}, [line for result in results for line in _lines(result)])
    if any(result["unknown"] for result in results):
        return FAILED
    return INCOMPLETE if any(result["rejected"] for result in results) else 0


def _load_one(
    client: Client, file: RowFile, columns: Columns, rejected: Path, options: argparse.Namespace, screen: Screen
) -> dict[str, Any]:
    identity = _identity(client, file, options)
    journal = Journal(state_path(options.state_dir, identity), identity, rejected, options.restart)
    if journal.resumed:
        screen.note(f"{file.name}: going on after row {journal.account.through_row:,}; --restart begins anew")
    progress = Progress(screen, file.name)
    started, known_rows = time.monotonic(), journal.account.rows

    def settled(number: int, result: Settled) -> None:
        journal.settle(number, result)
        account = journal.account
        progress.show(account.rows, file.fraction() * account.through_row / max(1, file.rows_read))

    scores = _Scores(file, columns, _make_id(file, options), _data_types(client, file))
    delivery = Delivery(client, senders=options.senders, patience_seconds=options.patience, settled=settled)
    try:
        delivery.run(scores.shipments(options.batch_size, after_row=journal.account.through_row))
    except BaseException:
        journal.save()
        progress.end()
        screen.note(f"{file.name}: settled through row {journal.account.through_row:,}; the same command goes on there")
        raise
    progress.end()
    journal.finish()
    return _result(file, journal.account, rejected, time.monotonic() - started, known_rows)


class _Scores:
    """The rows of a file as scores with ids, in batches."""

    def __init__(self, file: RowFile, columns: Columns, make_id: MakeId, data_types: dict[str, str]) -> None:
        self._file = file
        self._columns = columns
        self._make_id = make_id
        self._data_types = data_types

    def shipments(self, size: int, after_row: int) -> Iterator[Shipment]:
        number, items = 0, list[Item]()
        for row in self._file:
            if row.number > after_row:
                items.append(self._item(row))
            if len(items) == size:
                yield Shipment(number, items)
                number, items = number + 1, []
        if items:
            yield Shipment(number, items)

    def _item(self, row: Row) -> Item:
        if row.fields is None:
            return Item(row.number, row.text, None, Rejected(row.number, "invalid_json", row.fault, row.text))
        try:
            score = self._columns.score_of(row.fields)
            if not self._file.has_typed_values and isinstance(score.get("value"), str):
                data_type = score.get("data_type") or self._data_types.get(score.get("name", ""))
                score["value"] = value_of_text(score["value"], data_type)
            if "id" not in score:
                score = {"id": self._make_id(row.number, score), **score}
            return Item(row.number, score, to_bytes(score))
        except (InvalidScore, ValueError) as error:
            code, detail = getattr(error, "code", "wrong_type"), getattr(error, "detail", str(error))
            return Item(row.number, row.fields, None, Rejected(row.number, code, detail, row.fields))


def _rejected_paths(files: list[RowFile], given: Path | None) -> list[Path]:
    """Return where each file's rejected rows go: never over a file that is being loaded, nor over one another."""
    places = [given or Path(f"{file.bare_name}.rejected.jsonl") for file in files]
    taken = {file.path.resolve() for file in files}
    for place in places:
        if place.resolve() in taken:
            raise CommandError(f"The rejected rows of two files, or a file itself, would be {place}. Load them alone.")
        taken.add(place.resolve())
    return places


def _identity(client: Client, file: RowFile, options: argparse.Namespace) -> dict[str, Any]:
    """Return what makes this load another one when it changes."""
    status = file.path.stat()
    names = ("format", "delimiter", "map", "set", "extra", "ids", "id_prefix")
    project = hashlib.sha256(f"{client.settings.ingest_url} {client.settings.api_key}".encode()).hexdigest()
    return {
        "path": str(file.path.resolve()),
        "size": status.st_size,
        "modified_ns": status.st_mtime_ns,
        "project": project,
        **{name: getattr(options, name) for name in names},
    }


def _make_id(file: RowFile, options: argparse.Namespace) -> MakeId:
    prefix = options.id_prefix or file.stem
    return {"content": content_id(prefix), "line": line_id(prefix), "random": random_id}[options.ids]


def _data_types(client: Client, file: RowFile) -> dict[str, str]:
    """Return the data types of the active score configs by name, where values are texts that need them."""
    if file.has_typed_values:
        return {}
    try:
        return {config["name"]: config["data_type"] for config in client.configs()}
    except ApiError as error:
        raise CommandError(f"The score configs, which say how to read values, can't be read: {error}", 1) from error


def _result(file: RowFile, account: Account, rejected: Path, seconds: float, known_rows: int) -> dict[str, Any]:
    return {
        "file": str(file.path),
        **account.fields(),
        "rejected_file": str(rejected) if account.counts["rejected"] else None,
        "seconds": round(seconds, 3),
        "rows_per_second": round((account.rows - known_rows) / seconds) if seconds else None,
    }


def _lines(result: dict[str, Any]) -> Iterator[str]:
    rate = f"{result['rows_per_second']:,}/s"
    yield f"{result['file']}: {result['rows']:,} rows in {duration(result['seconds'])} ({rate})"
    for name in ("stored", "replaced", "unchanged", "rejected"):
        yield f"  {name:<10}{result[name]:>14,}"
    for code, count in result["rejected_by_code"].items():
        yield f"    {code:<22}{count:>10,}"
    if result["unknown"]:
        yield f"  NOT accounted for: {result['unknown']:,} rows whose receipt did not come; load the file again"
    if result["rejected_file"]:
        yield f"  rejected rows, with their reasons: {result['rejected_file']}"


def _pairs(texts: list[str]) -> dict[str, str]:
    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise CommandError(f"{wrong[0]!r} is not of the form FIELD=…")
    return dict(text.split("=", 1) for text in texts)


def _number(least: int, most: int) -> Any:
    def number(text: str) -> int:
        if not least <= int(text) <= most:
            raise argparse.ArgumentTypeError(f"must be from {least} to {most}")
        return int(text)

    return number
