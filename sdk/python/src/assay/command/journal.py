"""What is settled of a load: counts for the receipt, the rejected rows, and where to go on after an interruption.

Batches settle in any order. The account is of whole batches from the beginning without a gap: what lies behind a gap is
sent again by the next run, and has the same ids. The file of the rejected rows is cut back to the account first.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

_SAVE_SECONDS = 1.0


class Rejected(NamedTuple):
    """A row that was refused or broke a rule, with the score as it was sent (or the row's text, if it is none)."""

    row: int
    code: str
    detail: str
    score: Any


class Settled(NamedTuple):
    """What became of a batch: its last row, how many rows it has, and what they are now."""

    last_row: int
    rows: int
    stored: int = 0
    replaced: int = 0
    unchanged: int = 0
    unknown: int = 0
    rejected: tuple[Rejected, ...] = ()


class Account:
    """The sums. `rows = stored + replaced + unchanged + rejected + unknown`; unknown ones have no receipt."""

    def __init__(self, known: dict[str, Any] | None = None) -> None:
        known = known or {}
        self.through_row = int(known.get("through_row", 0))
        self.rows = int(known.get("rows", 0))
        self.counts: Counter[str] = Counter(known.get("counts", {}))
        self.codes: Counter[str] = Counter(known.get("codes", {}))
        self.rejected_bytes = int(known.get("rejected_bytes", 0))

    def add(self, settled: Settled) -> None:
        self.through_row = settled.last_row
        self.rows += settled.rows
        for name in ("stored", "replaced", "unchanged", "unknown"):
            self.counts[name] += getattr(settled, name)
        self.counts["rejected"] += len(settled.rejected)
        self.codes.update(rejected.code for rejected in settled.rejected)

    def fields(self) -> dict[str, Any]:
        names = ("stored", "replaced", "unchanged", "rejected", "unknown")
        return {
            "rows": self.rows,
            **{name: self.counts[name] for name in names},
            "rejected_by_code": dict(self.codes.most_common()),
        }


class Journal:
    """`identity` tells one load from another: the file as it is, where it goes, and how it is read."""

    def __init__(self, state: Path, identity: dict[str, Any], rejected: Path, restart: bool) -> None:
        self._state = state
        self._identity = json.loads(json.dumps(identity))
        self.rejected_path = rejected
        self.account = Account(None if restart else self._known())
        self.resumed = self.account.through_row > 0
        self._next = 0
        self._behind_a_gap: dict[int, Settled] = {}
        self._saved_at = 0.0
        self._cut_back_rejected()

    def settle(self, number: int, settled: Settled) -> None:
        """Take the result of batch `number` (from 0, in the order of the file) into the account."""
        self._behind_a_gap[number] = settled
        while self._next in self._behind_a_gap:
            done = self._behind_a_gap.pop(self._next)
            self._next += 1
            self._write_rejected(done)
            self.account.add(done)
        if time.monotonic() - self._saved_at > _SAVE_SECONDS:
            self.save()

    def save(self) -> None:
        """Write down where to go on."""
        account = self.account
        known = {
            "identity": self._identity,
            "through_row": account.through_row,
            "rows": account.rows,
            "counts": account.counts,
            "codes": account.codes,
            "rejected_bytes": account.rejected_bytes,
        }
        self._state.parent.mkdir(parents=True, exist_ok=True)
        new = self._state.with_suffix(".new")
        new.write_text(json.dumps(known))
        os.replace(new, self._state)
        self._saved_at = time.monotonic()

    def finish(self) -> None:
        """Forget where to go on: it is done."""
        self._state.unlink(missing_ok=True)

    def _known(self) -> dict[str, Any] | None:
        try:
            known = json.loads(self._state.read_text())
        except (OSError, ValueError):
            return None
        return known if isinstance(known, dict) and known.get("identity") == self._identity else None

    def _cut_back_rejected(self) -> None:
        """Leave of the file of rejected rows what is in the account; put that of another load aside."""
        if self.account.rejected_bytes:
            with self.rejected_path.open("ab") as file:
                file.truncate(self.account.rejected_bytes)
        elif self.rejected_path.exists():
            os.replace(self.rejected_path, f"{self.rejected_path}.old")

    def _write_rejected(self, settled: Settled) -> None:
        if not settled.rejected:
            return
        self.rejected_path.parent.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(rejected._asdict(), ensure_ascii=False, default=str) for rejected in settled.rejected]
        with self.rejected_path.open("ab") as file:
            file.write(("\n".join(lines) + "\n").encode("utf-8", "replace"))
            self.account.rejected_bytes = file.tell()


def state_path(folder: Path | None, identity: dict[str, Any]) -> Path:
    """Return where it is written down how far the load of a file is."""
    base = Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state") / "assay" / "loads"
    name = hashlib.sha256(json.dumps([identity["path"], identity["project"]]).encode()).hexdigest()[:32]
    return (folder or base) / f"{name}.json"
