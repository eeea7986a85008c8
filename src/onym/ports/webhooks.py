"""Posting to addresses that strangers name, without being led into our own network.

A name is resolved once, every address that it has must be a public one, and the connection goes to
the address that was checked: a second answer of the name server changes nothing. Redirects are not
followed, proxies not used, answers not read beyond their status.
"""

from __future__ import annotations

import contextlib
import ipaddress
import json
import socket
import ssl
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from urllib.parse import SplitResult, urlsplit

from onym.core.errors import Malformed
from onym.core.webhook import Said, headers

LONGEST_URL = 500
WAIT_SECONDS = 5.0
WHOLE_SECONDS = 10.0
_WITH_AN_OLDER_INSIDE = (
    ipaddress.ip_network("64:ff9b::/96"),  # NAT64, RFC 6052
    ipaddress.ip_network("64:ff9b:1::/48"),
    ipaddress.ip_network("::/96"),
    ipaddress.ip_network("2002::/16"),  # 6to4
    ipaddress.ip_network("2001::/32"),  # Teredo
)
_TRUST = ssl.create_default_context()
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    """Where to connect (`address`, checked) and as whom to ask (`host`)."""

    scheme: str
    host: str
    address: str
    port: int
    path: str


def target(url: str, *, loopback: bool = False) -> Target:
    """Where `url` leads now. `loopback` (the demo) also allows this machine, and there http.

    Refuses `malformed`: no https, a name or password in it, an address that is not a public one.
    """
    parts = _parts(url)
    host = parts.hostname or ""
    port = parts.port or (443 if parts.scheme == "https" else 80)
    found = _resolved(host, port)
    inside = loopback and all(one.is_loopback for one in found)
    if not inside and (parts.scheme != "https" or not all(map(is_public, found))):
        raise Malformed("the address must be https and lead to a public host", field="url")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return Target(parts.scheme, host, str(found[0]), port, path)


def is_public(address: Address) -> bool:
    """Whether the address is anybody's to reach; one with an older one inside is not trusted."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if any(address in net for net in _WITH_AN_OLDER_INSIDE):
            return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def post(
    *,
    url: str,
    secrets: Sequence[str],
    id: str,
    timestamp: int,
    message: Mapping[str, object],
    loopback: bool,
    seconds: float = WHOLE_SECONDS,
) -> Said:
    """Send one signed message, and wait `seconds` at most in all.

    Whatever happens is an answer; nothing is raised.
    """
    body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode()
    signed = headers(secrets=secrets, id=id, timestamp=timestamp, body=body)
    try:
        return _ask(target(url, loopback=loopback), body, signed, seconds)
    except Malformed as refusal:
        return Said(None, "unresolved" if refusal.facts.get("unresolved") else "not_public")
    except TimeoutError:
        return Said(None, "timeout")
    except ssl.SSLError:
        return Said(None, "tls")
    except (OSError, HTTPException, ValueError):
        return Said(None, "no_answer")


def _ask(where: Target, body: bytes, signed: Mapping[str, str], seconds: float) -> Said:
    """However slowly the other side talks, it is over after `seconds`."""
    raw = socket.create_connection((where.address, where.port), WAIT_SECONDS)
    over = threading.Event()

    def cut() -> None:
        over.set()
        with contextlib.suppress(OSError):
            raw.shutdown(socket.SHUT_RDWR)

    watchdog = threading.Timer(seconds, cut)
    watchdog.start()
    try:
        return Said(_status(where, raw, body, signed))
    except (OSError, HTTPException, ValueError) as trouble:
        if over.is_set():
            raise TimeoutError from trouble
        raise
    finally:
        watchdog.cancel()
        raw.close()


def _status(where: Target, raw: socket.socket, body: bytes, signed: Mapping[str, str]) -> int:
    """The status alone: an answer's body is nobody's business here."""
    link = HTTPConnection(where.host, where.port, timeout=WAIT_SECONDS)
    link.sock = raw
    if where.scheme == "https":
        link.default_port = 443
        link.sock = _TRUST.wrap_socket(raw, server_hostname=where.host)
    try:
        fixed = {"Content-Type": "application/json", "User-Agent": "Onym"}
        link.request("POST", where.path, body=body, headers={**fixed, **signed})
        return link.getresponse().status
    finally:
        link.close()


def _parts(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        whole = bool(parts.hostname) and (parts.port or 443) > 0
    except ValueError:
        whole = False
    plain = url.isascii() and url.isprintable() and " " not in url and "\\" not in url
    if not (whole and plain and len(url) <= LONGEST_URL):
        raise Malformed("write the whole address, as https://site.example/hook", field="url")
    if parts.scheme not in ("https", "http") or "@" in parts.netloc or "#" in url:
        raise Malformed("the address is https, without name, password or #", field="url")
    return parts


def _resolved(host: str, port: int) -> list[Address]:
    try:
        told = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        found = [ipaddress.ip_address(str(one[4][0]).partition("%")[0]) for one in told]
    except (OSError, ValueError, UnicodeError):
        found = []
    if not found:
        raise Malformed("nobody answers to the address's name", field="url", unresolved=True)
    return found
