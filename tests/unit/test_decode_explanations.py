"""The decoder's own words become our codes: each line of the table is said by the msgspec that is installed."""

import re

import msgspec
import pytest

from services.ingest.decode import _EXPLANATIONS, _FIELD_EXPLANATIONS, explain
from shared.scores import Score

_GOOD = '"trace_id":"t","name":"n","value":1'

# (pattern of the table, JSON that makes the decoder say it, field)
SAID = [
    ("missing required field", '{"name":"n"}', "value"),
    ("unknown field", f'{{{_GOOD},"x":1}}', "x"),
    ("got `null`", '{"value":null}', "value"),
    ("Expected `object`, got", "[]", None),
    ("Invalid RFC3339", f'{{{_GOOD},"timestamp":"x"}}', "timestamp"),
    ("with a timezone component", f'{{{_GOOD},"timestamp":"2025-01-01T00:00:00"}}', "timestamp"),
    ("Invalid UUID", f'{{{_GOOD},"config_id":"x"}}', "config_id"),
    ("Invalid enum value", f'{{{_GOOD},"source":"x"}}', "source"),
    ("of length <=", f'{{{_GOOD},"environment":"{"x" * 101}"}}', "environment"),
    ("of length >=", f'{{{_GOOD},"environment":""}}', "environment"),
    ("Number out of range", '{"value":1e999}', "value"),
    ("Expected `", f'{{{_GOOD},"author":1}}', "author"),
]


def said_of(text: str) -> str:
    with pytest.raises(msgspec.ValidationError) as refusal:
        msgspec.json.decode(text, type=Score)
    return str(refusal.value)


LINES = (*_FIELD_EXPLANATIONS, *_EXPLANATIONS)


def line_for(message: str) -> tuple[re.Pattern[str], str]:
    return next(line for line in LINES if line[0].search(message))


@pytest.mark.parametrize(("words", "text", "field"), SAID)
def test_the_decoder_says_it_in_these_words_and_names_the_field(words: str, text: str, field: str | None) -> None:
    message = said_of(text)

    explained = explain(message)

    assert words in message
    assert (explained.code, explained.field) == (line_for(message)[1], field)


def test_every_line_of_the_table_is_said_by_the_decoder() -> None:
    used = {line_for(said_of(text)) for _, text, _ in SAID}

    assert used == set(LINES)


@pytest.mark.parametrize(("words", "text", "field"), SAID)
def test_the_detail_does_not_repeat_the_place(words: str, text: str, field: str) -> None:
    assert " - at `$" not in explain(said_of(text)).detail


def test_words_that_nobody_has_heard_of_are_malformed() -> None:
    explained = explain("Something new - at `$.a.b`")

    assert (explained.code, explained.field, explained.detail) == ("malformed", "a/b", "Something new")
