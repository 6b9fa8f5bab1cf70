"""Whatever somebody of another project or workspace asks of any endpoint, with whichever ids they got hold of: no
content of ours comes back, and nothing of ours changes."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from services.api.app import ENDPOINTS
from shared.access import Role, Standing
from shared.http.endpoint import Endpoint
from tests.accounts import a_member
from tests.builders import a_numeric_config, a_score
from tests.contract.test_api_access import label_of, path_of
from tests.stack import Stack, make_project, open_stack

SECRET = "nobody-else-may-see-this"
Ids = dict[str, list[str]]
"""What somebody may have got hold of, by the kind of thing."""

# Every endpoint but those about the caller's own account, which name nobody else's.
ABOUT_THINGS = [one for one in ENDPOINTS if not isinstance(one.needs, Standing)]


class Ours:
    """A project with something of everything in it, and strangers to it."""

    def __init__(self, portal: BlockingPortal, stack: Stack) -> None:
        self._portal = portal
        self._stack = stack
        self.ids: Ids = portal.call(fill, stack)
        self.strangers, self.their_workspace = portal.call(strangers_to, stack)
        self.before = self.state()
        self.sent = ""  # by strangers: what they have said themselves may come back, as in their own audit log

    def ask(self, endpoint: Endpoint, path: str, **said: Any) -> httpx.Response:
        return self._portal.call(lambda: self._stack.api.request(endpoint.method, path, **said))

    def state(self) -> dict[str, int]:
        return self._portal.call(state_of, self._stack)


async def fill(stack: Stack) -> Ids:
    owner = await a_member(stack, Role.OWNER, email=f"{SECRET}@example.org")
    here = f"/v1/workspaces/{owner.workspace_id}"
    config = (await stack.post("/v1/score-configs", a_numeric_config(description=SECRET))).json()["id"]
    scores = [a_score(id=f"s{number}", comment=SECRET, metadata={"key": SECRET}, span_id="p1") for number in range(3)]
    batch = (await stack.store(*scores, a_score(id="bad", value=9, comment=SECRET)))["batch_id"]
    job = (await stack.post("/v1/scores/delete", {"ids": ["unknown"]})).json()["id"]
    key = (await stack.post("/v1/api-keys", {"name": SECRET, "scopes": ["scores:read"]})).json()["api_key"]["id"]
    invited = await stack.api.post(
        f"{here}/invitations", json={"email": f"b{SECRET}@example.org", "role": "viewer"}, headers=owner.headers
    )
    cursors = [(await stack.read(f"/v1/{path}", limit=1)).json()["next_cursor"] for path in ("scores", "audit-log")]
    return {
        "scores": ["s0", "s1", "bad"], "score-configs": [config], "batches": [batch], "jobs": [job], "api-keys": [key],
        "rejected-scores": [f"{batch}.3"], "traces": ["t1"], "spans": ["p1"], "workspaces": [str(owner.workspace_id)],
        "members": [str(owner.id)], "invitations": [invited.json()["invitation"]["id"]],
        "projects": [str(stack.project.id)], "cursors": cursors,
    }  # fmt: skip


async def strangers_to(stack: Stack) -> tuple[dict[str, dict[str, str]], str]:
    """Headers of each: a key of another project beside ours, one of another workspace, and that workspace's owner."""
    beside = await make_project(stack.database_url, stack.redis_url, "beside")
    elsewhere = await make_project(stack.database_url, stack.redis_url, "elsewhere", workspace="elsewhere")
    owner = await a_member(stack, Role.OWNER, workspace_id=elsewhere.workspace_id, email="owner@elsewhere.org")
    headers = {"beside": beside.headers, "elsewhere": elsewhere.headers, "owner": owner.headers}
    return headers, str(elsewhere.workspace_id)


async def state_of(stack: Stack) -> dict[str, int]:
    """A digest of every row of ours, by table."""
    tables = {
        "scores": "project_id", "score_rollups": "project_id", "batches": "project_id", "rejected_scores": "project_id",
        "score_configs": "project_id", "api_keys": "project_id", "projects": "id", "score_tombstones": "project_id",
    }  # fmt: skip
    found = {}
    for table, column in tables.items():
        statement = f"SELECT coalesce(sum(hashtext(t::text)), 0) AS digest FROM {table} AS t WHERE {column} = $1"
        found[table] = (await stack.fetch(statement, stack.project.id))[0]["digest"]
    for table in ("workspace_members", "invitations", "workspaces"):
        column = "id" if table == "workspaces" else "workspace_id"
        statement = f"SELECT coalesce(sum(hashtext(t::text)), 0) AS digest FROM {table} AS t WHERE {column} = $1"
        found[table] = (await stack.fetch(statement, stack.project.workspace_id))[0]["digest"]
    return found


