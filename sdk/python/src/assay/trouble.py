"""What goes wrong while sending, told once and clearly: a rate-limited log line, and the callback `on_error`."""

from __future__ import annotations

import logging
import threading
import time
from typing import Any, Callable, NamedTuple

logger = logging.getLogger("assay")


class Trouble(NamedTuple):
    """Something that the application may want to know.

    `kind` is `rejected` (a score was refused, by the server or at the call), `rejected_later` (it was taken in, and
    broke a rule of its project), `dropped` (scores were given up) or `delayed` (scores wait, because the server can't
    be reached or doesn't let them in). `code` and `detail` are the server's own where there are any; `number` is how
    many scores it is about; `score` is the refused one, of one that was rejected later only its id.
    """

    kind: str
    code: str
    detail: str
    number: int
    score: dict[str, Any] | None = None


OnError = Callable[[Trouble], None]
_SAYINGS = {
    "rejected": "rejected",
    "rejected_later": "taken in and rejected later",
    "dropped": "dropped",
    "delayed": "waiting, delivery fails",
}
_TOLD_AT_ONCE = ("rejected", "rejected_later")  # to `on_error`, each score by itself


class Troubles:
    """Collects troubles by kind and code, and tells of them at most once in `log_seconds` for each kind."""

    def __init__(self, log_seconds: float, on_error: OnError | None) -> None:
        self._log_seconds = log_seconds
        self.on_error = on_error
        self._lock = threading.RLock()
        self._untold: dict[tuple[str, str], Trouble] = {}
        self._told_at: dict[str, float] = {}

    def add(self, trouble: Trouble) -> None:
        """Remember it for the log. The first one of a code stands for all of them."""
        with self._lock:
            key = (trouble.kind, trouble.code)
            known = self._untold.get(key)
            if known is not None and trouble.kind != "delayed":
                trouble = known._replace(number=known.number + trouble.number)
            self._untold[key] = trouble

    def refuse(self, code: str, detail: str, score: dict[str, Any], kind: str = "rejected") -> None:
        """Tell `on_error` of one refused score now, and the log in time."""
        trouble = Trouble(kind, code, detail, 1, score)
        self.add(trouble)
        self._call(trouble)

    def tell(self, everything: bool = False) -> float | None:
        """Log what is due. Return the seconds until more is, None when nothing is left to tell."""
        now = time.monotonic()
        with self._lock:
            kinds = {kind: self._told_at.get(kind, now - self._log_seconds) for kind, _ in self._untold}
            due = [kind for kind, told_at in kinds.items() if everything or now - told_at >= self._log_seconds]
            telling = [self._untold.pop(key) for key in list(self._untold) if key[0] in due]
            self._told_at.update(dict.fromkeys(due, now))
            left = [told_at + self._log_seconds - now for kind, told_at in kinds.items() if kind not in due]
        for kind in due:
            self._log(kind, [trouble for trouble in telling if trouble.kind == kind])
        return max(0.0, min(left)) if left else None

    def forget(self, kind: str) -> bool:
        """Drop what is untold of a kind; return whether the log had been told of it before."""
        with self._lock:
            for key in [key for key in self._untold if key[0] == kind]:
                del self._untold[key]
            return self._told_at.pop(kind, None) is not None

    def _log(self, kind: str, troubles: list[Trouble]) -> None:
        number = sum(trouble.number for trouble in troubles)
        reasons = "; ".join(map(_reason, troubles))
        logger.warning("%s score%s %s: %s", f"{number:,}", "" if number == 1 else "s", _SAYINGS[kind], reasons)
        if kind not in _TOLD_AT_ONCE:
            for trouble in troubles:
                self._call(trouble)

    def _call(self, trouble: Trouble) -> None:
        if self.on_error is None:
            return
        try:
            self.on_error(trouble)
        except Exception:  # the application's code must not end the sender
            logger.exception("on_error failed")


def _reason(trouble: Trouble) -> str:
    return f"{trouble.number:,} × {trouble.code}: {trouble.detail}{_example(trouble.score)}"


def _example(score: dict[str, Any] | None) -> str:
    if not score:
        return ""
    name = f", {score['name']}" if score.get("name") else ""
    return f" (such as score {score.get('id')}{name})"
