"""Which scores are meant: the filters that reads, bulk deletes and checks of scores understand (SPEC 8). Pure."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from msgspec import Meta, Struct, field

from shared.scores import DataType, Source

VALUES_PER_FILTER_MAX = 100

Text = Annotated[str, Meta(max_length=500)]
Texts = Annotated[tuple[Text, ...], Meta(max_length=VALUES_PER_FILTER_MAX)]


SomeTexts = Annotated[tuple[Text, ...], Meta(min_length=1, max_length=VALUES_PER_FILTER_MAX)]

YEAR_MIN, YEAR_MAX = 1900, 2200


class Span(Struct, frozen=True):
    """From `start` (inclusive) to `end` (exclusive); None is open."""

    start: datetime | None
    end: datetime | None


def check_span(span: Span) -> None:
    """Raises `ValueError` for moments that no database and no calendar has to hold."""
    for moment in (span.start, span.end):
        if moment is not None and not YEAR_MIN <= moment.year <= YEAR_MAX:
            raise ValueError(f"a moment lies between the years {YEAR_MIN} and {YEAR_MAX}")


class ScoreFilters(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Values of one filter are alternatives, filters hold all together. `from` and `to` are about `scored_at`, the
    one inclusive, the other exclusive; `received_from` (inclusive) is about when the server got the score."""

    trace_id: Texts = ()
    span_id: Texts = ()
    session_id: Texts = ()
    user_id: Texts = ()
    name: Texts = ()
    source: Annotated[tuple[Source, ...], Meta(max_length=VALUES_PER_FILTER_MAX)] = ()
    data_type: Annotated[tuple[DataType, ...], Meta(max_length=VALUES_PER_FILTER_MAX)] = ()
    config_id: Annotated[tuple[UUID, ...], Meta(max_length=VALUES_PER_FILTER_MAX)] = ()
    environment: Texts = ()
    author: Texts = ()
    author_id: Annotated[tuple[UUID, ...], Meta(max_length=VALUES_PER_FILTER_MAX)] = ()
    value: Texts = ()
    min_value: float | None = None
    max_value: float | None = None
    metadata: Annotated[dict[Text, SomeTexts], Meta(max_length=VALUES_PER_FILTER_MAX)] = {}
    start: Annotated[datetime, Meta(tz=True)] | None = field(name="from", default=None)
    end: Annotated[datetime, Meta(tz=True)] | None = field(name="to", default=None)
    received_from: Annotated[datetime, Meta(tz=True)] | None = None

    def __post_init__(self) -> None:
        check_span(self.span)
        check_span(Span(self.received_from, None))

    @property
    def span(self) -> Span:
        return Span(self.start, self.end)

    def beyond_rollups(self) -> bool:
        """Whether the rollups can't answer: they know project, time, name, data type, source and environment."""
        return bool(
            self.trace_id or self.span_id or self.session_id or self.user_id or self.config_id or self.author
            or self.author_id or self.value or self.metadata
            or self.min_value is not None or self.max_value is not None or self.received_from is not None
        )  # fmt: skip

    def means_all(self) -> bool:
        """Whether nothing is filtered, not even by time."""
        return self == ScoreFilters()
