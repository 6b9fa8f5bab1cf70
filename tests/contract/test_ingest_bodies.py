"""Bodies: gzip or nothing, JSON, and never more than the limit, zipped or not."""

import asyncio
import gzip
import zlib
from collections.abc import AsyncIterator

import msgspec
import pytest

from tests.builders import a_score
from tests.contract.intake import Intake, open_intake
from tests.contract.problems import assert_problem

LIMIT = 100_000
BODY = msgspec.json.encode({"scores": [a_score(id="a"), a_score(id="b")]})


def of_size(size: int) -> bytes:
    """A good batch of so many bytes."""
    return BODY + b" " * (size - len(BODY))


@pytest.fixture
async def small(redis_url: str) -> AsyncIterator[Intake]:
    """An ingest that takes bodies of 100 kB."""
    async with open_intake(redis_url, body_bytes_max=LIMIT) as opened:
        yield opened


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", " gzip "])
async def test_a_gzip_body_is_unzipped(intake: Intake, encoding: str) -> None:
    answer = await intake.post(gzip.compress(BODY), content_encoding=encoding)

    assert (answer.status_code, answer.json()["ids"]) == (202, ["a", "b"])


async def test_identity_is_no_encoding(intake: Intake) -> None:
    assert (await intake.post(BODY, content_encoding="identity")).status_code == 202


@pytest.mark.parametrize("encoding", ["br", "deflate", "zstd", "gzip, gzip", "x"])
async def test_another_encoding_is_a_415(intake: Intake, encoding: str) -> None:
    assert_problem(await intake.post(BODY, content_encoding=encoding), 415, "unsupported_encoding")


@pytest.mark.parametrize("media_type", ["text/plain", "application/x-www-form-urlencoded", "application/jsonl", "json"])
async def test_another_content_type_is_a_415(intake: Intake, media_type: str) -> None:
    assert_problem(await intake.post(BODY, content_type=media_type), 415, "unsupported_media_type")


