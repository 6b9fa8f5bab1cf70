"""Read the container file into its instructions."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from tests.system.processes import ROOT

CONTAINERFILE = ROOT / "deploy" / "container" / "Containerfile"


@dataclass(frozen=True)
class Instruction:
    word: str
    rest: str

    @property
    def is_exec_form(self) -> bool:
        """Whether it is a list of words, which no shell reads."""
        return self.rest.startswith("[") and self.rest.endswith("]")


def stages() -> list[list[Instruction]]:
    """The instructions of each stage from its FROM on; the last one becomes the image."""
    found: list[list[Instruction]] = []
    for instruction in instructions():
        if instruction.word == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found


def instructions() -> list[Instruction]:
    text = re.sub(r"^\s*#.*\n", "", CONTAINERFILE.read_text(), flags=re.MULTILINE)
    lines = re.sub(r"\\\n\s*", "", text).splitlines()
    return [Instruction(*line.split(maxsplit=1)) for line in lines if line.strip()]


def copied_from_the_checkout(some: Iterable[Instruction]) -> list[str]:
    """What they copy from the folder that is built."""
    return [
        source
        for instruction in some
        if instruction.word == "COPY" and not instruction.rest.startswith("--from=")
        for source in instruction.rest.split()[:-1]
    ]
