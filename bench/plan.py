"""What every part is given: the house, the rows, and how long to measure."""

from msgspec import Struct

from bench.house import House
from bench.rows import Rows
from bench.wire import post_requests

SCORES = "/v1/scores"


class Plan(Struct, frozen=True):
    """`rounds` interleaved runs of each variant; runs that last a given time last `seconds`. `growth_rows` is the size
    of the largest table that is filled. `is_short`: leave out what takes long."""

    house: House
    rows: Rows
    rounds: int
    seconds: float
    growth_rows: int
    is_short: bool

    def batches_of(self, size: int) -> list[bytes]:
        """Requests that send every row once; the last may carry fewer than `size`."""
        return post_requests(SCORES, self.house.credentials.api_key, self.rows.batches(size))

    def full_batches_of(self, size: int) -> list[bytes]:
        """Requests of exactly `size` rows each, to be sent again and again."""
        return self.batches_of(size)[: len(self.rows.scores) // size]


def in_turn(names: list[str], number: int) -> list[str]:
    """The order of round `number`: turned around every second time, so that no variant always comes first."""
    return names if number % 2 == 0 else names[::-1]
