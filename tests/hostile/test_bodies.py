"""Bodies that are made to break what reads them, sent to a real ingest: each has its status and its code, takes nobody
else with it, and leaves the process as it was.
"""

import gzip
import zlib
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.hostile.house import House

MB = 1 << 20
GB = 1 << 30
GOOD = '{"id":"good","trace_id":"t","name":"n","value":1}'


def batch(*items: str | bytes) -> bytes:
    return b'{"scores":[' + b",".join(item if isinstance(item, bytes) else item.encode() for item in items) + b"]}"


def score(rest: str, value: str = "1") -> str:
    return f'{{"trace_id":"t","name":"n","value":{value}{"," if rest else ""}{rest}}}'


def levels(count: int) -> str:
    return '{"a":' * count + "1" + "}" * count


def post(house: House, body: bytes | Iterator[bytes], **headers: str) -> httpx.Response:
    said = {"Content-Type": "application/json"} | {name.replace("_", "-"): text for name, text in headers.items()}
    return httpx.post(f"{house.ingest.url}/v1/scores", content=body, headers=house.authorization | said, timeout=60)


@pytest.fixture(autouse=True)
def ingest_is_unharmed(house: House) -> Iterator[None]:
    """It takes the next batch, and has not kept what came."""
    process = psutil.Process(house.ingest.pid)
    before = process.memory_info().rss
    yield
    assert post(house, batch(GOOD)).status_code == 202
    assert process.memory_info().rss < before + 100 * MB


# One bad item among good ones -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (score(f'"metadata":{levels(129)}'), "nested_too_deeply"),
        (score(f'"metadata":{levels(900)}'), "nested_too_deeply"),
        (score(f'"metadata":{levels(100_000)}'), "nested_too_deeply"),
        (score(f'"comment":{levels(100_000)}'), "wrong_type"),
        (score(f'"more":{levels(100_000)}'), "unknown_field"),
        ("[" * 100_000 + "]" * 100_000, "not_an_object"),
        (score("", "1e400"), "number_out_of_range"),
        (score("", "-1e400"), "number_out_of_range"),
        (score("", "1" + "0" * 5_000), "number_out_of_range"),
        (score("", "1" + "0" * 100_000), "number_out_of_range"),
        (score('"metadata":{"a":1e400}'), "number_out_of_range"),
        (score('"metadata":{"a":1e-400}'), "number_out_of_range"),
        (score(f'"metadata":{{"a":1{"0" * 5_000}}}'), "number_out_of_range"),
        (score('"metadata":{"a":1e99999999999999999999}'), "number_out_of_range"),
        (score('"comment":"\\ud800"'), "unfit_text"),
        (score('"comment":"\\udc00\\ud800"'), "unfit_text"),
        (score('"metadata":{"\\udfff":1}'), "unfit_text"),
        (score('"comment":"\\u0000"'), "unfit_text"),
        (score('"id":"a\\u0000b"'), "unfit_text"),
        (score('"comment":"a').encode()[:-1] + b'\xc0\x80"}', "unfit_text"),
        (score('"comment":"a').encode()[:-1] + b'\xed\xa0\x80"}', "unfit_text"),
        (score('"comment":"a').encode()[:-1] + b'\xff"}', "unfit_text"),
        (score('"name":"\\u202egnp.exe"'), "invalid_name"),
        (score('"name":"\\u0007"'), "invalid_name"),
        (score('"name":"\\u200b"'), "invalid_name"),
        (score('"name":"\\ufeffn"'), "invalid_name"),
        (score('"name":"line\\nline"'), "invalid_name"),
        (score('"__proto__":{"admin":true}'), "unknown_field"),
        (score('"config_id":"\' OR 1=1 --"'), "invalid_uuid"),
        (score('"timestamp":"2025-01-01T00:00:00"'), "invalid_timestamp"),
        (score('"timestamp":"9999-12-31T23:59:59.999999999Z"'), "invalid_timestamp"),
    ],
)  # fmt: skip
def test_a_bad_item_is_refused_alone(house: House, item: str | bytes, code: str) -> None:
    answer = post(house, batch(GOOD, item, score('"id":"also good"')))

    assert (answer.status_code, answer.json()["ids"]) == (207, ["good", "also good"])
    [error] = answer.json()["errors"]
    assert (error["index"], error["code"]) == (1, code)


@pytest.mark.parametrize(
    "item",
    [
        score("", "-0"), score("", "-0.0"), score("", "1e-400"), score("", "0e999999999"),
        score("", "1.7976931348623157e308"),
        score("", "0." + "0" * 50_000 + "1"), score('"metadata":{"a":-0.0,"b":1e99}'),
        score(f'"metadata":{levels(128)}'), score('"comment":"\\u202e\\u2066\\u200f bidirectional"'),
        score('"comment":"\\ud83d\\ude00"'), score('"comment":"\\u0001\\u001b[31m"'), score('"environment":"\\u202e"'),
        score('"metadata":{"__proto__":{},"constructor":1,"":2,"$where":"1"}'), score('"value":2'),
    ],
)  # fmt: skip
def test_an_odd_item_is_a_score(house: House, item: str) -> None:
    assert post(house, batch(item)).status_code == 202


