"""Rejected scores as rows: which ones filters mean, for the api that lists them and the jobs that replay or delete."""

from uuid import UUID

from shared.conditions import Arguments, span_conditions
from shared.filters import Span
from shared.jobs import RejectedFilters


def rejected_id(batch_id: str, index: int) -> str:
    """The handle of one rejected score: its batch, and its place in it."""
    return f"{batch_id}.{index}"


def place_of_rejected(handle: str) -> tuple[str, int] | None:
    """(batch id, index) of a handle, or None if it can't be one."""
    batch_id, _, index = handle.rpartition(".")
    if not batch_id or not index.isascii() or not index.isdigit() or len(index) > 9:
        return None
    return batch_id, int(index)


def rejected_conditions(filters: RejectedFilters, project_id: UUID, arguments: Arguments) -> list[str]:
    """What a row of `rejected_scores` must fulfil."""
    conditions = [f"project_id = {arguments.add(project_id)}"]
    for column in ("code", "name", "batch_id"):
        values = getattr(filters, column)
        if values:
            conditions.append(f"{column} = ANY({arguments.add(list(values))}::text[])")
    if filters.id:
        places = [place for handle in filters.id if (place := place_of_rejected(handle)) is not None]
        batch_ids, indexes = [place[0] for place in places], [place[1] for place in places]
        asked = f"unnest({arguments.add(batch_ids)}::text[], {arguments.add(indexes)}::int[])"
        conditions.append(f"(batch_id, index) IN (SELECT * FROM {asked})")  # noqa: S608 - placeholders
    return conditions + span_conditions("rejected_at", Span(filters.start, filters.end), arguments)
