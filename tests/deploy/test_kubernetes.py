"""The manifests are what Kubernetes takes, and agree with each other and with the product."""

from collections.abc import Iterable
from importlib.util import find_spec
from pathlib import Path

import kubernetes_validate
import pytest

from services.api.settings import Settings as ApiSettings
from services.ingest.metrics import IngestMetrics
from services.worker.settings import Settings as WorkerSettings
from shared.http.health import CHECK_SECONDS_MAX, Health
from shared.queue import key_of, streams_of
from shared.version import VERSION
from tests.deploy import caddyfile
from tests.deploy.compose import services
from tests.deploy.facts import ANSWER_SECONDS_MAX, PORTS, SETTINGS, needed_by, variables_of
from tests.deploy.manifests import (
    BASE,
    FOLDER,
    PRODUCTION,
    Manifest,
    container_of,
    containers_of,
    environment_of,
    matches,
    needs_kubectl,
    of_kind,
    pods,
    rendered,
    the,
    written,
)
from tests.system.processes import ROOT

VERSIONS = ["1.29", "1.33", "1.37"]  # the oldest that we look after, one between, the newest that is known here
WORKLOADS = ["migrate", "operator", "ingest", "worker", "api", "proxy", "redis"]
DEPLOYMENTS = ["ingest", "worker", "api", "proxy"]
KEDA = "keda.sh/v1alpha1"
WORKER = WorkerSettings(database_url="", redis_url="")
API = ApiSettings(database_url="", redis_url="")
# A pod that is not ready gets no requests: where a store is away, it says so better than nobody.
NOT_ASKED = {"ingest": "?exclude=queue", "api": "?exclude=store&exclude=queue", "worker": ""}
PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def kinds_taken(manifests: Iterable[Manifest], version: str) -> set[str]:
    """Of those that Kubernetes itself knows. Raises `ValidationError` for one that is not as its schema says."""
    own = [manifest for manifest in manifests if manifest["apiVersion"] != KEDA]
    for manifest in own:
        kubernetes_validate.validate(manifest, version, strict=True)
    return {manifest["kind"] for manifest in own}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_file_is_what_kubernetes_takes(version: str) -> None:
    assert kinds_taken((manifest for _, manifest in written()), version) >= {
        "Deployment",
        "NetworkPolicy",
        "StatefulSet",
    }


@needs_kubectl
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("folder", [BASE, PRODUCTION], ids=lambda folder: folder.name)
def test_what_kustomize_makes_of_them_is_what_kubernetes_takes(folder: Path, version: str) -> None:
    assert kinds_taken(rendered(folder), version) >= {"Deployment", "NetworkPolicy", "ConfigMap"}


@needs_kubectl
def test_everything_is_in_one_namespace_which_lets_no_careless_pod_in() -> None:
    (namespace,) = of_kind("Namespace").values()

    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert {one["metadata"]["namespace"] for one in rendered(PRODUCTION) if one["kind"] != "Namespace"} == {"assay"}


@needs_kubectl
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_pod_has_no_rights_and_can_change_nothing(name: str) -> None:
    pod = pods()[name]["spec"]

    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["runAsUser"] > 0
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers_of(name):
        assert container["securityContext"].get("runAsUser", 1) > 0
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
        assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]} | (
            {"add": ["NET_BIND_SERVICE"]} if name == "proxy" else {}
        )


@needs_kubectl
def test_the_pods_of_the_image_run_as_its_user() -> None:
    for name in ("migrate", "operator", *SETTINGS):
        assert pods()[name]["spec"]["securityContext"]["runAsUser"] == 10001


@needs_kubectl
@pytest.mark.parametrize("name", WORKLOADS)
def test_a_container_says_what_it_needs_and_how_much_memory_it_may_have(name: str) -> None:
    for container in containers_of(name):
        assert container["resources"]["requests"].keys() == {"cpu", "memory"}
        assert container["resources"]["limits"].keys() == {"memory"}


@needs_kubectl
@pytest.mark.parametrize("name", ["migrate", *SETTINGS])
def test_each_is_the_image_with_another_command(name: str) -> None:
    python, option, module, *_ = container_of(name)["command"]

    assert container_of(name)["image"].endswith(f"/assay:{VERSION}")
    assert (python, option) == ("python", "-m")
    assert find_spec(f"{module}.__main__") is not None


