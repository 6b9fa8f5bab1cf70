"""Ask the service of this container whether it is alive: exit code 0 if its /healthz answers.

`python healthcheck.py ingest` asks ingest. Without a name all three are asked, one of which is to answer: a container
holds one service. Imports the standard library alone, as it is started every few seconds.
"""

import http.client
import os
import sys

PORTS = {"ingest": 8001, "worker": 8002, "api": 8000}
SECONDS_MAX = 5


def main(names: list[str]) -> int:
    unknown = set(names) - PORTS.keys()
    if unknown:
        sys.exit(f"usage: healthcheck.py [{' | '.join(PORTS)}]; a service is started with python -m services.<name>")
    return 0 if any(is_alive(port_of(name)) for name in names or PORTS) else 1


def port_of(name: str) -> int:
    """Where the service listens, by the setting it reads itself."""
    return int(os.environ.get(f"ASSAY_{name.upper()}_PORT") or PORTS[name])


def is_alive(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=SECONDS_MAX)
    try:
        connection.request("GET", "/healthz")
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
