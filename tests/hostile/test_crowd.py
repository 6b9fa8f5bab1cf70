"""A short form of `make bench ARGS="--part connections"`: a sender among many who only hold connections."""

import httpx

from tests.hostile.house import House
from tests.hostile.raw import head, wires

IDLE, SLOW, SENT = 500, 25, 200
SCORE = {"trace_id": "t", "name": "n", "value": 1}


def test_a_good_sender_is_served_among_five_hundred_idle_and_fifty_slow_connections(house: House) -> None:
    half_a_head = b"POST /v1/scores HTTP/1.1\r\nHost: as"
    half_a_body = (
        head("POST", "/v1/scores", f"Authorization: Bearer {house.key}".encode(), b"Content-Length: 99") + b"{"
    )

    port = house.ingest.port
    with wires(port, IDLE) as idle, wires(port, SLOW) as heads, wires(port, SLOW) as bodies:
        for slow, start in ((heads, half_a_head), (bodies, half_a_body)):
            for wire in slow:
                wire.send(start)
        with httpx.Client(base_url=house.ingest.url, headers=house.authorization, timeout=30) as sender:
            answers = [sender.post("/v1/scores", json={"scores": [SCORE]}).status_code for _ in range(SENT)]
        ends = [wire.answer() for wire in (*heads, *bodies)]

        assert answers == [202] * SENT
        assert [end and end.status for end in ends] == [408] * 2 * SLOW
        assert [wire.answer() for wire in idle] == [None] * IDLE
