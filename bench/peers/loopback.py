"""Run Phoenix with every port on loopback. A script for Phoenix' own environment: it imports nothing of the bench.

Phoenix lets the address of its HTTP port be set; its gRPC port, which is not used here, would listen on all of them.
"""

import importlib
import sys
from typing import Any


def main() -> None:
    server = importlib.import_module("grpc.aio._server").Server
    listen = server.add_insecure_port

    def listen_on_loopback(self: Any, address: str) -> int:
        return int(listen(self, address.replace("[::]", "127.0.0.1")))

    server.add_insecure_port = listen_on_loopback
    sys.argv = ["phoenix", "serve"]
    importlib.import_module("phoenix.server.main").main()


if __name__ == "__main__":
    main()
