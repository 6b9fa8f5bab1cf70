"""Answers of many rows: lists and iterators that pandas can take over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Callable, Generic, NamedTuple, TypeVar

from assay.errors import ConfigurationError

if TYPE_CHECKING:
    import pandas as pd

Row = TypeVar("Row", bound=Mapping[str, Any])
_TIMES = ("scored_at", "received_at", "created_at", "updated_at", "rejected_at", "start", "end")


class Table(list[Row]):
    """A list of rows."""

    def to_pandas(self) -> pd.DataFrame:
        """Return a data frame: a column for each field, nested ones as `metadata.model`, times as timestamps in UTC."""
        return data_frame(self)


class Page(NamedTuple):
    """`cursor` leads to the next one, None from the last. `complete_through` is the server's word of that name."""

    rows: list[Any]
    cursor: str | None
    complete_through: str | None = None


class Pages(Generic[Row]):
    """All rows of a paged answer, fetched page by page as they are iterated over; each iteration starts afresh.

    `complete_through` is known once the first page is there: every score that was accepted up to that time (RFC 3339)
    is among the rows, if it is one that was asked for. None before, and where the server doesn't say.
    """

    def __init__(self, fetch: Callable[[str | None], Page], rows_max: int | None) -> None:
        self._fetch = fetch
        self._rows_max = rows_max
        self.complete_through: str | None = None

    def __iter__(self) -> Iterator[Row]:
        left = self._rows_max
        for page in self.pages():
            for row in page:
                if left is not None:
                    left -= 1
                    if left < 0:
                        return
                yield row

    def pages(self) -> Iterator[list[Row]]:
        """Yield whole pages."""
        page = self._fetch(None)
        self.complete_through = page.complete_through
        yield page.rows
        while page.cursor is not None:
            page = self._fetch(page.cursor)
            yield page.rows

    def to_list(self) -> Table[Row]:
        return Table(self)

    def to_pandas(self) -> pd.DataFrame:
        """Return all rows as a data frame, as `Table.to_pandas` does."""
        return data_frame(list(self))


def data_frame(rows: list[Any]) -> pd.DataFrame:
    """Return rows as a data frame. Raises ConfigurationError when pandas is not installed."""
    try:
        import pandas as pd
    except ImportError as error:
        raise ConfigurationError("to_pandas needs pandas: pip install 'assay[pandas]'") from error
    frame: pd.DataFrame = pd.DataFrame([_flat(row) for row in rows])
    for column in _TIMES:
        if column in frame:
            frame[column] = pd.to_datetime(frame[column], format="ISO8601", utc=True)
    return frame


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with `metadata` and `group` spread over columns of their own."""
    flat: dict[str, Any] = {}
    for name, value in row.items():
        if name in ("metadata", "group"):
            flat.update({f"{name}.{key}": inner for key, inner in (value or {}).items()})
        else:
            flat[name] = value
    return flat
