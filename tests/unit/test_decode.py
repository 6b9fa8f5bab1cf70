"""Ingest turns bytes into scores item by item: a bad item gets its own error and never sinks its neighbours."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from services.ingest.decode import NO_UTF_8_MAX, TOKENS_MAX, decode
from shared import scores
from shared.envelope import decode_scores
from shared.errors import Malformed, TooLarge
from shared.ids import uuid7s
from shared.scores import METADATA_DEPTH_MAX, SCORE_BYTES_MAX
from tests.builders import a_score
from tests.unit.making import CONFIG, NOW, a_body, decoded, is_accepted, numbered_ids, refusal_of


def a_raw_score(rest: str) -> bytes:
    """A good score with `rest` written behind it as it is: what no JSON encoder would write."""
    return b'{"trace_id":"t1","name":"relevance","value":1,' + rest.encode() + b"}"


# What is accepted -----------------------------------------------------------------------------------------------------


def test_a_good_batch_is_kept_byte_for_byte() -> None:
    body = b' {"scores" : [ {"trace_id":"t","name":"n","value":1.50} ] } '

    result = decode(body, NOW, numbered_ids, 10)

    assert result.scores == b'[ {"trace_id":"t","name":"n","value":1.50} ]'
    assert (result.ids, result.indexes, result.refused) == (["made-0"], None, [])


def test_the_senders_ids_are_kept_and_missing_ones_are_made() -> None:
    result = decoded(a_score(id="mine"), a_score(), a_score(id=None), a_score(id="also mine"))

    assert result.ids == ["mine", "made-0", "made-1", "also mine"]


def test_good_neighbours_of_a_bad_item_are_kept_byte_for_byte() -> None:
    good = b'{"trace_id":"t","name":"n","value":1.50}'

    result = decoded(good, b"7", good)

    assert result.scores == b"[" + good + b"," + good + b"]"
    assert (result.ids, result.indexes) == (["made-0", "made-1"], [0, 2])


def test_ids_belong_to_the_accepted_scores_also_when_items_before_them_are_refused() -> None:
    result = decoded(a_score(id="bad", value=None), a_score(id="good"), a_score())

    assert (result.ids, result.indexes) == (["good", "made-0"], [1, 2])


def test_every_bad_item_gets_its_own_error() -> None:
    result = decoded(a_score(value=None), a_score(), a_score(name=""), b"[]")

    assert [(refused.index, refused.code) for refused in result.refused] == [
        (0, "null_value"), (2, "too_short"), (3, "not_an_object"),
    ]  # fmt: skip


def test_a_batch_of_bad_items_alone_has_nothing_to_queue() -> None:
    result = decoded(b"1", b"2")

    assert (result.scores, result.ids, result.indexes) == (b"[]", [], [])
    assert len(result.refused) == 2


@pytest.mark.parametrize("value", [0, -0.0, 1e308, 5e-324, -7, True, False, "x", "x" * 500, "0.9", "  ", "😀"])
def test_numbers_texts_and_booleans_are_values(value: object) -> None:
    assert is_accepted(a_score(value=value))


def test_a_number_of_a_hundred_digits_is_a_number() -> None:
    assert is_accepted(a_raw_score('"value":' + "9" * 100))


def test_the_later_one_of_a_key_written_twice_counts() -> None:
    assert is_accepted(a_raw_score('"value":"text","data_type":"CATEGORICAL"'))


# The whole request ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b"", b" ", b"nonsense", b'{"scores":[', b'{"scores":[]} x', b'{"scores":[1,]}', b"\xef\xbb\xbf{}",
        b"{'scores':[]}", a_body(b"NaN"), a_body(a_raw_score('"comment":NaN')),
        a_body(a_raw_score('"metadata":{"a":NaN}')),
        a_body(a_raw_score('"metadata":{"a":nul}')), a_body(a_raw_score('"metadata":{"a":"\\q"}')),
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused_as_a_whole(body: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        decode(body, NOW, numbered_ids, 10)

    assert refusal.value.code == "invalid_json"


@pytest.mark.parametrize(
    "place",
    [
        b'"comment":"\xff"', b'"metadata":{"a":"\xff"}', b'"metadata":{"\xc3\x28":1}',
        b'"comment":"cut in a \xf0\x9f\x98"', b'"comment":"\xc0\x80"', b'"author":"\xed\xa0\xbd"',
        b'"comment":"\xf4\x90\x80\x80"',
    ],
    ids=["byte", "in metadata", "in a key", "half an emoji", "overlong", "surrogate", "beyond Unicode"],
)  # fmt: skip
def test_bytes_that_are_no_utf8_are_refused_wherever_they_stand_in_an_item(place: bytes) -> None:
    assert refusal_of(b'{"trace_id":"t1","name":"n","value":1,' + place + b"}").code == "unfit_text"


def test_the_name_of_an_unknown_field_may_be_no_utf8() -> None:
    assert refusal_of(b'{"trace_id":"t1","name":"n","value":1,"\xff":1}').code == "unknown_field"


@pytest.mark.parametrize(
    "body",
    [
        b'{"scores":[\xff]}', b'\xff{"scores":[{}]}', b'{"scores":[{}]}\xff', '{"scores":[{}]}'.encode("utf-16"),
        b'{"scores":["' + b"\xffx" * (NO_UTF_8_MAX + 1) + b'"]}',
    ],
    ids=["as an item", "before", "behind", "UTF-16", "more than is looked for"],
)  # fmt: skip
def test_what_is_no_utf8_elsewhere_is_no_json(body: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        decode(body, NOW, numbered_ids, 10)

    assert refusal.value.code == "invalid_json"


@pytest.mark.parametrize(
    "body",
    [b"null", b"[]", b"1", b"{}", b'{"scores":null}', b'{"scores":{}}', b'{"scores":"x"}', b'{"scores":[{}],"more":1}'],
)
def test_json_of_another_shape_is_no_batch(body: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        decode(body, NOW, numbered_ids, 10)

    assert refusal.value.code == "not_a_batch"


def test_an_unknown_field_beside_the_scores_is_named() -> None:
    with pytest.raises(Malformed, match="`batch_name`"):
        decode(b'{"scores":[{}],"batch_name":"x"}', NOW, numbered_ids, 10)


def test_an_empty_list_is_refused() -> None:
    with pytest.raises(Malformed) as refusal:
        decoded()

    assert (refusal.value.code, refusal.value.pointer) == ("empty_batch", "/scores")


@pytest.mark.parametrize("item", [a_score(), b"1"], ids=["good", "bad"])
def test_as_many_scores_as_allowed_are_taken_and_one_more_is_too_many(item: Any) -> None:
    at_the_limit = decoded(item, item, scores_max=2)

    assert len(at_the_limit.ids) + len(at_the_limit.refused) == 2
    with pytest.raises(TooLarge) as refusal:
        decoded(item, item, item, scores_max=2)
    assert refusal.value.code == "too_many_scores"


# Fields ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("item", [b"null", b"[]", b'"x"', b"1", b"1.5", b"true"])
def test_an_item_that_is_no_object_is_refused(item: bytes) -> None:
    refused = refusal_of(item)

    assert (refused.code, refused.pointer, refused.id) == ("not_an_object", "/scores/1", None)


def test_an_unknown_field_is_refused_by_name() -> None:
    refused = refusal_of(a_score(id="s1", valeu=1))

    assert (refused.code, refused.pointer, refused.id) == ("unknown_field", "/scores/1/valeu", "s1")
    assert "`valeu`" in refused.detail


@pytest.mark.parametrize(
    ("field", "pointer"),
    [
        ("a/b", "/scores/1/a~1b"), ("a~b", "/scores/1/a~0b"), ("a.b", "/scores/1/a.b"), ("größe", "/scores/1/größe"),
        ("a`b", "/scores/1/a`b"), ("x - at `$.value`", "/scores/1/x - at `$.value`"), ("", "/scores/1/"),
    ],
)  # fmt: skip
def test_the_pointer_to_an_unknown_field_follows_rfc_6901(field: str, pointer: str) -> None:
    refused = refusal_of(a_score(**{field: 1}))

    assert (refused.code, refused.pointer) == ("unknown_field", pointer)


@pytest.mark.parametrize("item_id", [None, 7, "x" * 201, {"a": 1}])
def test_an_id_that_can_be_none_is_not_echoed(item_id: object) -> None:
    refused = refusal_of(a_score(id=item_id, value=None))

    assert refused.id is None


def test_the_id_of_a_refused_item_is_echoed() -> None:
    refused = refusal_of(a_score(id="s1", value=None))

    assert refused.id == "s1"


@pytest.mark.parametrize("field", ["id", "trace_id", "span_id", "session_id", "user_id", "author"])
def test_text_ids_have_one_to_two_hundred_characters(field: str) -> None:
    target = {"trace_id": None} if field in ("session_id", "user_id") else {}

    assert is_accepted(a_score(**{**target, field: "ü" * 200}))
    assert refusal_of(a_score(**{**target, field: "ü" * 201})).code == "too_long"
    assert refusal_of(a_score(**{**target, field: ""})).code == "too_short"


@pytest.mark.parametrize(
    ("field", "length_max"), [("name", 100), ("comment", 10_000), ("environment", 100), ("value", 500)]
)
def test_texts_are_counted_in_characters_up_to_their_limit(field: str, length_max: int) -> None:
    refused = refusal_of(a_score(**{field: "ü" * (length_max + 1)}))

    assert is_accepted(a_score(**{field: "ü" * length_max}))
    assert (refused.code, refused.pointer) == ("too_long", f"/scores/1/{field}")


@pytest.mark.parametrize("field", ["name", "environment", "value"])
def test_an_empty_text_is_refused_where_one_is_needed(field: str) -> None:
    refused = refusal_of(a_score(**{field: ""}))

    assert (refused.code, refused.pointer) == ("too_short", f"/scores/1/{field}")


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("name", 5), ("trace_id", 1), ("comment", []), ("author", True), ("environment", 1), ("source", 1),
        ("data_type", {}), ("config_id", 7), ("timestamp", 5), ("value", []), ("value", {}),
    ],
)  # fmt: skip
def test_a_field_of_another_type_is_refused_with_its_pointer(field: str, value: object) -> None:
    refused = refusal_of(a_score(**{field: value}))

    assert (refused.code, refused.pointer) == ("wrong_type", f"/scores/1/{field}")


@pytest.mark.parametrize("field", ["source", "data_type"])
def test_a_word_that_is_not_in_the_list_is_refused(field: str) -> None:
    refused = refusal_of(a_score(**{field: "sdk"}))

    assert (refused.code, refused.pointer) == ("unknown_word", f"/scores/1/{field}")


def test_a_config_id_is_a_uuid() -> None:
    refused = refusal_of(a_score(config_id="relevance"))

    assert is_accepted(a_score(config_id=str(CONFIG)))
    assert (refused.code, refused.pointer) == ("invalid_uuid", "/scores/1/config_id")


# Values ---------------------------------------------------------------------------------------------------------------


def test_a_null_value_is_refused() -> None:
    refused = refusal_of(a_score(value=None))

    assert (refused.code, refused.pointer) == ("null_value", "/scores/1/value")


def test_a_missing_value_is_refused() -> None:
    refused = refusal_of({"trace_id": "t1", "name": "relevance"})

    assert (refused.code, refused.pointer) == ("missing_field", "/scores/1/value")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "1" + "0" * 400])
def test_a_number_that_no_double_holds_is_refused(number: str) -> None:
    refused = refusal_of(b'{"trace_id":"t1","name":"n","value":' + number.encode() + b"}")

    assert (refused.code, refused.pointer) == ("number_out_of_range", "/scores/1/value")


@pytest.mark.parametrize(("value", "own"), [(1, "NUMERIC"), (0.5, "NUMERIC"), ("x", "CATEGORICAL"), (True, "BOOLEAN")])
@pytest.mark.parametrize("said", ["NUMERIC", "CATEGORICAL", "BOOLEAN"])
def test_a_data_type_agrees_with_the_value_or_the_item_is_refused(value: object, own: str, said: str) -> None:
    result = decoded(a_score(value=value, data_type=said))

    codes = [(refused.code, refused.pointer) for refused in result.refused]
    assert codes == ([] if own == said else [("data_type_mismatch", "/scores/0/data_type")])


def test_a_number_in_quotes_is_not_guessed_to_be_a_number() -> None:
    assert refusal_of(a_score(value="0.9", data_type="NUMERIC")).code == "data_type_mismatch"


# Names ----------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["Relevance", "a b", "größe", "関連性", "a/b", "😀", "0"])
def test_printable_text_is_a_name(name: str) -> None:
    assert is_accepted(a_score(name=name))


@pytest.mark.parametrize("name", [" a", "a ", " ", "a\tb", "a\n", "a\u00a0", "\u200ba", "a\u2028b", "a\x7f"])
def test_blanks_at_the_ends_and_unprintable_characters_are_no_name(name: str) -> None:
    refused = refusal_of(a_score(name=name))

    assert (refused.code, refused.pointer) == ("invalid_name", "/scores/1/name")


def test_the_name_may_be_left_out_only_where_a_config_is_named() -> None:
    refused = refusal_of(a_score(name=None))

    assert is_accepted(a_score(name=None, config_id=str(CONFIG)))
    assert (refused.code, refused.pointer) == ("missing_field", "/scores/1/name")


# Targets --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "fields", [("trace_id",), ("span_id",), ("trace_id", "span_id"), ("session_id",), ("user_id",)]
)
def test_a_score_has_one_target(fields: tuple[str, ...]) -> None:
    assert is_accepted({"name": "n", "value": 1} | dict.fromkeys(fields, "x"))


def test_a_score_without_a_target_is_refused() -> None:
    refused = refusal_of({"id": "s1", "name": "n", "value": 1})

    assert (refused.code, refused.pointer, refused.id) == ("missing_target", "/scores/1", "s1")


@pytest.mark.parametrize(
    "fields",
    [
        ("trace_id", "session_id"), ("trace_id", "user_id"), ("span_id", "user_id"), ("session_id", "user_id"),
        ("trace_id", "span_id", "session_id"),
    ],
)  # fmt: skip
def test_a_score_with_several_targets_is_refused(fields: tuple[str, ...]) -> None:
    refused = refusal_of({"name": "n", "value": 1} | dict.fromkeys(fields, "x"))

    assert (refused.code, refused.pointer) == ("several_targets", "/scores/1")


# Timestamps -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "timestamp",
    [
        "2025-11-20T12:05:00Z", "2025-11-20T17:35:00+05:30", "2025-11-20T08:35:00-03:30", "1900-01-01T00:00:00Z",
        "2025-01-01t00:00:00z", "2025-01-01T00:00:00.123456789Z", None,
    ],
)  # fmt: skip
def test_the_past_and_five_minutes_ahead_are_welcome_in_any_offset(timestamp: str | None) -> None:
    assert is_accepted(a_score(timestamp=timestamp))


@pytest.mark.parametrize(
    ("timestamp", "code"),
    [
        ("2025-11-20T12:05:00.000001Z", "timestamp_in_future"),
        ("2025-11-20T17:35:01+05:30", "timestamp_in_future"),
        ("2026-01-01T00:00:00Z", "timestamp_in_future"),
        ("1899-12-31T23:59:59Z", "timestamp_out_of_range"),
        ("1900-01-01T00:00:00+01:00", "timestamp_out_of_range"),
        ("0001-01-01T00:00:00+10:00", "timestamp_out_of_range"),
        ("2025-11-20T12:00:00", "invalid_timestamp"),
        ("2025-11-20", "invalid_timestamp"),
        ("2025-02-30T00:00:00Z", "invalid_timestamp"),
        ("2025-11-20T12:00:00+24:00", "invalid_timestamp"),
        ("yesterday", "invalid_timestamp"),
        ("1763640000", "invalid_timestamp"),
    ],
)
def test_a_timestamp_that_is_ahead_or_unclear_is_refused(timestamp: str, code: str) -> None:
    refused = refusal_of(a_score(timestamp=timestamp))

    assert (refused.code, refused.pointer) == (code, "/scores/1/timestamp")


def test_a_timestamp_in_the_year_9999_is_refused_without_an_accident() -> None:
    refused = refusal_of(a_score(timestamp="9999-12-31T23:59:59-23:59"))

    assert refused.code in ("timestamp_in_future", "timestamp_out_of_range")


# Metadata -------------------------------------------------------------------------------------------------------------


def metadata_of_size(size: int) -> dict[str, str]:
    return {"a": "x" * (size - len('{"a":""}'))}


def test_metadata_of_16_kib_is_taken_and_one_byte_more_is_refused() -> None:
    refused = refusal_of(a_score(metadata=metadata_of_size(16 * 1024 + 1)))

    assert is_accepted(a_score(metadata=metadata_of_size(16 * 1024)))
    assert (refused.code, refused.pointer) == ("metadata_too_large", "/scores/1/metadata")


@pytest.mark.parametrize("metadata", [None, {}, {"a": {"b": [1, None, True, "x", 1e-7]}}])
def test_metadata_is_an_object_or_null(metadata: object) -> None:
    assert is_accepted(a_score(metadata=metadata))


@pytest.mark.parametrize("metadata", [[], "text", 1, True, [{}]])
def test_metadata_of_another_kind_is_refused(metadata: object) -> None:
    refused = refusal_of(a_score(metadata=metadata))

    assert (refused.code, refused.pointer) == ("wrong_type", "/scores/1/metadata")


def test_metadata_nested_a_hundred_deep_is_taken() -> None:
    nested = json.loads("[" * 100 + "]" * 100)

    assert is_accepted(a_score(metadata={"a": nested}))


def nested(levels: int, kind: str = "lists") -> str:
    return "[" * levels + "]" * levels if kind == "lists" else '{"a":' * levels + "1" + "}" * levels


@pytest.mark.parametrize("kind", ["lists", "objects"])
def test_metadata_has_so_many_levels_and_no_more(kind: str) -> None:
    assert is_accepted(a_raw_score(f'"metadata":{{"a":{nested(METADATA_DEPTH_MAX - 1, kind)}}}'))

    refused = refusal_of(a_raw_score(f'"metadata":{{"a":{nested(METADATA_DEPTH_MAX, kind)}}}'))

    assert (refused.code, refused.pointer) == ("nested_too_deeply", "/scores/1/metadata")


@pytest.mark.parametrize("text", ["[{" * 1000, '\\"[[{{' * 200, "\\\\" * 300])
def test_brackets_in_a_text_are_no_levels(text: str) -> None:
    assert is_accepted(a_raw_score(f'"metadata":{{"a":["{text}"]}}'))


@pytest.mark.parametrize("levels", [1_000, 100_000])
@pytest.mark.parametrize("kind", ["lists", "objects"])
@pytest.mark.parametrize(
    ("rest", "code"),
    [
        ('"id":"deep","metadata":{"a":%s}', "nested_too_deeply"),
        ('"metadata":{"text":"\\"]}","a":%s,"b":"[{"},"id":"deep"', "nested_too_deeply"),
        ('"comment":%s', "wrong_type"),
        ('"unknown":%s', "unknown_field"),
    ],
)
def test_an_item_nested_without_end_sinks_no_neighbour(rest: str, code: str, kind: str, levels: int) -> None:
    refused = refusal_of(a_raw_score(rest % nested(levels, kind)))

    assert refused.code == code
    assert refused.id == ("deep" if '"id"' in rest else None)


def test_an_item_that_is_nothing_but_levels_sinks_no_neighbour() -> None:
    assert refusal_of(nested(100_000).encode()).code == "not_an_object"


@pytest.mark.parametrize(
    "body",
    [
        b'{"scores":[' + b"[" * 100_000, b'{"scores":[' + b'{"a":' * 100_000, a_body(b"[" * 2_000 + b"]" * 1_999),
        a_body(b"[" * 2_000 + b"]" * 2_001), a_body(b"[" * 2_000 + b"[]," * TOKENS_MAX + b"0" + b"]" * 2_000),
    ],
    ids=["open lists", "open objects", "one too few", "one too many", "more than is looked through"],
)  # fmt: skip
def test_levels_that_do_not_end_right_are_no_json(body: bytes) -> None:
    with pytest.raises(Malformed) as refusal:
        decode(body, NOW, numbered_ids, 10)

    assert refusal.value.code == "invalid_json"


# A key that is given twice -------------------------------------------------------------------------------------------


def test_of_a_field_that_is_given_twice_the_last_counts_here_and_for_the_worker() -> None:
    item = b'{"id":"a","id":"b","trace_id":"t1","trace_id":"t2","name":"n","value":1,"value":true}'

    result = decoded(item)
    [read] = decode_scores(result.scores)

    assert result.ids == ["b"]
    assert (read.id, read.trace_id, read.value) == ("b", "t2", True)
    assert result.scores == b"[" + item + b"]"


def test_an_earlier_value_of_a_wrong_type_is_refused_all_the_same() -> None:
    assert refusal_of(b'{"trace_id":"t1","name":"n","value":null,"value":1}').code == "null_value"


# Characters that a database can't hold --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "rest",
    [
        '"comment":"\\u0000"', '"id":"a\\u0000"', '"author":"\\u0000b"', '"metadata":{"a":"\\u0000"}',
        '"metadata":{"\\u0000":1}', '"metadata":{"a":["\\\\\\u0000"]}',
    ],
)  # fmt: skip
def test_a_nul_character_is_refused_wherever_it_stands(rest: str) -> None:
    assert refusal_of(a_raw_score(rest)).code == "unfit_text"


@pytest.mark.parametrize("rest", ['"comment":"\\\\u0000"', '"metadata":{"regex":"[\\\\u0000-\\\\u001f]"}'])
def test_a_backslash_before_u0000_is_text_and_no_nul_character(rest: str) -> None:
    assert is_accepted(a_raw_score(rest))


def test_a_nul_character_in_a_field_is_refused_with_the_id_of_its_item() -> None:
    refused = refusal_of(a_raw_score('"id":"s1","comment":"\\u0000"'))

    assert refused.id == "s1"


@pytest.mark.parametrize("text", ["\\ud83d", "\\udc00", "\\ud83d and more", "\\ud83d\\u0041"])
@pytest.mark.parametrize("place", ['"comment":"%s"', '"metadata":{"a":"%s"}'])
def test_half_an_emoji_is_refused_and_does_not_sink_its_neighbours(place: str, text: str) -> None:
    assert refusal_of(a_raw_score(place % text)).code == "unfit_text"


def test_a_pair_of_surrogates_is_one_character() -> None:
    assert is_accepted(a_raw_score('"comment":"\\ud83d\\ude00"'))


@pytest.mark.parametrize("number", ["1e100", "1E+131071", "1e-300", "1" * 101, "-0." + "1" * 100, '[0, {"b": 2e999}]'])
def test_a_number_in_metadata_that_would_fill_pages_is_refused(number: str) -> None:
    body = f'{{"scores":[{{"trace_id":"t","name":"n","value":1,"metadata":{{"a":{number}}}}}]}}'.encode()

    [refused] = decode(body, datetime.now(UTC), uuid7s, 10).refused

    assert (refused.code, refused.pointer) == ("number_out_of_range", "/scores/0/metadata")


@pytest.mark.parametrize("value", ["1e99", "1" * 100, '"took 5e123 units"', "-0.5e-99"])
def test_a_number_in_metadata_of_ordinary_length_is_taken(value: str) -> None:
    body = f'{{"scores":[{{"trace_id":"t","name":"n","value":1,"metadata":{{"a":{value}}}}}]}}'.encode()

    assert decode(body, datetime.now(UTC), uuid7s, 10).refused == []


# How large an item may be ---------------------------------------------------------------------------------------------


def a_score_of_size(size: int) -> bytes:
    """A good score with so many bytes, most of them blanks."""
    score = b'{"trace_id":"t1","name":"relevance","value":1}'
    return score[:-1] + b" " * (size - len(score)) + b"}"


def the_largest_score() -> bytes:
    """As long as every limit allows, and each character in the longest way that JSON has to write it."""
    widest = "\U0001f600"
    texts = dict.fromkeys(("id", "trace_id", "span_id", "author"), widest * scores.TEXT_ID_LENGTH_MAX)
    said = texts | {
        "name": widest * scores.NAME_LENGTH_MAX,
        "environment": widest * 100,
        "value": widest * scores.CATEGORY_LENGTH_MAX,
        "comment": widest * scores.COMMENT_LENGTH_MAX,
        "metadata": {"m": "x" * (scores.METADATA_BYTES_MAX - 50)},
        "data_type": "CATEGORICAL",
        "source": "LLM_JUDGE",
        "config_id": str(CONFIG),
        "timestamp": "2025-11-20T12:00:00.000000+00:00",
    }
    return json.dumps(said, indent=4).encode()


def test_the_largest_score_that_obeys_every_other_limit_is_accepted() -> None:
    assert len(the_largest_score()) > SCORE_BYTES_MAX * 0.7
    assert is_accepted(the_largest_score())


@pytest.mark.parametrize("size", [SCORE_BYTES_MAX + 1, 7_000_000])
def test_an_item_with_more_bytes_than_a_score_can_need_is_refused(size: int) -> None:
    refused = refusal_of(a_score_of_size(size))

    assert (refused.code, refused.pointer) == ("item_too_large", "/scores/1")


def test_an_item_that_is_too_large_is_told_by_its_id() -> None:
    assert refusal_of(a_score_of_size(SCORE_BYTES_MAX + 1).replace(b"{", b'{"id":"s1",')).id == "s1"


def test_an_item_just_small_enough_is_accepted_in_a_batch_of_many() -> None:
    result = decoded(*(a_score_of_size(SCORE_BYTES_MAX) for _ in range(5)))

    assert (len(result.ids), result.refused) == (5, [])


def test_blanks_between_items_are_not_queued_by_the_megabyte() -> None:
    score = a_score_of_size(100)

    result = decoded(score, b" " * 7_000_000 + score)

    assert (result.scores, result.refused) == (b"[" + score + b"," + score + b"]", [])
