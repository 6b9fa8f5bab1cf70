"""The folder in which one Assay lives (ASSAY_HOME): what is where, and that only one runs in it at a time."""

import contextlib
import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from deploy.local.errors import CannotStart

FREE_BYTES_MIN = 200 * 2**20


class Home:
    """The places in the folder. Nothing is made until `prepare`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.postgres = folder / "postgres"
        self.redis = folder / "redis"
        self.logs = folder / "logs"
        self.run_file = folder / "run.json"
        self.credentials_file = folder / "credentials.json"
        self.pids_file = folder / "pids.json"
        self.demo_mark = folder / "demo-sent"
        self.worker_port = folder / "worker-port"
        self._lock = folder / "lock"

    def log(self, name: str) -> Path:
        return self.logs / f"{name}.log"

    def prepare(self) -> None:
        """Make the folder, closed to others, or say why it can't be used."""
        try:
            self.logs.mkdir(parents=True, exist_ok=True)
            self.folder.chmod(0o700)
            self._refuse_unwritable()
        except OSError as error:
            raise CannotStart(
                f"The data folder {self.folder} can't be written: {error.strerror}.",
                "Make it writable for you, or set ASSAY_HOME to another folder.",
            ) from error
        self._refuse_full_disk()

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the folder; a second run in it is refused. However this process ends, the folder is free again."""
        with self._lock.open("a+") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise self._is_in_use() from None
            file.truncate(0)
            file.write(f"{os.getpid()}\n")
            file.flush()
            yield

    def rotate_logs(self) -> None:
        """Put each log of the run before aside as `name.log.1`, so that a log is about one run."""
        for log in self.logs.glob("*.log"):
            log.replace(log.with_name(f"{log.name}.1"))

    def _refuse_unwritable(self) -> None:
        probe = self.folder / ".writable"
        probe.touch()
        probe.unlink()

    def _refuse_full_disk(self) -> None:
        free = shutil.disk_usage(self.folder).free
        if free < FREE_BYTES_MIN:
            raise CannotStart(
                f"The disk of {self.folder} has {free // 2**20} MB left, too few to start with.",
                f"Make room for at least {FREE_BYTES_MIN // 2**20} MB, or set ASSAY_HOME to a folder on another disk.",
            )

    def _is_in_use(self) -> CannotStart:
        pid = self._lock.read_text().strip() or "unknown"
        return CannotStart(
            f"An Assay already runs on {self.folder} (pid {pid}).",
            "Stop it first, or set ASSAY_HOME, ASSAY_INGEST_PORT and ASSAY_API_PORT to run another beside it.",
        )
