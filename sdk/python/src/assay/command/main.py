"""What the command line says, and which part of the package does it."""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from collections.abc import Sequence
from types import FrameType

from assay.command import configs, export, load, score, status, tail
from assay.command.screen import FAILED, INTERRUPTED, CommandError, Screen
from assay.errors import ApiError, ConfigurationError, NotAllowed, Unreachable
from assay.settings import API_URL, INGEST_URL
from assay.version import __version__

_PARTS = (load, tail, export, score, status, configs)
_EPILOG = """\
environment:
  ASSAY_API_KEY      the key, which decides the project
  ASSAY_INGEST_URL   where scores are sent
  ASSAY_API_URL      where scores are read

exit codes:
  0    well
  1    the server could not be reached, said no, or gave no receipt
  2    the command was not understood
  3    done, but some scores were rejected
  130  interrupted; `assay load` goes on from there when started again
"""


def main(arguments: Sequence[str]) -> int:
    """Do what the arguments say and return the exit code."""
    parser = _parser()
    if not arguments:
        parser.print_help(sys.stderr)
        return 2
    options = parser.parse_args(arguments)
    screen = Screen(as_json=options.json, quiet=options.quiet)
    logging.basicConfig(format="assay: %(message)s", level=logging.ERROR)
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(options.do(options, screen))
    except CommandError as error:
        return screen.fail(str(error), error.exit_code)
    except ConfigurationError as error:
        return screen.fail(str(error), 2)
    except NotAllowed as error:
        return screen.fail(f"{error}. Is the key right? Set ASSAY_API_KEY, or give --api-key.", FAILED)
    except Unreachable as error:
        return screen.fail(f"There is no answer from {error}. Is Assay running, and is the address right?", FAILED)
    except ApiError as error:
        return screen.fail(str(error), FAILED)
    except KeyboardInterrupt:
        return screen.fail("interrupted", INTERRUPTED)
    except BrokenPipeError:  # `assay export | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:  # a file or folder that can't be read or written
        return screen.fail(str(error), FAILED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _parser() -> argparse.ArgumentParser:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="assay", description="Send and read the scores of LLM applications.", epilog=_EPILOG, formatter_class=form
    )
    parser.add_argument("--version", action="version", version=f"assay {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    common = _common()
    for part in _PARTS:
        part.describe(commands, common)
    return parser


def _common() -> argparse.ArgumentParser:
    """Return what every command takes."""
    common = argparse.ArgumentParser(add_help=False)
    group = common.add_argument_group("where")
    group.add_argument("--api-key", help="default: ASSAY_API_KEY")
    group.add_argument("--ingest-url", help=f"default: ASSAY_INGEST_URL, or {INGEST_URL}")
    group.add_argument("--api-url", help=f"default: ASSAY_API_URL, or {API_URL}")
    group = common.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="the result as JSON on standard output")
    group.add_argument("--quiet", action="store_true", help="no progress")
    return common
