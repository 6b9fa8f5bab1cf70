"""Reading: lists, traces, statistics, score configs, receipts and rejected scores of the key's project.

Filters are keyword arguments named as in the api: `trace_id, span_id, session_id, user_id, name, source, data_type,
config_id, environment, author, author_id, value, min_value, max_value, metadata={…}, from_=…, to=…`. A list means any
of its values; times are datetimes with an offset, or RFC 3339 texts. Everything here raises ApiError and its kinds, and
Unreachable after some tries.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, Union, cast
from urllib.parse import quote

from assay.access import Access
from assay.answers import Aggregate, Receipt, RejectedScore, Score, ScoreConfig, TrendSeries
from assay.query import query_of
from assay.settings import Settings
from assay.table import Page, Pages, Table

_PAGE = 1000
_RECEIPT_WAIT_SECONDS_MAX = 30


class Reading:
    """The reading half of a client."""

    def __init__(self, settings: Settings) -> None:
        self._api = Access(settings.api_url, settings)

    def scores(self, *, limit: int | None = None, order: str = "desc", **filters: Any) -> Pages[Score]:
        """Return the scores that the filters let through, newest first (or `order="asc"`), at most `limit`.

        They are fetched page by page while being iterated over: `for score in client.scores(name="relevance")`.
        Filters are those of the api: `from_` and `to` of when a score was judged, `received_from` of when it arrived.
        """
        page_size = _PAGE if limit is None else max(1, min(_PAGE, limit))
        return self._pages("/v1/scores", {**filters, "order": order, "limit": page_size}, limit)

    def score_by_id(self, id: str) -> Score:
        """Return one score. Raises NotFound; its code is `score_rejected` if that is what became of it."""
        return cast(Score, self._api.get(f"/v1/scores/{_quoted(id)}"))

    def trace_scores(self, trace_id: str, *, limit: int = 1000) -> Table[Score]:
        """Return the scores of a trace and of its spans, newest first, each with its `config`; at most 1,000."""
        answer = self._api.get(f"/v1/traces/{_quoted(trace_id)}/scores?limit={limit}")
        return Table(answer["items"])

    def traces_scores(self, trace_ids: Sequence[str], *, limit_per_trace: int = 100) -> dict[str, Table[Score]]:
        """Return the scores of up to 500 traces in one call, by trace id."""
        body = {"trace_ids": list(trace_ids), "limit_per_trace": limit_per_trace}
        items = self._api.call("POST", "/v1/traces/scores", body)["items"]
        return {item["trace_id"]: Table(item["items"]) for item in items}

    def aggregate(
        self, *, group_by: Union[str, Sequence[str], None] = None, percentiles: bool | None = None, **filters: Any
    ) -> Table[Aggregate]:
        """Return statistics per name and data type, the largest count first.

        `group_by` is up to three of source, environment, author, metadata.<key>. Without percentiles it is faster.
        """
        return Table(self._get("/v1/scores/aggregate", {**filters, "group_by": group_by, "percentiles": percentiles}))

    def trends(
        self,
        name: Union[str, Sequence[str]],
        *,
        days: int | None = None,
        granularity: str = "day",
        timezone: str = "UTC",
        group_by: str | None = None,
        **filters: Any,
    ) -> Trends:
        """Return the statistics of one or several names per hour, day, week or month of a time zone."""
        own = {"name": name, "days": days, "granularity": granularity, "timezone": timezone, "group_by": group_by}
        return Trends(self._get("/v1/scores/trends", {**filters, **own}))

    def configs(self, *, name: Union[str, Sequence[str], None] = None, archived: bool = False) -> Table[ScoreConfig]:
        """Return the score configs by name, archived ones only if asked for."""
        return Table(self._get("/v1/score-configs", {"name": name, "include_archived": archived or None}))

    def create_config(self, **fields: Any) -> ScoreConfig:
        """Make a score config of the fields that the api knows."""
        return cast(ScoreConfig, self._api.call("POST", "/v1/score-configs", fields))

    def change_config(self, id: str, **fields: Any) -> ScoreConfig:
        """Change what is named and keep the rest: a new version."""
        return cast(ScoreConfig, self._api.call("PATCH", f"/v1/score-configs/{_quoted(id)}", fields))

    def archive_config(self, id: str) -> ScoreConfig:
        return cast(ScoreConfig, self._api.call("POST", f"/v1/score-configs/{_quoted(id)}/archive"))

    def receipt(self, batch_id: str, *, wait: float = 0) -> Receipt:
        """Return what became of a batch so far, after waiting at most `wait` seconds for it to be done."""
        deadline = time.monotonic() + wait
        while True:
            seconds = int(max(0, min(_RECEIPT_WAIT_SECONDS_MAX, deadline - time.monotonic())))
            answer = self._api.get(f"/v1/batches/{_quoted(batch_id)}?wait={seconds}", wait_seconds=seconds)
            if answer["status"] == "done" or time.monotonic() + 1 >= deadline:
                return cast(Receipt, answer)

    def rejected(self, *, limit: int | None = None, **filters: Any) -> Pages[RejectedScore]:
        """Return the scores that broke a rule, newest first. Filters: code, name, batch_id, from_, to."""
        page_size = _PAGE if limit is None else max(1, min(_PAGE, limit))
        return self._pages("/v1/rejected-scores", {**filters, "limit": page_size}, limit)

    def rejected_counts(self, **filters: Any) -> list[dict[str, Any]]:
        """Return how many scores were rejected by code and name. Filters as of `rejected`."""
        return self._get("/v1/rejected-scores/counts", filters)

    def project(self) -> dict[str, Any]:
        """Return the project of the key."""
        return cast("dict[str, Any]", self._api.get("/v1/project"))

    def close_reading(self) -> None:
        self._api.close()

    def _get(self, path: str, filters: Mapping[str, Any]) -> list[Any]:
        answer = self._api.get(f"{path}?{query_of(filters)}")
        return cast("list[Any]", answer["items"])

    def _pages(self, path: str, filters: Mapping[str, Any], limit: int | None) -> Pages[Any]:
        query = query_of(filters)

        def fetch(cursor: str | None) -> Page:
            answer = self._api.ask("GET", f"{path}?{query}" + (f"&cursor={_quoted(cursor)}" if cursor else ""))
            through = answer.headers.get("assay-complete-through")
            return Page(answer.content["items"], answer.content["next_cursor"], through)

        return Pages(fetch, limit)


class Trends(Table[TrendSeries]):
    """One series for each name (and group)."""

    def to_pandas(self) -> Any:
        """Return a data frame with a row for each bucket of each series."""
        return Table(
            {"name": series["name"], "data_type": series["data_type"], "group": series["group"], **bucket}
            for series in self
            for bucket in series["buckets"]
        ).to_pandas()


def _quoted(text: str) -> str:
    return quote(text, safe="")
