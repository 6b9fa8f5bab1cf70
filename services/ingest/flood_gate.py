"""Tell which projects send more than their share just now: their batches go to the bulk stream of their shard.

A token bucket for each project. One that empties its bucket is flooding until the bucket is half full again: so a
project changes streams from one batch to the next on its way over, and only after a pause on its way back. Nothing is
refused here. Pure: time is an argument.
"""

from collections import OrderedDict

PROJECTS_MAX = 10_000


class FloodGate:
    """`rate` scores a second for as long as one likes, `burst` at once."""

    def __init__(self, rate: float, burst: float) -> None:
        self._rate = rate
        self._burst = burst
        self._buckets: OrderedDict[object, _Bucket] = OrderedDict()

    def is_flooding(self, project_id: object, scores: int, now_seconds: float) -> bool:
        """Count `scores` of the project in, heavy ones as several, and say whether it floods."""
        bucket = self._buckets.get(project_id)
        if bucket is None:
            bucket = self._buckets[project_id] = _Bucket(self._burst, now_seconds)
            self._forget_the_idle()
        self._buckets.move_to_end(project_id)
        level = min(self._burst, bucket.level + (now_seconds - bucket.at_seconds) * self._rate)
        bucket.at_seconds = now_seconds
        bucket.is_flooding = level < (self._burst / 2 if bucket.is_flooding else scores)
        bucket.level = max(0.0, level - scores)
        return bucket.is_flooding

    def _forget_the_idle(self) -> None:
        if len(self._buckets) > PROJECTS_MAX:
            self._buckets.popitem(last=False)


class _Bucket:
    __slots__ = ("at_seconds", "is_flooding", "level")

    def __init__(self, level: float, at_seconds: float) -> None:
        self.level = level
        self.at_seconds = at_seconds
        self.is_flooding = False
