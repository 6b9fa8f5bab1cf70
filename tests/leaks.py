"""No secret in a log: everything that the tests' services log, as processes or in the tests' own process, is searched
for keys, passwords and what scores said. A test in whose time one was logged fails.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

SECRETS = {
    "an API key": re.compile(rb"assay_[A-Za-z0-9_-]{40,}"),
    "a bearer token": re.compile(rb"(?i)bearer +[A-Za-z0-9._~+/-]{16,}"),
    "a password in a URL": re.compile(rb"://[^\s/:@\"']*:[^\s/@\"']+@"),
    "a hash of a password": re.compile(rb"\$argon2"),
    "a cookie": re.compile(rb"(?i)set-cookie|cookie:"),
}
SAYING_FIELDS = ("comment", "metadata", "author", "value", "user_id")
# Shorter texts are words that a log may hold for other reasons. As many of the newest as can be searched for quickly.
TEXT_LENGTH_MIN = 12
TEXTS_MAX = 2_000
TEXTS_MAX_IN_LARGE = 100
LARGE_BYTES = 2_000_000


class Leaked(AssertionError):
    """A log holds what no log may hold."""


@dataclass
class Watch:
    """What must not be found, and how much was searched."""

    texts: dict[bytes, None] = field(default_factory=dict)
    logs: int = 0
    size: int = 0

    def remember(self, scores: Iterable[Any]) -> None:
        """From now on no log may hold what these say, as far as they are scores at all."""
        for score in scores:
            for text in _texts_of([score.get(name) for name in SAYING_FIELDS] if isinstance(score, Mapping) else []):
                self.texts.pop(text, None)
                self.texts[text] = None
        while len(self.texts) > TEXTS_MAX:
            del self.texts[next(iter(self.texts))]

    def search(self, log: bytes, source: str) -> None:
        """Raises `Leaked`, which names the kind of secret and its line, and not the secret."""
        self.logs += 1
        self.size += len(log)
        for kind, pattern in SECRETS.items():
            if (found := pattern.search(log)) is not None:
                raise Leaked(f"{kind} in the log of {source}: {_around(log, found.start(), found.end())}")
        texts = list(self.texts)[-TEXTS_MAX_IN_LARGE:] if len(log) > LARGE_BYTES else self.texts
        for text in texts:
            if (at := log.find(text)) >= 0:
                raise Leaked(f"what a score said is in the log of {source}: {_around(log, at, at + len(text))}")


def _texts_of(values: Iterable[Any]) -> Iterable[bytes]:
    for value in values:
        match value:
            case str() if len(value) >= TEXT_LENGTH_MIN and not value.isalpha():  # a word may stand in any log
                yield value.encode(errors="replace")
            case dict():
                yield from _texts_of([*value, *value.values()])
            case list() | tuple():
                yield from _texts_of(value)


def _around(log: bytes, start: int, end: int) -> str:
    return (
        f"{log[max(0, start - 300) : start].decode(errors='replace')}…{log[end : end + 100].decode(errors='replace')}"
    )


WATCH = Watch()
