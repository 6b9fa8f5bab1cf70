"""A restart of every process behind the proxy, one after the other, under load: no request fails and no score is lost.
`make restarts` does it more often."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.deploy.houses import House, open_house
from tests.deploy.proxy import Proxy, needs_caddy
from tests.deploy.restarts import KINDS, Load, look_after, restart_in_turn, restart_phases, table

pytestmark = needs_caddy


@pytest.fixture
def house(postgres: Any, template_database: str, tmp_path_factory: Any) -> Iterator[House]:
    with open_house(postgres, template_database, tmp_path_factory.mktemp("rolling"), workers=2) as opened:
        yield opened


async def is_all_there(house: House, load: Load) -> None:
    kept = await look_after(house, load)
    assert (kept.lost, kept.stored_besides, kept.rollups_that_differ) == (0, 0, 0)
    assert kept.acknowledged == kept.counted_by_aggregate > 0


async def test_a_rolling_restart_of_each_service_and_of_all_fails_no_request(house: House) -> None:
    load = Load(house.proxy, house)
    async with load.going_on():
        phases = await restart_phases(house, load, rounds=1)

    print(table(phases, await look_after(house, load)))
    assert load.failed() == {}
    assert [one.restarts for one in phases] == [2, 2, 2, 6]
    assert {kind for kind, _ in load.outcomes} == KINDS.keys()
    await is_all_there(house, load)


async def test_while_the_only_process_restarts_requests_wait(house: House, tmp_path: Any) -> None:
    ingest, api = house.ingests[0], house.apis[0]
    with Proxy(tmp_path, [ingest.port], [api.port]) as proxy:
        load = Load(proxy, house)
        async with load.going_on():
            await restart_in_turn([ingest], load)
            await restart_in_turn([api], load)

    assert load.failed() == {}
    await is_all_there(house, load)
