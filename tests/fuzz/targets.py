"""What is fuzzed, and the laws that hold for every input. A target takes bytes, and raises when a law is broken."""

import gzip
import re
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any, get_args
from urllib.parse import parse_qsl
from uuid import UUID

import msgspec

from services.api.cursors import read_cursor, read_rejected_cursor, write_cursor, write_rejected_cursor
from services.api.params import Query, days_before, granularity, group_by, numbers, score_filters, zone
from services.api.queries.scores import Order
from services.api.windows import BUCKETS_MAX, bucket_bounds
from services.ingest.body import unzipped
from services.ingest.decode import Decoded, decode
from shared.conditions import Arguments, score_conditions
from shared.envelope import decode as open_envelope
from shared.envelope import decode_scores, encode, original
from shared.errors import Malformed, TooLarge, UnreadableEnvelope
from shared.rejected import place_of_rejected, rejected_id
from shared.scores import METADATA_BYTES_MAX, misshapen
from tests.fuzz.conversation import fuzz_connection
from tests.unit.making import NOW, PROJECT, an_envelope, numbered_ids

SCORES_MAX = 50
UNZIPPED_MAX = 100_000
NEIGHBOUR = b'{"trace_id":"t","name":"n","value":1}'


def fuzz_decode(data: bytes) -> None:
    """A whole body: decoded, or refused with a declared error."""
    with suppress(Malformed, TooLarge):
        _check_decoded(data, decode(data, NOW, numbered_ids, SCORES_MAX))


def fuzz_item(data: bytes) -> None:
    """One item between two good ones. If the body is a batch of three, the good ones get through, whatever it is."""
    body = b'{"scores":[' + NEIGHBOUR + b"," + data + b"," + NEIGHBOUR + b"]}"
    with suppress(Malformed, TooLarge):
        result = decode(body, NOW, numbered_ids, SCORES_MAX)
        _check_decoded(body, result)
        places = range(_count(result)) if result.indexes is None else result.indexes
        assert {0, _count(result) - 1} <= set(places)


def _count(result: Decoded) -> int:
    return len(result.ids) + len(result.refused)


def _check_decoded(body: bytes, result: Decoded) -> None:
    """accepted + refused = n; what is accepted can be read by the worker, is well shaped, and fits a database."""
    accepted = list(range(len(result.ids))) if result.indexes is None else result.indexes
    assert sorted(accepted + [refused.index for refused in result.refused]) == list(range(_count(result)))
    envelope, scores = open_envelope(encode(an_envelope(ids=result.ids, indexes=result.indexes, scores=result.scores)))
    assert len(scores) == len(result.ids) == len(decode_scores(result.scores))
    for at, score in enumerate(scores):
        assert misshapen(score, NOW) is None
        assert "\0" not in str(msgspec.structs.asdict(score).values())
        original(envelope, at).encode()  # is UTF-8
        if isinstance(score.metadata, msgspec.Raw):
            assert len(bytes(score.metadata)) <= METADATA_BYTES_MAX
            assert _has_no_nul(msgspec.json.decode(score.metadata))
    for refused in result.refused:
        assert re.fullmatch("[a-z0-9_]+", refused.code)
        assert refused.pointer.startswith(f"/scores/{refused.index}")
    msgspec.json.encode(result.refused)  # the answer can be written


def _has_no_nul(found: Any) -> bool:
    match found:
        case str():
            return "\0" not in found
        case list():
            return all(map(_has_no_nul, found))
        case dict():
            return all(_has_no_nul(key) and _has_no_nul(value) for key, value in found.items())
    return True


def fuzz_gzip(data: bytes) -> None:
    """Never more than the limit, and what Python's own gzip makes of it; or refused."""
    try:
        found = unzipped(data, UNZIPPED_MAX)
    except (Malformed, TooLarge):
        return
    assert len(found) <= UNZIPPED_MAX
    if data:
        assert gzip.decompress(data) == found


def fuzz_gzip_of(data: bytes) -> None:
    """There and back, in any cut."""
    at = len(data) // 2
    packed = gzip.compress(data[:at], 1) + gzip.compress(data[at:], 1)
    with suppress(TooLarge):
        assert unzipped(packed, UNZIPPED_MAX) == data


def fuzz_query(data: bytes) -> None:
    """A query string: filters and windows that are arguments of a statement, or a fault that names its parameter."""
    pairs = parse_qsl(data.decode("latin-1"), keep_blank_values=True)
    with suppress(Malformed):
        _check_filters(Query(pairs))
    with suppress(Malformed):
        _check_window(Query(pairs))
    for read in (group_by, zone, granularity, lambda query: numbers(query, "edges", 1000)):
        with suppress(Malformed):
            read(Query(pairs))


def _check_filters(query: Query) -> None:
    filters = score_filters(query)
    query.whole_number("limit", 1, 1000, 50)
    query.flag("percentiles", default=True)
    query.done()
    arguments = Arguments()
    conditions = score_conditions(filters, PROJECT, arguments)
    assert len(arguments.values) < 32_767
    # Only our own words stand in the statement.
    assert all(re.fullmatch(r"[A-Za-z0-9_ $().:>=<,'\[\]-]*", condition) for condition in conditions)
    for text in _texts(arguments.values):
        assert "\0" not in text
        text.encode()


def _texts(values: list[Any]) -> list[str]:
    flat = [inner for value in values for inner in (value if isinstance(value, list | tuple) else [value])]
    return [value for value in flat if isinstance(value, str)]


def _check_window(query: Query) -> None:
    start, end, tz = query.moment("from"), query.moment("to"), zone(query)
    step, days = granularity(query), query.whole_number("days", 1, 400, 30)
    end = end or datetime(2025, 11, 20, 12, tzinfo=UTC)
    start = start or days_before(end, days, tz)
    if start >= end:
        return
    try:
        bounds = bucket_bounds(start, end, step, tz)
    except ValueError as error:
        if "buckets" not in str(error):
            raise
        return
    bounds = [bound.astimezone(UTC) for bound in bounds]  # in one zone, two are compared by what its clocks show
    assert len(bounds) <= BUCKETS_MAX + 2
    assert bounds[0] <= start
    assert bounds[-1] >= end
    assert all(left < right for left, right in pairwise(bounds))


def fuzz_cursor(data: bytes) -> None:
    """Read, it leads back to itself; or it is none of ours."""
    text = data.decode("latin-1")
    for order in get_args(Order):
        with suppress(Malformed):
            position = read_cursor(text, order)
            assert read_cursor(write_cursor(order, position), order) == position
            position.id.encode()
            assert "\0" not in position.id
    with suppress(Malformed):
        rejected = read_rejected_cursor(text)
        assert read_rejected_cursor(write_rejected_cursor(rejected)) == rejected
        assert "\0" not in rejected.batch_id
    place = place_of_rejected(text)
    assert place is None or place_of_rejected(rejected_id(*place)) == place


def fuzz_envelope(data: bytes) -> None:
    """What a worker finds in the queue: readable, or said to be unreadable."""
    with suppress(UnreadableEnvelope):
        envelope, scores = open_envelope(data)
        assert isinstance(envelope.project_id, UUID)
        assert len(scores) == len(envelope.ids)


TARGETS: dict[str, Callable[[bytes], None]] = {
    "decode": fuzz_decode,
    "item": fuzz_item,
    "gzip": fuzz_gzip,
    "gzip_of": fuzz_gzip_of,
    "query": fuzz_query,
    "cursor": fuzz_cursor,
    "envelope": fuzz_envelope,
    "connection": fuzz_connection,
}
