"""The examination of the outside world: platform, payment provider, witnesses."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from datetime import timedelta

from onym.core.errors import Refusal
from onym.ports.platform import Platform
from onym.site.findings import Finding, fail, ok, warn

NOBODY = "onym-doctor-nobody"
"""An account that no platform has: what is asked about it changes nothing."""
LATE = 2
"""How many intervals old a directory may be before somebody should look."""
INSTALL = "install DATA/keys/platform.pem on the platform, and compare both clocks"


def _platform() -> Iterator[Finding]:
    from django.conf import settings

    from onym import ports

    named = settings.PLATFORM_URL or settings.PLATFORM_SQL
    if not named:
        yield fail(
            "platform", "no platform is set", "set ONYM_PLATFORM_URL; docs/guides/platform.md"
        )
        return
    platform = ports.platform(settings.NAMESPACE)
    try:
        can = platform.capabilities()
    except Refusal as refusal:
        if refusal.detail.endswith(("401", "403")):
            yield fail("platform", f"it does not accept our signature: {refusal.detail}", INSTALL)
            return
        setting = "ONYM_PLATFORM_URL" if settings.PLATFORM_URL else "ONYM_PLATFORM_SQL"
        todo = f"see that it runs, and that {setting} and the way there are right"
        yield fail("platform", f"{named}: {refusal.detail}", todo)
        return
    verbs = ("atomic_move", "reserve", "retain", "hand_over", "notices")
    able = ", ".join(verb for verb in verbs if getattr(can, verb)) or "nothing beyond moving"
    yield ok("platform", f"{named} answers; it can: {able}")
    if not can.atomic_move:
        todo = "in between somebody may take the name: keep sign-up by invitation"
        yield warn("platform", "it moves a handle in two steps", todo)
    yield from _custodian(can.custodian)
    yield from _directory(settings.IMPORT_HOURS)
    if settings.PLATFORM_KIND == "http":
        yield _signature(platform)


def _signature(platform: Platform) -> Finding:
    """Whether it takes ours; the other kinds know none, and would keep what was asked."""
    said = platform.notify(
        account_id=NOBODY, kind="doctor", text="-", href=None, key=secrets.token_hex(16)
    )
    if said.unknown:
        return fail("platform", f"it does not accept our signature ({said.code})", INSTALL)
    return ok("platform", "it accepts our signature")


def _custodian(named: str | None) -> Iterator[Finding]:
    """Whether detached handles are kept with the account that the platform keeps them with."""
    from django.conf import settings

    from onym.queries import health

    market = health.market(settings.NAMESPACE)
    if named and market and named != market.custodian:
        told = f"its custodian is {named}, and the market's {market.custodian}"
        yield fail("platform", told, "run onym init --force: it takes over the platform's")


def _directory(every: int) -> Iterator[Finding]:
    """How old the directory is, where it is read by itself."""
    from django.conf import settings

    from onym.queries import health

    if not every:
        return
    age = health.directory_age(settings.NAMESPACE)
    told = f"{age.total_seconds() / 3600:.0f} h old" if age else "not there yet"
    if age is None or age > LATE * timedelta(hours=every):
        todo = "see the jobs process's log; onym import platform says why it fails"
        yield warn("platform", f"the directory is {told}, to be read every {every} h", todo)
    else:
        yield ok("platform", f"the directory is {told}, read every {every} h")


def _payments() -> Iterator[Finding]:
    from django.conf import settings

    from onym import ports

    if not settings.PAYMENTS_KEY:
        yield fail(
            "payments", "no provider is set", "set ONYM_PAYMENTS_KEY; docs/guides/payments.md"
        )
        return
    why = ports.payments(settings.NAMESPACE).refused_key()
    if why == "no_answer":
        todo = "see that the way there is open, and that ONYM_PAYMENTS_URL is right"
        yield fail("payments", "the provider does not answer", todo)
    elif why:
        yield fail("payments", f"the provider refuses our key: {why}", "correct ONYM_PAYMENTS_KEY")
    else:
        kind = "a test key" if settings.PAYMENTS_KEY.startswith(("sk_test_", "rk_test_")) else "it"
        yield ok("payments", f"the provider takes our key ({kind})".replace(" (it)", ""))
        yield from _card_entry(settings.CARD_ENTRY, settings.CHECKOUT_ORIGIN)
    if not settings.PAYMENTS_WEBHOOK_SECRET:
        todo = "set ONYM_PAYMENTS_WEBHOOK_SECRET: without it outcomes are only found by asking"
        yield warn("payments", "its messages cannot be checked", todo)


def _card_entry(entry: str, origin: str) -> Iterator[Finding]:
    from django.conf import settings

    from onym import ports

    if entry != "checkout" and not settings.DEMO:
        todo = "set ONYM_CARD_ENTRY=checkout: no real card has a test method's name"
        yield warn("payments", "the page offers the provider's test methods", todo)
    if entry == "methods":
        return
    why = ports.payments(settings.NAMESPACE).refused_checkout()
    if why:
        todo = "let the key write Checkout Sessions; docs/guides/payments.md"
        yield fail("payments", f"no page for cards can be opened: {why}", todo)
    else:
        yield ok("payments", f"cards are entered at {origin}")


def _witnesses() -> Iterator[Finding]:
    from onym import ports
    from onym.queries import log

    head, asked = log.published(), ports.witnesses()
    if not asked:
        todo = "set ONYM_WITNESSES; docs/guides/witnesses.md"
        yield warn("witnesses", "nobody cosigns the log", todo)
        return
    for witness in asked:
        name = witness.key.name
        if head is None:
            yield warn("witnesses", f"{name}: there is no checkpoint yet", "start the jobs")
            continue
        said = witness.add_checkpoint(log.submission_of(head))
        if said.status == 409 and said.text.strip().isdigit() and int(said.text) >= head.size:
            told = f"{name} has cosigned {int(said.text)} leaves that we do not publish"
            yield fail("witnesses", told, "sign nothing: docs/guides/backup.md")
        elif said.status in (200, 409):
            yield ok("witnesses", f"{name} answers")
        else:
            told = f"{name} answers {said.status}: {said.text.strip()[:80]}"
            yield warn("witnesses", told, "ask whoever runs it")


AREAS: dict[str, Callable[[], Iterator[Finding]]] = {
    "platform": _platform,
    "payments": _payments,
    "witnesses": _witnesses,
}
