"""Who may do what: an endpoint says what it needs, a credential what it brings (SPEC 10). Pure.

A key brings scopes of its project. A member brings a role in a workspace, and with it scopes in each of its projects.
"""

from enum import StrEnum
from typing import TypeAlias

from shared.keys import Scope


class Role(StrEnum):
    """Of a member in a workspace; each may what those before it may."""

    VIEWER = "viewer"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"

    def reaches(self, needed: "Role") -> bool:
        return _ORDER.index(self) >= _ORDER.index(needed)


_ORDER = tuple(Role)


class Standing(StrEnum):
    """What is asked where it is about no project and no workspace."""

    ANYONE = "nothing"
    SIGNED_IN = "a signed-in member"


Need: TypeAlias = Scope | Role | Standing
"""Of an endpoint: a scope in the project, a role in the workspace that the path names, or a standing."""

SCOPES_OF: dict[Role, tuple[Scope, ...]] = {
    Role.VIEWER: (Scope.SCORES_READ,),
    Role.MEMBER: (Scope.CONFIGS_WRITE, Scope.SCORES_READ, Scope.SCORES_WRITE),
    Role.ADMIN: tuple(sorted(Scope)),
    Role.OWNER: tuple(sorted(Scope)),
}


def described(need: Need) -> str:
    """As the documents say it."""
    match need:
        case Scope():
            return f"Needs the scope `{need}`."
        case Role():
            return f"Needs a signed-in member who is {need} of the workspace, or more."
        case Standing.SIGNED_IN:
            return "Needs a signed-in member."
        case Standing.ANYONE:
            return "Needs no credential."
