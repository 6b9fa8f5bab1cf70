"""The logins of api and worker in the tests' servers: every test shows that their rights suffice."""

from urllib.parse import urlsplit

from shared.schema.logins import make_login

API_LOGIN = "tests_api"
WORKER_LOGIN = "tests_worker"
_PASSWORD = "tests"


async def make_logins(url: str) -> None:
    """Once for each server, after its first migration."""
    await make_login(url, API_LOGIN, _PASSWORD, "assay_api")
    await make_login(url, WORKER_LOGIN, _PASSWORD, "assay_worker")


def as_login(url: str, name: str) -> str:
    parts = urlsplit(url)
    return parts._replace(netloc=f"{name}:{_PASSWORD}@{parts.hostname}:{parts.port}").geturl()
