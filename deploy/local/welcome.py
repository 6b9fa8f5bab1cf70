"""The screen that says where everything is, with commands that can be copied as they stand."""

from deploy.local.home import Home
from deploy.local.records import Run
from deploy.local.screen import Screen

_SCORE = '{"scores": [{"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736", "name": "relevance", "value": 0.92}]}'


def show_welcome(screen: Screen, home: Home, run: Run) -> None:
    screen.say()
    screen.say("Assay runs.", style="bold green")
    screen.say()
    for name, where in _places(home, run):
        screen.say(f"  {name:<9}{where}")
    screen.say()
    screen.say("Send a score, then read what came of it:", style="bold")
    screen.say()
    for command in _commands(run):
        screen.say(command)
        screen.say()
    screen.say("`make demo` sends generated scores, `make load DATA=folder` a folder's.")
    screen.say("Ctrl-C stops everything. The data stays, and the next `make run` finds it.")
    screen.say()


def _places(home: Home, run: Run) -> list[tuple[str, str]]:
    return [
        ("ingest", f"{run.ingest_url}  described at {run.ingest_url}/docs"),
        ("api", f"{run.api_url}  described at {run.api_url}/docs"),
        ("owner", f"{run.email}  password {run.password}"),
        ("project", f"{run.project_id}  key {run.api_key}"),
        ("data", str(home.folder)),
        ("logs", str(home.logs)),
    ]


def _commands(run: Run) -> list[str]:
    key = f"-H 'Authorization: Bearer {run.api_key}'"
    return [
        f"curl -s {run.ingest_url}/v1/scores {key} -H 'Content-Type: application/json' -d '{_SCORE}'",
        f"curl -s '{run.api_url}/v1/scores/aggregate?name=relevance' {key}",
    ]
