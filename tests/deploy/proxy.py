"""The reverse proxy as a real process, from the distribution's package."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

import httpx
import pytest

from tests.deploy.caddyfile import CADDYFILE
from tests.system.processes import START_SECONDS, STOP_SECONDS, free_port

CADDY = shutil.which("caddy")

needs_caddy = pytest.mark.skipif(CADDY is None, reason="caddy is not installed (Debian and Ubuntu: apt install caddy)")


class Proxy:
    """`caddy run` with our Caddyfile, in front of `ingest` and `api` (ports on this machine)."""

    def __init__(self, home: Path, ingest: Sequence[int], api: Sequence[int], **settings: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = home / f"proxy-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PATH": os.environ["PATH"],
            "XDG_CONFIG_HOME": str(home),
            "XDG_DATA_HOME": str(home),
            "PROXY_SITE": f":{self.port}",
            "PROXY_ALIVE": f":{free_port()}",
            "PROXY_INGEST": _addresses(ingest),
            "PROXY_API": _addresses(api),
            **settings,
        }

    def start(self) -> Self:
        assert CADDY is not None
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [CADDY, "run", "--config", str(CADDYFILE), "--adapter", "caddyfile"],
                env=self._environment,
                stdout=log,
                stderr=log,
            )
        self._wait_until_it_answers()
        return self

    def _wait_until_it_answers(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline:
            assert self._process is not None
            assert self._process.poll() is None, f"the proxy ended: {self.log.read_text()[-2000:]}"
            try:
                httpx.get(f"{self.url}/metrics", timeout=2)  # answered by the proxy itself
            except httpx.HTTPError:
                time.sleep(0.02)  # waiting for a process outside of ours
            else:
                return
        raise TimeoutError(f"the proxy does not answer: {self.log.read_text()[-2000:]}")

    def stop(self) -> int:
        """SIGTERM, and the exit code."""
        assert self._process is not None
        self._process.send_signal(signal.SIGTERM)
        return self._process.wait(STOP_SECONDS)

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.kill()
            self._process.wait(STOP_SECONDS)


def _addresses(ports: Sequence[int]) -> str:
    return " ".join(f"127.0.0.1:{port}" for port in ports)