@pytest.fixture
def ours(database_url: str, redis_url: str) -> Iterator[Ours]:
    with ExitStack() as parts:
        portal = parts.enter_context(start_blocking_portal())
        stack = parts.enter_context(portal.wrap_async_context_manager(open_stack(database_url, redis_url)))
        yield Ours(portal, stack)


def paths(ids: Ids, endpoint: Endpoint, their_workspace: str) -> st.SearchStrategy[str]:
    """The endpoint's path with ids of ours: of the right kind most often, else of any. The workspace is ours, or
    theirs, in which they are admitted and name our members, projects and invitations."""
    noun = endpoint.path.split("/")[2]
    any_id = st.sampled_from([one for kind in ids.values() for one in kind])
    kinds = {
        "id": noun, "batch_id": "batches", "trace_id": "traces", "span_id": "spans", "workspace_id": "workspaces",
        "member_id": "members", "invitation_id": "invitations", "project_id": "projects",
    }  # fmt: skip
    chosen = {name: st.sampled_from(ids.get(kind, ["x"])) | any_id for name, kind in kinds.items()}
    chosen["workspace_id"] |= st.just(their_workspace)
    return st.fixed_dictionaries(chosen).map(
        lambda found: path_of(endpoint, **{name: quote(one, safe="") for name, one in found.items()})
    )


def queries(ids: Ids) -> st.SearchStrategy[dict[str, str]]:
    return st.fixed_dictionaries(
        {},
        optional={
            "project_id": st.sampled_from(ids["projects"]), "cursor": st.sampled_from(ids["cursors"]),
            "config_id": st.sampled_from(ids["score-configs"]), "trace_id": st.just("t1"), "name": st.just("relevance"),
            "batch_id": st.sampled_from(ids["batches"]),
        },
    )  # fmt: skip


def bodies(ids: Ids) -> st.SearchStrategy[dict[str, Any]]:
    return st.sampled_from(
        [
            {}, {"ids": ids["scores"]}, {"ids": ids["scores"], "dry_run": True}, {"trace_ids": ["t1"]},
            {"filter": {"trace_id": ["t1"]}}, {"filter": {}, "dry_run": True}, {"filter": {"batch_id": ids["batches"]}},
            {"max_value": 100}, {"role": "viewer"}, {"name": "taken over"}, {"overlap_seconds": 0},
            {"email": "me@elsewhere.org", "role": "admin"}, {"slug": "mine", "name": "mine"}, {"retention_days": 1},
        ]
    )  # fmt: skip


def test_a_stranger_sees_nothing_and_changes_nothing(ours: Ours) -> None:
    for endpoint in ABOUT_THINGS:
        ask_in_every_way(ours, endpoint)
        assert ours.state() == ours.before, label_of(endpoint)


def ask_in_every_way(ours: Ours, endpoint: Endpoint) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(
        st.sampled_from(sorted(ours.strangers)),
        paths(ours.ids, endpoint, ours.their_workspace),
        queries(ours.ids),
        bodies(ours.ids),
    )
    def ask(stranger: str, path: str, query: dict[str, str], body: dict[str, Any]) -> None:
        said = {"json": body} if endpoint.body is not None else {}
        answer = ours.ask(endpoint, path, params=query, headers=ours.strangers[stranger], **said)
        said_now = f"{path} {query} {body}"
        ours.sent += said_now

        assert answer.status_code < 500
        assert SECRET not in answer.text
        # Their own audit log holds what they have said before.
        assert ids_told(ours.ids, answer, ours.sent if "audit-log" in path else said_now) == []
        assert answer.status_code in (400, 403, 404, 409, 422) or count_of(answer) in (None, 0), answer.text

    ask()


def ids_told(ids: Ids, answer: httpx.Response, sent: str) -> list[str]:
    """Ids of ours that the answer holds and the request did not. The short ones are in any text."""
    known = [one for kind in ids.values() for one in kind if len(one) > 8]
    return [one for one in known if one in answer.text and one not in sent]


def count_of(answer: httpx.Response) -> int | None:
    """How many of ours it says there are, where it counts."""
    found = answer.json() if answer.content else {}
    return found.get("count") if isinstance(found, dict) else None
