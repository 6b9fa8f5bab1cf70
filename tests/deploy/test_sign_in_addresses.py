"""The address that the api keeps of a sign-in is the one that the proxy names, as the manifests set it."""

from pathlib import Path

import httpx
import pytest

from tests.deploy import compose
from tests.deploy.facts import BELIEVED
from tests.deploy.manifests import environment_of, needs_kubectl
from tests.deploy.proxy import Proxy, needs_caddy
from tests.system.processes import Service, first_start

PLAIN_HTTP = {"ASSAY_COOKIE_SECURE": "false"}
FROM = "203.0.113.9"


@pytest.mark.parametrize(("settings", "kept"), [({}, "127.0.0.2"), ({BELIEVED: "*"}, FROM)])
def test_the_api_believes_those_it_is_told_to(
    database_url: str, redis_url: str, settings: dict[str, str], kept: str
) -> None:
    """By itself it believes a proxy on its own address, 127.0.0.1, and no other."""
    elsewhere = httpx.HTTPTransport(local_address="127.0.0.2")
    with (
        Service("api", database_url, redis_url, PLAIN_HTTP | settings) as api,
        httpx.Client(base_url=api.url, transport=elsewhere) as client,
    ):
        assert sign_in(client, first_start(database_url, redis_url)) == [kept]


@needs_caddy
@needs_kubectl
def test_behind_an_ingress_the_address_is_that_of_the_browser(
    database_url: str, redis_url: str, tmp_path: Path
) -> None:
    """With what the manifests tell both. The Ingress is here the one who asks, and names whom it asks for."""
    told = {"PROXY_BEHIND": str(environment_of("proxy")["PROXY_BEHIND"])}
    believed = {BELIEVED: str(environment_of("api")[BELIEVED])}
    assert compose.environment_of("api")[BELIEVED] == believed[BELIEVED]

    with (
        Service("api", database_url, redis_url, PLAIN_HTTP | believed) as api,
        Proxy(tmp_path, [api.port], [api.port], **told) as proxy,
        httpx.Client(base_url=proxy.url) as client,
    ):
        assert sign_in(client, first_start(database_url, redis_url)) == [FROM]


def sign_in(client: httpx.Client, first: dict[str, str]) -> list[str]:
    """The addresses of the member's sessions, once there is one."""
    account = {"email": first["email"], "password": first["password"]}
    signed_in = client.post("/v1/session", json=account, headers={"X-Forwarded-For": FROM})
    assert signed_in.status_code in (200, 201), signed_in.text
    return [one["address"] for one in client.get("/v1/sessions").json()["items"]]
