"""Several hosts on one machine: each a network namespace with an address of its own on one bridge.

The rest of the world, which answers on the machine's own loopback alone, is led to over sockets in
a folder; nothing here listens on an address of the machine.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.demo.servers import free_port

RELAY = Path(__file__).with_name("relay.py")
LAN = "10.77.0"
ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Host:
    """One namespace, and the programs that run in it."""

    address: str
    holder: subprocess.Popen[bytes]
    programs: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def within(self) -> list[str]:
        user = [] if os.geteuid() == 0 else ["--user", "--preserve-credentials"]
        return ["nsenter", f"--target={self.holder.pid}", "--net", *user]

    def do(self, *commands: str) -> None:
        for command in commands:
            subprocess.run([*self.within(), *shlex.split(command)], check=True)

    def start(
        self, command: Sequence[str], environment: Mapping[str, str] | None = None, **more: object
    ) -> subprocess.Popen[bytes]:
        begun = subprocess.Popen(
            [*self.within(), *command],
            env=environment,
            start_new_session=True,
            **more,  # type: ignore[call-overload]  # as subprocess takes them
        )
        self.programs.append(begun)
        return begun

    def lose_power(self) -> None:
        """kill -9 of every program here, and of what those began."""
        for begun in self.programs:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(begun.pid, signal.SIGKILL)
            begun.wait()
        self.programs.clear()


class Network:
    """The bridge and its hosts; all gone at the end of the block."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.hosts: list[Host] = []
        self.relays: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> Network:
        user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
        self.hub = Host(f"{LAN}.1", _holder(["unshare", "--net", *user]))
        self.hub.do("ip link set lo up", "ip link add lan type bridge")
        self.hub.do(f"ip addr add {LAN}.1/24 dev lan", "ip link set lan up")
        return self

    def __exit__(self, *_: object) -> None:
        for host in (*self.hosts, self.hub):
            host.lose_power()
            host.holder.kill()
            host.holder.wait()
        for relay in self.relays:
            relay.kill()
            relay.wait()

    def host(self) -> Host:
        """One more host on the bridge."""
        number = len(self.hosts) + 2
        found = Host(f"{LAN}.{number}", _holder([*self.hub.within(), "unshare", "--net"]))
        self.hosts.append(found)
        self.hub.do(
            f"ip link add up{number} type veth peer name eth0 netns {found.holder.pid}",
            f"ip link set up{number} master lan",
            f"ip link set up{number} up",
        )
        found.do("ip link set lo up", f"ip addr add {found.address}/24 dev eth0")
        found.do("ip link set eth0 up")
        return found

    def lead_out(self, **targets: str) -> dict[str, str]:
        """For each name a socket in the folder that leads to the machine's own target."""
        ways = {name: str(self.folder / name) for name in targets}
        self._relay([end for name, way in ways.items() for end in (way, targets[name])])
        return ways

    def serve(self, host: Host, address: str, **ways: str) -> dict[str, str]:
        """For each name a `host:port`, on this address of `host`, that leads to the socket."""
        told = {name: f"{address}:{port}" for port, name in enumerate(ways, start=9000)}
        ends = [end for name, way in ways.items() for end in (told[name], way)]
        _ready(host.start([sys.executable, str(RELAY), *ends], stdout=subprocess.PIPE))
        return told

    def lead_in(self, host: Host, port: int) -> str:
        """The address on the machine's loopback that leads to a port of `host`."""
        way, near = str(self.folder / f"in-{host.address}"), f"127.0.0.1:{free_port()}"
        command = [sys.executable, str(RELAY), way, f"{host.address}:{port}"]
        _ready(self.hub.start(command, stdout=subprocess.PIPE))
        self._relay([near, way])
        return f"http://{near}"

    def _relay(self, ends: list[str]) -> None:
        begun = subprocess.Popen([sys.executable, str(RELAY), *ends], stdout=subprocess.PIPE)
        self.relays.append(begun)
        _ready(begun)


def _holder(prefix: list[str]) -> subprocess.Popen[bytes]:
    """A process that keeps a namespace open, once it has it."""
    begun = subprocess.Popen([*prefix, "sleep", "infinity"])
    end = time.monotonic() + 10
    while Path(f"/proc/{begun.pid}/comm").read_text().strip() != "sleep":
        assert begun.poll() is None, "a network namespace cannot be made here"
        assert time.monotonic() < end
        time.sleep(0.01)
    return begun


def _ready(begun: subprocess.Popen[bytes]) -> None:
    assert begun.stdout
    with begun.stdout as said:
        assert said.readline() == b"ready\n", begun.args