@needs_kubectl
def test_the_operator_has_the_release_and_the_programs_of_postgres_and_starts_nothing_by_itself() -> None:
    job = the("CronJob", "operator")["spec"]
    images = {container["name"]: container["image"] for container in containers_of("operator")}

    assert job["suspend"] is True
    assert job["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 3600
    assert images == {"python": container_of("migrate")["image"], "postgres": services()["postgres"]["image"]}
    assert {container["command"][0] for container in containers_of("operator")} == {"sleep"}
    assert environment_of("operator").keys() == {"DATABASE_URL", "REDIS_URL", *environment_of("worker")}


@needs_kubectl
@pytest.mark.parametrize("service", SETTINGS)
def test_every_variable_is_one_that_the_service_reads(service: str) -> None:
    given = environment_of(service).keys()

    assert given <= variables_of(service)
    assert needed_by(service) <= given
    assert environment_of("migrate").keys() == {"DATABASE_URL"}


@needs_kubectl
def test_every_variable_of_the_proxy_is_in_its_configuration() -> None:
    given = {name for name in environment_of("proxy") if not name.startswith("XDG_")}

    assert given <= caddyfile.variables().keys()
    assert environment_of("proxy")["PROXY_INGEST"] == f"ingest:{PORTS['ingest']}"
    assert environment_of("proxy")["PROXY_API"] == f"api:{PORTS['api']}"


@needs_kubectl
def test_the_proxy_and_redis_have_the_very_files_that_are_tested() -> None:
    assert the("ConfigMap", "proxy-config")["data"]["Caddyfile"] == caddyfile.CADDYFILE.read_text()
    for name in ("redis.conf", "start.sh"):
        assert the("ConfigMap", "redis-config")["data"][name] == (ROOT / "deploy" / "redis" / name).read_text()


def test_no_secret_is_in_the_files() -> None:
    assert [path for path, manifest in written() if manifest["kind"] == "Secret"] == []
    assert "secretGenerator" not in "".join(path.read_text() for path in FOLDER.rglob("kustomization.yaml"))


@needs_kubectl
def test_passwords_come_from_secrets_by_reference() -> None:
    login = {"migrate": "owner-url", "operator": "owner-url", "worker": "worker-url", "api": "api-url"}
    secret = {
        "REDIS_URL": ("assay-redis", "url"),
        "REDIS_PASSWORD": ("assay-redis", "password"),
        "REDISCLI_AUTH": ("assay-redis", "password"),
    }
    for name in WORKLOADS:
        wanted = secret | {"DATABASE_URL": ("assay-postgres", login.get(name))}
        for variable, source in environment_of(name).items():
            if variable not in wanted:
                assert isinstance(source, str)
                continue
            assert isinstance(source, dict)
            reference = source["secretKeyRef"]
            assert (reference["name"], reference["key"]) == wanted[variable]


@needs_kubectl
@pytest.mark.parametrize("service", SETTINGS)
def test_probes_ask_paths_that_exist_at_the_port_that_is_listened_on(service: str) -> None:
    paths = {route.path for route in Health(IngestMetrics(), {}).routes()}
    container = container_of(service)

    assert container["ports"] == [{"name": "http", "containerPort": PORTS[service]}]
    asked = {kind: container[kind]["httpGet"] for kind in PROBES}
    assert {one["port"] for one in asked.values()} == {"http"}
    assert {one["path"].partition("?")[0] for one in asked.values()} <= paths
    assert asked["livenessProbe"]["path"] == asked["startupProbe"]["path"] == "/healthz"
    assert asked["readinessProbe"]["path"] == "/readyz" + NOT_ASKED[service]
    assert container["readinessProbe"]["timeoutSeconds"] > CHECK_SECONDS_MAX


@needs_kubectl
@pytest.mark.parametrize("service", SETTINGS)
def test_a_process_answers_from_its_start_on_and_is_given_up_soon_if_it_does_not(service: str) -> None:
    """Also where its stores are away: whether they are there is for readiness to say."""
    probe = container_of(service)["startupProbe"]

    assert probe["periodSeconds"] * probe["failureThreshold"] <= 60


@needs_kubectl
def test_the_proxy_is_asked_where_it_says_that_it_is_alive() -> None:
    alive = int(caddyfile.variables()["PROXY_ALIVE"].removeprefix(":"))
    container = container_of("proxy")

    assert {"name": "alive", "containerPort": alive} in container["ports"]
    assert {container[kind]["httpGet"]["port"] for kind in PROBES} == {"alive"}


@needs_kubectl
@pytest.mark.parametrize("service", ["ingest", "api"])
def test_a_stopping_pod_pauses_and_has_time_for_what_is_in_hand(service: str) -> None:
    pause = float(str(environment_of(service)["ASSAY_STOP_PAUSE_SECONDS"]))

    assert pause > caddyfile.seconds("keepalive")
    assert pods()[service]["spec"]["terminationGracePeriodSeconds"] > pause + ANSWER_SECONDS_MAX
    assert caddyfile.seconds("lb_try_duration") >= 10  # a moment without a ready pod is waited through


@needs_kubectl
def test_the_others_have_the_time_that_they_may_take_too() -> None:
    pause = caddyfile.seconds_of(str(environment_of("proxy")["PROXY_STOP_PAUSE"]))

    assert pods()["worker"]["spec"]["terminationGracePeriodSeconds"] > WORKER.drain_seconds + 10
    assert pods()["proxy"]["spec"]["terminationGracePeriodSeconds"] > pause + caddyfile.seconds("grace_period")


@needs_kubectl
@pytest.mark.parametrize("name", DEPLOYMENTS)
def test_a_release_takes_no_pod_away_before_another_is_ready(name: str) -> None:
    strategy = the("Deployment", name)["spec"]["strategy"]["rollingUpdate"]

    assert strategy == {"maxUnavailable": 0, "maxSurge": 1}


@needs_kubectl
@pytest.mark.parametrize("name", [*DEPLOYMENTS, "redis"])
def test_selectors_pick_the_pods_that_they_mean(name: str) -> None:
    kind = "StatefulSet" if name == "redis" else "Deployment"
    selectors = [the(kind, name)["spec"]["selector"], the("PodDisruptionBudget", name)["spec"]["selector"]]
    if name != "worker":
        selectors.append({"matchLabels": the("Service", name)["spec"]["selector"]})

    picked = [[pod for pod, template in pods().items() if matches(one, _labels(template))] for one in selectors]

    assert picked == [[name]] * len(selectors)


@needs_kubectl
def test_a_service_leads_to_a_port_that_its_pods_have() -> None:
    for name, service in of_kind("Service").items():
        (port,) = service["spec"]["ports"]
        assert port["targetPort"] in {one["name"] for one in container_of(name)["ports"]}


@needs_kubectl
def test_nodes_can_be_drained_but_for_the_queue() -> None:
    budgets = {name: one["spec"]["maxUnavailable"] for name, one in of_kind("PodDisruptionBudget").items()}

    assert budgets == {"ingest": 1, "worker": 1, "api": 1, "proxy": 1, "redis": 0}


@needs_kubectl
def test_every_service_is_there_twice_at_least() -> None:
    scaled = {name: one["spec"]["minReplicas"] for name, one in of_kind("HorizontalPodAutoscaler").items()}
    scaled["worker"] = the("ScaledObject", "worker")["spec"]["minReplicaCount"]

    assert scaled == {"ingest": 2, "api": 2, "worker": 2}
    assert the("Deployment", "proxy")["spec"]["replicas"] == 2
    assert all("replicas" not in the("Deployment", name)["spec"] for name in scaled)  # else each release undoes scaling
    assert all(the("Deployment", name, BASE)["spec"]["replicas"] == 2 for name in scaled)


@needs_kubectl
def test_ingest_and_api_are_scaled_by_the_cpu_that_they_use() -> None:
    for name, scaler in of_kind("HorizontalPodAutoscaler").items():
        (metric,) = scaler["spec"]["metrics"]
        assert scaler["spec"]["scaleTargetRef"] == {"apiVersion": "apps/v1", "kind": "Deployment", "name": name}
        assert metric["resource"]["name"] == "cpu"
        # A process has one core: the goal must be below it, or it is never reached.
        assert int(metric["resource"]["target"]["averageValue"].removesuffix("m")) < 1000


@needs_kubectl
def test_the_worker_is_scaled_by_what_waits_in_all_streams_together() -> None:
    spec = the("ScaledObject", "worker")["spec"]
    shards = int(str(environment_of("worker")["ASSAY_QUEUE_SHARDS"]))
    streams = [one["metadata"]["stream"] for one in spec["triggers"]]
    modifiers = spec["advanced"]["scalingModifiers"]

    assert shards == WORKER.queue_shards
    assert streams == [key_of(stream) for stream in streams_of(shards)]
    assert modifiers["formula"].split(" + ") == [one["name"] for one in spec["triggers"]]
    assert modifiers["metricType"] == "AverageValue"
    assert {environment_of(service)["ASSAY_QUEUE_SHARDS"] for service in SETTINGS} == {str(shards)}


@needs_kubectl
def test_what_keda_counts_is_the_length_of_a_stream() -> None:
    """KEDA leaves `streamLength` aside once a consumer group is named, and counts what is in workers' hands."""
    for trigger in the("ScaledObject", "worker")["spec"]["triggers"]:
        assert trigger["type"] == "redis-streams"
        assert trigger["metadata"].keys() == {"address", "stream", "streamLength"}
        assert all(isinstance(text, str) for text in trigger["metadata"].values())
        assert trigger["metadata"]["address"] == _address("redis")
        assert trigger["authenticationRef"]["name"] in of_kind("TriggerAuthentication")
    (reference,) = the("TriggerAuthentication", "redis")["spec"]["secretTargetRef"]
    assert reference == {"parameter": "password", "name": "assay-redis", "key": "password"}


@needs_kubectl
def test_postgres_has_room_for_the_most_of_them() -> None:
    """150, as the overlay says, less what PostgreSQL keeps for itself and somebody with psql needs."""
    of_a_worker, of_an_api = WORKER.worker_lanes + 9, API.api_pool_size
    workers = the("ScaledObject", "worker")["spec"]["maxReplicaCount"]
    apis = the("HorizontalPodAutoscaler", "api")["spec"]["maxReplicas"]

    assert (workers + 1) * of_a_worker + (apis + 1) * of_an_api + 1 < 150 - 10


@needs_kubectl
@pytest.mark.parametrize(
    ("name", "reaches"),
    [
        ("ingest", {("redis", 6379)}),
        ("worker", {("redis", 6379), ("10.20.30.0/24", 5432)}),
        ("api", {("redis", 6379), ("10.20.30.0/24", 5432)}),
        ("migrate", {("10.20.30.0/24", 5432)}),
        ("operator", {("redis", 6379), ("10.20.30.0/24", 5432)}),
        ("proxy", {("ingest", 8001), ("api", 8000)}),
        ("redis", set[tuple[str, int]]()),
    ],
)
def test_a_pod_reaches_what_it_needs_and_no_more(name: str, reaches: set[tuple[str, int]]) -> None:
    found = {(to, port) for rule in _rules("Egress", name) for to in _ends(rule, "to") for port in _ports(rule)}

    assert found == reaches | {("kube-system", 53), ("169.254.20.10/32", 53)}


@needs_kubectl
@pytest.mark.parametrize(
    ("name", "reached_by"),
    [
        ("ingest", {("proxy", "http"), ("monitoring", "http")}),
        ("worker", {("monitoring", "http")}),
        ("api", {("proxy", "http"), ("monitoring", "http")}),
        ("migrate", set[tuple[str, str]]()),
        ("operator", set[tuple[str, str]]()),
        ("proxy", {("anyone", "http")}),
        (
            "redis",
            {("ingest", "redis"), ("worker", "redis"), ("api", "redis"), ("operator", "redis"), ("keda", "redis")},
        ),
    ],
)
def test_a_pod_is_reached_by_whom_it_serves_and_nobody_else(name: str, reached_by: set[tuple[str, str]]) -> None:
    found = {(end, port) for rule in _rules("Ingress", name) for end in _ends(rule, "from") for port in _ports(rule)}

    assert found == reached_by


def _labels(template: Manifest) -> dict[str, str]:
    labels: dict[str, str] = template["metadata"]["labels"]
    return labels


def _address(name: str) -> str:
    service = the("Service", name)
    (port,) = service["spec"]["ports"]
    return f"{name}.{service['metadata']['namespace']}.svc.cluster.local:{port['port']}"


def _rules(direction: str, name: str) -> list[Manifest]:
    """The rules of every policy for the pod; some policy must be for it, or everything is allowed."""
    policies = [one["spec"] for one in of_kind("NetworkPolicy").values()]
    mine = [
        one for one in policies if direction in one["policyTypes"] and matches(one["podSelector"], _labels_of(name))
    ]
    assert mine
    return [rule for one in mine for rule in one.get(direction.lower(), [])]


def _ends(rule: Manifest, key: str) -> list[str]:
    """Who is at the other end: pods, a namespace, a network, or anyone."""
    ends: list[str] = []
    for peer in rule.get(key, [{}]):
        if "podSelector" in peer:
            ends += [name for name in WORKLOADS if matches(peer["podSelector"], _labels_of(name))]
        elif "namespaceSelector" in peer:
            ends.append(peer["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"])
        else:
            ends.append(peer["ipBlock"]["cidr"] if "ipBlock" in peer else "anyone")
    return ends


def _labels_of(name: str) -> dict[str, str]:
    return _labels(pods()[name])


def _ports(rule: Manifest) -> list[int | str]:
    return [one["port"] for one in rule["ports"]]
