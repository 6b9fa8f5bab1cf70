"""What ingest puts into the queue is what the worker takes out, also across releases."""

from typing import Any

import msgspec
import pytest

from shared.envelope import COMPRESSED, PLAIN, SCORES_BYTES_MAX, decode, encode, original
from shared.errors import UnreadableEnvelope
from tests.builders import a_score
from tests.unit.making import an_envelope


def packed(**changes: Any) -> bytes:
    """A good envelope with some fields other than `encode` would write them; None leaves a field out."""
    fields = msgspec.msgpack.decode(encode(an_envelope(a_score(id="s1")))) | changes
    return msgspec.msgpack.encode({name: value for name, value in fields.items() if value is not None})


def test_an_envelope_comes_out_as_it_went_in() -> None:
    envelope = an_envelope(a_score(id="s1"), a_score(), traceparent="00-ab-cd-01", indexes=[1, 4])

    read, scores = decode(encode(envelope))

    assert read == envelope
    assert [(score.id, score.value) for score in scores] == [("s1", 0.5), (None, 0.5)]


@pytest.mark.parametrize("size", [SCORES_BYTES_MAX + 1, 1 << 40, (1 << 64) - 3])
def test_a_damaged_frame_that_says_it_holds_terabytes_is_unreadable(size: int) -> None:
    frame = b"\x28\xb5\x2f\xfd\xe0" + size.to_bytes(8, "little") + bytes(20)

    with pytest.raises(UnreadableEnvelope, match=f"{size} bytes"):
        decode(packed(v=COMPRESSED, scores=frame))


def test_a_large_batch_is_compressed_and_comes_out_as_it_went_in() -> None:
    envelope = an_envelope(*(a_score(id=f"s{number}", comment="the same again") for number in range(100)))

    data = encode(envelope)

    assert len(data) < len(envelope.scores) / 5
    read, scores = decode(data)
    assert (read, len(scores)) == (envelope, 100)
    assert original(read, 99) == original(envelope, 99)


def test_a_small_batch_can_be_read_by_the_release_before() -> None:
    assert msgspec.msgpack.decode(encode(an_envelope(a_score())))["v"] == PLAIN


def test_a_damaged_compression_is_unreadable() -> None:
    data = encode(an_envelope(*(a_score(id=f"s{number}") for number in range(100))))
    fields = msgspec.msgpack.decode(data)

    with pytest.raises(UnreadableEnvelope):
        decode(msgspec.msgpack.encode(fields | {"scores": fields["scores"][:-9]}))


def test_fields_of_a_newer_release_are_ignored() -> None:
    envelope, scores = decode(packed(flavour="new", scores=b'[{"trace_id":"t","name":"n","value":1,"novelty":[]}]'))

    assert (envelope.request_id, scores[0].value) == ("r1", 1.0)


def test_fields_that_may_be_left_out_may_be_left_out() -> None:
    envelope, _ = decode(packed(traceparent=None, indexes=None))

    assert (envelope.v, envelope.traceparent, envelope.indexes) == (PLAIN, None, None)


@pytest.mark.parametrize("version", [COMPRESSED + 1, 0, -1])
def test_an_envelope_of_another_version_is_refused_by_its_number(version: int) -> None:
    with pytest.raises(UnreadableEnvelope, match=f"version {version}"):
        decode(packed(v=version))


def test_a_newer_version_is_told_from_garbage_whatever_else_it_holds() -> None:
    with pytest.raises(UnreadableEnvelope, match="version 3"):
        decode(msgspec.msgpack.encode({"v": 3, "scores": {"all": "different"}}))


@pytest.mark.parametrize(
    "data",
    [
        b"", b"\xc1", b"\xff" * 50, b"{}", msgspec.msgpack.encode([1, 2]), msgspec.msgpack.encode({"v": "1"}),
        msgspec.msgpack.encode({}), packed(project_id="x"), packed(ids=None), packed(scores=b"[{]"),
        packed(scores=b'{"a":1}'), packed(scores=b"[7]"), packed(scores=b'[{"value":"\xff"}]'),
        packed(received_at="yesterday"), b"\x91" * 100_000, packed(scores=b"[" * 100_000),
        packed(v=COMPRESSED, scores=b"not compressed"),
    ],
)  # fmt: skip
def test_garbage_is_unreadable_and_raises_nothing_else(data: bytes) -> None:
    with pytest.raises(UnreadableEnvelope):
        decode(data)


@pytest.mark.parametrize("ids", [[], ["s1", "s2"]])
def test_as_many_ids_as_scores_or_it_is_unreadable(ids: list[str]) -> None:
    with pytest.raises(UnreadableEnvelope, match="ids for 1 scores"):
        decode(packed(ids=ids))


def test_the_place_in_the_request_is_known_also_where_neighbours_were_refused() -> None:
    whole, partial = an_envelope(a_score(), a_score()), an_envelope(a_score(), a_score(), indexes=[3, 7])

    assert [whole.index_in_request(at) for at in (0, 1)] == [0, 1]
    assert [partial.index_in_request(at) for at in (0, 1)] == [3, 7]


def test_the_original_of_a_score_is_what_its_sender_wrote() -> None:
    envelope = an_envelope(a_score(), a_score(), scores=b'[ {"value" : 1.50} , {"comment":"gr\xc3\xbc\\u00df"} ]')

    assert original(envelope, 0) == '{"value" : 1.50}'
    assert original(envelope, 1) == '{"comment":"grü\\u00df"}'
