"""The compose file is one, agrees with the product, and holds no password."""

import asyncio
import os
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import asyncpg
import pytest

from services.worker.settings import Settings as WorkerSettings
from shared.version import VERSION
from tests.deploy import caddyfile
from tests.deploy.compose import (
    FILE,
    FOLDER,
    MONITORING_FILE,
    TLS_FILE,
    TRACING_FILE,
    environment_of,
    module_of,
    seconds_of,
    services,
)
from tests.deploy.containerfile import CONTAINERFILE
from tests.deploy.facts import ANSWER_SECONDS_MAX, SETTINGS, needed_by, variables_of
from tests.system.processes import ROOT

FILES = [FILE, TLS_FILE, MONITORING_FILE, TRACING_FILE]
OURS = ["migrate", *SETTINGS]
STORES = ("DATABASE_URL", "REDIS_URL")
CHECK_JSONSCHEMA = Path(sys.executable).with_name("check-jsonschema")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_it_is_what_the_compose_specification_asks_for(path: Path) -> None:
    found = subprocess.run(
        [CHECK_JSONSCHEMA, "--builtin-schema", "vendor.compose-spec", path], capture_output=True, text=True, check=False
    )

    assert found.returncode == 0, found.stdout


def test_it_brings_up_everything() -> None:
    assert services().keys() == {"postgres", "redis", "migrate", "ingest", "worker", "api", "proxy"}


@pytest.mark.parametrize("service", OURS)
def test_a_service_is_the_image_with_another_command(service: str) -> None:
    described = services()[service]

    assert described["image"] == f"${{ASSAY_IMAGE:-assay:{VERSION}}}"
    assert (FOLDER / described["build"]["context"] / described["build"]["dockerfile"]).resolve() == CONTAINERFILE
    assert service == "migrate" or find_spec(f"{module_of(service)}.__main__") is not None


