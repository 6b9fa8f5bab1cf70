"""What every part is given: the house, the rows, and how long to measure."""

from collections.abc import Sequence
from typing import TypeVar

from msgspec import Struct

from bench.house import House
from bench.rows import Rows
from bench.wire import post_requests

SCORES = "/v1/scores"


class Plan(Struct, frozen=True):
    """`rounds` interleaved runs of each variant; runs that last a given time last `seconds`. `growth_rows` is the size
    of the largest table that is filled, `kills` how often something is killed. `is_short`: leave out what takes
    long."""

    house: House
    rows: Rows
    rounds: int
    seconds: float
    growth_rows: int
    kills: int
    is_short: bool

    def batches_of(self, size: int, api_key: str | None = None) -> list[bytes]:
        """Requests that send every row once; the last may carry fewer than `size`. To the house's project, or to the
        one of another key."""
        return post_requests(SCORES, api_key or self.house.credentials.api_key, self.rows.batches(size))

    def full_batches_of(self, size: int) -> list[bytes]:
        """Requests of exactly `size` rows each, to be sent again and again."""
        return self.batches_of(size)[: len(self.rows.scores) // size]


T = TypeVar("T")


def in_turn(variants: Sequence[T], number: int) -> Sequence[T]:
    """The order of round `number`: turned around every second time, so that no variant always comes first."""
    return variants if number % 2 == 0 else variants[::-1]
