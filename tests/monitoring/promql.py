"""What a query names: its metrics and their labels, held against the registers."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import promql_parser as promql

from services.api.metrics import ApiMetrics
from services.ingest.metrics import IngestMetrics
from services.worker.metrics import WorkerMetrics
from shared.metrics import Metric

TARGET_LABELS = {"job", "instance"}  # Prometheus gives them to all that it scrapes

METRICS: list[Metric] = [
    metric
    for register in (IngestMetrics().register, WorkerMetrics().register, ApiMetrics().register)
    for metric in register.metrics
]
OURS = {series: set(labels) for metric in METRICS for series, labels in metric.series.items()}
KIND_OF = {series: metric.kind for metric in METRICS for series in metric.series}

# Metrics of others that rules and dashboards may name, and the labels of theirs that we use.
FOREIGN: dict[str, set[str]] = {
    # Prometheus
    "up": set(),
    "ALERTS": {"alertname", "alertstate"},
    # The client library, in each of our processes
    "process_cpu_seconds_total": set(),
    "process_resident_memory_bytes": set(),
    # node_exporter
    "node_filesystem_avail_bytes": {"fstype", "mountpoint", "device"},
    "node_filesystem_size_bytes": {"fstype", "mountpoint", "device"},
    # The kubelet of Kubernetes
    "kubelet_volume_stats_available_bytes": {"namespace", "persistentvolumeclaim"},
    "kubelet_volume_stats_capacity_bytes": {"namespace", "persistentvolumeclaim"},
}
KNOWN: Mapping[str, set[str]] = OURS | FOREIGN


@dataclass(frozen=True)
class Selector:
    """One metric in a query, with the labels that it is chosen by; `over_time`: its values of a while."""

    name: str
    labels: frozenset[str]
    over_time: bool


def selectors(expression: promql.Expr, over_time: bool = False) -> Iterator[Selector]:
    match expression:
        case promql.VectorSelector():
            labels = frozenset(matcher.name for matcher in expression.matchers.matchers)
            yield Selector(expression.name or "", labels, over_time)
        case promql.MatrixSelector():
            yield from selectors(expression.vector_selector, over_time=True)
        case promql.BinaryExpr():
            yield from selectors(expression.lhs)
            yield from selectors(expression.rhs)
        case promql.Call():
            for argument in expression.args:
                yield from selectors(argument)
        case promql.AggregateExpr() | promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            yield from selectors(expression.expr)
        case promql.NumberLiteral() | promql.StringLiteral():
            return
        case _:
            raise AssertionError(f"not known: {expression!r}")


def labels_of(expression: promql.Expr) -> set[str]:
    """The labels that what it finds can have."""
    match expression:
        case promql.VectorSelector():
            return KNOWN.get(expression.name or "", set()) | TARGET_LABELS
        case promql.MatrixSelector():
            return labels_of(expression.vector_selector)
        case promql.BinaryExpr():
            return labels_of(expression.lhs) | (
                set() if _is(expression, "unless", "and") else labels_of(expression.rhs)
            )
        case promql.Call():
            found = set[str]().union(*map(labels_of, expression.args))
            return found - {"le"} if expression.func.name == "histogram_quantile" else found
        case promql.AggregateExpr():
            return _kept(expression)
        case promql.ParenExpr() | promql.UnaryExpr() | promql.SubqueryExpr():
            return labels_of(expression.expr)
        case _:
            return set()


def _is(expression: promql.BinaryExpr, *operators: str) -> bool:
    return str(expression.op).lower() in operators


def _kept(expression: promql.AggregateExpr) -> set[str]:
    if expression.modifier is None:
        return set()
    named = set(expression.modifier.labels)
    return named if expression.modifier.type == promql.AggModifierType.By else labels_of(expression.expr) - named


def faults(query: str) -> list[str]:
    """What is wrong with a query: metrics and labels that do not exist, and what grows looked at without its rate."""
    expression = promql.parse(query)
    return [
        *(fault for selector in selectors(expression) for fault in _faults_of(selector)),
        *(
            f"nothing to aggregate by {label} in {aggregation.prettify()}"
            for aggregation in _aggregations(expression)
            for label in _kept(aggregation) - labels_of(aggregation.expr)
        ),
    ]


def _faults_of(selector: Selector) -> Iterator[str]:
    name = selector.name
    if name not in KNOWN:
        yield f"no such metric: {name}"
        return
    for label in selector.labels - KNOWN[name] - TARGET_LABELS:
        yield f"{name} has no label {label}"
    grows = KIND_OF.get(name, "gauge") != "gauge" or name.endswith("_total")
    if grows != selector.over_time:
        yield f"{name} {'grows: take its rate' if grows else 'does not grow: it has no rate'}"


def _aggregations(expression: promql.Expr) -> list[promql.AggregateExpr]:
    found: list[promql.AggregateExpr] = []
    promql.walk(expression, lambda one: found.append(one) if isinstance(one, promql.AggregateExpr) else None)
    return found
