"""Wait until a server that was started answers."""

import httpx

from deploy.local.process import Process, wait_until

_READY_SECONDS = 120


def wait_until_ready(process: Process, url: str) -> None:
    """Returns when `/readyz` says so. Raises `RuntimeError` when the process ends or takes too long."""
    with httpx.Client(base_url=url, timeout=5, trust_env=False) as client:
        if not wait_until(lambda: _is_ready(process, client), _READY_SECONDS, poll_seconds=0.05):
            raise RuntimeError(f"{process.name} is not ready: {process.last_log_line()}")


def _is_ready(process: Process, client: httpx.Client) -> bool:
    if not process.is_running():
        raise RuntimeError(f"{process.name} has ended: {process.last_log_line()}")
    try:
        return client.get("/readyz").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
