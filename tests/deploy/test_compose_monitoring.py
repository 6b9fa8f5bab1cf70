"""Prometheus and Grafana in compose find every process, the rules and the dashboards, and are open to nobody else."""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.monitoring.boards import BOARDS
from tests.deploy.compose import FILE, FOLDER, MONITORING_FILE, services
from tests.deploy.facts import PORTS
from tests.monitoring.test_files import MONITORING, RULES
from tests.monitoring.test_promtool import needs_promtool

ADDED = services(MONITORING_FILE)
VOLUMES = yaml.safe_load(MONITORING_FILE.read_text())["volumes"]


def mounts(service: str) -> dict[str, str]:
    """What lies where in the container."""
    triples = [volume.split(":") for volume in ADDED[service]["volumes"]]
    return {target: source for source, target, *_ in triples}


def mounted(service: str, target: str) -> Any:
    return yaml.safe_load((FOLDER / mounts(service)[target]).read_text())


def test_it_adds_to_the_services_and_changes_none() -> None:
    assert ADDED.keys() == {"prometheus", "grafana"}
    assert not ADDED.keys() & services().keys()
    assert not VOLUMES.keys() & yaml.safe_load(FILE.read_text())["volumes"].keys()


@pytest.mark.parametrize("service", sorted(ADDED))
def test_it_is_open_to_this_machine_alone_and_can_change_nothing(service: str) -> None:
    described = ADDED[service]

    assert all(port.startswith("127.0.0.1:") for port in described["ports"])
    assert described["read_only"] is True
    assert described["cap_drop"] == ["ALL"]
    assert described["security_opt"] == ["no-new-privileges:true"]
    assert described["restart"] == "unless-stopped"
    assert described["healthcheck"]["test"][0] == "CMD"


@pytest.mark.parametrize("service", sorted(ADDED))
def test_it_is_an_exact_release_and_keeps_what_it_knows(service: str) -> None:
    source = mounts(service)["/prometheus" if service == "prometheus" else "/var/lib/grafana"]

    assert ADDED[service]["image"].rpartition(":")[2].count(".") == 2
    assert source in VOLUMES
    for lies in mounts(service).values():
        assert lies in VOLUMES or (FOLDER / lies).exists()


def test_prometheus_looks_for_every_container_of_a_service_where_it_listens() -> None:
    found = mounted("prometheus", "/etc/assay/prometheus.yml")["scrape_configs"]
    looked_for = {job["job_name"]: job["dns_sd_configs"] for job in found}

    assert looked_for.keys() == {f"assay-{service}" for service in PORTS}
    for service, port in PORTS.items():
        (by_name,) = looked_for[f"assay-{service}"]
        assert (by_name["names"], by_name["type"], by_name["port"]) == ([service], "A", port)
        assert service in services()
        assert "inside" in services()[service]["networks"]
    assert "inside" in ADDED["prometheus"]["networks"]


def test_jobs_are_those_of_the_example() -> None:
    example = yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    ours = mounted("prometheus", "/etc/assay/prometheus.yml")["scrape_configs"]

    assert [job["job_name"] for job in ours] == [job["job_name"] for job in example if job["job_name"] != "node"]


@needs_promtool
def test_its_configuration_is_sound_with_the_rules_beside_it(tmp_path: Path) -> None:
    for target, source in mounts("prometheus").items():
        if target.startswith("/etc/assay/"):
            shutil.copy(FOLDER / source, tmp_path / Path(target).name)

    done = subprocess.run(
        ["promtool", "check", "config", "prometheus.yml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


def test_grafana_asks_prometheus_where_it_listens() -> None:
    (source,) = mounted("grafana", "/etc/grafana/provisioning/datasources/assay.yml")["datasources"]

    assert source["url"] == "http://prometheus:9090"
    assert source["isDefault"] is True  # the dashboards take the default
    assert ADDED["prometheus"]["ports"][0].endswith(":9090")
    assert set(ADDED["grafana"]["networks"]) & set(ADDED["prometheus"]["networks"]) == {"monitoring"}


def test_grafana_has_every_dashboard_and_begins_with_the_overview() -> None:
    (provider,) = mounted("grafana", "/etc/grafana/provisioning/dashboards/assay.yml")["providers"]
    folder = FOLDER / mounts("grafana")[provider["options"]["path"]]
    home = Path(ADDED["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])

    assert {json.loads(path.read_text())["uid"] for path in folder.iterdir()} == {board.name for board in BOARDS}
    assert str(home.parent) == provider["options"]["path"]
    assert (folder / home.name).is_file()
