"""`make run` from the first check to the last process: the order in which things start, and in which they stop."""

import asyncio
import signal
import time
from typing import Any, NamedTuple

from deploy.local.beside import beside
from deploy.local.client import Client, RequestFailed
from deploy.local.delivery import Report
from deploy.local.demo import FIRST_SEED, send_demo, show_demo
from deploy.local.home import Home
from deploy.local.leftovers import stop_leftover
from deploy.local.postgres import EmbeddedPostgres
from deploy.local.process import Process
from deploy.local.project import Project
from deploy.local.records import Credentials, Run, read_pids, write_pids, write_run
from deploy.local.redis import EmbeddedRedis
from deploy.local.screen import Screen
from deploy.local.services import (
    SERVICES,
    refuse_taken_ports,
    service_environment,
    service_program,
    service_url,
    wait_until_ready,
)
from deploy.local.settings import Settings
from deploy.local.stopping import Stop, StopRequested
from deploy.local.supervise import Supervisor
from deploy.local.welcome import show_welcome

_TICK_SECONDS = 0.1


class _Role(NamedTuple):
    """What a service may do in the database, and the login by which it comes."""

    name: str
    login: str


_ROLES = {"api": _Role("assay_api", "api"), "worker": _Role("assay_worker", "worker")}


def run(settings: Settings, screen: Screen) -> None:
    """Run Assay until somebody asks it to stop. Raises CannotStart when it can't start."""
    home = Home(settings.home)
    home.prepare()
    stop = Stop()
    with home.locked():
        stop.listen()
        assay = LocalAssay(settings, home, screen, stop)
        try:
            assay.start()
            assay.watch()
        except StopRequested:
            screen.say()
        finally:
            assay.stop()


class LocalAssay:
    """One run: two servers, three services, and the files that tell others about them."""

    def __init__(self, settings: Settings, home: Home, screen: Screen, stop: Stop) -> None:
        self._settings, self._home, self._screen, self._stop = settings, home, screen, stop
        self._supervisor = Supervisor(screen.event, self._write_pids)
        self._environment: dict[str, str] = {}
        self._ready_with: Credentials | None = None
        self._postgres: EmbeddedPostgres | None = None

    def start(self) -> None:
        """Bring everything up, in the order in which one needs the other."""
        self._clear_the_way()
        self._environment = service_environment(
            self._settings, self._home, database_url=self._start_postgres(), redis_url=self._start_redis()
        )
        project = Project(self._home, self._environment, self._screen, self._heartbeat)
        project.migrate()
        self._make_logins(project)
        credentials = project.credentials()
        self._start_services()
        project.finish_migrating()
        self._ready_with = credentials
        self._write_pids()
        self._first_demo(credentials)
        show_welcome(self._screen, self._home, self._describe(credentials))

    def watch(self) -> None:
        """Keep everything running until the end is asked for."""
        while True:
            self._heartbeat()
            time.sleep(_TICK_SECONDS)

    def stop(self) -> None:
        """Stop what runs: those who use a server before the server."""
        self._home.run_file.unlink(missing_ok=True)
        if any(self._supervisor.pids().values()):
            self._stop_processes()
        self._home.pids_file.unlink(missing_ok=True)

    def _stop_processes(self) -> None:
        with self._screen.step("Stopping"):
            for names in (SERVICES, ("redis",), ("postgres",)):
                self._supervisor.stop(names)

    def _clear_the_way(self) -> None:
        self._home.run_file.unlink(missing_ok=True)
        for name, pid in read_pids(self._home).items():
            if name in SERVICES and stop_leftover(pid, str(self._home.folder), signal.SIGTERM):
                self._screen.say(f"  Stopped {name} (pid {pid}), left over from a run that was killed")
        refuse_taken_ports(self._settings)
        self._home.rotate_logs()

    def _start_postgres(self) -> str:
        if self._settings.database_url:
            return self._settings.database_url
        with self._screen.step("Starting PostgreSQL"):
            server = EmbeddedPostgres(self._home.postgres, log=self._home.log("postgres")).start()
            self._supervisor.adopt(server.process)
        self._postgres = server
        return server.url

    def _make_logins(self, project: Project) -> None:
        """In a PostgreSQL of our own; in somebody else's, all come by the login that they gave."""
        if self._postgres is not None:
            for role in _ROLES.values():
                project.make_login(role.login, role.name, self._postgres.password_for(role.login))

    def _database_url(self, service: str) -> str | None:
        if service not in _ROLES:
            return None
        if self._postgres is None:
            return self._environment["DATABASE_URL"]
        return self._postgres.url_for(_ROLES[service].login)

    def _start_redis(self) -> str:
        if self._settings.redis_url:
            return self._settings.redis_url
        with self._screen.step("Starting Redis"):
            server = EmbeddedRedis(self._home.redis, log=self._home.log("redis")).start()
            self._supervisor.adopt(server.process)
        return server.url

    def _start_services(self) -> None:
        with self._screen.step("Starting ingest, worker and api"):
            for name in SERVICES:
                self._supervisor.launch(
                    Process(service_program(name, self._environment, self._home, self._database_url(name)))
                )
            wait_until_ready(self._supervisor, self._environment, self._heartbeat)

    def _first_demo(self, credentials: Credentials) -> None:
        """Prove the whole way once with generated scores. That it fails is said, and no reason to stop."""
        if self._home.demo_mark.exists():
            return
        try:
            with self._screen.step("Sending generated scores into the project demo"):
                report, aggregates = beside(lambda: asyncio.run(self._send_demo(credentials)), self._heartbeat)
        except RequestFailed as failure:
            self._screen.event(f"The generated scores could not be sent: {failure}")
            return
        show_demo(self._screen, report, aggregates)
        if report.all_accounted_for:
            self._home.demo_mark.touch()

    async def _send_demo(self, credentials: Credentials) -> tuple[Report, list[dict[str, Any]]]:
        ingest_url, api_url = (service_url(name, self._environment) for name in ("ingest", "api"))
        async with Client(ingest_url, api_url, credentials.demo_api_key) as client:
            return await send_demo(client, FIRST_SEED)

    def _heartbeat(self) -> None:
        self._stop.check()
        self._supervisor.tick()

    def _write_pids(self) -> None:
        """Tell others the pids; in run.json only once everything answers, for its presence says so."""
        write_pids(self._home, self._supervisor.pids())
        if self._ready_with:
            write_run(self._home, self._describe(self._ready_with))

    def _describe(self, credentials: Credentials) -> Run:
        return Run(
            ingest_url=service_url("ingest", self._environment),
            api_url=service_url("api", self._environment),
            project_id=credentials.project_id,
            api_key=credentials.api_key,
            email=credentials.email,
            password=credentials.password,
            database_url=self._environment["DATABASE_URL"],
            redis_url=self._environment["REDIS_URL"],
            pids={"postgres": None, "redis": None, **self._supervisor.pids()},
        )
