"""Whether PostgreSQL answers and has this release's schema: for `/readyz`."""

import asyncpg

from shared.postgres import Pool
from shared.schema.runner import wanted_version


class SchemaCheck:
    """`present` is the version of the last look that ended, None when it saw none."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self.present: int | None = None
        self.wanted = wanted_version()
        self.was_right = False

    @property
    def is_behind(self) -> bool:
        """Whether the last look saw an older schema. A newer one is right: migrations come first."""
        return self.present is not None and self.present < self.wanted

    async def trouble(self) -> str | None:
        """None when all is well."""
        try:
            self.present = await self._look()
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is not well
            self.present = None
            return f"Postgres can't be reached: {type(error).__name__}"
        if self.is_behind:
            return f"schema version {self.present}, this release needs {self.wanted}"
        self.was_right = True
        return None

    async def _look(self) -> int:
        try:
            return await self._pool.fetchval("SELECT max(version) FROM schema_migrations") or 0
        except asyncpg.UndefinedTableError:
            return 0
