"""The steps of a new release in docs/deploying.md keep the order that operating.md asks for, and leave nothing out."""

import re

import pytest

from tests.deploy.compose import services
from tests.deploy.facts import SETTINGS
from tests.deploy.manifests import PRODUCTION, Manifest, needs_kubectl, rendered
from tests.system.processes import ROOT

PAGE = (ROOT / "docs" / "deploying.md").read_text(encoding="utf-8")
STEPS = PAGE[PAGE.index("\n## A new release\n") :]
COMPOSE, KUBERNETES = STEPS.split("\n### In compose\n")[1].split("\n### In Kubernetes\n")
FORWARD = ["worker", "api", "ingest"]
POST = "python -m shared.schema migrate --post"

COMPONENT = "app.kubernetes.io/component"


def blocks(text: str) -> list[str]:
    return re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_order_is_that_of_operating() -> None:
    upgrades = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8").partition("\n## Upgrades\n")[2]
    in_bold = re.findall(r"\*\*(\w+)s\*\*", upgrades)[:3]

    assert in_bold == FORWARD
    assert f"({', '.join(reversed(FORWARD))})" in upgrades


@pytest.mark.parametrize("text", [COMPOSE, KUBERNETES], ids=["compose", "kubernetes"])
def test_services_are_replaced_in_order_and_go_back_the_other_way_until_the_last_step(text: str) -> None:
    there, back, last = blocks(text)

    assert re.findall(r"for service in ([\w ]+);", there) == [" ".join(FORWARD)]
    assert there.index("migrate") < there.index("for service")
    assert re.findall(r"for service in ([\w ]+);", back) == [" ".join(reversed(FORWARD))]
    assert "migrate" not in back
    assert POST in last
    assert POST not in there


def test_compose_is_told_of_services_that_it_has() -> None:
    named = set(re.findall(r"(?:build|run --rm) (\w+)", COMPOSE))

    assert named == {"migrate"}
    assert services().keys() > {"migrate", *FORWARD}
    assert set(FORWARD) == SETTINGS.keys()


@needs_kubectl
def test_each_object_is_applied_once_and_the_services_after_the_rest() -> None:
    (others,) = re.findall(rf"--selector '{COMPONENT} notin \((.*?)\)'", KUBERNETES)
    assert set(others.split(", ")) == set(FORWARD)
    assert f"--selector {COMPONENT}=$service" in KUBERNETES

    first = {_name(one) for one in rendered(PRODUCTION) if _component(one) not in FORWARD}
    of_services = {_name(one) for one in rendered(PRODUCTION) if _component(one) in FORWARD}

    assert {("Job", "migrate"), ("CronJob", "operator"), ("Deployment", "proxy")} <= first
    assert {name for kind, name in of_services if kind == "Deployment"} == set(FORWARD)
    assert not {kind for kind, _ in of_services} & {"ConfigMap", "NetworkPolicy", "Namespace"}


def _component(manifest: Manifest) -> str | None:
    found: str | None = manifest["metadata"].get("labels", {}).get(COMPONENT)
    return found


def _name(manifest: Manifest) -> tuple[str, str]:
    return manifest["kind"], manifest["metadata"]["name"]


def test_the_first_steps_have_an_order_and_no_password_in_a_command() -> None:
    first = PAGE[PAGE.index("\n## Kubernetes\n") : PAGE.index("What the manifests say, and why:")]
    steps = ["create secret", "apply --kustomize", "job/migrate", "create job operator", "login assay_worker_1",
             "login assay_api_1", "services.api.setup", "delete job operator", "deployment/$name"]  # fmt: skip

    assert [first.index(step) for step in steps] == sorted(first.index(step) for step in steps)
    assert not re.search(r"--from-literal|DATABASE_URL=|env \w+=", first)
