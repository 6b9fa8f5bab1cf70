"""What a line of the log looks like, for programs and for people. In a process of its own: logging is global."""

import json
import subprocess
import sys

from tests.system.processes import ROOT

SAY = """
import logging, structlog
from shared.logs import configure_logs
configure_logs("ingest", {log_format!r})
log = structlog.get_logger()
hostile = "/v1/\\x1b[2J\\r\\nforged\\u202e\\ud800"
log.info("request_answered", path=hostile, nested=[hostile], status=404)
logging.getLogger("library").warning("it said %s", hostile)
try:
    secret_of_a_local = "the secret" + " of a score"
    raise ValueError(hostile)
except ValueError as error:
    log.error("request_failed", exc_info=error)
    logging.getLogger("library").exception("failed")
"""


def said(log_format: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", SAY.format(log_format=log_format)], cwd=ROOT, capture_output=True, check=True
    )
    assert done.stderr == b""
    return done.stdout.decode()


def test_a_line_for_programs_is_one_json_object_with_its_event_level_time_and_service() -> None:
    lines = [json.loads(line) for line in said("json").splitlines()]

    assert [line["event"].split()[0] for line in lines] == ["request_answered", "it", "request_failed", "failed"]
    assert all({"level", "timestamp", "service"} <= set(line) for line in lines)
    assert "ValueError" in lines[2]["exception"]


def test_a_line_for_people_is_readable() -> None:
    first = said("console").splitlines()[0]

    assert "request_answered" in first
    assert "status=404" in first


def test_nothing_that_was_sent_moves_the_cursor_or_forges_a_line() -> None:
    for_people = said("console")

    assert all(one.isprintable() for line in for_people.split("\n") for one in line)
    assert not any(line.startswith("forged") for line in said("json").splitlines())
    assert "\\x1b[2J\\r\\nforged" in for_people.splitlines()[0]


def test_a_traceback_holds_no_local_variables() -> None:
    for log_format in ("console", "json"):
        assert "ValueError" in said(log_format)
        assert "the secret of a score" not in said(log_format)
