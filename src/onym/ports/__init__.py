"""The outside world's slots: filled once by site at start, read by flows and jobs.

Each slot holds an adapter behind a typed protocol; see docs/guides/platform.md for the platform's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

# Loaded before the slots below are defined: a module that is loaded for the first time takes its
# name in the package, and would put itself in the place of the slot of the same name.
from onym.ports.bank import Bank
from onym.ports.hooks import Hooks
from onym.ports.mail import Mail
from onym.ports.openid import OpenId
from onym.ports.payments import Payments
from onym.ports.platform import Platform
from onym.ports.screening import Identity, Screening
from onym.ports.tax import RateTable, Tax
from onym.ports.witness import Witness


class SlotEmpty(RuntimeError):
    """A fault: somebody asked for a part of the outside world that site never installed."""


_payments: dict[str, Payments] = {}
_platforms: dict[str, Platform] = {}
_banks: dict[str, Bank] = {}
_taxes: dict[str, Tax] = {}
_screenings: dict[str, Screening] = {}
_identities: dict[str, Identity] = {}
_mail: list[Mail] = []
_hooks: dict[str, Hooks] = {}
_openid: dict[str, OpenId] = {}
_witnesses: list[Witness] = []


def install(
    *,
    payments: Mapping[str, Payments] | None = None,
    platforms: Mapping[str, Platform] | None = None,
    banks: Mapping[str, Bank] | None = None,
    taxes: Mapping[str, Tax] | None = None,
    screenings: Mapping[str, Screening] | None = None,
    identities: Mapping[str, Identity] | None = None,
    mail: Mail | None = None,
    openid: Mapping[str, OpenId] | None = None,
    hooks: Mapping[str, Hooks] | None = None,
    witnesses: Sequence[Witness] | None = None,
) -> None:
    """Fill slots, the first six by namespace; what is not named here stays as it is."""
    _payments.update(payments or {})
    _platforms.update(platforms or {})
    _banks.update(banks or {})
    _taxes.update(taxes or {})
    _screenings.update(screenings or {})
    _identities.update(identities or {})
    _openid.update(openid or {})
    _hooks.update(hooks or {})
    if mail is not None:
        _mail[:] = [mail]
    if witnesses is not None:
        _witnesses[:] = witnesses


def clear() -> None:
    """Empty every slot, so that a test or a restart begins with none."""
    _payments.clear()
    _platforms.clear()
    _banks.clear()
    _taxes.clear()
    _screenings.clear()
    _identities.clear()
    _mail.clear()
    _openid.clear()
    _hooks.clear()
    _witnesses.clear()


def payments(namespace: str) -> Payments:
    """The namespace's payment provider; an empty slot is a SlotEmpty fault."""
    try:
        return _payments[namespace]
    except KeyError:
        raise SlotEmpty(f"no payment provider is installed for namespace {namespace!r}") from None


def takes_payments(namespace: str) -> bool:
    """Whether a provider is installed at all: a market may begin without one."""
    return namespace in _payments


def platform(namespace: str) -> Platform:
    """The namespace's platform; an empty slot is a SlotEmpty fault."""
    try:
        return _platforms[namespace]
    except KeyError:
        raise SlotEmpty(f"no platform is installed for namespace {namespace!r}") from None


def bank(namespace: str) -> Bank | None:
    """The namespace's account at a bank; None: it takes no transfers."""
    return _banks.get(namespace)


def tax(namespace: str) -> Tax:
    """Who knows the taxes of a namespace's sales: the operator's rate table unless another is."""
    return _taxes.get(namespace) or RateTable()


def screening(namespace: str) -> Screening | None:
    """The list that names are compared with; None: the operator screens nobody here."""
    return _screenings.get(namespace)


def identity(namespace: str) -> Identity | None:
    """Who knows the members' tiers; None: nobody does, and the least tier's limits hold."""
    return _identities.get(namespace)


def mail() -> Mail:
    """The post office, one for all namespaces; an empty slot is a SlotEmpty fault."""
    if not _mail:
        raise SlotEmpty("no mail is installed")
    return _mail[0]


def hooks(namespace: str) -> Hooks:
    """How the operator's hooks are called; an empty slot is a SlotEmpty fault."""
    try:
        return _hooks[namespace]
    except KeyError:
        raise SlotEmpty(f"no hooks are installed for namespace {namespace!r}") from None


def openid(namespace: str) -> OpenId | None:
    """The platform as an OpenID provider; None where the operator names none."""
    return _openid.get(namespace)


def witnesses() -> tuple[Witness, ...]:
    """Who is asked to cosign the log's checkpoints; there may be none."""
    return tuple(_witnesses)
