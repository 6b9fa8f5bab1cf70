"""The rules of each project, kept as long as they are in force.

The transaction that writes scores reads each project's `config_revision`; a database trigger counts it up with every
change of a config. So a changed config is seen by every worker from the first transaction after the change: there is
no message that could be missed and no time to wait out.
"""

from collections import OrderedDict
from collections.abc import Mapping
from uuid import UUID

from services.worker.metrics import WorkerMetrics
from shared.configs import Rules, ScoreConfig, rules_of
from shared.postgres import Connection
from shared.score_config_rows import COLUMNS, config_of

CACHED_PROJECTS_MAX = 1000


class ConfigCache:
    """At most `CACHED_PROJECTS_MAX` projects, the least recently used one leaves."""

    def __init__(self, metrics: WorkerMetrics) -> None:
        self._metrics = metrics
        self._cached: OrderedDict[UUID, tuple[int, Rules]] = OrderedDict()

    async def rules_of(self, connection: Connection, revisions: Mapping[UUID, int]) -> dict[UUID, Rules]:
        """The rules of each project, as of the revision that the caller's transaction has read."""
        stale = [project_id for project_id, revision in revisions.items() if not self._is_fresh(project_id, revision)]
        self._metrics.config_cache.labels("hit").inc(len(revisions) - len(stale))
        if stale:
            self._metrics.config_cache.labels("miss").inc(len(stale))
            for project_id, configs in (await _load(connection, stale)).items():
                self._cached[project_id] = (revisions[project_id], rules_of(configs))
        rules = {project_id: self._cached[project_id][1] for project_id in revisions}
        self._shrink()
        return rules

    def _is_fresh(self, project_id: UUID, revision: int) -> bool:
        cached = self._cached.get(project_id)
        if cached is None or cached[0] != revision:
            return False
        self._cached.move_to_end(project_id)
        return True

    def _shrink(self) -> None:
        while len(self._cached) > CACHED_PROJECTS_MAX:
            self._cached.popitem(last=False)


async def _load(connection: Connection, project_ids: list[UUID]) -> dict[UUID, list[ScoreConfig]]:
    rows = await connection.fetch(
        f"SELECT {COLUMNS} FROM score_configs WHERE project_id = ANY($1)",  # noqa: S608 - a constant
        project_ids,
    )
    configs: dict[UUID, list[ScoreConfig]] = {project_id: [] for project_id in project_ids}
    for row in rows:
        config = config_of(row)
        configs[config.project_id].append(config)
    return configs
