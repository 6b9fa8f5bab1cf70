"""All HTTP connections of one process: how many there may be, and which one goes when there are too many."""

import resource
from contextlib import suppress
from typing import Protocol

import structlog

from shared.http.refusals import Refusals
from shared.metrics import HttpMetrics

log = structlog.get_logger()

CONNECTIONS_MAX = 16_384
HEAD_SECONDS = 10.0
FILES_BESIDE = 300  # what a process has open besides: its stores, its log, static files


class Member(Protocol):
    def cut(self, reason: str) -> None: ...


class Connections:
    """At most `connections_max`; a request has `head_seconds` to arrive up to its body."""

    def __init__(
        self,
        connections_max: int = CONNECTIONS_MAX,
        head_seconds: float = HEAD_SECONDS,
        metrics: HttpMetrics | None = None,
    ) -> None:
        self.head_seconds = head_seconds
        self._metrics = metrics
        self._max = min(connections_max, _files_for(connections_max + FILES_BESIDE) - FILES_BESIDE)
        if self._max < connections_max:
            log.warning("connections_limited", wanted=connections_max, by_open_files=self._max)
        self._open = 0
        self.refusals = Refusals()
        # Those without a request in hand, in the order in which they became so: the first has waited longest.
        self._idle: dict[Member, None] = {}
        if metrics is not None:
            metrics.connections.set_function(lambda: self._open)

    def enter(self, member: Member) -> bool:
        """Whether it may stay. Where there is no room, the one that has been idle longest makes it: so whoever holds
        connections without using them can't keep anybody out."""
        if self._open >= self._max:
            longest = next(iter(self._idle), None)
            if longest is None:
                return False
            del self._idle[longest]
            longest.cut("made_room")
        self._open += 1
        self._idle[member] = None
        return True

    def leave(self, member: Member) -> None:
        self._open -= 1
        self._idle.pop(member, None)

    def works(self, member: Member) -> None:
        self._idle.pop(member, None)

    def rests(self, member: Member) -> None:
        self._idle[member] = None

    def count_cut(self, reason: str) -> None:
        """One is cut off, or refused."""
        if self._metrics is not None:
            self._metrics.connections_cut.labels(reason).inc()


def _files_for(wanted: int) -> int:
    """How many files this process may have open, after it has asked for as many as `wanted`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    infinity = resource.RLIM_INFINITY
    if soft != infinity and soft < wanted:
        with suppress(ValueError, OSError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if hard == infinity else min(wanted, hard), hard))
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return wanted if soft == infinity else max(soft, FILES_BESIDE + 1)
