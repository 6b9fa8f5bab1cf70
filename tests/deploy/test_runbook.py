"""Every command of the runbook is one that it explains, and what it says for each installation names what is there."""

import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from deploy.local.binaries import postgres_binary
from deploy.local.home import Home
from deploy.local.records import Run
from tests.deploy.compose import environment_of, module_of, services
from tests.deploy.facts import PORTS
from tests.deploy.manifests import containers_of, needs_kubectl, of_kind, pods, the
from tests.system.processes import ROOT, Service
from tests.waiting import wait_until

TEXT = (ROOT / "docs" / "runbook.md").read_text(encoding="utf-8")
MAKE_RUN, COMPOSE, KUBERNETES = re.findall(r"^```bash\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
INSTALLATIONS = {"make run": MAKE_RUN, "compose": COMPOSE, "kubernetes": KUBERNETES}
ENTRIES = TEXT[TEXT.index("\n## First look\n") :]
OPERATING = (ROOT / "docs" / "operating.md").read_text(encoding="utf-8")
ROUTINES = [re.findall(rf"^##+ {title}\n(.*?)(?=^##)", f"{OPERATING}\n##", re.MULTILINE | re.DOTALL)[0]
            for title in ("Jobs", "Dead letters", "Rollups again")]  # fmt: skip
BLOCKS = [
    block for text in (ENTRIES, *ROUTINES) for block in re.findall(r"^```\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
]

# Of every shell, and harmless.
PLAIN = {"grep", "tail", "echo"}

# What would work in one installation alone, or stands for another word.
ELSEWHERE = {"python", "cat", "docker", "kubectl", "in_assay", "here", "pg_dump", "wget"}


def explained() -> dict[str, str]:
    """The words of the table, with what each installation makes of them."""
    rows = re.findall(r"^\| (`.*?) \|(.*)\|$", TEXT[: TEXT.index("\n## First look\n")], re.MULTILINE)
    return {word: meaning for words, meaning in rows for word in re.findall(r"[`\"]([$\w-]+)", words)}


WORDS = {word for word in explained() if not word.startswith("$")}
VARIABLES = {word for word in explained() if word.startswith("$")}


def called_by(block: str) -> list[str]:
    """The words that bash would call: each is a function of that name here, and nothing else can be found."""
    one_line = "${*//$'\\n'/ }"
    stubs = "\n".join(f'{word}() {{ builtin echo "{word} {one_line}" >&2; }}' for word in WORDS)
    quiet = "\n".join(f"{word}() {{ :; }}" for word in PLAIN)
    given = "\n".join(f"{name[1:]}={name[1:]}" for name in VARIABLES) + "\nKEY=key\n"
    unknown = 'command_not_found_handle() { builtin echo "$1 is not explained" >&2; }'
    script = f"PATH=/nowhere\n{stubs}\n{quiet}\n{given}\n{unknown}\nset -u\n{block}"
    done = subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=False)
    return done.stderr.splitlines()


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.split("\n")[0][:40])
def test_a_command_is_one_that_is_explained(block: str) -> None:
    called = called_by(block)

    assert called
    for line in called:
        assert line.split()[0] in WORDS, line
        assert "not explained" not in line
        if line.startswith(("as_worker", "as_owner")):
            assert find_spec(re.findall(r"python -m ([\w.]+)", line)[0]) is not None
        if line.startswith("curl"):
            assert " SITE/v1/" in line  # all else is inside


def test_a_command_that_is_not_explained_is_found_out() -> None:
    assert called_by("less worker.log\n") == ["less is not explained"]
    assert "unbound" in " ".join(called_by("ask $PROXY/readyz\n"))


def test_a_command_in_a_sentence_is_one_that_is_explained() -> None:
    sentences = re.sub(r"^```\n.*?^```", "", ENTRIES, flags=re.MULTILINE | re.DOTALL)
    commands = [text for text in re.findall(r"`([^`]+)`", sentences) if re.match(r"[a-z][\w-]* \S", text)]

    assert [text for text in commands if text.split()[0] in ELSEWHERE] == []
    assert [text for text in commands if re.search(r'curl (?!-s "?\$SITE)|"\$DATABASE_URL"|"\$REDIS_URL"', text)] == []
    assert {"ask", "redis-cli", "as_owner", "logs"} <= {text.split()[0] for text in commands}


