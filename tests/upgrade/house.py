"""A house whose services are of the one or the other release, and are replaced one by one while it is used."""

import asyncio
import json
import random
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

from tests.chaos.house import House, steady_port
from tests.logins import API_LOGIN, WORKER_LOGIN, as_login, make_logins
from tests.poison import refuse_poison
from tests.stack import Project
from tests.system.processes import Service
from tests.upgrade.release import NEW, Release

LOGINS = {"api": API_LOGIN, "worker": WORKER_LOGIN}
# As behind a load balancer: who is told to stop goes on answering until nobody comes any more.
SETTINGS = {"ASSAY_STOP_PAUSE_SECONDS": "0.5"}
KINDS = ("ingest", "worker", "api")


class UpgradeHouse(House):
    """Opens with everything of the previous release: its schema, its services, its first start."""

    def __init__(self, previous: Release) -> None:
        super().__init__(settings=SETTINGS)
        self._previous = previous
        self._ran: dict[str, Service] = {}

    def _open(self) -> None:
        for server in (self.postgres, self.redis):
            server.start()
            self._stack.callback(self._end, server)
        self._previous.run("shared.schema", "migrate", DATABASE_URL=self.postgres.url)
        self._make_projects()
        asyncio.run(refuse_poison(self.postgres.url))
        for kind in KINDS:
            self._start(kind, self._previous, wait=False)
        self.wait_ready()
        self._make_configs()

    def _make_projects(self) -> None:
        """By the first start of the previous release: how it makes keys is its own business."""
        urls = {"DATABASE_URL": self.postgres.url, "REDIS_URL": self.redis.url}
        made = json.loads(self._previous.run("services.api.setup", **urls))
        workspace = UUID(made["workspace_id"])
        self.projects = [Project(UUID(made["project_id"]), made["api_key"], workspace)]
        self.managed = Project(UUID(made["demo_project_id"]), made["demo_api_key"], workspace)

    def migrate(self, *options: str) -> str:
        """As an operator does it: by this release's command, while services of the other one run."""
        told = NEW.run("shared.schema", "migrate", *options, DATABASE_URL=self.postgres.url)
        asyncio.run(make_logins(self.postgres.url))
        return told

    @property
    def api_url(self) -> str:
        """Any: readers go now to the one, now to the other release."""
        return random.choice([service.url for name, service in self.services.items() if name.startswith("api")])

    @contextmanager
    def side_by_side(self, kind: str, release: Release) -> Iterator[None]:
        """One of `release` comes in at once, the one that is there goes at the end of the block."""
        [(name, gone)] = [(name, service) for name, service in self.services.items() if name.startswith(kind)]
        self._start(kind, release)
        yield
        # A new dictionary, not a changed one: the senders may be just looking through it.
        self.services = {other: service for other, service in self.services.items() if other != name}
        assert gone.stop() == 0, f"{name} ended with an error"

    def _start(self, kind: str, release: Release, *, wait: bool = True) -> None:
        login = LOGINS.get(kind)
        # The services of the previous release share the owner's login, as they did before.
        url = as_login(self.postgres.url, login) if login and release is NEW else self.postgres.url
        service = Service(
            kind, url, self.redis.url, self._settings, steady_port(), folder=release.root, python=(release.python,)
        )
        self._stack.callback(service.__exit__)
        service.start(wait=wait)
        name = f"{kind}-{len(self._ran)}-{release.name}"
        self._ran[name] = service
        self.services = {**self.services, name: service}

    def all_that_ran(self) -> dict[str, Service]:
        return self._ran
