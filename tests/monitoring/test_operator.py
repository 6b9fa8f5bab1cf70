"""What the Prometheus Operator is given says the same as the files beside it, and finds every pod."""

from typing import Any

import pytest
import yaml

from deploy.monitoring.boards import BOARDS
from tests.deploy.manifests import PRODUCTION, container_of, matches, needs_kubectl, of_kind, pods
from tests.monitoring.test_files import MONITORING

JOBS = {
    scrape["job_name"]
    for scrape in yaml.safe_load((MONITORING / "prometheus.yml").read_text())["scrape_configs"]
    if scrape["job_name"].startswith("assay-")
}

pytestmark = needs_kubectl


def monitor(job: str) -> dict[str, Any]:
    spec: dict[str, Any] = of_kind("PodMonitor", MONITORING)[job]["spec"]
    return spec


@pytest.mark.parametrize("job", sorted(JOBS))
def test_each_job_scrapes_the_pods_of_its_service_and_no_others(job: str) -> None:
    of_production = {name: pod["metadata"]["labels"] for name, pod in pods(PRODUCTION).items()}

    found = [name for name, labels in of_production.items() if matches(monitor(job)["selector"], labels)]

    assert found == [job.removeprefix("assay-")]


@pytest.mark.parametrize("job", sorted(JOBS))
def test_each_job_has_the_name_and_the_port_that_the_others_know(job: str) -> None:
    (endpoint,) = monitor(job)["podMetricsEndpoints"]
    ports = {port["name"] for port in container_of(job.removeprefix("assay-"))["ports"]}

    assert endpoint["path"] == "/metrics"
    assert endpoint["port"] in ports
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job}]


def test_every_job_is_there() -> None:
    assert of_kind("PodMonitor", MONITORING).keys() == JOBS


def test_the_rules_are_those_of_the_file() -> None:
    (rules,) = of_kind("PrometheusRule", MONITORING).values()

    assert rules["spec"] == yaml.safe_load((MONITORING / "alerts.yml").read_text())


def test_every_dashboard_is_handed_to_grafana() -> None:
    (dashboards,) = of_kind("ConfigMap", MONITORING).values()

    assert dashboards["data"].keys() == {f"{board.name}.json" for board in BOARDS}
    assert dashboards["metadata"]["labels"]["grafana_dashboard"] == "1"
