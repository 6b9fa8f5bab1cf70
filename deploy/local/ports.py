"""Loopback ports: free ones, remembered ones, and who sits on a taken one."""

import contextlib
import errno
import socket
from pathlib import Path

import psutil

LOOPBACK = "127.0.0.1"


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Return whether a server could listen there now. A port that only lingers after a close counts as free."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise
    return True


def free_port() -> int:
    """Return a port that is free now. Nothing holds it: listen on it soon."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])


def remembered_port(memory: Path) -> int:
    """Return the port written in the file `memory` while that is free, else a free one, which is written there."""
    with contextlib.suppress(FileNotFoundError, ValueError):
        port = int(memory.read_text())
        if is_free(port):
            return port
    port = free_port()
    memory.write_text(f"{port}\n")
    return port


def holder(port: int) -> str | None:
    """Return who listens on the port, as `name (pid 123)`, when the operating system lets us know."""
    with contextlib.suppress(psutil.Error, OSError):
        for connection in psutil.net_connections(kind="tcp"):
            listens = connection.status == psutil.CONN_LISTEN and connection.laddr[1:2] == (port,)
            if listens and connection.pid:
                return f"{psutil.Process(connection.pid).name()} (pid {connection.pid})"
    return None
