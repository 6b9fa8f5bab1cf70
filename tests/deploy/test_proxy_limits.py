"""The limits and times of the proxy fit those of the services behind it."""

from services.api.endpoints.receipts import WAIT_SECONDS_MAX
from services.api.settings import Settings as ApiSettings
from services.ingest.settings import Settings as IngestSettings
from tests.deploy import caddyfile
from tests.deploy.facts import ANSWER_SECONDS_MAX, PORTS

INGEST = IngestSettings(redis_url="")
API = ApiSettings(database_url="", redis_url="")


def test_a_body_that_ingest_would_take_passes() -> None:
    assert caddyfile.mebibytes("max_size") << 20 > INGEST.body_bytes_max
    assert caddyfile.seconds("read_body") > INGEST.body_seconds


def test_an_answer_that_takes_as_long_as_it_may_is_waited_for() -> None:
    longest = WAIT_SECONDS_MAX + API.query_timeout_ms / 1000

    assert caddyfile.seconds("response_header_timeout") > longest
    assert caddyfile.seconds("response_header_timeout") > INGEST.body_seconds + 2 * INGEST.redis_timeout_seconds
    assert caddyfile.seconds("write") > caddyfile.seconds("response_header_timeout")


def test_a_stopping_proxy_has_time_for_the_longest_answer() -> None:
    assert caddyfile.seconds("grace_period") > ANSWER_SECONDS_MAX


def test_the_services_are_looked_for_where_they_listen() -> None:
    assert caddyfile.variables()["PROXY_INGEST"] == f"ingest:{PORTS['ingest']}"
    assert caddyfile.variables()["PROXY_API"] == f"api:{PORTS['api']}"
