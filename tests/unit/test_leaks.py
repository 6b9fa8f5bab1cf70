"""The watch over the logs of a test run: it finds what is there, and its failing is a failing test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shared.keys import new_key
from tests.leaks import Leaked, Watch
from tests.system.processes import Service

CHECKOUT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    "logged",
    [
        f'{{"event":"x","key":"{new_key()}"}}', f"Authorization: Bearer {new_key()}",
        "authorization: bearer abcdefghijklmn-1",
        "postgresql://assay:hunter2@127.0.0.1/assay", "redis://:hunter2@127.0.0.1:6379/0", "$argon2id$v=19$m=65536",
        "Set-Cookie: session=1",
    ],
    ids=["key", "bearer", "lower case", "postgres", "redis", "argon2id", "cookie"],
)  # fmt: skip
def test_what_looks_like_a_secret_is_found_and_not_repeated(logged: str) -> None:
    with pytest.raises(Leaked) as leaked:
        Watch().search(f'{{"event":"before"}}\n{logged}\n'.encode(), "a test")

    assert "hunter2" not in str(leaked.value)
    assert "a test" in str(leaked.value)


@pytest.mark.parametrize(
    "score",
    [
        {"comment": "a remark of some length"}, {"metadata": {"a remark of some length": 1}},
        {"value": "a remark of some length"},
        {"metadata": {"a": [{"b": "a remark of some length"}]}}, {"author": "a remark of some length"},
    ],
)  # fmt: skip
def test_what_a_score_said_is_found(score: dict[str, object]) -> None:
    watch = Watch()
    watch.remember([score])

    with pytest.raises(Leaked, match="what a score said"):
        watch.search(b'{"event":"x","detail":"a remark of some length"}', "a test")


def test_what_a_log_may_say_is_no_leak() -> None:
    watch = Watch()
    watch.remember([{"comment": "short", "value": 0.5, "metadata": None, "author": "kim"}])

    watch.search(
        b'{"method":"POST","route":"/v1/scores","status":202,"batch_id":"1-0-6","service":"ingest","detail":"short",'
        b'"event":"request_answered","request_id":"01a1f809-00b5-78a8-8447-30d8bb4216f2","url":"http://127.0.0.1:8000/"}',
        "a test",
    )

    assert (watch.logs, watch.size > 100) == (1, True)


def test_the_log_of_a_process_is_searched_when_it_ends() -> None:
    service = Service("nothing", "", "")
    service.log.write_text(f"it was {new_key()}\n")

    with pytest.raises(Leaked, match="an API key in the log of the process nothing"):
        service.__exit__()

    assert not service.log.exists()


PLANTED = """
import logging
import structlog

def test_ours():
    structlog.get_logger().info("x", key="assay_" + "k" * 43)

def test_of_a_library():
    logging.getLogger("library").warning("it was %s", "assay_" + "k" * 43)

def test_in_an_exception():
    try:
        raise RuntimeError("assay_" + "k" * 43)
    except RuntimeError:
        structlog.get_logger().exception("x")

def test_without():
    structlog.get_logger().info("x", key="none")
"""


def test_a_test_that_logs_a_secret_fails(tmp_path: Path) -> None:
    """A run of its own, with the fixtures of this one."""
    (tmp_path / "conftest.py").write_text("from tests.conftest import nothing_secret_is_logged, own_log\n")
    (tmp_path / "test_planted.py").write_text(PLANTED)
    command = [sys.executable, "-m", "pytest", "-q", "--rootdir", str(tmp_path), str(tmp_path)]

    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(CHECKOUT)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert "4 passed" in done.stdout, done.stdout
    assert "3 errors" in done.stdout
    assert "an API key in the log of" in done.stdout
