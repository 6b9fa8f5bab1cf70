"""A PostgreSQL of our own on a loopback port, from binaries that came as a Python package.

Usable alone: `with EmbeddedPostgres(folder) as postgres: connect(postgres.url)`. Its folder keeps the data, the
password and the port, so a second start finds the same database at the same address.
"""

import os
import shutil
import signal
import subprocess
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.local.binaries import postgres_binary
from deploy.local.errors import CannotStart
from deploy.local.leftovers import pid_in, stop_leftover
from deploy.local.ports import LOOPBACK, remembered_port
from deploy.local.privileges import hand_over, unprivileged
from deploy.local.process import Process, Program, last_line, tail, wait_until
from deploy.local.secret_files import remembered_password

_USER = DATABASE = "assay"
_STOP_SIGNAL = signal.SIGINT  # PostgreSQL's "fast shutdown": sessions are ended, everything committed is kept
_START_SECONDS = 60
_ATTEMPT_PAUSE_SECONDS = 0.3
# What a new postmaster says while the processes of a killed one are still on their way out.
_WORTH_ANOTHER_ATTEMPT = ("pre-existing shared memory block", 'lock file "postmaster.pid" already exists')


class EmbeddedPostgres:
    """One server and its folder. With `durable=False` a crash of the machine may lose data: for tests only."""

    def __init__(self, folder: Path, *, durable: bool = True, log: Path | None = None) -> None:
        self.folder = folder.resolve()
        self.data = self.folder / "data"
        self._durable = durable
        self._log = log or self.folder / "postgres.log"
        self._process: Process | None = None

    @property
    def process(self) -> Process:
        assert self._process is not None, "start() comes first"
        return self._process

    @property
    def port(self) -> int:
        return int((self.folder / "port").read_text())

    @property
    def url(self) -> str:
        return self._url(_USER, remembered_password(self.folder / "password"))

    def url_for(self, login: str) -> str:
        """The address for a login that is made afterwards, with the password that it is to have."""
        return self._url(login, self.password_for(login))

    def password_for(self, login: str) -> str:
        return remembered_password(self.folder / f"password-{login}")

    def _url(self, user: str, password: str) -> str:
        return f"postgresql://{user}:{password}@{LOOPBACK}:{self.port}/{DATABASE}"

    def start(self) -> Self:
        """Make the database when there is none, start the server and return once it takes connections."""
        self._prepare_folder()
        stop_leftover(pid_in(self.data / "postmaster.pid"), str(self.data), _STOP_SIGNAL)
        if not self.data.exists():
            self._initialise()
        self._process = Process(self._program(remembered_port(self.folder / "port")))
        self._launch_until_ready()
        return self

    def stop(self, timeout_seconds: float = 30) -> bool:
        """Stop the server; returns False when it had to be killed."""
        return self._process.stop(timeout_seconds) if self._process else True

    def is_ready(self) -> bool:
        """Return whether the process we started takes connections: it says so in the last line of its pid file."""
        try:
            lines = (self.data / "postmaster.pid").read_text().split("\n")
        except FileNotFoundError:
            return False
        return lines[0] == str(self.process.pid) and len(lines) > 7 and lines[7].strip() == "ready"

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _prepare_folder(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        hand_over(self.folder)

    def _initialise(self) -> None:
        """Build the data folder beside its place and move it there whole: a start cut short leaves no half of one."""
        draft = self.folder / "data.draft"
        shutil.rmtree(draft, ignore_errors=True)
        remembered_password(self.folder / "password")
        sync = [] if self._durable else ["--no-sync"]
        self._run(
            [
                *(str(postgres_binary("initdb")), "--pgdata", str(draft)),
                *("--username", _USER, "--pwfile", str(self.folder / "password"), "--auth=scram-sha-256"),
                *("--encoding=UTF8", "--locale=C", *sync),
            ]
        )
        self._run(
            [str(postgres_binary("postgres")), "--single", "-D", str(draft), "postgres"], f"CREATE DATABASE {DATABASE}"
        )
        draft.rename(self.data)

    def _run(self, command: list[str], sent: str = "") -> None:
        result = subprocess.run(
            unprivileged(command, signal.SIGTERM),
            input=sent,
            capture_output=True,
            text=True,
            cwd=self.folder,
            check=False,
        )
        if result.returncode != 0:
            raise CannotStart(
                f"PostgreSQL could not set up {self.folder}: {result.stderr.strip() or result.stdout.strip()}",
                "Make room or put right what it says, or set DATABASE_URL to a server of your own.",
            )

    def _program(self, port: int) -> Program:
        command = [str(postgres_binary("postgres")), "-D", str(self.data)]
        for name, value in self._settings(port).items():
            command += ["-c", f"{name}={value}"]
        return Program(
            name="postgres",
            command=unprivileged(command, _STOP_SIGNAL),
            log=self._log,
            cwd=self.folder,
            stop_signal=_STOP_SIGNAL,
        )

    def _settings(self, port: int) -> dict[str, str]:
        """Return settings for a small machine.

        They go on the command line, not into the data folder, so that a new release's settings reach an old folder.
        """
        settings = {
            "port": str(port),
            "listen_addresses": LOOPBACK,
            "unix_socket_directories": "",
            "max_connections": "100",
            "shared_buffers": f"{_shared_buffers_megabytes()}MB",
            "max_wal_size": "4GB",
            "checkpoint_timeout": "15min",
            "random_page_cost": "1.1",
            "jit": "off",
            "timezone": "UTC",
            "log_timezone": "UTC",
        }
        if not self._durable:
            settings |= {"fsync": "off", "full_page_writes": "off", "synchronous_commit": "off"}
        return settings

    def _launch_until_ready(self) -> None:
        """Start it, again and again while an earlier server of this folder is still on its way out."""

        def attempt() -> bool:
            if not self.process.is_running():
                self.process.launch()
            wait_until(lambda: self.is_ready() or not self.process.is_running(), _START_SECONDS)
            return self.is_ready() or not self._is_worth_another_attempt()

        wait_until(attempt, _START_SECONDS, poll_seconds=_ATTEMPT_PAUSE_SECONDS)
        if not (self.process.is_running() and self.is_ready()):
            self.process.kill()
            raise CannotStart(
                f"PostgreSQL did not start: {last_line(self._log)}",
                f"Its log is {self._log}. Or set DATABASE_URL to a server of your own.",
            )

    def _is_worth_another_attempt(self) -> bool:
        recent = "\n".join(tail(self._log)[-5:])
        return any(words in recent for words in _WORTH_ANOTHER_ATTEMPT)


def _shared_buffers_megabytes() -> int:
    """Return 256, or an eighth of the memory where that is less."""
    memory_megabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20
    return max(16, min(256, memory_megabytes // 8))
