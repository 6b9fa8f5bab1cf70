"""Each test is a trace; its outcome and what it measures are scores of this run.

Put these hooks into your own conftest, and compare runs with `client.aggregate(group_by="metadata.run")`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

import assay

RUN = os.environ.get("RUN", time.strftime("%Y-%m-%dT%H:%M:%S"))


@pytest.fixture(autouse=True)
def measured(request: pytest.FixtureRequest) -> Iterator[assay.Trace]:
    """Be inside a trace of the test's name: `assay.score()` in the test is about it."""
    with assay.trace(request.node.nodeid, metadata={"run": RUN}) as trace:
        request.node.assay_trace = trace
        yield trace


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    report = yield
    trace = getattr(item, "assay_trace", None)
    if trace is not None and report.when == "call":
        about = {"run": RUN, "test": item.nodeid}
        trace.add_score("test_passed", report.passed, comment=str(report.longrepr or "")[:1000], metadata=about)
        trace.add_score("test_seconds", report.duration, metadata=about)
    return report


def pytest_sessionfinish() -> None:
    assay.flush(30)
