"""What a log says of an exception: where it came from, and its words only when they quote nothing that was sent."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from redis.exceptions import ResponseError

from shared.errors import QueueFull
from shared.log_text import printable, told, words_of

CHECKOUT = Path(__file__).resolve().parents[2]
SECRET = "what the score said"


def postgres_error(sqlstate: str, message: str, **fields: str) -> asyncpg.PostgresError:
    error = asyncpg.PostgresError.new({"C": sqlstate, "M": message, **fields})
    assert isinstance(error, asyncpg.PostgresError)
    return error


@pytest.mark.parametrize(
    "error",
    [
        postgres_error("23514", "new row violates check constraint", D=f"Failing row contains ({SECRET})."),
        postgres_error("23505", "duplicate key value", D=f"Key (id)=({SECRET}) already exists.", n="scores_pkey"),
        postgres_error("22P02", f'invalid input syntax for type json: "{SECRET}"'),
        postgres_error("42703", 'column "x" does not exist', D=SECRET, H=SECRET),
        asyncpg.DataError(f"invalid input for query argument $1: {SECRET!r}"),
        msgspec.ValidationError(f"Object contains unknown field `{SECRET}`"),
        ValueError(f"could not convert string to float: {SECRET!r}"),
        UnicodeEncodeError("utf-8", SECRET, 0, 1, "surrogates not allowed"),
        KeyError(SECRET),
        ResponseError(f"ERR unknown command 'XADD', with args beginning with: '{SECRET}'"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_words_that_quote_are_withheld(error: Exception) -> None:
    assert SECRET in str(error) or isinstance(error, UnicodeEncodeError)

    assert SECRET not in told(error)
    assert type(error).__name__ in told(error)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (postgres_error("42703", 'column "x" does not exist'), '42703 column "x" does not exist'),
        (postgres_error("23505", "duplicate key", n="scores_pkey"), "23505 scores_pkey (its words are withheld: they"),
        (ConnectionRefusedError(111, "Connection refused"), "[Errno 111] Connection refused"),
        (QueueFull("The queue has no memory left."), "The queue has no memory left."),
        (RuntimeError("a\nb\x1b[31m"), "a\\nb\\x1b[31m"),
    ],
)
def test_other_words_are_told_in_one_line(error: Exception, words: str) -> None:
    assert words_of(error).startswith(words)


def test_what_led_to_it_is_told_before_it() -> None:
    try:
        try:
            raise ValueError(SECRET)
        except ValueError as cause:
            raise RuntimeError("it failed") from cause
    except RuntimeError as error:
        text = told(error)

    assert text.index("ValueError: (its words") < text.index("That led to:") < text.index("RuntimeError: it failed")
    assert "test_what_led_to_it_is_told_before_it" in text
    assert SECRET not in text


def test_each_of_a_group_is_told() -> None:
    text = told(ExceptionGroup("several", [RuntimeError("one"), ValueError(SECRET)]))

    assert "RuntimeError: one" in text
    assert SECRET not in text


def test_causes_in_a_circle_come_to_an_end() -> None:
    one, other = RuntimeError("one"), RuntimeError("other")
    one.__cause__, other.__cause__ = other, one

    assert told(one).count("RuntimeError") == 2


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("plain, größe, 漢字, 😀", "plain, größe, 漢字, 😀"), ("a\nb\r\t", "a\\nb\\r\\t"),
        ("\x1b[31m\x07\x85", "\\x1b[31m\\x07\\x85"),
        ("\u202e\u2028\u200b\ufeff", "\\u202e\\u2028\\u200b\\ufeff"), ("\ud800", "\\ud800"), ("\\n", "\\n"),
    ],
)  # fmt: skip
def test_what_is_not_printable_is_spelled_out(text: str, said: str) -> None:
    assert printable(text) == said


LOGGING = """
import logging, sys
import structlog
from shared.logs import configure_logs

configure_logs("test", sys.argv[1])
log = structlog.get_logger()

def fail(argument):
    local = "a local variable"
    raise ValueError("what the score said\\n2026 [info] a line of its own\\x1b[31m")

log.info("event", field="a\\nb\\x1b[31m\\u202e\\ud800")
library = logging.getLogger("library")
for tell in (lambda: log.exception("ours"), lambda: library.exception("theirs\\n%s", "b\\x1b[31m")):
    try:
        fail("an argument")
    except ValueError:
        tell()
library.warning("half %s", "\\ud800")
"""


def logged(log_format: str) -> str:
    command = [sys.executable, "-c", LOGGING, log_format]
    done = subprocess.run(command, cwd=CHECKOUT, capture_output=True, check=True)
    assert done.stderr == b""
    return done.stdout.decode()


def test_a_log_of_json_has_one_object_a_line_whatever_it_says() -> None:
    events: list[dict[str, Any]] = [json.loads(line) for line in logged("json").splitlines()]

    assert [event["event"].split()[0] for event in events] == ["event", "ours", "theirs", "half"]
    assert all(event["exception"].splitlines()[-1].startswith("ValueError: (its") for event in events[1:3])


@pytest.mark.parametrize("log_format", ["json", "console"])
def test_neither_format_tells_local_variables_or_what_was_sent(log_format: str) -> None:
    text = logged(log_format)

    assert "in fail" in text
    for secret in (SECRET + "\n", "ValueError: what", "'an argument'", "= 'a local variable'"):
        assert secret not in text


def test_a_log_for_people_lets_no_text_begin_a_line_or_colour_what_follows() -> None:
    text = logged("console")

    assert "\x1b[31mb" not in text
    assert "\u202e" not in text
    assert not any(line.startswith(("2026 [info]", "b")) for line in text.splitlines())
