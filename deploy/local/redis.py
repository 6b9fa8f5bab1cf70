"""A Redis of our own on a loopback port, from a binary that came as a Python package. It keeps what it has confirmed.

Usable alone: `with EmbeddedRedis(folder) as redis: connect(redis.url)`. Its folder keeps the data, the password and
the port.
"""

import signal
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from deploy.local.binaries import redis_server_binary
from deploy.local.errors import CannotStart
from deploy.local.leftovers import pid_in, stop_leftover
from deploy.local.ports import LOOPBACK, remembered_port
from deploy.local.process import Process, Program, last_line, wait_until
from deploy.local.secret_files import remembered_password, write_secret

_START_SECONDS = 60


class EmbeddedRedis:
    """One server and its folder. With `durable=False` it keeps nothing on disk: for tests only."""

    def __init__(self, folder: Path, *, durable: bool = True, log: Path | None = None) -> None:
        self.folder = folder.resolve()
        self._config = self.folder / "redis.conf"
        self._durable = durable
        self._log = log or self.folder / "redis.log"
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
        return f"redis://:{remembered_password(self.folder / 'password')}@{LOOPBACK}:{self.port}/0"

    def start(self) -> Self:
        """Start the server and return once it answers with all its data loaded."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.folder.chmod(0o700)
        stop_leftover(pid_in(self.folder / "redis.pid"), str(self._config), signal.SIGTERM)
        self._write_config(remembered_port(self.folder / "port"))
        self._process = Process(self._program())
        self._process.launch()
        self._wait_until_ready()
        return self

    def stop(self, timeout_seconds: float = 30) -> bool:
        """Stop the server; returns False when it had to be killed."""
        return self._process.stop(timeout_seconds) if self._process else True

    def is_ready(self) -> bool:
        """Return whether it answers. While it loads its data it does not."""
        with redis.Redis.from_url(self.url, socket_timeout=2) as connection:
            try:
                return bool(connection.ping())
            except redis.RedisError:
                return False

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _write_config(self, port: int) -> None:
        """The password goes in the file: a command line is there for every user of the machine to read."""
        settings = {
            "bind": LOOPBACK,
            "port": str(port),
            "requirepass": remembered_password(self.folder / "password"),
            "pidfile": "redis.pid",
            "set-proc-title": "no",  # its command line goes on naming this file: so a leftover is known as ours
            "dir": ".",  # the folder it is started in: no trouble with blanks in its path
            "save": '""',
            "appendonly": "yes" if self._durable else "no",
            "appendfsync": "always",
            "maxmemory-policy": "noeviction",
        }
        write_secret(self._config, "".join(f"{name} {value}\n" for name, value in settings.items()))

    def _program(self) -> Program:
        command = [str(redis_server_binary()), str(self._config)]
        return Program(name="redis", command=command, log=self._log, cwd=self.folder)

    def _wait_until_ready(self) -> None:
        wait_until(lambda: self.is_ready() or not self.process.is_running(), _START_SECONDS)
        if not (self.process.is_running() and self.is_ready()):
            self.process.kill()
            raise CannotStart(
                f"Redis did not start: {last_line(self._log)}",
                f"Its log is {self._log}. Or set REDIS_URL to a server of your own.",
            )
