"""Whatever Assay asks of PostgreSQL reads about as many rows as it returns or changes, in tables that make the planner
care.

The statements are not listed here. They are caught while the api, a worker and its jobs do all that they can do; and
what was caught is compared with what stands in the modules, so that none is forgotten. What reads more by nature is in
`LONG_READS`; docs/architecture.md says why.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from services.api.app import ENDPOINTS
from services.api.writes.members import make_account, set_password
from services.api.writes.workspaces import ensure_project, ensure_workspace, find_workspace, list_all_workspaces
from services.worker.jobs.housekeeping import apply_retention, forget_receipts, forget_tombstones
from services.worker.jobs.keys import reconcile_keys, record_key_use
from services.worker.jobs.running import stale_jobs
from services.worker.jobs.verify_rollups import verify_rollups
from shared.access import Role
from shared.key_directory import tell_used
from shared.keys import Scope
from shared.postgres import open_pool
from tests.accounts import a_member
from tests.builders import a_numeric_config, a_score
from tests.integration.filled import fill
from tests.integration.readings import Reading, Readings, catch_statements, in_one_line
from tests.integration.statements import statements_in
from tests.logins import WORKER_LOGIN, as_login
from tests.stack import Stack, open_stack, running_worker
from tests.system.processes import ROOT

WEEK = {"from": "2025-05-25T00:00:00Z", "to": "2025-06-01T00:00:00Z"}
MODULES = ("services/worker/*.py", "services/worker/jobs/*.py", "services/api/**/*.py", "shared/*.py")

# (method, path of the endpoint) → the calls that stand for it: path, parameters, body.
Call = tuple[str, dict[str, Any], Any]
CALLS: dict[tuple[str, str], list[Call]] = {
    ("GET", "/v1/scores/aggregate"): [
        ("/v1/scores/aggregate", {"name": "name3", **WEEK}, None),
        ("/v1/scores/aggregate", {"name": "name3", "percentiles": "false"}, None),
        ("/v1/scores/aggregate", {"name": "name3", "group_by": "author,metadata.lang", **WEEK}, None),
        ("/v1/scores/aggregate", {"name": "name3", "from": "2025-05-25T00:07:00Z"}, None),
    ],
    ("GET", "/v1/scores/histogram"): [("/v1/scores/histogram", {"name": "name3", **WEEK}, None)],
    ("GET", "/v1/scores/trends"): [
        ("/v1/scores/trends", {"name": "name3", "granularity": "day", **WEEK}, None),
        ("/v1/scores/trends", {"name": "name3", "granularity": "day", "timezone": "Asia/Kolkata", **WEEK}, None),
        ("/v1/scores/trends", {"name": "name3", "granularity": "hour", "author": "rater1", **WEEK}, None),
    ],
    ("GET", "/v1/scores"): [
        ("/v1/scores", {}, None),
        *(
            ("/v1/scores", one, None)
            for one in (
                WEEK,
                {"name": "name3"},
                {"name": "name3", **WEEK},
                {"name": ["name3", "name5"]},
                {"trace_id": "t7"},
                {"trace_id": ["t7", "t8"]},
                {"span_id": "p14"},
                {"session_id": "c1"},
                {"user_id": "u1"},
                {"received_from": "2025-07-01T00:00:00Z"},
                {"cursor": "{cursor}"},
                {"name": "name3", "cursor": "{cursor}"},
            )
        ),
        ("/v1/scores", {"order": "asc", "author": "rater1", **WEEK}, None),
        ("/v1/scores", {"metadata.lang": "de", "min_value": "50", "value": "7", "source": "SDK", **WEEK}, None),
    ],
    ("GET", "/v1/scores/{id:id}"): [("/v1/scores/s7", {}, None), ("/v1/scores/r7", {}, None)],
    ("GET", "/v1/traces/{trace_id:id}/scores"): [("/v1/traces/t7/scores", {}, None)],
    ("GET", "/v1/traces/{trace_id:id}/spans/{span_id:id}/scores"): [("/v1/traces/t7/spans/p14/scores", {}, None)],
    ("POST", "/v1/traces/scores"): [("/v1/traces/scores", {}, {"trace_ids": ["t7", "t8"]})],
    ("GET", "/v1/batches/{batch_id}"): [("/v1/batches/1-7-0", {}, None)],
    ("GET", "/v1/rejected-scores"): [
        ("/v1/rejected-scores", {}, None),
        ("/v1/rejected-scores", {"code": "above_maximum", **WEEK}, None),
    ],
    ("GET", "/v1/rejected-scores/counts"): [("/v1/rejected-scores/counts", WEEK, None)],
    ("GET", "/v1/rejected-scores/{id}"): [("/v1/rejected-scores/1-7-0.0", {}, None)],
    ("GET", "/v1/score-configs"): [("/v1/score-configs", {}, None)],
    ("GET", "/v1/score-configs/{id}"): [("/v1/score-configs/{config_id}", {}, None)],
    ("POST", "/v1/score-configs/{id}/check"): [("/v1/score-configs/{config_id}/check", {}, {"max_value": 50})],
    ("GET", "/v1/score-templates"): [("/v1/score-templates", {}, None)],
    ("GET", "/v1/jobs"): [("/v1/jobs", {}, None)],
    ("GET", "/v1/jobs/{id}"): [(f"/v1/jobs/{UUID(int=1)}", {}, None)],
    ("GET", "/v1/project"): [("/v1/project", {}, None)],
    ("GET", "/v1/api-keys"): [("/v1/api-keys", {}, None)],
    ("GET", "/v1/audit-log"): [("/v1/audit-log", {}, None)],
}


READ_PER_ROW = 10  # a statement may read so many rows for each that it returns or changes
READ_BESIDES = 300  # and so many more


@dataclass(frozen=True)
class LongRead:
    """A statement, by pieces of its text, that reads more by nature: so much for a row (None: there is no saying).
    `said` is how docs/architecture.md tells it."""

    pieces: tuple[str, ...]
    said: str
    per_row: int | None = None

    def has(self, statement: str) -> bool:
        return all(piece in statement for piece in self.pieces)


LONG_READS = (
    LongRead(("FROM scores", "metadata ->>", "ORDER BY scored_at"), "A filter that no index knows"),
    LongRead(("SELECT count(*) FROM scores",), "A count of scores"),
    LongRead(("CASE WHEN data_type <> $3", "FROM scores"), "A check of a proposed rule"),
    LongRead(("SELECT code, name, count(*)", "FROM rejected_scores"), "Counts of rejected scores"),
    LongRead(("SELECT count(*) FROM rejected_scores",), "Counts of rejected scores"),
    LongRead(("nth = 10000 AS is_far",), "A chunk of a job by filter"),
    LongRead(("WITH gone AS ( DELETE FROM scores",), "Taking a score out of the rollups", per_row=20),
    LongRead(("WITH by_rows AS",), "Verification of rollups"),
    LongRead(("WITH by_days AS",), "Verification of rollups"),
    LongRead(("FROM score_tombstones", "version < $2"), "Housekeeping"),
    LongRead(("SELECT DISTINCT project_id FROM score_tombstones",), "Housekeeping"),
    LongRead(("DELETE FROM jobs WHERE ctid",), "Housekeeping"),
    LongRead(("retention_days IS NOT NULL",), "Housekeeping"),
    LongRead(("FROM scores", "received_at >="), "Receipts by time"),
    LongRead(("FROM batches WHERE done_at <",), "Receipts by time"),
    LongRead(("FROM batches WHERE project_id = $1 AND done_at >= $2",), "Receipts by time"),
)

# Statements that nothing here runs: (piece of their text, why).
NOT_RUN = {
    "INSERT INTO score_rollups (project_id, width": "an operator's `rollups rebuild`, which reads all of a project",
    "DELETE FROM score_rollups WHERE project_id": "an operator's `rollups rebuild`",
    "SELECT id FROM projects WHERE $1::uuid IS NULL": "an operator's `rollups`",
    "lock_scores_": "takes a lock and reads nothing",
    "pg_terminate_backend": "looks at sessions, not at tables",
    "row_security_active": "looks at no table",
}


@pytest.fixture
async def filled(database_url: str, redis_url: str) -> AsyncIterator[Stack]:
    async with open_stack(database_url, redis_url) as stack:
        await fill(database_url, stack.project)
        yield stack


@pytest.fixture
async def readings(filled: Stack, monkeypatch: pytest.MonkeyPatch) -> Readings:
    """Of everything that Assay does."""
    readings = Readings()
    with monkeypatch.context() as patching:
        catch_statements(patching, readings)
        config_id = await _configure(filled)
        await _read(filled, config_id)
        await _write(filled)
        await _manage(filled)
        await _run_jobs(filled)
        await _run_schedules(filled)
    return readings


async def _configure(stack: Stack) -> str:
    made = (await stack.post("/v1/score-configs", a_numeric_config(name="name3", max_value=90))).json()
    await stack.patch(f"/v1/score-configs/{made['id']}", {"max_value": 95})
    for action in ("archive", "restore"):
        await stack.post(f"/v1/score-configs/{made['id']}/{action}", None)
    await stack.post("/v1/score-templates/adopt", {})
    await stack.patch("/v1/project", {"retention_days": 30_000})
    return str(made["id"])


async def _read(stack: Stack, config_id: str) -> None:
    cursor = (await stack.read("/v1/scores", to=WEEK["from"])).json()["next_cursor"]
    for (method, _), calls in CALLS.items():
        for path, params, body in calls:
            path = path.replace("{config_id}", config_id)
            if "cursor" in params:
                params = params | {"cursor": cursor}
            answer = await stack.api.request(method, path, params=params, json=body, headers=stack.project.headers)
            assert answer.status_code in (200, 404), (path, answer.text)


async def _write(stack: Stack) -> None:
    """The straight way and the careful one: replacements, rejections, an id that was deleted."""
    await stack.store(*(a_score(id=f"new{n}", name="name4", value=n) for n in range(100)))
    await stack.store(
        *(a_score(id=f"new{n}", name="name4", value=1) for n in range(100)), a_score(id="gone7", name="name4")
    )
    await stack.store(a_score(id="bad", name="name3", value=99))
    await stack.api.delete("/v1/scores/new1", headers=stack.project.headers)


async def _manage(stack: Stack) -> None:
    owner = await a_member(stack, Role.OWNER)
    where = f"/v1/workspaces/{owner.workspace_id}"

    async def call(method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        answer = await stack.api.request(method, path, json=body, headers=headers or owner.headers)
        assert answer.is_success, (path, answer.text)
        return answer.json() if answer.content else None

    listed = [f"{where}/{what}" for what in ("projects", "members", "invitations", "audit-log")]
    for path in ("/v1/session", "/v1/sessions", "/v1/workspaces", *listed, f"/v1/jobs?project_id={stack.project.id}"):
        await call("GET", path)
    await call("PATCH", where, {"name": "Tests"})
    made = await call("POST", f"{where}/projects", {"slug": "second", "name": "Second"})
    await call("PATCH", f"{where}/projects/{made['id']}", {"requests_per_minute": 1000})
    invited = await call("POST", f"{where}/invitations", {"email": "a@example.org", "role": "member"})
    await call("DELETE", f"{where}/invitations/{invited['invitation']['id']}")
    invited = await call("POST", f"{where}/invitations", {"email": "b@example.org", "role": "member"})
    password = "correct horse battery"
    await call("POST", "/v1/invitations/accept", {"token": invited["token"], "password": password, "name": "B"})

    async def signed_in(password: str) -> dict[str, str]:
        answer = await stack.api.post("/v1/session", json={"email": "b@example.org", "password": password})
        return {"Cookie": answer.headers["set-cookie"].partition(";")[0]}

    b = await signed_in(password)
    await stack.fetch("UPDATE member_sessions SET last_seen_at = now() - interval '5 minutes' RETURNING 1")
    await call("GET", "/v1/session", headers=b)
    await call("POST", "/v1/password", {"current_password": password, "new_password": password + "!"}, headers=b)
    [b_id] = [one["id"] for one in (await call("GET", f"{where}/members"))["items"] if one["email"] == "b@example.org"]
    await call("PATCH", f"{where}/members/{b_id}", {"role": "admin"})
    await call("DELETE", "/v1/session", headers=await signed_in(password + "!"))
    await call("DELETE", f"{where}/members/{b_id}")
    key = await call("POST", "/v1/api-keys", {"name": "k", "scopes": ["scores:read"]}, stack.project.headers)
    rotated = await call("POST", f"/v1/api-keys/{key['api_key']['id']}/rotate", {}, stack.project.headers)
    await call("DELETE", f"/v1/api-keys/{rotated['api_key']['id']}", None, stack.project.headers)
    await call("DELETE", "/v1/sessions")
    async with stack.connection() as connection:  # what `python -m services.api.accounts` does
        await ensure_project(connection, await ensure_workspace(connection, "w7", "W"), "p", "P")
        await find_workspace(connection, "w7")
        await list_all_workspaces(connection)
        await set_password(connection, await make_account(connection, "member7@example.org", "m", "none"), "none")


async def _run_jobs(stack: Stack) -> None:
    jobs = []
    for path, body in (
        ("/v1/scores/delete", {"filter": {"author": ["rater3"]}, "dry_run": True}),
        ("/v1/scores/delete", {"filter": {"author": ["rater3"]}}),
        ("/v1/scores/delete", {"filter": {"trace_id": ["t11", "t12"]}}),
        ("/v1/scores/delete", {"filter": {"name": ["name7"], "environment": ["default"]}}),
        ("/v1/scores/delete", {"ids": ["s101", "s102"]}),
        ("/v1/rejected-scores/replay", {"filter": {"batch_id": ["1-101-0", "1-102-0"]}}),
        ("/v1/rejected-scores/replay", {"filter": {"from": "2025-06-02T00:00:00Z"}}),  # is rejected again
        ("/v1/rejected-scores/delete", {"filter": {"name": ["name7"]}}),
    ):
        answer = await stack.post(path, body)
        assert answer.is_success, answer.text
        jobs += [answer.json()["id"]] if "id" in answer.json() else []
    [broken] = await stack.fetch(_BROKEN_JOB, stack.project.id)
    async with running_worker(stack.database_url, stack.redis_url, worker_roles="jobs"):
        for job in (*jobs, broken["id"]):
            found = (await stack.read(f"/v1/jobs/{job}", wait=30)).json()
            assert found["state"] == ("failed" if job == broken["id"] else "done"), found


_BROKEN_JOB = "INSERT INTO jobs (project_id, kind, arguments) VALUES ($1, 'delete_scores', '{}') RETURNING id"


async def _run_schedules(stack: Stack) -> None:
    """All that `services.worker.schedules` has; nothing is left of them but what they read."""
    [config] = [one for one in await stack.items("/v1/score-configs") if one["name"] == "name3"]
    await stack.patch(f"/v1/score-configs/{config['id']}", {"max_value": None})
    age = (datetime.now(UTC) - datetime(2025, 3, 1, tzinfo=UTC)) // timedelta(days=1)
    await stack.fetch("UPDATE projects SET retention_days = $2 WHERE id = $1 RETURNING 1", stack.project.id, age)
    url = as_login(stack.database_url, WORKER_LOGIN)
    pool = await open_pool(url, size_max=1, statement_timeout_ms=60_000, name="test", plans="force_custom_plan")
    async with stack.redis_client() as redis:
        await verify_rollups(pool)
        await verify_rollups(pool, datetime(2025, 5, 30, tzinfo=UTC))
        await apply_retention(pool)
        await forget_tombstones(pool, redis, 8)
        await forget_receipts(pool)
        await reconcile_keys(pool, redis)
        await tell_used(redis, {UUID(int=1): 1.0})
        await record_key_use(pool, redis)
        await stale_jobs(pool)
    await pool.close()


def test_every_read_is_called() -> None:
    reads = {(one.method, one.path) for one in ENDPOINTS if one.method == "GET" and isinstance(one.needs, Scope)}

    assert reads <= CALLS.keys()


async def test_every_statement_reads_about_what_it_needs(readings: Readings) -> None:
    too_long = [str(max(several, key=_excess)) for several in readings.of.values() if max(map(_excess, several)) > 0]

    assert too_long == [], "\n\n".join(too_long)
    assert _forgotten(readings) == []
    assert [one for one in LONG_READS if not any(one.has(text) for text in readings.of)] == []


def _excess(reading: Reading) -> int:
    """How many more rows it read than it may."""
    per_row = next((one.per_row for one in LONG_READS if one.has(reading.statement)), READ_PER_ROW)
    return 0 if per_row is None else reading.read - READ_BESIDES - per_row * reading.out


def _forgotten(readings: Readings) -> list[str]:
    """Statements of the modules that were not caught."""
    return [
        f"{where}: {pieces}"
        for where, pieces in statements_in(MODULES)
        if not any(all(piece in text for piece in pieces) for text in readings.of)
        and not any(known in piece for known in NOT_RUN for piece in pieces)
    ]


def test_what_reads_more_is_told_in_the_docs() -> None:
    told = in_one_line((ROOT / "docs" / "architecture.md").read_text(encoding="utf-8"))

    assert [one.said for one in LONG_READS if f"**{one.said}" not in told] == []
