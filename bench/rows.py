"""The scores that the bench sends, and the rules they obey: the real ones where they are, else generated ones."""

import gzip
import itertools
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from bench.generated import GENERATED_CONFIGS, generated_scores
from shared.ids import uuid7s

REAL_FOLDER = Path(__file__).parents[2] / "shared" / "data" / "real"
REAL_COUNT = 150_032


class Rows(Struct, frozen=True):
    """`scores` holds each score as its JSON, without an id; `kind` says where they are from."""

    kind: str
    scores: list[bytes]
    configs: list[dict[str, Any]]

    def batches(self, size: int) -> Iterator[bytes]:
        """The bodies of requests that send every score once, in order."""
        return bodies(self.scores, size)


def bodies(scores: Sequence[bytes], size: int) -> Iterator[bytes]:
    """The bodies of requests that send every score once, in order."""
    iterator = iter(scores)
    while batch := list(itertools.islice(iterator, size)):
        yield b'{"scores":[' + b",".join(batch) + b"]}"


def with_ids(scores: Sequence[bytes]) -> list[bytes]:
    """The same, each with an id of its sender's own, as the SDK makes them."""
    return [
        b'{"id":"' + score_id.encode() + b'",' + score[1:]
        for score_id, score in zip(uuid7s(len(scores)), scores, strict=True)
    ]


def read_rows(count: int = REAL_COUNT) -> Rows:
    """The first `count` real scores; generated ones of the same shape where there are none."""
    if not (REAL_FOLDER / "scores.jsonl.gz").is_file():
        return Rows("generated", generated_scores(count), GENERATED_CONFIGS)
    with gzip.open(REAL_FOLDER / "scores.jsonl.gz") as file:
        scores = [line.strip() for line in itertools.islice(file, count)]
    configs = msgspec.json.decode((REAL_FOLDER / "score_configs.json").read_bytes())["configs"]
    return Rows("real", scores, [_body_of(config) for config in configs])


def _body_of(config: dict[str, Any]) -> dict[str, Any]:
    """A config of the file as the api wants it: a numeric one names both bounds, null where an end is open."""
    body: dict[str, Any] = {
        key: config[key] for key in ("name", "data_type", "description", "categories") if key in config
    }
    if config["data_type"] == "NUMERIC":
        body |= {"min_value": config.get("min"), "max_value": config.get("max")}
    return body
