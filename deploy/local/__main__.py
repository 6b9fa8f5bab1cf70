"""`python -m deploy.local run | demo | load FOLDER`: the commands behind `make run`, `make demo` and `make load`."""

import argparse
import asyncio
import sys
from pathlib import Path

from deploy.local.client import Client, RequestFailed
from deploy.local.demo import SCORES, new_seed, send_demo, show_demo
from deploy.local.errors import CannotStart
from deploy.local.home import Home
from deploy.local.load import SCORE_FILE, Access, LoadPlan, load, make_configs
from deploy.local.progress import delivery_progress
from deploy.local.records import read_credentials, read_run
from deploy.local.run import run
from deploy.local.screen import Screen
from deploy.local.settings import Settings

_INTERRUPTED = 130


def main(arguments: list[str]) -> int:
    """Return the exit code: 0 well, 1 failed, 130 interrupted."""
    screen = Screen()
    try:
        return _command(_parser().parse_args(arguments), screen)
    except CannotStart as error:
        screen.failure(error)
    except RequestFailed as failure:
        screen.failure(CannotStart(str(failure), "Is Assay running, and is the key right? `make run` starts it."))
    except KeyboardInterrupt:
        return _INTERRUPTED
    return 1


def _command(options: argparse.Namespace, screen: Screen) -> int:
    settings = Settings.from_environment()
    match options.command:
        case "run":
            run(settings, screen)
            return 0
        case "demo":
            return asyncio.run(_demo(Home(settings.home), screen))
        case _:
            return _load(Home(settings.home), options, screen)


async def _demo(home: Home, screen: Screen) -> int:
    now = read_run(home)
    credentials = read_credentials(home)
    assert credentials is not None, "a run writes its credentials first"
    async with Client(now.ingest_url, now.api_url, credentials.demo_api_key) as client:
        with delivery_progress(screen, SCORES) as on_progress:
            report, aggregates = await send_demo(client, new_seed(), on_progress)
    show_demo(screen, report, aggregates)
    return 0 if report.all_accounted_for else 1


def _load(home: Home, options: argparse.Namespace, screen: Screen) -> int:
    access, plan = _access(home, options), _plan(home, options)
    asyncio.run(make_configs(access, plan, screen))
    return load(access, plan)


def _access(home: Home, options: argparse.Namespace) -> Access:
    """Return access to the server the options name; what they leave out is that of the Assay that runs here."""
    given = [options.ingest_url, options.api_url, options.api_key]
    if not all(given):
        here = read_run(home)
        given = [one or other for one, other in zip(given, (here.ingest_url, here.api_url, here.api_key), strict=True)]
    return Access(*given)


def _plan(home: Home, options: argparse.Namespace) -> LoadPlan:
    return LoadPlan(
        folder=options.folder,
        notes=home.folder / "loads",
        file=options.file,
        batch_size=options.batch_size,
        senders=options.senders,
        id_prefix=(options.id_prefix or _default_prefix(options.file)) if options.ids else None,
    )


def _default_prefix(file: str) -> str:
    """Return `main` for the main file, else the file's own name: line 1 of another file is another score."""
    return "main" if file == SCORE_FILE else file.split(".")[0]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("run", help="run PostgreSQL, Redis and the services on this machine")
    commands.add_parser("demo", help="send generated scores to the running Assay")
    _describe_load(commands.add_parser("load", help="send a folder's scores to the running Assay"))
    return parser


def _describe_load(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("folder", type=Path, help="holds score_configs.json and scores.jsonl.gz")
    add("--file", default=SCORE_FILE, help="load this file of the folder instead of %(default)s")
    add("--batch-size", type=_count, default=100, help="scores in a request (default %(default)s)")
    add("--senders", type=_count, default=2, help="requests at a time (default %(default)s)")
    add(
        "--ids",
        action="store_true",
        help="make ids of line numbers alone (default: of the file's name, the line number and its content)",
    )
    add("--id-prefix", help="what these ids start from: uuid5 of PREFIX:LINE in the URL namespace (default: main)")
    add("--ingest-url", help="where to send (default: the Assay that runs in ASSAY_HOME, as for the next two)")
    add("--api-url", help="where to read receipts and make score configs")
    add("--api-key", help="whose project")


def _count(text: str) -> int:
    if not 1 <= int(text) <= 1000:
        raise ValueError
    return int(text)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
