"""Which scores a query is about: the filters that every read of scores understands (SPEC 8)."""

from datetime import datetime
from uuid import UUID

from msgspec import Struct

from shared.scores import DataType, Source


class ScoreFilters(Struct, frozen=True, kw_only=True):
    """Values of one filter are alternatives, filters hold all together. `start` is inclusive, `end` exclusive."""

    trace_id: tuple[str, ...] = ()
    span_id: tuple[str, ...] = ()
    session_id: tuple[str, ...] = ()
    user_id: tuple[str, ...] = ()
    name: tuple[str, ...] = ()
    source: tuple[Source, ...] = ()
    data_type: tuple[DataType, ...] = ()
    config_id: tuple[UUID, ...] = ()
    environment: tuple[str, ...] = ()
    author: tuple[str, ...] = ()
    author_id: tuple[UUID, ...] = ()
    value: tuple[str, ...] = ()
    min_value: float | None = None
    max_value: float | None = None
    metadata: tuple[tuple[str, tuple[str, ...]], ...] = ()
    start: datetime | None = None
    end: datetime | None = None

    def beyond_rollups(self) -> bool:
        """Whether the rollups can't answer: they know project, time, name, data type, source and environment."""
        return bool(
            self.trace_id or self.span_id or self.session_id or self.user_id or self.config_id or self.author
            or self.author_id or self.value or self.metadata
            or self.min_value is not None or self.max_value is not None
        )  # fmt: skip
