"""The demo's outside world as the supervisor sees it: its programs and where they listen.

The platform is Plaza, of our own making, or a real Bluesky PDS with its directory of identities.

Their ports are chosen free at first and kept in DATA/demo/ports.json, so that links in old mails
and the addresses of demo.json still hold after a restart.
"""

from __future__ import annotations

import importlib.util
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from onym.core.errors import Refusal
from onym.site import demo_lists, embedded
from onym.site.supervisor import Child

PORTS = ("platform", "mailbox", "smtp", "payments", "plc")
PROGRAMS = ("platform", "mailbox", "payments")
PDS = ("plc", "server", "life")
"""Parts of the PDS, in the order in which they start."""


class OtherPlatform(Refusal):
    status, code, title = 409, "other_platform", "This DATA is a demo on another platform"


def platform(data_dir: Path, wished: str | None) -> str:
    """`plaza` or `pds`: what DATA began with, at first what is wished for.

    Refuses `other_platform` for the other one later: a demo does not move.
    """
    kept = data_dir / "demo" / "platform-kind"
    kept.parent.mkdir(parents=True, exist_ok=True)
    began = (data_dir / "demo" / "ports.json").exists()
    known = kept.read_text() if kept.exists() else "plaza" if began else None
    if known and wished and known != wished:
        raise OtherPlatform(f"it began on {known}; choose another with --data or DATA=…")
    kept.write_text(known or wished or "plaza")
    return kept.read_text()


def free(port: int, host: str = "127.0.0.1") -> bool:
    """May a server listen here now?"""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def free_pair(kept: Path, host: str = "127.0.0.1") -> int:
    """A port that is free now, and so is the next: the last time's, which links in old mails name,
    if `kept`, the file that remembers it, has one that still is.
    """
    last = int(kept.read_text()) if kept.exists() else 0
    port = last if last and _pair(last, host) else _fresh_pair(host)
    kept.write_text(str(port))
    return port


def _pair(port: int, host: str) -> bool:
    return port < 65_535 and free(port, host) and free(port + 1, host)


def _fresh_pair(host: str) -> int:
    while True:
        with socket.socket() as probe:
            probe.bind((host, 0))
            port: int = probe.getsockname()[1]
        if _pair(port, host):
            return port


def listens(port: int, host: str = "127.0.0.1") -> bool:
    """Does somebody accept connections here?"""
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True


def ports(data_dir: Path) -> dict[str, int]:
    """name → port on loopback; last time's where it is still free."""
    kept = data_dir / "demo" / "ports.json"
    kept.parent.mkdir(parents=True, exist_ok=True)
    known: dict[str, int] = json.loads(kept.read_text()) if kept.exists() else {}
    chosen = {name: known[name] for name in PORTS if name in known and free(known[name])}
    with_sockets = [socket.socket() for name in PORTS if name not in chosen]
    for probe, name in zip(with_sockets, [n for n in PORTS if n not in chosen], strict=True):
        probe.bind(("127.0.0.1", 0))  # all held open until all are chosen: no port twice
        chosen[name] = probe.getsockname()[1]
    for probe in with_sockets:
        probe.close()
    fresh = kept.with_suffix(".new")
    fresh.write_text(json.dumps(chosen))
    fresh.replace(kept)
    return chosen


def environment(
    data_dir: Path, where: Mapping[str, int], base: str, kind: str = "plaza"
) -> dict[str, str]:
    """What both sides must agree on: addresses and shared secrets, one set a DATA."""
    keys = data_dir / "keys"
    platform = f"http://127.0.0.1:{where['platform']}"
    told = _pds(keys, where, base) if kind == "pds" else _plaza(data_dir, platform, base)
    return (
        told
        | demo_lists.begin(data_dir)
        | {
            "ONYM_DEMO": "1",
            "ONYM_DEMO_CLOCK_FILE": str(data_dir / "demo-clock"),
            "ONYM_INBOUND_URL": f"{base}/mail/inbound",
            "ONYM_PAYMENTS_WEBHOOK_URL": f"{base}/hooks/payments/stripe",
            "ONYM_PLATFORM_URL": platform,
            "ONYM_MAILBOX_URL": f"http://127.0.0.1:{where['mailbox']}",
            "ONYM_PAYMENTS_URL": f"http://127.0.0.1:{where['payments']}",
            "ONYM_WALLET": "1",
            "ONYM_BANK_IBAN": "DE89370400440532013000",  # the example of the IBAN registry
            "ONYM_BANK_BENEFICIARY": "Plaza Handle Market",
            "ONYM_SMTP_HOST": "127.0.0.1",
            "ONYM_SMTP_PORT": str(where["smtp"]),
            "ONYM_PAYMENTS_KEY": "sk_test_" + embedded.kept_secret(keys / "payments"),
            "ONYM_PAYMENTS_WEBHOOK_SECRET": "whsec_" + embedded.kept_secret(keys / "webhooks"),
            "ONYM_INBOUND_SECRET": embedded.kept_secret(keys / "inbound"),
        }
    )


