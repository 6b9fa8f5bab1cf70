"""The Kubernetes manifests as data: rendered by the real kustomize, which is in kubectl."""

import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.system.processes import ROOT

FOLDER = ROOT / "deploy" / "kubernetes"
BASE = FOLDER / "base"
PRODUCTION = FOLDER / "overlays" / "production"

KUBECTL = shutil.which("kubectl")

needs_kubectl = pytest.mark.skipif(KUBECTL is None, reason="kubectl is not installed, which renders the manifests")

Manifest = dict[str, Any]


@cache
def rendered(folder: Path) -> list[Manifest]:
    assert KUBECTL is not None
    done = subprocess.run([KUBECTL, "kustomize", folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return list(yaml.safe_load_all(done.stdout))


def written() -> Iterator[tuple[Path, Manifest]]:
    """Every object as it stands in the files, before kustomize has seen it."""
    for path in sorted(FOLDER.rglob("*.yaml")):
        if path.name != "kustomization.yaml":
            for manifest in yaml.safe_load_all(path.read_text()):
                yield path, manifest


def of_kind(kind: str, folder: Path = PRODUCTION) -> dict[str, Manifest]:
    """By their names."""
    return {one["metadata"]["name"]: one for one in rendered(folder) if one["kind"] == kind}


def the(kind: str, name: str, folder: Path = PRODUCTION) -> Manifest:
    """By the name that it has in the files: kustomize puts a hash behind that of a ConfigMap."""
    (found,) = [one for full, one in of_kind(kind, folder).items() if full == name or full.startswith(f"{name}-")]
    return found


def pods(folder: Path = PRODUCTION) -> dict[str, Manifest]:
    """The pod template of everything that has one, by name."""
    kinds = ("Deployment", "StatefulSet", "Job")
    found = {name: one["spec"]["template"] for kind in kinds for name, one in of_kind(kind, folder).items()}
    jobs = of_kind("CronJob", folder)
    return found | {name: one["spec"]["jobTemplate"]["spec"]["template"] for name, one in jobs.items()}


def containers_of(name: str) -> list[Manifest]:
    found: list[Manifest] = pods()[name]["spec"]["containers"]
    return found


def container_of(name: str) -> Manifest:
    """The first, which is the only one but for the operator's pod."""
    return containers_of(name)[0]


def environment_of(name: str) -> dict[str, Manifest | str]:
    """The container's variables: a text, or where it comes from."""
    container = container_of(name)
    given: dict[str, Manifest | str] = {}
    for source in container.get("envFrom", []):
        given |= the("ConfigMap", source["configMapRef"]["name"])["data"]
    return given | {one["name"]: one.get("value") or one["valueFrom"] for one in container.get("env", [])}


def matches(selector: Manifest, labels: dict[str, str]) -> bool:
    """Whether a label selector picks something with these labels."""
    wanted = selector.get("matchLabels", {}).items() <= labels.items()
    listed = all(labels.get(one["key"]) in one["values"] for one in selector.get("matchExpressions", []))
    return wanted and listed
