"""The files of a spool: a folder for each client, locked while its process lives, and files of scores in it.

    <spool_dir>/<digest of the key>/              so that no score is sent into another project than its own
        lock                                      held while a client opens or clears up folders
        <id of a client>/lock                     held by its process as long as it lives
        <id of a client>/<number>.jsonl           one score on each line; the last line may be cut

Raises OSError where the disk does. Needs a POSIX system.
"""

from __future__ import annotations

import hashlib
import time
from pathlib import Path
from typing import BinaryIO

from assay.errors import ConfigurationError
from assay.ids import new_score_id

try:
    import fcntl
except ImportError:  # pragma: no cover  (Windows)
    fcntl = None  # type: ignore[assignment]


def check_system() -> None:
    """Raise ConfigurationError where files can't be locked."""
    if fcntl is None:
        raise ConfigurationError("A spool needs a POSIX system.")


def root_of(spool_dir: str, api_key: str) -> Path:
    """Return the folder for the clients that send with this key."""
    digest = hashlib.sha256(api_key.encode()).hexdigest()
    return Path(spool_dir).expanduser() / digest[:16]


class OpenFile:
    """The file that is being written."""

    def __init__(self, path: Path, place: int) -> None:
        self.path = path
        self.place = place
        self.count = 0
        self.size = 0
        self.since = time.monotonic()
        self._file: BinaryIO = path.open("ab", buffering=0)

    def write(self, items: list[bytes]) -> None:
        """Write all of them, or none and raise OSError: a full disk takes a part."""
        lines = memoryview(b"\n".join(items) + b"\n")
        before = self._file.tell()
        try:
            while lines:
                lines = lines[self._file.write(lines) :]
        except OSError:
            self._file.truncate(before)
            self._file.seek(before)
            raise
        self.count += len(items)
        self.size += sum(map(len, items))

    def close(self) -> None:
        self._file.close()


class Folder:
    """A client's own folder in the spool, locked while it lives. Opening and clearing up are locked for the spool."""

    def __init__(self, root: Path) -> None:
        root.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._root = root
        self._own = root / new_score_id()
        self._number = 0
        with _Gate(root):
            self._own.mkdir(mode=0o700)
            self._lock = _locked(self._own / "lock")

    def new_path(self) -> Path:
        self._number += 1
        return self._own / f"{self._number:08d}.jsonl"

    def left_behind(self) -> list[Path]:
        """Move the files of clients that are gone to our own folder, and return them."""
        with _Gate(self._root):
            folders = [folder for folder in self._root.iterdir() if folder.is_dir() and folder != self._own]
            return [path for folder in sorted(folders) for path in self._adopt(folder)]

    def close(self) -> None:
        """Let go of the folder; remove it if nothing is left in it."""
        with _Gate(self._root):
            if not any(self._own.glob("*.jsonl")):
                _remove(self._own)
            self.abandon()

    def abandon(self) -> None:
        if self._lock is not None:
            self._lock.close()

    def _adopt(self, folder: Path) -> list[Path]:
        lock = _locked(folder / "lock")
        if lock is None:
            return []
        with lock:
            adopted = [path.rename(self.new_path()) for path in sorted(folder.glob("*.jsonl"))]
            _remove(folder)
            return adopted


class _Gate:
    """Only one client at a time opens or clears folders."""

    def __init__(self, root: Path) -> None:
        self._path = root / "lock"

    def __enter__(self) -> None:
        self._file = self._path.open("ab")
        fcntl.flock(self._file, fcntl.LOCK_EX)

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _locked(path: Path) -> BinaryIO | None:
    """Return the open lock file, None when another process holds it."""
    try:
        file = path.open("ab")
    except OSError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file


def _remove(folder: Path) -> None:
    try:
        (folder / "lock").unlink(missing_ok=True)
        folder.rmdir()
    except OSError:  # somebody else is at it
        return


def lines_of(path: Path) -> list[bytes]:
    """Return the whole lines of a file; a last one that was cut is none."""
    try:
        text = path.read_bytes()
    except OSError:
        return []
    return [line for line in text.split(b"\n")[:-1] if line]
