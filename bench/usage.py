"""What processes use: CPU time and resident memory, from /proc."""

import os
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

MB = 1_000_000


def cpu_seconds(pid: int) -> float:
    """User and system time of a process and of all below it, those that have ended included."""
    root, total = psutil.Process(pid), 0.0
    for process in (root, *root.children(recursive=True)):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:
            continue  # it has ended just now; its parent counts it from the next look on
        total += times.user + times.system + times.children_user + times.children_system
    return total


def resident_mb(pid: int) -> float:
    """Resident memory of a process and its children, what they share counted in each."""
    root = psutil.Process(pid)
    return float(sum(process.memory_info().rss for process in (root, *root.children(recursive=True)))) / MB


def peak_mb(pid: int) -> float:
    """The most memory that a process ever had resident, its children not counted."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) * 1024 / MB


class OthersMeter:
    """What the rest of the machine was busy with: above a few percent, trust the spread and not the median."""

    def __init__(self) -> None:
        self._wall, self._busy, self._own = self._now()

    def share(self) -> float:
        """Of all cores' time since the meter was made, the part that neither this process used nor what it started.
        The kernel's own threads count as others."""
        wall, busy, own = self._now()
        return max(0.0, (busy - self._busy) - (own - self._own)) / ((wall - self._wall) * (os.cpu_count() or 1))

    @staticmethod
    def _now() -> tuple[float, float, float]:
        machine = psutil.cpu_times()
        busy = sum(machine) - machine.idle - machine.iowait - machine.guest
        return time.perf_counter(), busy, cpu_seconds(os.getpid())


class CpuMeter:
    """CPU time of named processes since the meter was made, the load generator's own among them."""

    def __init__(self, pids: Mapping[str, int]) -> None:
        self._pids = dict(pids)
        self._before = self._now()

    def used(self) -> dict[str, float]:
        """Seconds, by name."""
        return {name: seconds - self._before[name] for name, seconds in self._now().items()}

    def _now(self) -> dict[str, float]:
        own = os.times()
        used = {name: cpu_seconds(pid) for name, pid in self._pids.items()}
        return {**used, "load generator": own.user + own.system}