@pytest.mark.parametrize("media_type", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
async def test_json_is_json_with_parameters_too(intake: Intake, media_type: str) -> None:
    assert (await intake.post(BODY, content_type=media_type)).status_code == 202


async def test_a_body_without_a_content_type_is_taken_for_json(intake: Intake) -> None:
    answer = await intake.post(BODY)

    assert "content-type" not in answer.request.headers
    assert answer.status_code == 202


@pytest.mark.parametrize(
    "content",
    [
        BODY,
        b"\x1f\x8b",
        gzip.compress(BODY)[:-1],
        gzip.compress(BODY)[:20],
        zlib.compress(BODY),
        gzip.compress(BODY) + b"x",
    ],
    ids=["plain", "header alone", "a byte short", "cut off", "zlib", "followed by something"],
)
async def test_broken_gzip_is_a_400(intake: Intake, content: bytes) -> None:
    assert_problem(await intake.post(content, content_encoding="gzip"), 400, "invalid_gzip")


async def test_gzip_with_a_wrong_checksum_is_a_400(intake: Intake) -> None:
    content = bytearray(gzip.compress(BODY))
    content[-8] ^= 0xFF

    assert_problem(await intake.post(bytes(content), content_encoding="gzip"), 400, "invalid_gzip")


async def test_an_empty_gzip_body_is_no_json(intake: Intake) -> None:
    assert_problem(await intake.post(b"", content_encoding="gzip"), 400, "invalid_json")
    assert_problem(await intake.post(gzip.compress(b""), content_encoding="gzip"), 400, "invalid_json")


async def test_several_gzip_members_are_one_body(intake: Intake) -> None:
    content = b"".join(gzip.compress(part) for part in (BODY[:10], b"", BODY[10:50], BODY[50:]))

    answer = await intake.post(content, content_encoding="gzip")

    assert (answer.status_code, answer.json()["ids"]) == (202, ["a", "b"])


async def test_a_gzip_body_of_thousands_of_members_is_refused(intake: Intake) -> None:
    """Each member costs a copy of all that follow it: 8 MiB of empty ones would hold up everybody for minutes."""
    answer = await intake.post(gzip.compress(b"") * 10_000 + gzip.compress(BODY), content_encoding="gzip")

    assert answer.status_code in (400, 413)


async def test_a_body_may_be_as_large_as_the_limit_and_not_larger(small: Intake) -> None:
    assert (await small.post(of_size(LIMIT))).status_code == 202

    assert_problem(await small.post(of_size(LIMIT + 1)), 413, "body_too_large")


async def test_an_unzipped_body_may_be_as_large_as_the_limit_and_not_larger(small: Intake) -> None:
    assert (await small.post(gzip.compress(of_size(LIMIT)), content_encoding="gzip")).status_code == 202

    answer = await small.post(gzip.compress(of_size(LIMIT + 1)), content_encoding="gzip")

    assert_problem(answer, 413, "body_too_large")


async def test_members_that_are_too_large_together_are_refused(small: Intake) -> None:
    half = gzip.compress(b" " * (LIMIT // 2))

    assert_problem(await small.post(half * 3, content_encoding="gzip"), 413, "body_too_large")


async def test_a_zip_bomb_is_refused(small: Intake) -> None:
    bomb = gzip.compress(bytes(100 << 20))

    assert_problem(await small.post(bomb[: LIMIT - 1], content_encoding="gzip"), 413, "body_too_large")
    assert await small.queued() == 0


async def test_a_body_that_does_not_say_its_size_is_bounded_all_the_same(small: Intake) -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b" " * (LIMIT // 2)

    answer = await small.client.post(
        "/v1/scores", content=chunks(), headers={"x-api-key": small.key, "content-type": "application/json"}
    )

    assert_problem(answer, 413, "body_too_large")


@pytest.mark.parametrize("declared", ["x", "-1", "²"])
async def test_a_content_length_that_is_no_number_is_no_accident(small: Intake, declared: str) -> None:
    headers = [(b"x-api-key", small.key.encode()), (b"content-length", declared.encode("latin-1"))]

    answer = await small.client.post("/v1/scores", content=BODY, headers=headers)

    assert answer.status_code < 500


async def test_a_body_that_does_not_end_is_a_408(redis_url: str) -> None:
    async def stands_still() -> AsyncIterator[bytes]:
        yield BODY[:10]
        await asyncio.Event().wait()

    async with open_intake(redis_url, body_seconds=0.05) as intake:
        answer = await intake.post(stands_still())

        assert_problem(answer, 408, "body_timeout")
        assert answer.headers["connection"] == "close"
        assert (await intake.post(BODY)).status_code == 202


async def test_more_bytes_at_once_than_a_process_may_have_in_hand_are_a_503(redis_url: str) -> None:
    arrived, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield of_size(LIMIT - 1)
        arrived.set()
        await go_on.wait()
        yield b" "

    async with open_intake(redis_url, body_bytes_max=LIMIT, bodies_bytes_max=2 * LIMIT) as intake:
        first = asyncio.create_task(intake.post(slow()))
        await arrived.wait()

        refused = await intake.post(gzip.compress(of_size(LIMIT)), content_encoding="gzip")
        taken = await intake.post(BODY)
        go_on.set()

        assert_problem(refused, 503, "too_busy")
        assert int(refused.headers["retry-after"]) >= 1
        assert (taken.status_code, (await first).status_code) == (202, 202)
        assert [(await intake.post(of_size(LIMIT))).status_code for _ in range(3)] == [202] * 3


async def test_what_is_refused_is_no_longer_in_hand(redis_url: str) -> None:
    async with open_intake(redis_url, body_bytes_max=LIMIT, bodies_bytes_max=2 * LIMIT) as intake:
        refused = [(await intake.post(b"x" * LIMIT)).status_code for _ in range(3)]

        assert refused == [400] * 3
        assert (await intake.post(of_size(LIMIT))).status_code == 202
