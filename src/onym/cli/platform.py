"""`onym platform check`: an operator's platform held against the contract, one verdict a clause."""

from __future__ import annotations

import base64
import json
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from onym.core.errors import PlatformUnavailable
from onym.ports import conformance
from onym.ports.conformance import Finding, Ground, Verdict
from onym.ports.conformance.asking import Asker, Silent
from onym.ports.conformance.ground import NotReady

_GUIDE = "docs/guides/platform.md"


@dataclass(slots=True)
class Report:
    """What was found; `astray` is what could not be put back."""

    platform: str
    findings: list[Finding] = field(default_factory=list)
    astray: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        return not self.astray and all(f.verdict is not Verdict.FAIL for f in self.findings)


@click.group("platform")
def command() -> None:
    """Check a platform against the signed-HTTP contract."""


@command.command("check")
@click.argument("url")
@click.option(
    "--account",
    "accounts",
    metavar="ID",
    multiple=True,
    help="An account set apart for trials, given twice: handles move between the two and back.",
)
@click.option("--handle", "free", metavar="H", help="A handle that nobody holds, for trials.")
@click.option(
    "--hand-over",
    "mail",
    metavar="MAIL",
    help="Hand the second account over to this address, too. That cannot be put back.",
)
@click.option(
    "--key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The private key, in PEM or as Onym keeps it; default: keys/platform in DATA. Without"
    " either, reads go unsigned and most about signatures is not checked.",
)
@click.option("--key-id", default="onym", show_default=True, help="What the platform calls it.")
@click.option(
    "--data",
    type=click.Path(file_okay=False, path_type=Path),
    default=lambda: os.environ.get("ONYM_DATA", "data"),
    help="Where the key is looked for; default: data/ under the current directory.",
)
@click.option(
    "--timeout",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    help="Seconds to wait for each answer.",
)
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def check(
    url: str,
    accounts: tuple[str, ...],
    free: str | None,
    mail: str | None,
    key: Path | None,
    key_id: str,
    data: Path,
    timeout: float,
    as_json: bool,
) -> int:
    """Say, clause by clause, whether the platform at URL keeps the signed-HTTP contract.

    Without --account and --handle nothing is changed, and what could only be seen by a change is
    "not checked". With them, handles move between the two accounts and each trial is put back; but
    their fences stay raised and a notice is shown, so name accounts whose handles you never sell.
    Exit code 0: every clause tried is kept; 1: one is broken, or no platform answers; 2: usage.

    \b
    Example:
      onym platform check https://platform.example/onym --key keys/platform
    """
    _need_address(url)
    signing = _key(key or data / "keys" / "platform", is_named=key is not None)
    if accounts and signing is None:
        raise click.UsageError("changes must be signed: name the platform's key with --key")
    asker = Asker(base=url, key_id=key_id, private_key=signing, timeout=timeout)
    ground = Ground(asker, _offers(asker))
    _name(ground, accounts, free, mail)
    report = Report(url)
    for finding in conformance.judge(ground, conformance.CLAUSES):
        report.findings.append(finding)
        report.astray = ground.astray
        if not as_json:
            click.echo(_line(finding))
    click.echo(json.dumps(_facts(report), ensure_ascii=False) if as_json else _summary(report))
    return int(not report.holds)


def _need_address(url: str) -> None:
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and not parts.query
        _ = parts.port
    except ValueError:
        usable = False
    if not usable:
        raise click.BadParameter(f"{url!r} is no http or https address", param_hint="URL")


def _key(path: Path, *, is_named: bool) -> Ed25519PrivateKey | None:
    """The key in the file; None where there is no file and nobody named one."""
    if not is_named and not path.exists():
        return None
    try:
        raw = path.read_bytes().strip()
        if raw.startswith(b"-----"):
            found = load_pem_private_key(raw, password=None)
            if not isinstance(found, Ed25519PrivateKey):
                raise ValueError("it is no Ed25519 key")
            return found
        return Ed25519PrivateKey.from_private_bytes(base64.urlsafe_b64decode(raw + b"=")[:32])
    except OSError as fault:
        raise click.UsageError(f"{path}: {fault.strerror}") from fault
    except (ValueError, TypeError) as fault:
        raise click.UsageError(f"{path} holds no usable private key: {fault}") from fault


def _offers(asker: Asker) -> dict[str, Any]:
    """What the platform says it offers; refused: PlatformUnavailable, saying what is there."""
    try:
        told = asker.read("/capabilities")
    except Silent as trouble:
        raise PlatformUnavailable(f"{asker.base} does not answer: {trouble}") from trouble
    if told.status == 401:
        raise PlatformUnavailable(
            f"{asker.base} turns us away (401 {told.code}): install keys/platform.pem there, and"
            " name the private key with --key, its id with --key-id"
        )
    if told.status != 200 or not isinstance(told.said, dict):
        raise PlatformUnavailable(
            f"{asker.base} does not speak the contract: GET /capabilities answers"
            f" {told.status} {told.kind or 'without a type'}, not 200 with a JSON object"
        )
    return told.said


def _name(ground: Ground, accounts: tuple[str, ...], free: str | None, mail: str | None) -> None:
    if len(accounts) not in (0, 2) or len(set(accounts)) != len(accounts):
        raise click.UsageError(
            "--account is given twice, for two different accounts, or not at all"
        )
    if ground.custodian in accounts:
        raise click.UsageError("the custodian is no account for trials")
    if mail and not accounts:
        raise click.UsageError("--hand-over needs the two accounts of --account")
    try:
        ground.name(accounts, free, mail)
    except NotReady as fault:
        raise click.UsageError(str(fault)) from fault
    except Silent as trouble:
        raise PlatformUnavailable(str(trouble)) from trouble


# What is said.


def _line(finding: Finding) -> str:
    said = f"{finding.verdict:<12} {finding.clause.id:<28} {finding.clause.sentence}"
    if finding.detail:
        said += f"\n{'':<12} {'':<28} {finding.detail}"
    if finding.verdict is Verdict.FAIL:
        said += f"\n{'':<12} {'':<28} see {_GUIDE}, {finding.clause.section}"
    return said


def _summary(report: Report) -> str:
    counts = Counter(finding.verdict for finding in report.findings)
    lines = [f"could not be put back: {what}" for what in report.astray]
    lines.append(", ".join(f"{counts[verdict]} {verdict}" for verdict in Verdict))
    return "\n".join(lines)


def _facts(report: Report) -> dict[str, Any]:
    return {
        "platform": report.platform,
        "ok": report.holds,
        "astray": report.astray,
        "clauses": [
            {
                "id": finding.clause.id,
                "verdict": finding.verdict.value,
                "sentence": finding.clause.sentence,
                "section": f"{_GUIDE}: {finding.clause.section}",
                "detail": finding.detail,
            }
            for finding in report.findings
        ],
    }
