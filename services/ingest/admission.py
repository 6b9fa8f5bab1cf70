"""Who may send scores: the one place where ingest decides access. It knows keys by the directory in Redis."""

from starlette.requests import Request

from shared.http.credentials import key_of, require
from shared.http.endpoint import Endpoint
from shared.http.rate_limits import teller
from shared.keys import Grant, Scope
from shared.known_keys import KnownKeys
from shared.quotas import Quotas


class Admission:
    def __init__(self, keys: KnownKeys, quotas: Quotas) -> None:
        self._keys = keys
        self._quotas = quotas

    async def admit(self, request: Request, endpoint: Endpoint) -> Grant:
        """Raises `NotAuthenticated`, `NotAllowed`, `OverQuota`, or `QueueUnavailable` when it can't be told."""
        assert isinstance(endpoint.needs, Scope)
        grant = await self._keys.grant_of(key_of(request))
        require(grant, endpoint.needs)
        await self._quotas.take_request(grant, teller(request))
        return grant
