"""`assay status`: whether scores can be sent and read, and whose they are."""

from __future__ import annotations

import argparse
from typing import Any

from assay.access import Access
from assay.client import Client
from assay.command.screen import FAILED, Screen, open_client, table
from assay.errors import ApiError, Unreachable
from assay.version import __version__

_DESCRIPTION = """\
Show whether ingest and api answer, the project of the key, its scores by name, and what was rejected.

The exit code is 0 when both answer and the key is good, else 1.
"""


def describe(commands: Any, common: argparse.ArgumentParser) -> None:
    parser = commands.add_parser("status", help="whether all is well", description=_DESCRIPTION, parents=[common])
    parser.set_defaults(do=status)


def status(options: argparse.Namespace, screen: Screen) -> int:
    with open_client(options, timeout_seconds=5) as client:
        result = _found(client)
    screen.result(result, _lines(result))
    return 0 if all(one["ready"] for one in result["services"].values()) and "project" in result else FAILED


def _found(client: Client) -> dict[str, Any]:
    services = {
        "ingest": _health(client.settings.ingest_url, client),
        "api": _health(client.settings.api_url, client),
    }
    result: dict[str, Any] = {"version": __version__, "services": services}
    if services["api"]["ready"]:
        result |= _project(client)
    return result


def _health(url: str, client: Client) -> dict[str, Any]:
    access = Access(url, client.settings, tries=1)
    try:
        access.get("/readyz")
    except (ApiError, Unreachable) as error:
        return {"url": url, "ready": False, "detail": str(error)}
    finally:
        access.close()
    return {"url": url, "ready": True, "detail": None}


def _project(client: Client) -> dict[str, Any]:
    try:
        project = client.project()
        return {
            "project": project,
            "scores": [
                {key: item[key] for key in ("name", "data_type", "count")}
                for item in client.aggregate(percentiles=False)
            ],
            "rejected": client.rejected_counts(),
        }
    except ApiError as error:
        return {"problem": str(error)}


def _lines(result: dict[str, Any]) -> list[str]:
    lines = []
    for name, one in result["services"].items():
        lines.append(f"{name:<8}{one['url']}  {'ready' if one['ready'] else 'NOT ready: ' + str(one['detail'])}")
    if "problem" in result:
        lines.append(f"key     {result['problem']}")
    if "project" in result:
        project = result["project"]
        lines.append(f"project {project.get('name') or project.get('slug') or ''} {project.get('id', '')}")
        rows = [[item["name"], item["data_type"], f"{item['count']:,}"] for item in result["scores"]]
        lines += ["", *table(["name", "data type", "scores"], rows)]
        if result["rejected"]:
            rows = [[item["code"], item["name"] or "", f"{item['count']:,}"] for item in result["rejected"]]
            lines += ["", *table(["rejected", "name", "scores"], rows)]
    return lines
