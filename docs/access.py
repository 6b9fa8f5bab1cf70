"""`python -m docs.access` writes the table of who may use which endpoint into docs/security.md; `--check` says whether
it is up to date. The same `answer_to` is what the tests hold the services to, cell by cell."""

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from services.api.app import ENDPOINTS as API_ENDPOINTS
from services.ingest.endpoints import ENDPOINTS as INGEST_ENDPOINTS
from shared.access import SCOPES_OF, Role, Standing
from shared.http.endpoint import Endpoint
from shared.keys import Scope

PAGE = Path(__file__).parent / "security.md"
START, END = "<!-- access: made by `python -m docs.access` -->", "<!-- access: end -->"
OPEN = 200
"""Stands for any answer that is not about access."""


@dataclass(frozen=True)
class Credential:
    """What a caller brings: a key with one scope, or a role in a workspace. `is_foreign`: of another workspace than the
    one, and the project, that the request is about."""

    label: str
    scope: Scope | None = None
    role: Role | None = None
    is_foreign: bool = False


NOBODY = Credential("nobody")
CREDENTIALS = (
    NOBODY,
    *(Credential(f"key `{scope}`", scope=scope) for scope in Scope),
    *(Credential(role, role=role) for role in Role),
    Credential("owner elsewhere", role=Role.OWNER, is_foreign=True),
)


def answer_to(credential: Credential, endpoint: Endpoint, *, knows_members: bool = True) -> int:
    """OPEN, 401, 403 or 404. Ingest does not know members."""
    match endpoint.needs:
        case Standing.ANYONE:
            return OPEN
        case Scope() as needed:
            return _in_project(credential, needed) if knows_members or credential.role is None else 401
        case Standing.SIGNED_IN:
            return _of_member(credential, OPEN)
        case Role() as needed:
            return _of_member(credential, _in_workspace(credential, needed))


def _in_project(credential: Credential, needed: Scope) -> int:
    if credential.is_foreign:
        return 404
    scopes = (credential.scope,) if credential.scope else SCOPES_OF[credential.role] if credential.role else None
    if scopes is None:
        return 401
    return OPEN if needed in scopes or Scope.ADMIN in scopes else 403


def _of_member(credential: Credential, answer: int) -> int:
    """Accounts are for members; keys are turned away, and strangers asked who they are."""
    if credential.role is not None:
        return answer
    return 401 if credential.scope is None else 403


def _in_workspace(credential: Credential, needed: Role) -> int:
    if credential.is_foreign:
        return 404
    ranks = list(Role)
    return OPEN if credential.role and ranks.index(credential.role) >= ranks.index(needed) else 403


def table() -> str:
    """Endpoints by credentials, as Markdown."""
    head = ["endpoint", "needs", *(credential.label for credential in CREDENTIALS)]
    return "\n".join(
        [_row(head), _row(["---"] * len(head)), *_rows(INGEST_ENDPOINTS, False), *_rows(API_ENDPOINTS, True)]
    )


def _rows(endpoints: Sequence[Endpoint], knows_members: bool) -> list[str]:
    return [_row([_label(one), one.needs, *_cells(one, knows_members)]) for one in endpoints]


def _label(endpoint: Endpoint) -> str:
    path = re.sub(r"{(\w+):\w+}", r"{\1}", endpoint.path)
    return f"`{endpoint.method} {path}`"


def _cells(endpoint: Endpoint, knows_members: bool) -> list[str]:
    answers = [answer_to(credential, endpoint, knows_members=knows_members) for credential in CREDENTIALS]
    return ["yes" if answer == OPEN else str(answer) for answer in answers]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def main() -> None:
    page = PAGE.read_text(encoding="utf-8")
    before, _, rest = page.partition(START)
    made = f"{before}{START}\n{table()}\n{END}{rest.partition(END)[2]}"
    if sys.argv[1:] == ["--check"]:
        sys.exit("docs/security.md is not up to date: run `make openapi`" if made != page else 0)
    PAGE.write_text(made, encoding="utf-8")


if __name__ == "__main__":
    main()
