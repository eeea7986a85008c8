"""Start, kill and restart the outside world's programs for tests; each on free loopback ports."""

from __future__ import annotations

import atexit
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import requests

SOURCE = Path(__file__).parents[2] / "src"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass
class Program:
    """One process of ours. `options` go to its command line beside `--port` and `--data`."""

    module: str
    data: Path
    options: list[str] = field(default_factory=list)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    @property
    def base(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> Program:
        command = [sys.executable, "-m", self.module, "--port", str(self.port)]
        environment = {k: v for k, v in os.environ.items() if not k.startswith("ONYM_")}
        self.process = subprocess.Popen(
            [*command, "--data", str(self.data), *self.options],
            env=environment | {"PYTHONPATH": str(SOURCE)},
        )
        atexit.register(self.process.kill)  # a test that fails half-way leaves nothing running
        self.wait_until_healthy()
        return self

    def wait_until_healthy(self) -> None:
        end = time.monotonic() + 20
        while time.monotonic() < end:
            assert self.process is not None
            assert self.process.poll() is None, f"{self.module} ended at its start"
            try:
                if requests.get(f"{self.base}/health", timeout=2).ok:
                    return
            except requests.ConnectionError:
                time.sleep(0.03)
        raise AssertionError(f"{self.module} did not answer within 20 s")

    def kill(self) -> None:
        """kill -9, and wait until the process is gone."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(timeout=10)

    def died(self) -> bool:
        """Wait until it has killed itself on demand."""
        assert self.process is not None
        return self.process.wait(timeout=10) == -signal.SIGKILL

    def stop(self) -> int:
        """SIGTERM; its exit status."""
        assert self.process is not None
        self.process.terminate()
        return self.process.wait(timeout=10)

    def pss_mb(self) -> float:
        """Proportional memory, in MB of 1024 kB."""
        assert self.process is not None
        rollup = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text()
        line = next(line for line in rollup.splitlines() if line.startswith("Pss:"))
        return int(line.split()[1]) / 1024

    def get(self, path: str) -> requests.Response:
        return requests.get(self.base + path, timeout=10)

    def pull(self, path: str, **wanted: object) -> requests.Response:
        """Use a control lever."""
        return requests.post(self.base + path, json=wanted, timeout=10)


def until(true, *, seconds: float = 10.0):
    """Wait for a condition that comes from another process; returns its first true value."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.02)
    return value
