"""Break one part after the other, by a plan that comes from the seed, and start again whatever dies."""

import random
import subprocess
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

from tests.chaos.house import House, Server
from tests.system.processes import Service

Blow = Literal["SIGKILL", "SIGTERM", "SIGSTOP"]
PAUSE_SECONDS = (0.1, 1.8)
DOWN_SECONDS = (0.0, 0.8)
FROZEN_SECONDS = (0.2, 3.0)  # longer than an entry stays with an idle worker: others take over what a frozen one holds
TWICE_SHARE = 0.2


@dataclass(frozen=True)
class Fault:
    """After a pause, `blow` to all of `parts`; `hold_seconds` later they are started again or go on."""

    pause_seconds: float
    parts: tuple[str, ...]
    blow: Blow
    hold_seconds: float


def plan(parts: list[str], kills: int, seed: int) -> list[Fault]:
    """`kills` faults with SIGKILL, and about half as many of the others among them."""
    chance = random.Random(f"{seed} plan")
    numbers: dict[Blow, int] = {"SIGKILL": kills, "SIGTERM": kills // 4, "SIGSTOP": kills // 4}
    blows = [blow for blow, number in numbers.items() for _ in range(number)]
    chance.shuffle(blows)
    return [_fault(parts, blow, chance) for blow in blows]


def _fault(parts: list[str], blow: Blow, chance: random.Random) -> Fault:
    struck = chance.sample(parts, 2 if chance.random() < TWICE_SHARE else 1)
    hold = chance.uniform(*(FROZEN_SECONDS if blow == "SIGSTOP" else DOWN_SECONDS))
    return Fault(chance.uniform(*PAUSE_SECONDS), tuple(struck), blow, hold)


@dataclass
class Monkey:
    house: House
    struck: Counter[tuple[str, str]] = field(default_factory=Counter)
    died_alone: Counter[str] = field(default_factory=Counter)
    died_how: list[str] = field(default_factory=list)
    blows: list[tuple[float, str, str]] = field(default_factory=list)  # when, which part, which blow
    problems: list[str] = field(default_factory=list)

    def carry_out(self, faults: list[Fault]) -> None:
        for fault in faults:
            time.sleep(fault.pause_seconds)
            self.raise_the_dead()
            self._strike(fault)
            time.sleep(fault.hold_seconds)
            self._undo(fault)

    def raise_the_dead(self) -> None:
        """What ended without having been struck is started again, as an operator's supervisor would."""
        for name, part in self.house.parts().items():
            code = part.exit_code()
            if code is not None:
                self.died_alone[_kind(name)] += 1
                self.died_how.append(f"{name} ended by itself with exit code {code}")
                _start(part)

    def _strike(self, fault: Fault) -> None:
        for name in fault.parts:
            part = self.house.parts()[name]
            self.struck[_kind(name), fault.blow] += 1
            self.blows.append((time.monotonic(), _kind(name), fault.blow))
            match fault.blow:
                case "SIGKILL":
                    part.kill()
                case "SIGTERM":
                    self._terminate(name, part)
                case "SIGSTOP":
                    part.freeze()

    def _terminate(self, name: str, part: Service | Server) -> None:
        try:
            code = part.stop()
        except subprocess.TimeoutExpired:
            self.problems.append(f"{name} did not end after SIGTERM")
            part.kill()
            return
        if code != 0 and not (code == -15 and isinstance(part, Service)):  # -15: it had hardly been started
            self.problems.append(f"{name} ended with exit code {code} after SIGTERM")

    def _undo(self, fault: Fault) -> None:
        for name in fault.parts:
            part = self.house.parts()[name]
            if fault.blow == "SIGSTOP":
                part.thaw()
            else:
                _start(part)


def _start(part: Service | Server) -> None:
    if isinstance(part, Service):
        part.start(wait=False)
    else:
        part.start()


def _kind(name: str) -> str:
    return name.partition("-")[0]
