"""Read single words out of the proxy's configuration; whether it is one at all, Caddy says when it is run."""

import re

from tests.system.processes import ROOT

CADDYFILE = ROOT / "deploy" / "proxy" / "Caddyfile"

_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0}


def seconds(directive: str) -> float:
    """The duration that the directive is given, or that its variable has by default."""
    return seconds_of(word(directive))


def seconds_of(text: str) -> float:
    ((number, unit),) = re.findall(r"^(\d+)(ms|s|m)$", text)
    return int(number) * _SECONDS[unit]


def mebibytes(directive: str) -> int:
    return int(word(directive).removesuffix("MiB"))


def word(directive: str) -> str:
    """The word behind the directive, which stands in the file once."""
    (found,) = re.findall(rf"^\s*{directive} (\S+)", _text(), re.MULTILINE)
    return default_of(found) if found.startswith("{$") else str(found)


def default_of(variable: str) -> str:
    """What `{$NAME:default}` is without that variable."""
    return variable.strip("{}").partition(":")[2]


def variables() -> dict[str, str]:
    """Every variable of the environment that it reads, with its default."""
    return dict(re.findall(r"{\$([A-Z_]+):([^}]*)}", _text()))


def _text() -> str:
    return CADDYFILE.read_text()
