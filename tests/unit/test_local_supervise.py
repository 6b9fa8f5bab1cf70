"""Child processes: what dies is started again and that is said, what does not stop is killed, none outlives us."""

import os
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from deploy.local.leftovers import stop_leftover
from deploy.local.process import Process, Program, wait_until
from deploy.local.supervise import Supervisor

STUBBORN = (
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('ready', flush=True); time.sleep(60)"
)


class Watched:
    """A supervisor and what it said."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.said: list[str] = []
        self.changes = 0
        self.supervisor = Supervisor(self.said.append, self._note)

    def launch(self, code: str) -> Process:
        process = Process(Program("child", [sys.executable, "-c", code], self.folder / "child.log"))
        self.supervisor.launch(process)
        return process

    def until(self, *words: str) -> bool:
        def said() -> bool:
            self.supervisor.tick()
            return all(any(word in line for line in self.said) for word in words)

        return wait_until(said, 10)

    def _note(self) -> None:
        self.changes += 1


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    watched = Watched(tmp_path)
    yield watched
    watched.supervisor.stop(["child"], timeout_seconds=0)


def test_a_killed_process_is_started_again_with_a_new_pid(watched: Watched) -> None:
    process = watched.launch("import time; time.sleep(60)")
    first = process.pid
    assert first is not None

    os.kill(first, signal.SIGKILL)

    assert watched.until(f"child (pid {first}) ended by SIGKILL", "child was started again")
    assert process.is_running()
    assert watched.supervisor.pids() == {"child": process.pid} != {"child": first}
    assert watched.changes == 2


def test_the_exit_code_and_the_last_words_are_told(watched: Watched) -> None:
    watched.launch("import sys; sys.exit('no such database')")

    assert watched.until("with exit code 1", "no such database")


def test_one_that_keeps_dying_is_started_later_each_time(watched: Watched) -> None:
    watched.launch("raise SystemExit(3)")

    assert watched.until("again in 0.2 s", "again in 0.4 s", "again in 0.8 s")
    assert watched.supervisor.deaths("child") == 3


def test_one_that_does_not_stop_is_killed_and_that_is_told(watched: Watched) -> None:
    process = watched.launch(STUBBORN)
    assert wait_until(lambda: process.last_log_line() == "ready", 10)

    watched.supervisor.stop(["child"], timeout_seconds=0.1)

    assert not process.is_running()
    assert any("did not stop in 0.1 s: killed" in line for line in watched.said)


def test_a_process_dies_with_its_parent(tmp_path: Path) -> None:
    if sys.platform != "linux":
        pytest.skip("only Linux tells children that their parent is gone")
    code = textwrap.dedent(f"""
        import sys, time
        from pathlib import Path
        from deploy.local.process import Process, Program
        child = Program("child", [sys.executable, "-c", "import time; time.sleep(60)"], Path({str(tmp_path)!r}) / "log")
        print(Process(child).launch(), flush=True)
        time.sleep(60)
    """)
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as parent:
        assert parent.stdout is not None
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()

    assert wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, 10)


def test_a_leftover_is_stopped_but_a_stranger_with_its_pid_is_not(watched: Watched) -> None:
    process = watched.launch("import time; time.sleep(60)  # the mark")

    assert not stop_leftover(process.pid, "another mark", signal.SIGTERM)
    assert process.is_running()
    assert stop_leftover(process.pid, "import time; time.sleep(60)  # the mark", signal.SIGTERM)
    assert wait_until(lambda: not process.is_running(), 10)


def test_waiting_ends_at_its_limit() -> None:
    assert not wait_until(lambda: False, 0.1)
