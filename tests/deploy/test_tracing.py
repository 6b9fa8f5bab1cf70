"""Spans find a way out of Kubernetes and compose where tracing is switched on, and nowhere else."""

import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml
from opentelemetry.exporter.otlp.proto.http import trace_exporter

from tests.deploy.compose import FILE, TRACING_FILE, services
from tests.deploy.facts import SETTINGS
from tests.deploy.manifests import FOLDER, PRODUCTION, Manifest, matches, needs_kubectl, of_kind, pods, rendered, the

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
COMPONENT = FOLDER / "components" / "tracing"


@pytest.fixture
def traced(tmp_path: Path) -> Path:
    """The overlay for production with the component, as if its line were no comment."""
    overlay = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "assay",
        "resources": [os.path.relpath(PRODUCTION, tmp_path)],
        "components": [os.path.relpath(COMPONENT, tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(overlay))
    return tmp_path


def settings(folder: Path) -> dict[str, str]:
    data: dict[str, str] = the("ConfigMap", "settings", folder)["data"]
    return data


@needs_kubectl
def test_it_is_off_until_it_is_asked_for() -> None:
    assert ENDPOINT not in settings(PRODUCTION)
    assert "to-collector" not in of_kind("NetworkPolicy")
    assert "  # - ../../components/tracing # yours" in (PRODUCTION / "kustomization.yaml").read_text()


@needs_kubectl
def test_it_adds_one_policy_and_one_setting(traced: Path) -> None:
    assert len(rendered(traced)) == len(rendered(PRODUCTION)) + 1
    assert settings(traced).items() - settings(PRODUCTION).items() == {(ENDPOINT, settings(traced)[ENDPOINT])}


@needs_kubectl
@pytest.mark.parametrize("service", SETTINGS)
def test_a_service_is_let_through_to_the_endpoint_that_it_is_told(service: str, traced: Path) -> None:
    endpoint = urlsplit(settings(traced)[ENDPOINT])
    policy = of_kind("NetworkPolicy", traced)["to-collector"]["spec"]
    (rule,) = policy["egress"]
    (told,) = pods(traced)[service]["spec"]["containers"][0]["envFrom"]

    assert told["configMapRef"]["name"] == the("ConfigMap", "settings", traced)["metadata"]["name"]
    assert matches(policy["podSelector"], pods(traced)[service]["metadata"]["labels"])
    assert rule["ports"] == [{"protocol": "TCP", "port": endpoint.port}]
    assert _namespace(rule) == str(endpoint.hostname).split(".")[1]
    assert endpoint.port == urlsplit(trace_exporter.DEFAULT_ENDPOINT).port


def test_in_compose_the_three_services_get_a_way_out_and_the_stores_none() -> None:
    added = services(TRACING_FILE)
    networks = yaml.safe_load(TRACING_FILE.read_text())["networks"]

    assert added.keys() == SETTINGS.keys()
    for described in added.values():
        assert described["environment"].keys() == {ENDPOINT}
        assert described["environment"][ENDPOINT].startswith(f"${{{ENDPOINT}:?")
        assert [networks[name].get("internal", False) for name in described["networks"]] == [False]
    assert yaml.safe_load(FILE.read_text())["networks"]["inside"]["internal"] is True
    assert all(ENDPOINT not in described.get("environment", {}) for described in services().values())


def _namespace(rule: Manifest) -> str:
    (peer,) = rule["to"]
    return str(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