async def test_the_migration_makes_the_tables_and_the_logins_of_worker_and_api(bare_database_url: str) -> None:
    """Its own command, with other names: logins belong to the whole server, which other tests use too."""
    shell, option, script = services()["migrate"]["command"]
    script = (
        script.replace("$$", "$").replace("assay_api_1", "composed_api").replace("assay_worker_1", "composed_worker")
    )
    environment = {"DATABASE_URL": bare_database_url, "API_PASSWORD": "p1", "WORKER_PASSWORD": "p2"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    for _ in range(2):
        migrating = await asyncio.create_subprocess_exec(shell, option, script, cwd=ROOT, env=environment)
        assert await migrating.wait() == 0

    for login in ("composed_api:p1", "composed_worker:p2"):
        connection = await asyncpg.connect(re.sub("//[^@]*@", f"//{login}@", bare_database_url))
        assert await connection.fetchval("SELECT count(*) FROM projects") == 0
        await connection.close()


def test_worker_and_api_come_by_logins_of_their_own() -> None:
    for service in ("worker", "api"):
        password = f"${{{service.upper()}_PASSWORD:?"
        assert environment_of(service)["DATABASE_URL"].startswith(f"postgresql://assay_{service}_1:{password}")
        assert f"login assay_{service}_1 assay_{service}\n" in services()["migrate"]["command"][-1]
        assert environment_of("migrate")[f"{service.upper()}_PASSWORD"].startswith(password)


def test_the_migration_runs_before_what_needs_its_tables() -> None:
    for service in ("worker", "api"):
        assert services()[service]["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}


def test_ingest_needs_redis_and_nothing_else() -> None:
    assert services()["ingest"]["depends_on"] == {"redis": {"condition": "service_healthy"}}
    assert "DATABASE_URL" not in environment_of("ingest")


@pytest.mark.parametrize("service", SETTINGS)
def test_every_variable_is_one_that_the_service_reads(service: str) -> None:
    given = environment_of(service).keys()

    assert given <= variables_of(service)
    assert needed_by(service) <= given
    assert environment_of("migrate").keys() == {"DATABASE_URL", "REDIS_URL", "API_PASSWORD", "WORKER_PASSWORD"}


def test_every_variable_of_the_proxy_is_in_its_configuration() -> None:
    given = {name for name in environment_of("proxy") if not name.startswith("XDG_")}

    assert given <= caddyfile.variables().keys()


@pytest.mark.parametrize("service", [*OURS, "redis", "proxy"])
def test_a_container_can_change_nothing_and_has_no_rights(service: str) -> None:
    described = services()[service]

    assert described["read_only"] is True
    assert described["cap_drop"] == ["ALL"]
    assert described.get("cap_add", []) == (["NET_BIND_SERVICE"] if service == "proxy" else [])
    assert described["security_opt"] == ["no-new-privileges:true"]


@pytest.mark.parametrize("service", services())
def test_what_goes_on_running_is_looked_after(service: str) -> None:
    described = services()[service]
    if service == "migrate":
        assert described["restart"] == "no"
        return

    assert described["restart"] == "unless-stopped"
    assert seconds_of(described["healthcheck"]["interval"]) <= 10
    assert described["healthcheck"]["test"][0] in ("CMD", "CMD-SHELL")
    assert described["logging"]["options"].keys() == {"max-size", "max-file"}


@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_is_asked_for_its_health_by_its_own_name(service: str) -> None:
    assert services()[service]["healthcheck"]["test"] == ["CMD", "python", "/app/healthcheck.py", service]
    assert f"ASSAY_{service.upper()}_PORT" not in environment_of(service)  # it listens where the proxy looks for it


def test_the_proxy_is_asked_where_it_says_that_it_is_alive() -> None:
    alive = caddyfile.variables()["PROXY_ALIVE"]

    assert services()["proxy"]["healthcheck"]["test"][-1] == f"http://127.0.0.1{alive}/"


def test_each_has_the_time_that_it_may_take_to_stop() -> None:
    for service in ("ingest", "api"):
        pause = float(environment_of(service)["ASSAY_STOP_PAUSE_SECONDS"])
        assert pause > caddyfile.seconds("health_interval") + caddyfile.seconds("health_timeout")
        assert pause > caddyfile.seconds("keepalive")
        assert seconds_of(services()[service]["stop_grace_period"]) > pause + ANSWER_SECONDS_MAX
    drain = WorkerSettings(database_url="", redis_url="").drain_seconds
    assert seconds_of(services()["worker"]["stop_grace_period"]) > drain + 5
    assert seconds_of(services()["proxy"]["stop_grace_period"]) > caddyfile.seconds("grace_period")


def test_requests_wait_longer_than_the_only_process_takes_to_restart() -> None:
    pause = float(environment_of("ingest")["ASSAY_STOP_PAUSE_SECONDS"])

    assert caddyfile.seconds("lb_try_duration") > pause


def test_only_the_proxy_is_open_and_only_to_this_machine() -> None:
    assert [name for name, described in services().items() if "ports" in described] == ["proxy"]
    assert services()["proxy"]["ports"] == ["127.0.0.1:${PUBLIC_PORT:-8080}:8080"]
    assert environment_of("proxy")["PROXY_SITE"] == ":8080"


def test_no_password_is_in_the_files_and_none_has_a_default() -> None:
    for path in FILES:
        named = re.findall(r"\$?\$\{([A-Z_]*(?:PASSWORD|SECRET|KEY)[A-Z_]*)([^}]*)}", path.read_text())
        assert all(rest.startswith(":?") for _, rest in named)
    urls = [url for service in OURS for name, url in environment_of(service).items() if name in STORES]
    assert urls
    assert all(re.search(r"://[a-z_1]*:\$\{[A-Z]+_PASSWORD:\?", url) for url in urls)


def test_what_is_mounted_is_there() -> None:
    for described in services().values():
        for volume in described.get("volumes", []):
            source = volume.split(":")[0]
            assert source in ("postgres", "redis", "certificates") or (FOLDER / source).is_file()