def _plaza(data_dir: Path, platform: str, base: str) -> dict[str, str]:
    """What the demo's own platform has beside the contract: hooks, and signing in with it."""
    return {
        "ONYM_HOOKS": str(_hooks(data_dir, platform)),
        "ONYM_OIDC_ISSUER": platform,
        "ONYM_OIDC_CLIENT_ID": "onym",
        "ONYM_OIDC_CLIENT_SECRET": embedded.kept_secret(data_dir / "keys" / "openid"),
        "ONYM_OIDC_REDIRECT_URI": f"{base}/sign-in/platform/back",
    }


def _hooks(data_dir: Path, platform: str) -> Path:
    """What the demo's platform keys by a handle's text, in the order in which it is ended."""
    file = data_dir / "demo" / "hooks.toml"
    names = ("sessions", "tokens", "mail-aliases", "webhooks")
    rows = (f'[[hook]]\nname = "{name}"\nurl = "{platform}/hooks/{name}"\n' for name in names)
    file.parent.mkdir(parents=True, exist_ok=True)
    fresh = file.with_suffix(".new")
    fresh.write_text("\n".join(rows))
    fresh.replace(file)
    return file


def _pds(keys: Path, where: Mapping[str, int], base: str) -> dict[str, str]:
    """The PDS calls itself localhost, and signs in to a market at 127.0.0.1 or at https only."""
    signs_in = base.startswith(("http://127.0.0.1:", "https://"))
    return {
        "ONYM_ATPROTO_ISSUER": f"http://localhost:{where['platform']}" if signs_in else "",
        "ONYM_PLATFORM_KIND": "atproto",
        "ONYM_PLATFORM_PASSWORD": embedded.kept_secret(keys / "pds"),
        "ONYM_PLATFORM_CUSTODIAN": "custodian",
        "ONYM_PLATFORM_MAIL": "1",
    }


def children(
    data_dir: Path, where: Mapping[str, int], shared: Mapping[str, str], kind: str = "plaza"
) -> list[Child]:
    """The programs of the outside world, each with state of its own under DATA/demo."""
    ours = PROGRAMS if kind == "plaza" else PROGRAMS[1:]
    made = _own(ours, data_dir, where, shared)
    return made if kind == "plaza" else [*made, *_pds_children(data_dir, where, shared)]


def _pds_children(
    data_dir: Path, where: Mapping[str, int], shared: Mapping[str, str]
) -> list[Child]:
    """The directory, the PDS and its people; the last listens nowhere."""
    listening = {"plc": where["plc"], "server": where["platform"]}
    command = [sys.executable, "-m", "onym_demo.pds"]
    options = ["--data", str(data_dir / "demo" / "pds"), "--port", str(where["platform"])]
    options += ["--plc-port", str(where["plc"]), "--smtp-port", str(where["smtp"])]
    options += ["--clock-file", str(data_dir / "demo-clock")]
    return [
        Child(
            name=part if part == "plc" else f"pds-{part}",
            command=[*command, part, *options],
            environment=shared,
            answers=_answers(listening.get(part)),
        )
        for part in PDS
    ]


def _answers(port: int | None) -> Callable[[], bool]:
    return lambda: port is None or listens(port)


def _own(
    programs: Sequence[str], data_dir: Path, where: Mapping[str, int], shared: Mapping[str, str]
) -> list[Child]:
    return [
        Child(
            name=name,
            command=_command(name, data_dir, where),
            environment=shared,
            answers=_answers(where[name]),
        )
        for name in programs
        if importlib.util.find_spec(f"onym_demo.{name}.__main__")
    ]


def _command(name: str, data_dir: Path, where: Mapping[str, int]) -> list[str]:
    state = data_dir / "demo" / name
    state.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", f"onym_demo.{name}", "--port", str(where[name])]
    command += ["--data", str(state), "--clock-file", str(data_dir / "demo-clock")]
    if name == "mailbox":
        command += ["--smtp-port", str(where["smtp"])]
    if name == "platform":
        from onym.site import keys

        command += ["--public-key", str(keys.public_key_file(data_dir)), "--key-id", keys.KEY_ID]
    return command


def begin_in_the_past(data_dir: Path, kind: str = "plaza") -> None:
    """Before the platform's first start: its accounts are made for the day the history begins."""
    from onym.site.demo import HISTORY_DAYS, PDS_DAYS

    days = HISTORY_DAYS if kind == "plaza" else PDS_DAYS
    file = data_dir / "demo-clock"
    if not file.exists() and not (data_dir / "demo.json").exists():
        file.write_text(str(-days * 86_400))


def forget_stale(data_dir: Path, base: str, shared: Mapping[str, str]) -> None:
    """Remove a demo.json whose addresses are no longer right: it is written anew, last."""
    written = data_dir / "demo.json"
    if not written.exists():
        return
    now = {
        "base": base,
        "platform": shared["ONYM_PLATFORM_URL"],
        "mailbox": shared["ONYM_MAILBOX_URL"],
        "payments": shared["ONYM_PAYMENTS_URL"],
    }
    try:
        said = json.loads(written.read_text())
    except ValueError:
        said = {}
    if any(said.get(name) != address for name, address in now.items()):
        os.unlink(written)
