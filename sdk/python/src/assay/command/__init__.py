"""The command `assay`: load, tail, export, score, status, configs.

Exit codes: 0 well; 1 the server could not be reached, said no, or gave no receipt; 2 the command was not understood;
3 done, but some scores were rejected; 130 interrupted.
"""

from __future__ import annotations

import sys


def run() -> None:
    """The entry point."""
    from assay.command.main import main

    sys.exit(main(sys.argv[1:]))
