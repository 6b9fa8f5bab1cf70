"""`python -m shared.schema migrate`: bring the database of DATABASE_URL to this release's schema."""

import asyncio
import os
import sys

import asyncpg

from shared.schema.runner import migrate


def main() -> None:
    url = os.environ.get("DATABASE_URL")
    if sys.argv[1:] != ["migrate"] or not url:
        sys.exit("usage: DATABASE_URL=postgresql://… python -m shared.schema migrate")
    try:
        applied = asyncio.run(migrate(url))
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        sys.exit(f"can't migrate: {error}")
    print("applied: " + ", ".join(applied) if applied else "nothing to apply")  # noqa: T201 - this is its answer


if __name__ == "__main__":
    main()
