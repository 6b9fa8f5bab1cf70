"""Requests refused unread are told, and a flood of them is not a flood of lines."""

from structlog.testing import capture_logs

from shared.http.refusals import LINE_SECONDS, Refusals


def test_a_flood_has_one_line_a_second_that_says_how_many_had_none() -> None:
    now = 5.0
    refusals = Refusals(lambda: now)

    with capture_logs() as events:
        ids = [refusals.tell("no_room", 503) for _ in range(1000)]
        now += LINE_SECONDS
        ids += [refusals.tell("no_room", 503) for _ in range(10)]

    assert [(event["request_id"], event["untold"]) for event in events] == [(ids[0], 0), (ids[1000], 999)]
    assert len(set(ids)) == len(ids)


def test_a_flood_for_one_reason_hides_no_other() -> None:
    refusals = Refusals(lambda: 5.0)

    with capture_logs() as events:
        for _ in range(3):
            refusals.tell("no_room", 503)
            refusals.tell("invalid", 400)

    assert [event["reason"] for event in events] == ["no_room", "invalid"]
