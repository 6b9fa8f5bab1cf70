"""What a person can set for `make run`, read from the environment once."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from deploy.local.errors import CannotStart
from deploy.local.ports import LOOPBACK

PROJECT_FOLDER = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Settings:
    """Where things live and listen. `worker_port` None: any free one; the URLs None: servers of our own."""

    home: Path
    host: str
    ingest_port: int
    api_port: int
    worker_port: int | None
    database_url: str | None
    redis_url: str | None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> "Settings":
        """Read the settings; an empty variable counts as unset. Raises CannotStart."""
        given = {name: value for name, value in environment.items() if value.strip()}
        settings = cls(
            home=Path(os.path.expanduser(given.get("ASSAY_HOME", PROJECT_FOLDER / ".assay"))).absolute(),
            host=given.get("ASSAY_HOST", LOOPBACK),
            ingest_port=_port(given, "ASSAY_INGEST_PORT") or 8001,
            api_port=_port(given, "ASSAY_API_PORT") or 8000,
            worker_port=_port(given, "ASSAY_WORKER_PORT"),
            database_url=given.get("DATABASE_URL"),
            redis_url=given.get("REDIS_URL"),
        )
        settings._refuse_shared_ports()
        return settings

    def _refuse_shared_ports(self) -> None:
        ports = [port for port in (self.ingest_port, self.api_port, self.worker_port) if port]
        if len(set(ports)) < len(ports):
            raise CannotStart(
                f"Two services are to listen on one port: {', '.join(map(str, ports))}.",
                "Give ASSAY_INGEST_PORT, ASSAY_API_PORT and ASSAY_WORKER_PORT different numbers.",
            )


def _port(environment: Mapping[str, str], name: str) -> int | None:
    text = environment.get(name)
    if text is None:
        return None
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise CannotStart(f"{name} is {text!r}, which is no port.", f"Set {name} to a number from 1 to 65535, or unset it.")