@pytest.mark.parametrize("installation", INSTALLATIONS)
def test_every_word_has_a_meaning_in_every_installation(installation: str) -> None:
    block = INSTALLATIONS[installation]
    done = subprocess.run(["/bin/bash", "-n"], input=block, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
    assert set(re.findall(r"^([\w-]+)\(\) \{", block, re.MULTILINE)) >= WORDS - {"curl", "df"}
    assert {f"${name}" for name in re.findall(r"\b([A-Z]+)=", block)} >= VARIABLES


def test_what_it_says_for_make_run_is_what_lies_there() -> None:
    home = Home(Path(".assay"))
    files = set(re.findall(r"\.assay/[\w$./-]+", MAKE_RUN))

    assert files == {str(home.run_file), str(home.worker_port), str(home.log("$1"))}
    assert set(re.findall(r"\$\(value (\w+)\)", MAKE_RUN)) <= set(Run.__struct_fields__)
    for program in re.findall(r"\$\(program '(.*?)'\)", MAKE_RUN):
        command = f"from deploy.local.binaries import *; print({program})"
        found = subprocess.run([sys.executable, "-c", command], cwd=ROOT, capture_output=True, text=True, check=True)
        assert Path(found.stdout.strip()).is_file()


def test_what_it_says_for_compose_names_what_is_there() -> None:
    addresses = dict(re.findall(r"http://(\w+):(\d+)", COMPOSE.replace("http://127.0.0.1", "")))

    assert addresses == {service: str(port) for service, port in PORTS.items()}
    assert {module_of(service) for service in addresses} == {f"services.{service}" for service in PORTS}
    assert set(re.findall(r"(?:exec -T|\bhere) (\w+)", COMPOSE)) == {"postgres", "redis", "migrate", "worker"}
    assert services().keys() >= {"postgres", "redis", "migrate", "worker"}
    (port,) = services()["proxy"]["ports"]
    assert re.findall(r"SITE=http://([\d.:]+)", COMPOSE) == [re.sub(r"\$\{PUBLIC_PORT:-(\d+)}:\d+", r"\1", port)]


def test_psql_and_redis_cli_of_compose_are_let_in() -> None:
    postgres = environment_of("postgres")

    assert f"--username={postgres['POSTGRES_USER']} --dbname={postgres['POSTGRES_DB']} " in COMPOSE
    assert environment_of("redis")["REDISCLI_AUTH"] == environment_of("redis")["REDIS_PASSWORD"]


def test_a_dump_is_made_by_programs_that_are_there() -> None:
    backup = OPERATING.partition("\n### Back up\n")[2].partition("\n### ")[0]
    (bundled,) = re.findall(r"`\.venv/(lib/.*?/pg_dump) ", backup)
    (version,) = re.findall(r"`make run` has PostgreSQL (\d+)", backup)

    assert [path.parent for path in Path(sys.prefix).glob(bundled)] == [postgres_binary("pg_dump").parent]
    assert bundled.endswith(f"/pginstall{version}/bin/pg_dump")
    assert "docker compose exec -T postgres pg_dump " in backup
    assert "exec job/operator --container postgres -- " in backup


async def test_a_page_can_be_read_without_curl_whatever_its_status() -> None:
    """The very function, only that it runs here and not in a container."""
    definition = COMPOSE[COMPOSE.index("ask() {") : COMPOSE.index("logs() {")]
    here = f'here() {{ shift 2; "{sys.executable}" "$@"; }}'
    service = Service("ingest", "", "redis://127.0.0.1:1/0").start(wait=False)

    def asked(path: str) -> str:
        script = f"{here}\n{definition}\nask {service.url}{path}"
        return subprocess.run(["/bin/bash", "-c", script], capture_output=True, text=True, check=False).stdout

    try:
        await wait_until(lambda: asked("/healthz") == "ok\n")
        assert asked("/readyz").startswith('{"ready":false,')
        assert "\nassay_ingest_part_ok" in asked("/metrics")
    finally:
        service.kill()


@needs_kubectl
def test_what_it_says_for_kubernetes_names_what_is_there() -> None:
    for kind, name in re.findall(r"\b(deployment|statefulset|cronjob|job)/(\w+)", KUBERNETES):
        the({"deployment": "Deployment", "statefulset": "StatefulSet"}.get(kind, "CronJob"), name)
    forwarded = dict(re.findall(r"port-forward deployment/(\w+) (\d+)", KUBERNETES))
    assert forwarded == {service: str(port) for service, port in PORTS.items()}
    for service, port in PORTS.items():
        assert f"{service.upper()}=http://127.0.0.1:{port}" in KUBERNETES
        assert pods()[service]["metadata"]["labels"]["app.kubernetes.io/component"] == service
    assert f"SITE=https://{the('Ingress', 'assay')['spec']['rules'][0]['host']} " in KUBERNETES
    (namespace,) = of_kind("Namespace")
    assert set(re.findall(r"--namespace (\w+)", TEXT)) == {namespace}


@needs_kubectl
def test_psql_and_redis_cli_of_kubernetes_have_what_they_need() -> None:
    (container,) = re.findall(r"exec --stdin job/operator --container=(\w+)", KUBERNETES)
    of_psql = {one["name"]: one for one in containers_of("operator")}[container]

    assert of_psql["image"].startswith("postgres:")
    assert {one["name"] for one in of_psql["env"]} == {"DATABASE_URL"}
    assert "REDISCLI_AUTH" in {one["name"] for one in containers_of("redis")[0]["env"]}
    assert {one["mountPath"] for one in containers_of("redis")[0]["volumeMounts"]} >= {"/data"}