# Whole bodies ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"), (b"\0", "invalid_json"), (b"\xef\xbb\xbf" + batch(GOOD), "invalid_json"),
        (GOOD.encode("utf-16"), "invalid_json"), (GOOD.encode("utf-32"), "invalid_json"),
        (b"[" * 8_000_000, "not_a_batch"), (b'{"scores":' + b"[" * 8_000_000, "invalid_json"),
        (b'{"scores":' * 800_000, "invalid_json"), (batch(GOOD) * 2, "invalid_json"),
        (b'{"scores":NaN}', "invalid_json"),
        (b'{"scores":[],"scores":1}', "not_a_batch"), (batch(), "empty_batch"), (batch("NaN"), "invalid_json"),
        (batch("Infinity"), "invalid_json"), (batch("0x10"), "invalid_json"), (batch("01"), "invalid_json"),
        (batch(score("", "+1")), "invalid_json"), (batch(score("", "1_0")), "invalid_json"),
        (b'{"scores":[/* */]}', "invalid_json"), (b"<scores/>", "invalid_json"), (b"scores=1", "invalid_json"),
        (b'{"scores":[' + b"[" * 2000 + b'"' + b'\\"' * 4_000_000, "invalid_json"),
    ],
)  # fmt: skip
def test_a_body_that_is_no_batch_is_a_400(house: House, body: bytes, code: str) -> None:
    answer = post(house, body)

    assert (answer.status_code, answer.json()["code"]) == (400, code)


def test_more_items_than_allowed_are_a_413_whatever_they_are(house: House) -> None:
    answer = post(house, b'{"scores":[' + b"1," * 4_000_000 + b"1]}")

    assert (answer.status_code, answer.json()["code"]) == (413, "too_many_scores")


# Compressed ones ------------------------------------------------------------------------------------------------------


def zeros(size: int) -> bytes:
    """So many bytes as gzip: one block of a megabyte, again and again. What comes behind it is never looked at."""
    packer = zlib.compressobj(9, zlib.DEFLATED, zlib.MAX_WBITS | 16)
    first = packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH)
    again = packer.compress(bytes(MB)) + packer.flush(zlib.Z_FULL_FLUSH)
    return first + again * (size // MB - 1)


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (zeros(7 * GB), 413, "body_too_large"),
        (zeros(10 * GB), 413, "body_too_large"),
        (gzip.compress(gzip.compress(bytes(100 * MB))), 400, "invalid_json"),
        (gzip.compress(gzip.compress(batch(GOOD))), 400, "invalid_json"),
        (gzip.compress(b"") * 300_000, 400, "invalid_gzip"),
        (gzip.compress(b" ") * 99 + gzip.compress(batch(GOOD)), 202, None),
        (gzip.compress(batch(GOOD))[:-1], 400, "invalid_gzip"),
        (gzip.compress(batch(GOOD))[:-8] + bytes(8), 400, "invalid_gzip"),
        (gzip.compress(batch(GOOD))[:-4] + b"\xff" * 4, 400, "invalid_gzip"),
        (gzip.compress(batch(GOOD)) + bytes(100), 400, "invalid_gzip"),
        (b"\x1f\x8b\x08\x04\0\0\0\0\0\0\xff\xff" + bytes(MB), 400, "invalid_gzip"),
        (b"\x1f\x8b\x08\x08\0\0\0\0\0\0" + b"name without end" * 100_000, 400, "invalid_gzip"),
        (zlib.compress(batch(GOOD)), 400, "invalid_gzip"),
        (batch(GOOD), 400, "invalid_gzip"),
    ],
    ids=[
        "as many as fit", "ten gigabytes", "a bomb in gzip", "gzip in gzip", "empty members", "a hundred members",
        "a byte short", "wrong checksum", "wrong length", "zeros behind", "extra field", "name without end", "zlib",
        "plain",
    ],
)  # fmt: skip
def test_gzip_that_is_more_or_less_than_it_says(house: House, body: bytes, status: int, code: str | None) -> None:
    answer = post(house, body, content_encoding="gzip")

    assert (answer.status_code, answer.json().get("code")) == (status, code)


@pytest.mark.parametrize(
    "encoding", ["gzip, identity", "identity, gzip", "gzip, gzip", "x-gzip", "gzip;q=1", "br", "*"]
)
def test_other_encodings_and_lists_of_them_are_a_415(house: House, encoding: str) -> None:
    answer = post(house, gzip.compress(batch(GOOD)), content_encoding=encoding)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")


def test_two_encodings_in_two_headers_are_a_415(house: House) -> None:
    headers = [*house.authorization.items(), ("Content-Encoding", "identity"), ("Content-Encoding", "gzip")]

    answer = httpx.post(f"{house.ingest.url}/v1/scores", content=batch(GOOD), headers=headers)

    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_encoding")


# The api --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400), (b"[" * 1_000_000, 400), (b'{"trace_ids":' * 70_000, 400), (b'{"trace_ids":["\xff"]}', 400),
        (b'{"trace_ids":["\\ud800"]}', 400), (b'{"trace_ids":["\\u0000"]}', 422), (b'{"trace_ids":[1e400]}', 400),
        (b'{"trace_ids":["t"],"trace_ids":[]}', 422), (b"\xef\xbb\xbf{}", 400), (b" " * (MB + 1), 413),
        (b'{"trace_ids":["' + b"t" * 500 + b'"]}', 422), (b'{"trace_ids":["\\u202e"]}', 200),
    ],
)  # fmt: skip
def test_a_body_of_the_api_that_makes_no_sense_is_refused(house: House, body: bytes, status: int) -> None:
    headers = house.authorization | {"Content-Type": "application/json"}

    answer = httpx.post(f"{house.api.url}/v1/traces/scores", content=body, headers=headers, timeout=60)

    assert answer.status_code == status
