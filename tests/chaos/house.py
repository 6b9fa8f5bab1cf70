"""A whole Assay to break: durable servers of its own, real service processes, all on ports that stay the same."""

import asyncio
import random
import shutil
import tempfile
from collections import Counter
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import httpx
import psutil

from deploy.local.ports import is_free
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.redis import EmbeddedRedis
from shared.schema.runner import migrate
from tests.builders import a_categorical_config, a_numeric_config
from tests.logins import API_LOGIN, WORKER_LOGIN, as_login, make_logins
from tests.poison import refuse_poison
from tests.stack import Project, make_project
from tests.system.processes import Service

SETTINGS = {"ASSAY_CLAIM_IDLE_SECONDS": "1.0", "ASSAY_LOG_LEVEL": "INFO"}
PROJECTS = ("alpha", "beta", "gamma")
MANAGED = "delta"  # whose scores are deleted, replayed, and judged by changing rules
SHARDS = 8
INGESTS = 2

# Below the range from which the system takes ports for outgoing connections: while a server is down, no client of
# another one can sit on its port, nor connect to itself there.
_PORTS = range(20_000, 32_000)


def steady_port() -> int:
    return next(port for port in iter(lambda: random.choice(_PORTS), None) if is_free(port))


class Server:
    """The embedded Postgres or Redis, to be broken as a whole: a freeze takes every process of it."""

    def __init__(self, name: str, embedded: EmbeddedPostgres | EmbeddedRedis) -> None:
        self.name = name
        self.embedded = embedded
        embedded.folder.mkdir(parents=True, exist_ok=True)
        (embedded.folder / "port").write_text(f"{steady_port()}\n")

    @property
    def url(self) -> str:
        return self.embedded.url

    @property
    def pid(self) -> int:
        found = self.embedded.process.pid
        assert found is not None
        return found

    def start(self) -> Self:
        """Returns once it takes connections."""
        port = self.embedded.port
        self.embedded.start()
        assert self.embedded.port == port, f"{self.name} came back on another port"
        return self

    def stop(self) -> int:
        """As an operator stops it; the exit code."""
        self.embedded.stop()
        return self.embedded.process.exit_code() or 0

    def kill(self) -> None:
        self.embedded.process.kill()

    def freeze(self) -> None:
        """The main process first: it then makes no new ones."""
        main = psutil.Process(self.pid)
        main.suspend()
        for child in main.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.suspend()

    def thaw(self) -> None:
        main = psutil.Process(self.pid)
        for child in main.children(recursive=True):
            with suppress(psutil.NoSuchProcess):
                child.resume()
        main.resume()

    def exit_code(self) -> int | None:
        return self.embedded.process.exit_code()


class House:
    """`with House() as house`: everything runs and is ready, `PROJECTS` and `MANAGED` exist and have their configs."""

    def __init__(
        self, *, ingests: int = INGESTS, workers: int = 2, durable: bool = True, settings: dict[str, str] | None = None
    ) -> None:
        self._stack = ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-chaos-")))
        folder.chmod(0o755)
        self.postgres = Server("postgres", EmbeddedPostgres(folder / "postgres", durable=durable))
        self.redis = Server("redis", EmbeddedRedis(folder / "redis", durable=durable))
        self._numbers = {"ingest": ingests, "worker": workers, "api": 1}
        self.services: dict[str, Service] = {}
        self.projects: list[Project] = []
        self.managed: Project
        self._settings = SETTINGS | (settings or {})

    @property
    def ingest_urls(self) -> list[str]:
        return [service.url for name, service in self.services.items() if name.startswith("ingest")]

    @property
    def api_url(self) -> str:
        return self.services["api"].url

    def parts(self) -> dict[str, Service | Server]:
        return {**self.services, "redis": self.redis, "postgres": self.postgres}

    def pids(self) -> dict[str, int]:
        return {name: part.pid for name, part in self.parts().items()}

    def __enter__(self) -> Self:
        try:
            self._open()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _open(self) -> None:
        for server in (self.postgres, self.redis):
            server.start()
            self._stack.callback(self._end, server)
        asyncio.run(migrate(self.postgres.url, post=True))
        asyncio.run(make_logins(self.postgres.url))
        asyncio.run(refuse_poison(self.postgres.url))
        for kind, number in self._numbers.items():
            for count in range(1, number + 1):
                name = kind if number == 1 else f"{kind}-{count}"
                service = Service(kind, self._database_url(kind), self.redis.url, self._settings, port=steady_port())
                self.services[name] = service.start(wait=False)
                self._stack.callback(service.__exit__)
        self.projects = [asyncio.run(make_project(self.postgres.url, self.redis.url, slug)) for slug in PROJECTS]
        self.managed = asyncio.run(make_project(self.postgres.url, self.redis.url, MANAGED))
        self.wait_ready()
        self._make_configs()

    def _database_url(self, kind: str) -> str:
        """Each service comes by a login with the rights of its own."""
        login = {"api": API_LOGIN, "worker": WORKER_LOGIN}.get(kind)
        return as_login(self.postgres.url, login) if login else ""

    def _end(self, server: Server) -> None:
        if server.exit_code() is None:
            server.thaw()
        server.stop()

    def wait_ready(self) -> None:
        for service in self.services.values():
            service.wait_ready()

    def _make_configs(self) -> None:
        for project in (*self.projects, self.managed):
            for config in (a_numeric_config(name="relevance"), a_categorical_config(name="safety")):
                made = httpx.post(f"{self.api_url}/v1/score-configs", json=config, headers=project.headers, timeout=30)
                assert made.status_code == 201, made.text

    def all_that_ran(self) -> dict[str, Service]:
        """Every process that has a log."""
        return self.services

    def keep_logs(self) -> Path:
        """Copies of the services' logs, for who looks for the cause of a problem."""
        folder = Path(tempfile.mkdtemp(prefix="assay-chaos-logs-"))
        for name, service in self.all_that_ran().items():
            shutil.copy(service.log, folder / f"{name}.log")
        return folder

    def errors_logged(self) -> Counter[str]:
        """What the services logged at the level of an error, by service, event and the last line of its trace."""
        found: Counter[str] = Counter()
        for name, service in self.all_that_ran().items():
            for event in service.logged():
                if event.get("level") == "error":
                    last = str(event.get("exception", "")).strip().rpartition("\n")[2]
                    what = f"{_kind(name)} {event['event']} {event.get('reason', '')} {last}"
                    found[what[:200]] += 1
        return found


def _kind(name: str) -> str:
    return name.partition("-")[0]
