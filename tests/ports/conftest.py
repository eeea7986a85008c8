"""The demo's payment provider for the tests of its port, one a module."""

from __future__ import annotations

import pytest
import requests
from tests.demo.servers import Program
from tests.ports.paying import make_port


@pytest.fixture(scope="module")
def provider(tmp_path_factory):
    folder = tmp_path_factory.mktemp("payments")
    program = Program("onym_demo.payments", folder, ["--settle-seconds", "0.3"]).start()
    yield program
    program.stop()


@pytest.fixture(scope="module")
def port(provider):
    return make_port(provider)


@pytest.fixture
def calm(provider):
    """No fault that a test planned is left for the next one."""
    yield
    if provider.process.poll() is not None:
        provider.start()
    requests.delete(provider.base + "/demo/faults", timeout=10)
