"""What `REDIS_URL` says: where a Redis is, or which Sentinels know where the master of a name is. Nothing that is said
of an address quotes it: it holds a password."""

import re
from urllib.parse import unquote

from msgspec import Struct

FORMS = (
    "redis://[user:password@]host[:port][/database], or with Sentinels "
    "redis+sentinel://[user:password@]host[:port][,host[:port]…]/name[/database]; rediss for TLS; what is not a letter "
    "or a digit in a password is written as %2F"
)
SENTINEL_PORT = 26379

_LOGIN = r"(?P<login>[^/?#]*@)?"
_DATABASE = r"(/(?P<database>\d*))?"
_OPTIONS = r"(?P<options>\?[^#]*)?"
_HOST = r"(?:\[[0-9a-fA-F:.]+\]|[^\[\]:/?#@,\s]+)(?::\d{1,5})?"
_ONE = re.compile(rf"rediss?://{_LOGIN}({_HOST})?{_DATABASE}{_OPTIONS}|unix://.+")
_MANAGED = re.compile(
    rf"(?P<scheme>rediss?)\+sentinel://{_LOGIN}(?P<hosts>{_HOST}(?:,{_HOST})*)/(?P<name>[^/?#@]+){_DATABASE}{_OPTIONS}"
)


class BadAddress(ValueError):
    """It is no address of a Redis."""


class RedisAddress(Struct, frozen=True):
    """Of one Redis: `url`. With Sentinels: `url` says how to speak with the master that they call `name`, and its host
    is nobody's."""

    url: str
    sentinels: tuple[tuple[str, int], ...] = ()
    name: str = ""


def read_address(text: str) -> RedisAddress:
    """Raises `BadAddress`."""
    if _ONE.fullmatch(text):
        return RedisAddress(text)
    if found := _MANAGED.fullmatch(text):
        url = f"{found['scheme']}://{found['login'] or ''}master/{found['database'] or 0}{found['options'] or ''}"
        return RedisAddress(url, tuple(map(_place_of, found["hosts"].split(","))), unquote(found["name"]))
    raise BadAddress(f"expected {FORMS}")


def _place_of(host: str) -> tuple[str, int]:
    name, colon, port = host.rpartition(":")
    if not colon or port.endswith("]"):
        name, port = host, str(SENTINEL_PORT)
    return name.strip("[]"), int(port)
