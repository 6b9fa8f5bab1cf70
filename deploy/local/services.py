"""The three services as processes: how they are started, what they are told, and when they are ready."""

import os
import sys
from collections.abc import Mapping

import httpx

from deploy.local.errors import CannotStart
from deploy.local.home import Home
from deploy.local.ports import LOOPBACK, holder, is_free, remembered_port
from deploy.local.process import Process, Program, wait_until
from deploy.local.settings import PROJECT_FOLDER, Settings
from deploy.local.stopping import Heartbeat
from deploy.local.supervise import Supervisor

SERVICES = ("ingest", "worker", "api")

_READY_SECONDS = 60
_POLL_SECONDS = 0.1
_DEATHS_MAX = 3  # one that dies as often before it was ever ready won't get better by itself


def refuse_taken_ports(settings: Settings) -> None:
    """Raise CannotStart when someone else listens where ingest or api is to."""
    for variable, port in (("ASSAY_INGEST_PORT", settings.ingest_port), ("ASSAY_API_PORT", settings.api_port)):
        if not is_free(port):
            by = f" by {who}" if (who := holder(port)) else ""
            raise CannotStart(
                f"Port {port} is taken{by}.",
                f"Set {variable} to a free port, or stop what holds it.",
            )


def service_environment(settings: Settings, home: Home, database_url: str, redis_url: str) -> dict[str, str]:
    """Return the environment of everything started here: ours, and where the servers and services are."""
    worker_port = settings.worker_port or remembered_port(home.worker_port)
    return {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "ASSAY_HOME": str(home.folder),  # also the mark by which a next run knows them as ours
        "ASSAY_HOST": settings.host,
        "ASSAY_INGEST_PORT": str(settings.ingest_port),
        "ASSAY_API_PORT": str(settings.api_port),
        "ASSAY_WORKER_PORT": str(worker_port),
        "ASSAY_LOG_FORMAT": "json",
        "ASSAY_COOKIE_SECURE": "false",  # there is no TLS here
    }


def service_program(name: str, environment: Mapping[str, str], home: Home, database_url: str | None) -> Program:
    """`database_url` None: a service that opens none is not told where it is."""
    given = {key: value for key, value in environment.items() if key != "DATABASE_URL"}
    if database_url is not None:
        given["DATABASE_URL"] = database_url
    command = [sys.executable, "-m", f"services.{name}"]
    return Program(name=name, command=command, log=home.log(name), env=given, cwd=PROJECT_FOLDER)


def service_url(name: str, environment: Mapping[str, str]) -> str:
    return f"http://{LOOPBACK}:{environment[f'ASSAY_{name.upper()}_PORT']}"


def wait_until_ready(supervisor: Supervisor, environment: Mapping[str, str], heartbeat: Heartbeat) -> None:
    """Return once every service says at /readyz that it can do its work; raises CannotStart when one doesn't."""
    waiting = list(SERVICES)

    def all_ready() -> bool:
        heartbeat()
        hopeless = [name for name in waiting if supervisor.deaths(name) >= _DEATHS_MAX]
        waiting[:] = [name for name in waiting if not _is_ready(client, service_url(name, environment))]
        return not waiting or bool(hopeless)

    with httpx.Client(timeout=2, trust_env=False) as client:
        wait_until(all_ready, _READY_SECONDS, poll_seconds=_POLL_SECONDS)
    if waiting:
        raise _not_ready(supervisor.process(waiting[0]))


def _not_ready(process: Process) -> CannotStart:
    return CannotStart(
        f"{process.name} is not ready. Its log ends with: {process.last_log_line()}",
        f"The log is {process.program.log}.",
    )


def _is_ready(client: httpx.Client, url: str) -> bool:
    try:
        return client.get(f"{url}/readyz").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
