"""`make load`: make a folder's score configs, then have `assay load` send its scores and account for them."""

import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from deploy.local.client import Client
from deploy.local.errors import CannotStart
from deploy.local.screen import Screen
from deploy.local.settings import PROJECT_FOLDER

CONFIG_FILE = "score_configs.json"
SCORE_FILE = "scores.jsonl.gz"
SDK_SOURCES = PROJECT_FOLDER / "sdk" / "python" / "src"
_SAME_KEYS = ("name", "data_type", "description", "categories")
_SOME_REJECTED = 3  # the command's exit code when every row is accounted for, and some are rejected


@dataclass(frozen=True)
class Access:
    """Whose project is loaded, and where."""

    ingest_url: str
    api_url: str
    api_key: str

    def environment(self) -> dict[str, str]:
        return {f"ASSAY_{name.upper()}": getattr(self, name) for name in ("ingest_url", "api_url", "api_key")}


@dataclass(frozen=True)
class LoadPlan:
    """What to load and how.

    A row's id follows from its file's name, its number and its content; with `id_prefix` from its number alone. Either
    way, loading twice doubles nothing. `notes` is the folder for rejected rows, and for where to go on.
    """

    folder: Path
    notes: Path
    file: str = SCORE_FILE
    batch_size: int = 100
    senders: int = 2
    id_prefix: str | None = None

    @property
    def scores(self) -> Path:
        return self.folder / self.file

    def arguments(self) -> list[str]:
        """Return the arguments of `assay`."""
        ids = ["--ids", "line", "--id-prefix", self.id_prefix] if self.id_prefix else []
        rejected = self.notes / f"{self.file.split('.')[0]}.rejected.jsonl"
        sending = ["--batch-size", str(self.batch_size), "--senders", str(self.senders)]
        return ["load", str(self.scores), *sending, *ids, "--state-dir", str(self.notes), "--rejected", str(rejected)]


async def make_configs(access: Access, plan: LoadPlan, screen: Screen) -> None:
    """Make the folder's score configs that have no active one of their name yet."""
    if not plan.scores.is_file():
        raise CannotStart(f"There is no {plan.scores}.", "Name a folder with scores: make load DATA=folder")
    configs = _configs(plan.folder / CONFIG_FILE)
    async with Client(access.ingest_url, access.api_url, access.api_key) as client:
        made = sum([await client.make_config(_config_body(config)) for config in configs])
    screen.say(f"Score configs: {made} made, {len(configs) - made} were there already.")


def load(access: Access, plan: LoadPlan) -> int:
    """Run `assay load` on this screen. Returns 0 when every row is accounted for, else the command's exit code."""
    command = [sys.executable, "-m", "assay", *plan.arguments()]
    code = _wait_for(command, {**os.environ, **access.environment(), "PYTHONPATH": str(SDK_SOURCES)})
    return 0 if code == _SOME_REJECTED else code


def _wait_for(command: list[str], environment: Mapping[str, str]) -> int:
    """Return the exit code. Ctrl-C goes to the command too, which says where it stopped: that is waited for."""
    with subprocess.Popen(command, env=environment) as process:
        while True:
            try:
                return process.wait()
            except KeyboardInterrupt:
                continue


def _configs(path: Path) -> list[dict[str, Any]]:
    """Return the configs of the folder; none when it has no such file: then those that are there apply."""
    if not path.exists():
        return []
    configs: list[dict[str, Any]] = msgspec.json.decode(path.read_bytes())["configs"]
    return configs


def _config_body(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config of the file as the api wants it: a numeric one names both bounds, null where an end is open."""
    body: dict[str, Any] = {key: config[key] for key in _SAME_KEYS if key in config}
    if config["data_type"] == "NUMERIC":
        body |= {"min_value": config.get("min"), "max_value": config.get("max")}
    return body
