"""Run one of the project's own commands to its end, while the rest of the run goes on."""

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.local.errors import CannotStart
from deploy.local.process import last_line, open_log
from deploy.local.settings import PROJECT_FOLDER
from deploy.local.stopping import Heartbeat

_POLL_SECONDS = 0.1


def run_module(
    arguments: list[str], environment: Mapping[str, str], log: Path, heartbeat: Heartbeat, sent: bytes = b""
) -> tuple[int, bytes]:
    """Run `python -m <arguments>` and return its exit code and what it printed; what it complained of goes to the log.

    `heartbeat` is called meanwhile; when it raises, the command is ended first.
    """
    command = [sys.executable, "-m", *arguments]
    with (
        open_log(log) as complaints,
        subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            env=dict(environment),
            cwd=PROJECT_FOLDER,
            start_new_session=True,
        ) as process,
    ):
        try:
            printed = _communicate(process, sent, heartbeat)
        except BaseException:
            process.kill()
            raise
    return process.returncode, printed


def require_module(
    arguments: list[str], environment: Mapping[str, str], log: Path, heartbeat: Heartbeat, sent: bytes = b""
) -> bytes:
    """Return what the command printed; raises CannotStart when it fails."""
    code, printed = run_module(arguments, environment, log, heartbeat, sent)
    if code != 0:
        raise CannotStart(
            f"`python -m {' '.join(arguments)}` failed with exit code {code}: {last_line(log)}", f"Its log is {log}."
        )
    return printed


def _communicate(process: "subprocess.Popen[bytes]", sent: bytes, heartbeat: Heartbeat) -> bytes:
    given: bytes | None = sent
    while True:
        heartbeat()
        try:
            return process.communicate(given, timeout=_POLL_SECONDS)[0]
        except subprocess.TimeoutExpired:
            given = None  # it was taken over by the first call
