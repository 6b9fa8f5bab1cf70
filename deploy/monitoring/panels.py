"""The few words in which our dashboards are written, turned into Grafana's by Grafana's own library."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Literal, TypeVar

from grafana_foundation_sdk.builders import common, dashboard
from grafana_foundation_sdk.builders.prometheus import Dataquery
from grafana_foundation_sdk.builders.stat import Panel as Stat
from grafana_foundation_sdk.builders.timeseries import Panel as TimeSeries
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import common as words
from grafana_foundation_sdk.models.dashboard import (
    DashboardCursorSync,
    DashboardLinkType,
    DataSourceRef,
    FieldColorModeId,
    Threshold,
    ThresholdsMode,
)

Unit = Literal["short", "s", "bytes", "percentunit", "ops", "reqps", "dtdurations"]
"""Grafana's names: a count, seconds, bytes, a ratio, events and requests a second, a long time."""

DATA_SOURCE = DataSourceRef(type_val="prometheus", uid="${datasource}")
COLUMNS = 24
LINKED = "assay"  # the tag by which the boards know each other

P = TypeVar("P", Stat, TimeSeries)


@dataclass(frozen=True)
class Query:
    """`legend` may name labels: `{{stream}}`."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Panel:
    """A graph, or where `is_figure` says so, one large figure. `warn` and `alarm` are where it turns yellow and red:
    where an alert goes by the same number, it is the same. With `alarm` below `warn`, low values are the bad ones."""

    title: str
    unit: Unit
    queries: Sequence[Query]
    description: str = ""
    warn: float | None = None
    alarm: float | None = None
    is_figure: bool = False
    is_stacked: bool = False


@dataclass(frozen=True)
class Row:
    title: str
    panels: Sequence[Panel]


@dataclass(frozen=True)
class Board:
    """`name` is that of its file, and its address in Grafana."""

    name: str
    title: str
    description: str
    rows: Sequence[Row] = field(default_factory=tuple)

    @property
    def panels(self) -> list[Panel]:
        return [panel for row in self.rows for panel in row.panels]


def as_json(board: Board) -> str:
    return json.dumps(_dashboard(board).build(), cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _dashboard(board: Board) -> dashboard.Dashboard:
    built = (
        dashboard.Dashboard(board.title)
        .uid(board.name)
        .description(board.description)
        .tags([LINKED])
        .timezone("browser")
        .time("now-1h", "now")
        .refresh("30s")
        .tooltip(DashboardCursorSync.CROSSHAIR)
        .link(
            dashboard.DashboardLink("Assay").type(DashboardLinkType.DASHBOARDS).tags([LINKED]).icon("external link")
            .keep_time(True)
        )
        .with_variable(dashboard.DatasourceVariable("datasource").label("Prometheus").type("prometheus"))
    )  # fmt: skip
    ids = count(1)
    for row in board.rows:
        built.with_row(dashboard.Row(row.title).id(next(ids)))
        figures = sum(panel.is_figure for panel in row.panels)
        for panel in row.panels:
            drawn = _figure(panel, COLUMNS // figures) if panel.is_figure else _graph(panel)
            built.with_panel(drawn.id(next(ids)))
    return built


def _figure(panel: Panel, columns: int) -> Stat:
    built = (
        Stat()
        .span(columns)
        .height(4)
        .color_mode(words.BigValueColorMode.BACKGROUND if panel.alarm is not None else words.BigValueColorMode.NONE)
        .graph_mode(words.BigValueGraphMode.AREA)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )
    return _described(built, panel)


def _graph(panel: Panel) -> TimeSeries:
    built = (
        TimeSeries()
        .span(12)
        .height(8)
        .min(0)
        .fill_opacity(20 if panel.is_stacked else 5)
        .show_points(words.VisibilityMode.NEVER)
        .legend(
            common.VizLegendOptions()
            .display_mode(words.LegendDisplayMode.TABLE)
            .placement(words.LegendPlacement.RIGHT)
            .calcs(["lastNotNull", "max"])
            .show_legend(True)
        )
        .tooltip(common.VizTooltipOptions().mode(words.TooltipDisplayMode.MULTI).sort(words.SortOrder.DESCENDING))
        .color_scheme(dashboard.FieldColor().mode(FieldColorModeId.PALETTE_CLASSIC))
    )
    if panel.is_stacked:
        built.stacking(common.StackingConfig().mode(words.StackingMode.NORMAL))
    if panel.alarm is not None:
        built.thresholds_style(common.GraphThresholdsStyleConfig().mode(words.GraphTresholdsStyleMode.DASHED))
    return _described(built, panel)


def _described(built: P, panel: Panel) -> P:
    built.title(panel.title).description(panel.description).unit(panel.unit).datasource(DATA_SOURCE)
    built.thresholds(dashboard.ThresholdsConfig().mode(ThresholdsMode.ABSOLUTE).steps(_steps(panel)))
    for ref_id, query in zip("ABCDEFGH", panel.queries, strict=False):
        built.with_target(
            Dataquery().ref_id(ref_id).expr(query.expr).legend_format(query.legend).range().datasource(DATA_SOURCE)
        )
    return built


def _steps(panel: Panel) -> list[Threshold]:
    warn, alarm = panel.warn, panel.alarm
    if alarm is None:
        return [Threshold(None, "green")]
    if warn is not None and alarm < warn:
        return [Threshold(None, "red"), Threshold(alarm, "yellow"), Threshold(warn, "green")]
    middle = [] if warn is None else [Threshold(warn, "yellow")]
    return [Threshold(None, "green"), *middle, Threshold(alarm, "red")]
