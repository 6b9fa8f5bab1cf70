"""Write the tables of docs/operating.md from what they are about: settings, registers of metrics, alert rules. With
--check, fail where they are not up to date."""

import re
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml
from msgspec.inspect import Field, FloatType, IntType, Metadata, StructType

from services.api.metrics import ApiMetrics
from services.api.settings import Settings as ApiSettings
from services.ingest.metrics import IngestMetrics
from services.ingest.settings import Settings as IngestSettings
from services.worker.metrics import WorkerMetrics
from services.worker.settings import Settings as WorkerSettings
from shared.metrics import LABELS, Metric, Register
from shared.settings import variable_of

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "operating.md"
ALERTS = ROOT / "deploy" / "monitoring" / "alerts.yml"

_PLACE = re.compile(r"(<!-- table: (?P<name>[a-z ]+) -->\n)(?:.*?)(<!-- end of table -->)", re.DOTALL)


def main() -> None:
    text = PAGE.read_text(encoding="utf-8")
    written = with_tables(text)
    if "--check" not in sys.argv[1:]:
        PAGE.write_text(written, encoding="utf-8")
    elif written != text:
        sys.exit(f"not up to date: {PAGE.relative_to(ROOT)}; run `make tables`")


def with_tables(text: str) -> str:
    """The page with every table as it should be. Raises `ValueError` unless it has a place for each, once."""
    names = [place["name"] for place in _PLACE.finditer(text)]
    if sorted(names) != sorted(_TABLES):
        raise ValueError(f"places for tables: {sorted(names)}, tables: {sorted(_TABLES)}")
    return _PLACE.sub(lambda place: place[1] + _TABLES[place["name"]]() + place[3], text)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "".join(map(_row, (head, ["---"] * len(head), *rows)))


def _row(cells: Sequence[str]) -> str:
    return "|" + "|".join(f" {cell} " if cell else " " for cell in cells) + "|\n"


def _shared_settings() -> str:
    return _settings_table(field for field in _fields(IngestSettings) if _is_shared(field))


def _own_settings(kind: Any) -> str:
    return _settings_table(field for field in _fields(kind) if not _is_shared(field))


def _is_shared(field: Field) -> bool:
    """Whether all services have it, with the same default and description."""
    return all(field in _fields(kind) for kind in (IngestSettings, WorkerSettings, ApiSettings))


def _fields(kind: Any) -> tuple[Field, ...]:
    found = msgspec.inspect.type_info(kind)
    assert isinstance(found, StructType)
    return found.fields


def _settings_table(fields: Iterable[Field]) -> str:
    return _table(
        ("variable", "default", "range", ""),
        ((f"`{variable_of(field.name)}`", _default(field), _range(field), _description(field)) for field in fields),
    )


def _default(field: Field) -> str:
    if field.required:
        return "needed"
    return f"{field.default:.15g}" if isinstance(field.default, float) else str(field.default)


def _range(field: Field) -> str:
    """Only what a number may be; the description says what a text may be."""
    assert isinstance(field.type, Metadata)
    kind = field.type.type
    if not isinstance(kind, IntType | FloatType):
        return ""
    low = f"≥ {kind.ge}" if kind.ge is not None else f"> {kind.gt}" if kind.gt is not None else ""
    high = f"≤ {kind.le}" if kind.le is not None else f"< {kind.lt}" if kind.lt is not None else ""
    return ", ".join(bound for bound in (low, high) if bound)


def _description(field: Field) -> str:
    assert isinstance(field.type, Metadata)
    assert field.type.extra_json_schema is not None
    return str(field.type.extra_json_schema["description"])


def _metrics_table(register: Register) -> str:
    return _table(("metric", "kind", "labels", ""), map(_metric_row, register.metrics))


def _metric_row(metric: Metric) -> tuple[str, str, str, str]:
    return f"`{metric.name}`", metric.kind, ", ".join(metric.labels), metric.help


def _labels_table() -> str:
    return _table(("label", "values"), LABELS.items())


def _alerts_table() -> str:
    groups = yaml.safe_load(ALERTS.read_text(encoding="utf-8"))["groups"]
    return _table(
        ("alert", "severity", "for", "means"),
        (
            (
                f"[{rule['alert']}](runbook.md#{rule['alert'].lower()})",
                rule["labels"]["severity"],
                str(rule.get("for", "")),
                rule["annotations"]["summary"],
            )
            for group in groups
            for rule in group["rules"]
        ),
    )


_TABLES: dict[str, Callable[[], str]] = {
    "settings of all services": _shared_settings,
    "settings of ingest": lambda: _own_settings(IngestSettings),
    "settings of the worker": lambda: _own_settings(WorkerSettings),
    "settings of the api": lambda: _own_settings(ApiSettings),
    "metrics of ingest": lambda: _metrics_table(IngestMetrics().register),
    "metrics of the worker": lambda: _metrics_table(WorkerMetrics().register),
    "metrics of the api": lambda: _metrics_table(ApiMetrics().register),
    "labels": _labels_table,
    "alerts": _alerts_table,
}


if __name__ == "__main__":
    main()
