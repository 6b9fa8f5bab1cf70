"""What the locked requirements hold: the distributions of the image, and what each of them installs."""

import re
from collections.abc import Iterable
from importlib.metadata import Distribution, distributions
from pathlib import Path

from tests.system.processes import ROOT

_PIN = re.compile(r"^([a-z0-9._-]+)==([^ ;\\]+)", re.MULTILINE)


def pins(name: str) -> dict[str, str]:
    """The versions in requirements/<name>.txt, by distribution."""
    return dict(_PIN.findall((ROOT / "requirements" / f"{name}.txt").read_text()))


def installed(names: Iterable[str]) -> list[Distribution]:
    """Those of the distributions that this environment has; the others are for other systems and Pythons."""
    wanted = set(names)
    return [one for one in distributions() if _normal(one.name) in wanted]


def files_of(distribution: Distribution) -> list[Path]:
    """The files in site-packages that the distribution has brought, relative to it; its commands are left out."""
    found = distribution.files or []
    return [Path(str(file)) for file in found if ".." not in file.parts and "__pycache__" not in file.parts]


def top_level_of(distribution: Distribution) -> set[str]:
    """What can be imported of it."""
    return {file.parts[0].removesuffix(".py").split(".")[0] for file in files_of(distribution)}


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
