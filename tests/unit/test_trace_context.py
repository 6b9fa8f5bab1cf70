"""`traceparent` and `tracestate` by the rules of the W3C."""

import pytest

from shared.trace_context import TRACESTATE_LENGTH_MAX, TraceContext, trace_context

TRACE, SPAN = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
GOOD = f"00-{TRACE}-{SPAN}-01"


def test_a_valid_traceparent_names_its_trace() -> None:
    context = trace_context(GOOD, "vendor=1,other=2")

    assert context == TraceContext(GOOD, "vendor=1,other=2")
    assert context.trace_id == TRACE


@pytest.mark.parametrize(
    "traceparent",
    [
        None, "", "nonsense", GOOD.upper(), GOOD[:-1], GOOD + "0", GOOD + "-extra", GOOD + " ", GOOD + "\n",
        f"ff-{TRACE}-{SPAN}-01", f"00-{'0' * 32}-{SPAN}-01", f"00-{TRACE}-{'0' * 16}-01", f"00-{TRACE[:-1]}g-{SPAN}-01",
        f"00-{TRACE}-{SPAN}-0g", f"00_{TRACE}_{SPAN}_01", f"0-{TRACE}-{SPAN}-01", "00-ab-cd-01",
        f"01-{TRACE}-{SPAN}-01x",
    ],
)  # fmt: skip
def test_any_other_traceparent_is_as_if_not_sent(traceparent: str | None) -> None:
    assert trace_context(traceparent, "vendor=1") is None


@pytest.mark.parametrize(
    ("given", "known"),
    [
        (f"cc-{TRACE}-{SPAN}-01", GOOD),
        (f"cc-{TRACE}-{SPAN}-ff-what-the-future-brings", GOOD),
        (f"01-{TRACE}-{SPAN}-fe", f"00-{TRACE}-{SPAN}-00"),
    ],
)
def test_of_a_later_version_what_is_known_is_understood(given: str, known: str) -> None:
    assert trace_context(given) == TraceContext(known)


@pytest.mark.parametrize("tracestate", ["", "x" * (TRACESTATE_LENGTH_MAX + 1), "a=\x1b", "a=é"])
def test_a_tracestate_that_can_be_none_is_left_out_and_the_trace_stays(tracestate: str) -> None:
    assert trace_context(GOOD, tracestate) == TraceContext(GOOD)
