"""A Redis with replicas, and Sentinels that watch over them: real servers, each with a configuration file that it and
the Sentinels rewrite."""

import os
import secrets
import signal
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from deploy.local.binaries import redis_server_binary
from deploy.local.process import Process, Program
from deploy.local.process import wait_until as wait_until_now
from tests.chaos.house import steady_port

NAME = "assay"
HOST = "127.0.0.1"
DOWN_AFTER_MS = 1000
START_SECONDS = 30


class Node:
    """One server. Started again, it is what it last was: a master, a replica, or a Sentinel with what it knows."""

    def __init__(self, folder: Path, password: str, settings: Mapping[str, str], *flags: str) -> None:
        folder.mkdir()
        self.port = steady_port()
        self.password = password
        own = {"bind": HOST, "port": str(self.port), "dir": str(folder), "requirepass": password}
        config = folder / "redis.conf"
        config.write_text("".join(f"{name} {value}\n" for name, value in {**own, **settings}.items()))
        command = [str(redis_server_binary()), str(config), *flags]
        self.process = Process(Program(name="redis", command=command, log=folder / "redis.log", cwd=folder))

    @property
    def url(self) -> str:
        return f"redis://:{self.password}@{HOST}:{self.port}/0"

    def start(self) -> None:
        self.process.launch()
        assert wait_until_now(lambda: self.ask("PING") is not None, START_SECONDS), self.process.last_log_line()

    def kill(self) -> None:
        self.process.kill()

    def freeze(self) -> None:
        """As where its machine is gone: connections stay, and nobody answers. `thaw` makes it go on where it was."""
        self._signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self._signal(signal.SIGCONT)

    def _signal(self, number: signal.Signals) -> None:
        assert self.process.pid is not None
        os.kill(self.process.pid, number)

    def ask(self, *command: str) -> Any:
        """Its answer; None when there is none."""
        with Redis.from_url(self.url, socket_timeout=2, decode_responses=True) as client:
            try:
                return client.execute_command(*command)
            except RedisError:
                return None

    @property
    def role(self) -> str:
        answer = self.ask("ROLE")
        return str(answer[0]) if answer else "away"

    @property
    def followers(self) -> int:
        """How many replicas are in step with it."""
        answer = self.ask("ROLE")
        return len(answer[2]) if answer and answer[0] == "master" else 0


def redis_node(folder: Path, password: str, follow: Node | None = None) -> Node:
    """Durable; a replica of `follow`, if one is given."""
    settings = {
        "masterauth": password,
        "save": '""',
        "appendonly": "yes",
        "appendfsync": "always",
        "maxmemory-policy": "noeviction",
        "repl-diskless-sync": "yes",
        "repl-diskless-sync-delay": "0",
    }
    if follow is not None:
        settings["replicaof"] = f"{HOST} {follow.port}"
    return Node(folder, password, settings)


def sentinel_node(folder: Path, password: str, watched: Mapping[str, Node], quorum: int) -> Node:
    """Where fewer than `quorum` Sentinels watch a master, it is never failed over."""
    lines = {"sentinel sentinel-pass": password}
    for name, node in watched.items():
        lines[f"sentinel monitor {name} {HOST} {node.port}"] = str(quorum)
        lines[f"sentinel auth-pass {name}"] = node.password
        lines[f"sentinel down-after-milliseconds {name}"] = str(DOWN_AFTER_MS)
        lines[f"sentinel failover-timeout {name}"] = "10000"
    return Node(folder, password, lines, "--sentinel")


def url_through(sentinels: list[Node], node: Node, name: str = NAME) -> str:
    hosts = ",".join(f"{HOST}:{sentinel.port}" for sentinel in sentinels)
    return f"redis+sentinel://:{node.password}@{hosts}/{name}/0?sentinel_password={sentinels[0].password}"


@dataclass
class Group:
    """A master and its replicas, as they are at the start, and three Sentinels."""

    nodes: list[Node]
    sentinels: list[Node]

    @property
    def url(self) -> str:
        return url_through(self.sentinels, self.nodes[0])

    @property
    def master(self) -> Node:
        """The one that the Sentinels name."""
        host_and_port = self.sentinels[0].ask("SENTINEL GET-MASTER-ADDR-BY-NAME", NAME)
        return next(node for node in self.nodes if node.port == int(host_and_port[1]))

    def fail_over(self) -> bool:
        """Whether the Sentinels could begin: by an operator's wish, while the master is well."""
        return self.sentinels[0].ask("SENTINEL FAILOVER", NAME) is not None

    def is_settled(self) -> bool:
        """Everybody is there, and knows of everybody."""
        return all(self._knows_all(sentinel) for sentinel in self.sentinels) and (
            self.master.followers == len(self.nodes) - 1
        )

    def _knows_all(self, sentinel: Node) -> bool:
        """A Sentinel that has not seen yet that the old master follows would undo the next failover."""
        master = sentinel.ask("SENTINEL MASTER", NAME) or {}
        replicas = sentinel.ask("SENTINEL SLAVES", NAME) or []
        follow = [one for one in replicas if one["role-reported"] == "slave" and one["master-link-status"] == "ok"]
        return (len(follow), master.get("num-other-sentinels"), master.get("flags")) == (
            len(self.nodes) - 1, len(self.sentinels) - 1, "master",
        )  # fmt: skip


@contextmanager
def running(*nodes: Node) -> Iterator[None]:
    with ExitStack() as parts:
        for node in nodes:
            parts.callback(node.kill)
            node.start()
        yield


@contextmanager
def open_group(folder: Path, replicas: int) -> Iterator[Group]:
    password = secrets.token_hex(16)
    master = redis_node(folder / "redis-0", password)
    nodes = [master, *(redis_node(folder / f"redis-{n}", password, master) for n in range(1, replicas + 1))]
    with running(*nodes):
        assert wait_until_now(lambda: master.followers == replicas, START_SECONDS)
        others = secrets.token_hex(16)
        sentinels = [sentinel_node(folder / f"sentinel-{n}", others, {NAME: master}, quorum=2) for n in range(3)]
        with running(*sentinels):
            group = Group(nodes, sentinels)
            assert wait_until_now(group.is_settled, START_SECONDS)
            yield group
