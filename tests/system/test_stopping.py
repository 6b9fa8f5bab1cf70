"""What a process says once it was told to stop, and before it closes."""

import http.client
import signal
from collections.abc import Iterator

import httpx
import pytest

from tests.system.processes import Service
from tests.waiting import wait_until

PAUSE = {"ASSAY_STOP_PAUSE_SECONDS": "60"}  # longer than the test: the end of the block kills the process


@pytest.fixture(params=["ingest", "api"])
def service(request: pytest.FixtureRequest, database_url: str, redis_url: str) -> Iterator[Service]:
    with Service(request.param, database_url, redis_url, PAUSE) as service:
        yield service


class Kept:
    """A connection that is kept open from one request to the next."""

    def __init__(self, service: Service) -> None:
        self._connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=30)
        self._connection.auto_open = 0  # it is this connection or none
        self._connection.connect()

    def get(self, path: str) -> tuple[int, str | None]:
        """The status, and what the answer says of the connection."""
        self._connection.request("GET", path)
        answer = self._connection.getresponse()
        answer.read()
        return answer.status, answer.headers["Connection"]

    def close(self) -> None:
        self._connection.close()


async def test_a_process_that_stops_answers_and_asks_to_close_the_connection(service: Service) -> None:
    kept, looking = Kept(service), Kept(service)
    assert kept.get("/healthz") == (200, None)
    assert looking.get("/readyz") == (200, None)

    service.send_signal(signal.SIGTERM)
    await wait_until(lambda: httpx.get(f"{service.url}/readyz").status_code == 503, what="not ready any more")

    assert kept.get("/healthz") == (200, "close")
    assert looking.get("/readyz?exclude=queue&exclude=store") == (503, "close")
    assert service.exit_code() is None
    kept.close()
    looking.close()
