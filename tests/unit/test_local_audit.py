"""`make audit`: a vulnerability fails, a network that is away does not, and neither passes for the other."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from deploy.local.audit import accepted_advisories
from tests.system.processes import free_port

CHECKOUT = Path(__file__).resolve().parents[2]
PINS = "".join(f"{name}==1.0 \\\n    --hash=sha256:{'0' * 64}\n" for name in ("sound", "broken"))
ADVISORY = {
    "id": "GHSA-test",
    "summary": "It breaks.",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "broken"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.1"}]}],
        }
    ],
}


@contextmanager
def advisories(status: int = 200, *, known: bool) -> Iterator[str]:
    """A stand-in for the server of advisories, which knows of one or of none; its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            found = {"vulns": [ADVISORY]} if known and asked["package"]["name"] == "broken" else {}
            body = json.dumps(found).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1/query"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def audited(folder: Path, url: str, pins: str = PINS) -> "subprocess.CompletedProcess[str]":
    file = folder / "pins.txt"
    file.write_text(pins)
    command = [sys.executable, "-m", "deploy.local.audit", "--url", url, str(file)]
    return subprocess.run(command, cwd=CHECKOUT, capture_output=True, text=True, check=False)


def test_a_known_vulnerability_fails_and_is_named(tmp_path: Path) -> None:
    with advisories(known=True) as url:
        done = audited(tmp_path, url)

    assert done.returncode == 1
    assert done.stderr == "vulnerable: broken 1.0: GHSA-test, mended in 1.1\n"
    assert "advisories checked of 2 packages" in done.stdout


def test_where_nothing_is_known_it_says_of_how_many(tmp_path: Path) -> None:
    with advisories(known=False) as url:
        done = audited(tmp_path, url)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "advisories checked of 2 packages at 127.0.0.1: 0 found\n"


def test_where_the_advisories_can_not_be_reached_it_says_so_and_no_more(tmp_path: Path) -> None:
    done = audited(tmp_path, f"http://127.0.0.1:{free_port()}/v1/query")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "advisories not checked: 127.0.0.1 can't be reached from here, or gives no answer\n"


@pytest.mark.parametrize("status", [403, 500])
def test_an_answer_of_no_use_is_no_answer(tmp_path: Path, status: int) -> None:
    with advisories(status, known=True) as url:
        done = audited(tmp_path, url)

    assert (done.returncode, done.stdout[:23]) == (0, "advisories not checked:")


def test_a_file_that_can_not_be_audited_is_a_failure(tmp_path: Path) -> None:
    with advisories(known=False) as url:
        done = audited(tmp_path, url, "sound>=1.0\n")

    assert done.returncode == 1
    assert "pip-audit failed" in done.stderr


def test_an_accepted_advisory_is_its_first_word() -> None:
    assert accepted_advisories("# why\n\nGHSA-1 not reached by us\nPYSEC-2\n") == ["GHSA-1", "PYSEC-2"]


def test_every_lock_is_named_where_locks_are_checked() -> None:
    """A lock whose hashes nobody looks at would be as good as none."""
    makefile = (CHECKOUT / "Makefile").read_text()

    locks = [path for path in (CHECKOUT / "requirements").glob("*.txt") if "--hash=" in path.read_text()]
    locks += CHECKOUT.glob("bench/peers/*.txt")

    assert len(locks) == 4
    assert all(str(lock.relative_to(CHECKOUT)) in makefile for lock in locks)
    for other in set((CHECKOUT / "requirements").glob("*.txt")) - set(locks):
        assert "==" not in other.read_text().replace('< "0"', ""), other
