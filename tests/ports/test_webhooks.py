"""Where a stranger's address may lead, and that the checked address is the one that is called."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import threading
import time

import pytest
from tests.demo.servers import free_port

from onym.core.errors import Malformed
from onym.core.webhook import Said, secret
from onym.ports import webhooks

PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "169.254.169.254",
    "100.64.0.1",
    "0.0.0.0",
    "224.0.0.1",
    "255.255.255.255",
    "192.0.2.1",
    "198.18.0.1",
    "240.0.0.1",
    "::1",
    "::",
    "fe80::1",
    "fc00::1",
    "ff02::1",
    "::ffff:127.0.0.1",
    "::ffff:10.1.2.3",
    "64:ff9b::7f00:1",
    "2002:7f00:1::",
    "::127.0.0.1",
    "2001::1",
    "2001:db8::1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "93.184.215.14", "2606:4700:4700::1111", "::ffff:1.1.1.1"]


@pytest.mark.parametrize("address", PRIVATE)
def test_an_address_inside_some_network_is_not_public(address: str) -> None:
    assert not webhooks.is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is_public(address: str) -> None:
    assert webhooks.is_public(ipaddress.ip_address(address))


def test_the_address_that_was_checked_is_the_one_that_is_called_by_the_name_that_was_asked() -> (
    None
):
    found = webhooks.target("https://1.1.1.1:8443/a?b=c")
    assert (found.address, found.host, found.port) == ("1.1.1.1", "1.1.1.1", 8443)
    assert found.path == "/a?b=c"
    local = webhooks.target("http://localhost:81/x", loopback=True)
    assert ipaddress.ip_address(local.address).is_loopback
    assert local.host == "localhost"


@pytest.mark.parametrize("url", ["http://1.1.1.1/", "https://10.0.0.1/", "http://10.0.0.1/"])
def test_in_the_demo_only_this_machine_is_an_exception(url: str) -> None:
    with pytest.raises(Malformed):
        webhooks.target(url, loopback=True)


def send(port: int, seconds: float = 9.0) -> Said:
    return webhooks.post(
        url=f"http://127.0.0.1:{port}/",
        secrets=[secret(b"s" * 32)],
        id="dlv_1",
        timestamp=1,
        message={"type": "webhook.ping"},
        loopback=True,
        seconds=seconds,
    )


def test_nobody_there_is_an_answer_too() -> None:
    assert send(free_port()) == Said(None, "no_answer")


def test_a_receiver_that_drips_its_answer_is_cut_off() -> None:
    def drip() -> None:
        link, _ = listener.accept()
        with link, contextlib.suppress(OSError):
            link.recv(4096)
            for letter in b"HTTP/1.1 200 OK and so on, for ever and ever and ever":
                link.sendall(bytes([letter]))
                time.sleep(0.2)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        dripping = threading.Thread(target=drip)
        dripping.start()
        began = time.monotonic()
        assert send(listener.getsockname()[1], 1.0) == Said(None, "timeout")
        assert time.monotonic() - began < 4
        dripping.join(timeout=20)
