"""API keys as rows: what the api and the worker read of them, and the grants that follow."""

from typing import Any

from shared.keys import Grant, Quota, Scope

GRANT_COLUMNS = """
    k.id, k.project_id, k.scopes, k.expires_at, k.requests_per_minute, k.scores_per_minute,
    p.requests_per_minute AS project_requests, p.scores_per_minute AS project_scores
"""
"""Of `api_keys AS k` joined with its `projects AS p`, for `grant_of`."""


def grant_of(row: Any) -> Grant:
    return Grant(
        key_id=row["id"],
        project_id=row["project_id"],
        scopes=tuple(sorted(map(Scope, row["scopes"]))),
        expires_at=row["expires_at"],
        key_quota=Quota(requests_per_minute=row["requests_per_minute"], scores_per_minute=row["scores_per_minute"]),
        project_quota=Quota(requests_per_minute=row["project_requests"], scores_per_minute=row["project_scores"]),
    )
