"""A project that sends more than its share goes to the bulk stream, and comes back only after a pause."""

from services.ingest.endpoints import weight_of
from services.ingest.flood_gate import PROJECTS_MAX, FloodGate
from tests.builders import a_score
from tests.unit.making import an_envelope


def a_gate() -> FloodGate:
    return FloodGate(rate=100, burst=1000)


def test_a_project_within_its_burst_does_not_flood() -> None:
    gate = a_gate()

    assert [gate.is_flooding("p", 500, 0), gate.is_flooding("p", 500, 0)] == [False, False]


def test_a_project_beyond_its_burst_floods() -> None:
    gate = a_gate()
    gate.is_flooding("p", 1000, 0)

    assert gate.is_flooding("p", 1, 0)


def test_a_project_at_its_rate_never_floods() -> None:
    gate = a_gate()

    assert not any(gate.is_flooding("p", 50, second / 2) for second in range(1000))


def test_a_flood_ends_when_the_bucket_is_half_full_again_and_not_before() -> None:
    gate = a_gate()
    gate.is_flooding("p", 1000, 0)
    gate.is_flooding("p", 1, 0)

    assert [gate.is_flooding("p", 0, 4.9), gate.is_flooding("p", 0, 5.1)] == [True, False]


def test_one_projects_flood_is_not_anothers() -> None:
    gate = a_gate()
    gate.is_flooding("p", 5000, 0)

    assert not gate.is_flooding("q", 1, 0)


def test_a_batch_larger_than_the_burst_floods_by_itself() -> None:
    assert a_gate().is_flooding("p", 1001, 0)


def test_the_gate_forgets_projects_before_it_knows_too_many() -> None:
    gate = a_gate()

    for project in range(PROJECTS_MAX + 10):
        gate.is_flooding(project, 1, 0)

    assert len(gate._buckets) == PROJECTS_MAX


def test_a_batch_of_usual_scores_weighs_as_many() -> None:
    assert weight_of(an_envelope(*(a_score(comment="x" * 300) for _ in range(10)))) == 10


def test_heavy_scores_weigh_as_several() -> None:
    heavy = an_envelope(*(a_score(metadata={"text": "x" * 7_000}) for _ in range(10)))

    assert weight_of(heavy) == len(heavy.scores) // 500 > 140
