"""Refuse a requirements lock that is not safe to install: a pin without a hash, or an address or a path in it."""

import re
import sys
from pathlib import Path

_PIN = re.compile(r"^(?P<name>[a-z0-9][a-z0-9._-]*)==(?P<version>[^ ;\\]+)")
_HASH = re.compile(r"^ +--hash=sha256:[0-9a-f]{64}( \\)?$")


def problems(text: str) -> list[str]:
    """Return what is wrong with the text of a compiled requirements file, a sentence for each line at fault."""
    found = []
    name, hashes = "", 1
    for line in [*text.splitlines(), "end==0"]:
        if _HASH.match(line):
            hashes += 1
        elif pin := _PIN.match(line):
            found += [f"{name} has no hash"] if hashes == 0 else []
            name, hashes = pin["name"], 0
        elif line.strip() and not line.startswith("#"):
            found.append(f"not a pin: {line.strip()}")
    return found


def main(paths: list[Path]) -> int:
    found = [f"{path}: {problem}" for path in paths for problem in problems(path.read_text())]
    for problem in found:
        print(problem, file=sys.stderr)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main([Path(argument) for argument in sys.argv[1:]]))
