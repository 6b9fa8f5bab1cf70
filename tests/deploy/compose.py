"""The compose file as data, with its anchors followed and its variables as they stand."""

from functools import cache
from pathlib import Path
from typing import Any

import yaml

from tests.system.processes import ROOT

FOLDER = ROOT / "deploy" / "compose"
FILE = FOLDER / "compose.yaml"
TLS_FILE = FOLDER / "compose.tls.yaml"
MONITORING_FILE = FOLDER / "compose.monitoring.yaml"
TRACING_FILE = FOLDER / "compose.tracing.yaml"


@cache
def services(file: Path = FILE) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(file.read_text())["services"]
    return found


def environment_of(service: str) -> dict[str, str]:
    given: dict[str, str] = services()[service].get("environment", {})
    return given


def module_of(service: str) -> str:
    """What the service runs with `python -m`."""
    python, option, module, *_ = services()[service]["command"]
    assert (python, option) == ("python", "-m")
    return str(module)


def seconds_of(duration: str) -> float:
    assert duration.endswith("s")
    return float(duration.removesuffix("s"))
