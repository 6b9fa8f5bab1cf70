"""Run the services as real processes, as an operator would. Imports nothing of the product: only HTTP and signals."""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import httpx

from tests.leaks import WATCH

ROOT = Path(__file__).resolve().parents[2]
START_SECONDS = 30.0
STOP_SECONDS = 40.0


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Service:
    """One process of `services.<name>` on a port of its own, with this Python and from this checkout unless said so."""

    name: str
    database_url: str
    redis_url: str
    settings: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    python: tuple[str, ...] = (sys.executable,)
    folder: Path = ROOT
    _process: "subprocess.Popen[bytes] | None" = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return Path(tempfile.gettempdir()) / f"assay-test-{self.name}-{self.port}.log"

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def start(self, *, wait: bool = True) -> Self:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self.python, "-m", f"services.{self.name}"],
                cwd=self.folder,
                env=self._environment(),
                stdout=log,
                stderr=log,
            )
        if wait:
            self.wait_ready()
        return self

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "DATABASE_URL": self.database_url,
            "REDIS_URL": self.redis_url,
            f"ASSAY_{self.name.upper()}_PORT": str(self.port),
            **self.settings,
        }

    def wait_ready(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, f"{self.name} ended: {self.log.read_text()[-2000:]}"
            try:
                if httpx.get(f"{self.url}/readyz", timeout=2).status_code == 200:
                    return
            except httpx.HTTPError:
                pass
            time.sleep(0.05)  # waiting for a process outside of ours
        raise TimeoutError(f"{self.name} is not ready: {self.log.read_text()[-2000:]}")

    def logged(self) -> list[dict[str, Any]]:
        """Its log so far; a line that is not JSON, as of a crash, is an event of its own at the level of an error."""
        return [_event(line) for line in self.log.read_text(errors="replace").splitlines() if line]

    def has_logged(self, event: str, **fields: object) -> bool:
        wanted = {"event": event, **fields}
        return any(wanted.items() <= {name: str(value) for name, value in one.items()}.items() for one in self.logged())

    def send_signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def freeze(self) -> None:
        """It stays where it is, holding what it holds, until `thaw`."""
        self.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.send_signal(signal.SIGCONT)

    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        assert self._process is not None
        return self._process.poll()

    def wait(self) -> int:
        """The exit code, once it has ended."""
        assert self._process is not None
        return self._process.wait(STOP_SECONDS)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)
        self.wait()

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        if self._process.poll() is None:
            self.send_signal(signal.SIGTERM)
        return self.wait()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """Whatever state it is in; its log goes too."""
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)
        logged = self.log.read_bytes() if self.log.exists() else b""
        self.log.unlink(missing_ok=True)
        WATCH.search(logged, f"the process {self.name}")


def _event(line: str) -> dict[str, Any]:
    try:
        event: dict[str, Any] = json.loads(line)
    except ValueError:
        return {"event": line, "level": "error"}
    return event


def first_start(database_url: str, redis_url: str) -> dict[str, Any]:
    """Make the local workspace with its projects and keys, as `make run` does."""
    made = subprocess.run(
        [sys.executable, "-m", "services.api.setup"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATABASE_URL": database_url, "REDIS_URL": redis_url},
        check=True,
        capture_output=True,
    )
    found: dict[str, Any] = json.loads(made.stdout)
    return found
