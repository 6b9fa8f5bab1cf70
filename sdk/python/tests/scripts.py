"""Short programs that use the SDK, each in a process of its own."""

import os
import subprocess
import sys
import textwrap
from collections import Counter

import pytest
from places import SOURCES
from scripted_ingest import ScriptedIngest

PATIENCE_SECONDS = 30
POSIX = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")


def run_script(script: str, ingest: ScriptedIngest, **environment: str) -> "subprocess.CompletedProcess[str]":
    """Run a script that may `import assay`, with the scripted ingest in its environment."""
    return subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(SOURCES),
            "PYTHONWARNINGS": "ignore::DeprecationWarning",  # newer Pythons warn of any fork beside a thread
            "ASSAY_API_KEY": "assay_test",
            "ASSAY_INGEST_URL": ingest.url,
            **environment,
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )


def traces(ingest: ScriptedIngest) -> Counter[str]:
    return Counter(score["trace_id"] for score in ingest.scores)
