"""The database of DATABASE_URL: `python -m shared.schema migrate` brings it to what this release's services need,
`migrate --post` does the rest when no service of the release before runs any more, and `python -m shared.schema login
NAME ROLE` makes a login for a service, or gives it another password (from standard input)."""

import asyncio
import os
import sys
from collections.abc import Sequence

import asyncpg

from shared.schema.logins import ROLES, make_login
from shared.schema.runner import migrate

USAGE = f"""usage: DATABASE_URL=postgresql://… python -m shared.schema migrate [--post]
       DATABASE_URL=postgresql://… python -m shared.schema login NAME {"|".join(ROLES)} < file with the password"""


def main() -> None:
    url = os.environ.get("DATABASE_URL")
    if not url:
        sys.exit(USAGE)
    try:
        print(asyncio.run(_done(url, sys.argv[1:])))  # noqa: T201 - this is its answer
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        sys.exit(f"can't {sys.argv[1]}: {error}")


async def _done(url: str, arguments: Sequence[str]) -> str:
    match arguments:
        case ["migrate"]:
            return _told(await migrate(url))
        case ["migrate", "--post"]:
            return _told(await migrate(url, post=True))
        case ["login", name, "assay_api" | "assay_worker" as role]:
            await make_login(url, name, _password(), role)
            return f"{name} logs in with the rights of {role}"
        case _:
            sys.exit(USAGE)


def _told(applied: Sequence[str]) -> str:
    return "applied: " + ", ".join(applied) if applied else "nothing to apply"


def _password() -> str:
    password = sys.stdin.readline().rstrip("\n")
    return password or sys.exit("the password is read from standard input: it was empty")


if __name__ == "__main__":
    main()
