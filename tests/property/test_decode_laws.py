"""Laws of decoding: it raises nothing but its declared errors, and every item is either accepted or refused."""

import re
from typing import Any

import msgspec
from hypothesis import example, given
from hypothesis import strategies as st

from services.ingest.decode import Decoded, decode
from shared.envelope import decode as open_envelope
from shared.envelope import encode, original
from shared.errors import Malformed, TooLarge
from shared.scores import misshapen
from tests.unit.making import NOW, an_envelope, numbered_ids

SCORES_MAX = 20

texts = st.text(max_size=30)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | texts,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=12,
)
timestamps = st.sampled_from(
    ["2025-01-01T00:00:00Z", "2025-11-20T17:30:00+05:30", "2025-01-01T00:00:00", "1800-01-01T00:00:00Z"]
)
plausible_fields: dict[str, st.SearchStrategy[Any]] = {
    "id": texts, "name": texts, "value": json_values, "trace_id": texts, "span_id": texts, "session_id": texts,
    "user_id": texts, "comment": texts, "metadata": json_values, "environment": texts, "timestamp": timestamps,
    "source": st.sampled_from(["SDK", "HUMAN", "sdk"]), "data_type": st.sampled_from(["NUMERIC", "BOOLEAN", "x"]),
    "config_id": st.uuids().map(str) | texts, "author": texts,
}  # fmt: skip
mostly_good = st.fixed_dictionaries(
    {
        "name": st.sampled_from(["relevance", "a b", "größe"]),
        "value": st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | texts,
        "trace_id": st.sampled_from(["t1", "t2"]),
    },
    optional={field: plausible_fields[field] for field in ("id", "comment", "metadata", "timestamp", "author")},
)
items = mostly_good | st.fixed_dictionaries({}, optional=plausible_fields) | json_values
bodies = st.lists(items, max_size=SCORES_MAX + 2).map(lambda scores: msgspec.json.encode({"scores": scores}))


def decoded_or_refused(body: bytes) -> Decoded | None:
    """None where the whole request is refused; anything else that is raised is a fault."""
    try:
        return decode(body, NOW, numbered_ids, SCORES_MAX)
    except (Malformed, TooLarge):
        return None


@given(st.binary(max_size=300))
@example(b'{"scores":[{"value":"\xed\xa0\x80"}]}')
@example(b'{"scores":' + b"[" * 2000)
@example(b'{"scores":[' + b'{"metadata":' * 2000)
def test_arbitrary_bytes_raise_only_the_declared_errors(body: bytes) -> None:
    decoded_or_refused(body)


@given(st.binary(max_size=60))
@example(b'"\\ud800"')
@example(b"1e999")
@example(b"-")
def test_arbitrary_bytes_as_an_item_raise_only_the_declared_errors(item: bytes) -> None:
    decoded_or_refused(b'{"scores":[{"trace_id":"t","name":"n","value":1},' + item + b"]}")


@given(json_values)
def test_arbitrary_json_raises_only_the_declared_errors(content: Any) -> None:
    decoded_or_refused(msgspec.json.encode(content))


@given(st.lists(items, min_size=1, max_size=SCORES_MAX))
def test_every_item_is_accepted_or_refused_once(scores: list[Any]) -> None:
    result = decoded_or_refused(msgspec.json.encode({"scores": scores}))

    assert result is not None
    accepted = list(range(len(scores))) if result.indexes is None else result.indexes
    assert sorted(accepted + [refused.index for refused in result.refused]) == list(range(len(scores)))
    assert len(result.ids) == len(accepted) == len(msgspec.json.decode(result.scores))


@given(bodies)
def test_every_refusal_has_a_code_a_pointer_to_its_item_and_a_sentence(body: bytes) -> None:
    result = decoded_or_refused(body)

    for refused in result.refused if result else []:
        assert re.fullmatch("[a-z0-9_]+", refused.code)
        assert re.match(rf"/scores/{refused.index}(/|$)", refused.pointer)
        assert refused.detail


@given(bodies)
def test_what_ingest_accepts_the_worker_reads_back(body: bytes) -> None:
    result = decoded_or_refused(body)
    if result is None:
        return

    envelope, scores = open_envelope(encode(an_envelope(ids=result.ids, indexes=result.indexes, scores=result.scores)))

    assert (envelope.ids, len(scores)) == (result.ids, len(result.ids))
    assert all(misshapen(score, NOW) is None for score in scores)


@given(bodies)
def test_what_ingest_accepts_is_what_was_sent(body: bytes) -> None:
    result = decoded_or_refused(body)
    if result is None:
        return

    sent = msgspec.json.decode(body)["scores"]
    envelope = an_envelope(ids=result.ids, indexes=result.indexes, scores=result.scores)
    for at in range(len(result.ids)):
        assert msgspec.json.decode(original(envelope, at)) == sent[envelope.index_in_request(at)]


@given(st.lists(mostly_good, min_size=1, max_size=SCORES_MAX - 1))
def test_an_item_is_judged_alike_alone_and_among_others(scores: list[dict[str, Any]]) -> None:
    together = decoded_or_refused(msgspec.json.encode({"scores": [*scores, 7]}))

    assert together is not None
    refused = {refused.index: refused.code for refused in together.refused}
    for index, score in enumerate(scores):
        alone = decoded_or_refused(msgspec.json.encode({"scores": [score]}))
        assert alone is not None
        assert [one.code for one in alone.refused] == ([refused[index]] if index in refused else [])


@given(st.text(min_size=1, max_size=100))
def test_a_name_is_refused_or_kept_and_never_rewritten(name: str) -> None:
    result = decoded_or_refused(msgspec.json.encode({"scores": [{"trace_id": "t", "value": 1, "name": name}]}))

    assert result is not None
    is_name = name.isprintable() and name == name.strip()
    assert [score["name"] for score in msgspec.json.decode(result.scores)] == ([name] if is_name else [])
