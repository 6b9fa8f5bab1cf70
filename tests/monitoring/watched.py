"""A whole Assay in processes of its own, to be broken under the eyes of a real Prometheus."""

import http.server
import tempfile
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import asyncpg
import httpx

from tests.chaos.house import House, steady_port
from tests.monitoring.prometheus import Prometheus
from tests.stack import Project
from tests.system.processes import Service
from tests.waiting import wait_until

PATIENCE_SECONDS = 120.0
CONNECTIONS_MAX = 64

SETTINGS = {
    "ASSAY_WORKER_ROLES": "persist",
    "ASSAY_REDIS_TIMEOUT_SECONDS": "2",
    "ASSAY_QUEUE_ENTRIES_MAX": "200",
    "ASSAY_API_POOL_SIZE": "2",
    "ASSAY_CONNECTIONS_MAX": str(CONNECTIONS_MAX),
    "ASSAY_QUERY_TIMEOUT_MS": "4000",
}

Meanwhile = Callable[[], Awaitable[object]]


class NodeExporter:
    """As much of the page of a node_exporter as the rules look at; this one's disk can be filled."""

    def __init__(self) -> None:
        self.available_bytes = 500
        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), self._handler())

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator[Self]:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        yield self
        self._server.shutdown()
        self._server.server_close()

    def _page(self) -> bytes:
        disk = 'mountpoint="/var/lib/postgresql",fstype="ext4"'
        return (
            f"node_filesystem_avail_bytes{{{disk}}} {self.available_bytes}\nnode_filesystem_size_bytes{{{disk}}} 1000\n"
        ).encode()

    def _handler(self) -> type[http.server.BaseHTTPRequestHandler]:
        exporter = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self.send_response(200)
                self.send_header("Content-Type", "text/plain; version=0.0.4")
                self.end_headers()
                with suppress(BrokenPipeError):
                    self.wfile.write(exporter._page())

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        return Handler


class Watched:
    """`persister` and `job_runner` are workers of one role each."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="assay-watched-")))
            self.house = stack.enter_context(House(ingests=1, workers=1, settings=SETTINGS))
            self.ingest, self.persister, self.api = (self.house.services[name] for name in ("ingest", "worker", "api"))
            self.job_runner = Service(
                "worker", self.house.postgres.url, self.house.redis.url, {"ASSAY_WORKER_ROLES": "jobs"},
                port=steady_port(),
            )  # fmt: skip
            stack.enter_context(self.job_runner)
            self.node = stack.enter_context(NodeExporter().running())
            self.prometheus = stack.enter_context(Prometheus(folder, self._targets()))
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def _targets(self) -> dict[str, list[str]]:
        return {
            "assay-ingest": [_address(self.ingest)],
            "assay-worker": [_address(self.persister), _address(self.job_runner)],
            "assay-api": [_address(self.api)],
            "node": [self.node.address],
        }

    @property
    def project(self) -> Project:
        """It has rules for `relevance` (0 to 1) and for `safety`."""
        return self.house.projects[0]

    async def fires(self, *names: str, meanwhile: Meanwhile | None = None) -> None:
        """Return once each of them has fired, doing `meanwhile` again and again."""
        left = set(names)

        async def have_fired() -> bool:
            if meanwhile is not None:
                await meanwhile()
            left.difference_update(await self.prometheus.firing())
            return not left

        try:
            await wait_until(have_fired, what=f"{', '.join(names)} to fire", patience_seconds=PATIENCE_SECONDS)
        except TimeoutError as error:
            raise TimeoutError(f"{', '.join(sorted(left))} did not fire") from error

    async def is_quiet(self, *names: str) -> None:
        """Return once Prometheus sees every process, and none of the alerts fires."""
        targets = sum(map(len, self._targets().values()))

        async def quiet() -> bool:
            return await self.prometheus.finds("up == 1") == targets and not (await self.prometheus.firing()) & set(
                names
            )

        await wait_until(quiet, what=f"{', '.join(names)} to be quiet", patience_seconds=PATIENCE_SECONDS)

    async def send(self, *scores: dict[str, Any]) -> httpx.Response | None:
        return await self._request("POST", f"{self.ingest.url}/v1/scores", None, json={"scores": scores})

    async def read(self, path: str = "/v1/scores", project: Project | None = None) -> httpx.Response | None:
        return await self._request("GET", f"{self.api.url}{path}", project)

    async def post(self, path: str, body: object) -> httpx.Response | None:
        return await self._request("POST", f"{self.api.url}{path}", None, json=body)

    async def _request(self, method: str, url: str, project: Project | None, **options: Any) -> httpx.Response | None:
        """None where nobody answers."""
        async with httpx.AsyncClient(timeout=30, headers=(project or self.project).headers) as client:
            try:
                return await client.request(method, url, **options)
            except httpx.HTTPError:
                return None

    def database(self) -> AbstractAsyncContextManager[asyncpg.Connection]:
        return _connected(self.house.postgres.url)


@asynccontextmanager
async def _connected(url: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


def _address(service: Service) -> str:
    return service.url.removeprefix("http://")
