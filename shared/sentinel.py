"""Connections to the master that Sentinels name. Nothing is written to a Redis that says it is a replica.

redis-py's own asks for the master's address before its tries and not at each of them: its retries stay with the old
master. Here each try asks, as redis.io's "Guidelines for Redis clients with support for Redis Sentinel" say.
"""

from typing import Any

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, SSLConnection
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import ReadOnlyError, RedisError, ResponseError
from redis.utils import str_if_bytes

from shared.redis_address import RedisAddress

ANSWER_SECONDS = 0.5  # then the next Sentinel is asked

Place = tuple[str, int]


class NoSentinelAnswers(RedisConnectionError):
    """None of them can be reached."""


class NoSuchMaster(RedisConnectionError):
    """The Sentinels that answer know nothing of this name."""


class NotTheMaster(RedisConnectionError):
    """Where the Sentinels lead to, or led to, is a replica now, or a master that may not write."""


class Sentinels:
    """Those who know where the master is. The one that answered last is asked first."""

    def __init__(self, places: tuple[Place, ...], name: str, **options: Any) -> None:
        self._places = list(places)
        self._name = name
        self._options = options
        self.said: Place | None = None

    async def master(self) -> Place:
        """Raises `NoSentinelAnswers` or `NoSuchMaster`."""
        trouble: RedisConnectionError = NoSentinelAnswers()
        for place in list(self._places):
            try:
                self.said = await self._ask(place)
            except NoSuchMaster as error:
                trouble = error
            except (RedisError, OSError):
                continue
            else:
                self._places.sort(key=lambda one: one != place)
                return self.said
        raise trouble

    async def _ask(self, place: Place) -> Place:
        host, port = place
        async with Redis(host=host, port=port, **self._options) as sentinel:
            said: Place | None = await sentinel.sentinel_get_master_addr_by_name(self._name)  # type: ignore[no-untyped-call]
        if said is None:
            raise NoSuchMaster
        return said


class MasterConnection(Connection):
    def __init__(self, *, sentinels: Sentinels, **options: Any) -> None:
        super().__init__(**options)
        self._sentinels = sentinels

    async def connect(self) -> None:
        """Called too when a connection leaves the pool: one that leads to the master of before is given up."""
        if self.is_connected and (self.host, self.port) != self._sentinels.said:
            await self.disconnect(nowait=True)
        await super().connect()  # type: ignore[no-untyped-call]

    async def _connect(self) -> None:
        self.host, self.port = await self._sentinels.master()
        await super()._connect()  # type: ignore[no-untyped-call]

    async def on_connect(self) -> None:
        """A Sentinel can be behind: whether this is the master, only the server itself can say."""
        await super().on_connect()
        await self.send_command("ROLE", check_health=False)
        if str_if_bytes((await self.read_response())[0]) != "master":
            raise NotTheMaster

    async def read_response(self, *args: Any, **options: Any) -> Any:
        try:
            return await super().read_response(*args, **options)
        except ResponseError as error:
            if not _may_not_write(error):
                raise
            await self.disconnect(nowait=True)
            raise NotTheMaster from error


def _may_not_write(error: ResponseError) -> bool:
    """It was demoted, or has lost its replicas: there may be another master by now. A script quotes what it met."""
    return isinstance(error, ReadOnlyError) or any(word in str(error) for word in ("READONLY", "NOREPLICAS"))


class MasterSSLConnection(MasterConnection, SSLConnection):
    """The same over TLS."""


def through_sentinels(address: RedisAddress, options: dict[str, Any]) -> dict[str, Any]:
    """`options` of a connection to `address.url`, made those of one to the master. The Sentinels have a login of their
    own (`sentinel_username`, `sentinel_password`) or none; TLS, if at all, is for both."""
    of_master = {name: value for name, value in options.items() if name != "host" and not name.startswith("sentinel_")}
    of_sentinels = {name: value for name, value in options.items() if name.startswith("ssl_")}
    of_sentinels |= {name: options.get(f"sentinel_{name}") for name in ("username", "password")}
    is_ssl = of_master.pop("connection_class", None) is SSLConnection
    sentinels = Sentinels(
        address.sentinels,
        address.name,
        ssl=is_ssl,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=ANSWER_SECONDS,
        decode_responses=True,
        **of_sentinels,
    )
    return of_master | {"connection_class": MasterSSLConnection if is_ssl else MasterConnection, "sentinels": sentinels}
