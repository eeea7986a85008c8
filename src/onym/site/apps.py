"""Filling the ports once, when Django is set up: the one place that names adapters."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import TypeVar, cast

from django.apps import AppConfig
from django.conf import settings

from onym import ports
from onym.core import bank as core_bank
from onym.core.errors import Malformed
from onym.ports.bank import Bank
from onym.ports.openid import OpenId
from onym.ports.platform import Platform
from onym.ports.screening import NameList, TierFile
from onym.ports.signed_http import SignedHttp
from onym.site import keys, restoring
from onym.site.counted import Counted

BACK = "/sign-in/platform/back"
"""Where the platform leads back to whoever has signed in there."""


class Site(AppConfig):
    name = "onym.site"
    label = "site"

    def ready(self) -> None:
        """An outside without an address stays empty: asking for it is a fault that says so.

        Refuses (`restore_interrupted`) to start on a DATA that is half restored.
        """
        restoring.expect_none(settings.DATA)
        if settings.PLATFORM_URL or settings.PLATFORM_SQL:
            _install_platform()
        if settings.HOOKS:
            _install_hooks()
        if settings.OIDC_ISSUER or settings.ATPROTO_ISSUER:
            _install_sign_in()
        if settings.PAYMENTS_KEY:
            _install_payments()
        if settings.BANK_IBAN:
            _install_bank()
        _install_lists()
        if importlib.util.find_spec("onym.ports.mail"):
            _install_mail()
        _install_witnesses()


Port = TypeVar("Port")


def _counted(port: Port, outside: str) -> Port:
    """The same port, each call of which is counted; its type is what callers see of it."""
    return cast(Port, Counted(port, outside))


def _install_platform() -> None:
    """A kind that nobody knows is refused at start, not at the first move."""
    from onym.site import breakers

    kinds = {"http": _signed_http, "atproto": _atproto, "sql": _mapped_sql, "scim": _scim}
    if settings.PLATFORM_KIND not in kinds:
        known = ", ".join(kinds)
        raise Malformed(f"ONYM_PLATFORM_KIND is one of {known}")
    counted = _counted(kinds[settings.PLATFORM_KIND](), "platform")
    platform = breakers.guard("platform", counted)
    ports.install(platforms={settings.NAMESPACE: platform})


def _signed_http() -> Platform:
    return SignedHttp(
        base=settings.PLATFORM_URL,
        key_id=keys.KEY_ID,
        private_key=keys.platform_key(settings.DATA),
        timeout=settings.PLATFORM_TIMEOUT,
    )


def _atproto() -> Platform:
    from onym.ports.atproto import Atproto
    from onym.ports.xrpc import Xrpc
    from onym.store.platform import Writes

    xrpc = Xrpc(
        base=settings.PLATFORM_URL,
        password=settings.PLATFORM_PASSWORD,
        timeout=settings.PLATFORM_TIMEOUT,
    )
    return Atproto(
        xrpc=xrpc,
        journal=Writes(namespace=settings.NAMESPACE),
        quiet=settings.PLATFORM_TIMEOUT,
        custodian=settings.PLATFORM_CUSTODIAN,
        mails=settings.PLATFORM_MAIL,
        hands_over=settings.PLATFORM_HAND_OVER,
    )


def _mapped_sql() -> Platform:
    from onym.ports.sql import Sql, read_mapping

    return Sql(read_mapping(Path(settings.PLATFORM_SQL)), timeout=settings.PLATFORM_TIMEOUT)


def _scim() -> Platform:
    from onym.ports.scim import Scim
    from onym.store.platform import Writes

    return Scim(
        base=settings.PLATFORM_URL,
        token=settings.PLATFORM_PASSWORD,
        journal=Writes(namespace=settings.NAMESPACE),
        profile=settings.PLATFORM_PROFILE,
        timeout=settings.PLATFORM_TIMEOUT,
    )


def _install_hooks() -> None:
    from onym.ports.hooks import SignedHooks

    hooks = SignedHooks(
        key_id=keys.KEY_ID,
        private_key=keys.platform_key(settings.DATA),
        timeout=settings.PLATFORM_TIMEOUT,
    )
    ports.install(hooks={settings.NAMESPACE: hooks})


def _install_sign_in() -> None:
    """One way to sign in with the platform; two are refused at start."""
    if settings.OIDC_ISSUER and settings.ATPROTO_ISSUER:
        raise Malformed("set ONYM_OIDC_ISSUER or ONYM_ATPROTO_ISSUER, not both")
    provider = _openid() if settings.OIDC_ISSUER else _atproto_oauth()
    ports.install(openid={settings.NAMESPACE: provider})


def _atproto_oauth() -> OpenId:
    from onym.ports import atproto_oauth
    from onym.store import clock

    if not settings.PLATFORM_URL or settings.PLATFORM_KIND != "atproto":
        raise Malformed("ONYM_ATPROTO_ISSUER goes with ONYM_PLATFORM_KIND=atproto")
    client = atproto_oauth.client(
        settings.BASE_URL,
        name=settings.BRAND.name("en") or "Handle Marketplace",
        back=BACK,
        key=lambda: keys.sign_in_key(settings.DATA),
    )
    return atproto_oauth.AtprotoOAuth(
        pds=settings.PLATFORM_URL,
        issuer=settings.ATPROTO_ISSUER,
        client=client,
        now=clock.now,
        timeout=settings.PLATFORM_TIMEOUT,
    )


def _openid() -> OpenId:
    from onym.ports.openid import Provider

    return Provider(
        issuer=settings.OIDC_ISSUER,
        client_id=settings.OIDC_CLIENT_ID,
        client_secret=settings.OIDC_CLIENT_SECRET,
        redirect_uri=f"{settings.BASE_URL}{BACK}",
        claim=settings.OIDC_ACCOUNT_CLAIM,
        timeout=settings.PLATFORM_TIMEOUT,
    )


def _install_payments() -> None:
    from onym.ports.stripe import StripePayments
    from onym.site import breakers

    payments = StripePayments(
        api_key=settings.PAYMENTS_KEY,
        api_base=settings.PAYMENTS_URL or "https://api.stripe.com",
        webhook_secrets=settings.PAYMENTS_WEBHOOK_SECRET.split(","),
        timeout=settings.PAYMENTS_TIMEOUT,
    )
    guarded = breakers.guard("payments", _counted(payments, "payments"))
    ports.install(payments={settings.NAMESPACE: guarded})


def _install_bank() -> None:
    """A wrong account number is said at start: nobody shall pay to it."""
    bank = Bank(
        iban=core_bank.iban(settings.BANK_IBAN),
        beneficiary=settings.BANK_BENEFICIARY or settings.NAMESPACE,
        bic=settings.BANK_BIC,
    )
    ports.install(banks={settings.NAMESPACE: bank})


def _install_lists() -> None:
    place, days = settings.NAMESPACE, settings.LIST_DAYS
    if settings.SCREENING_LIST:
        ports.install(screenings={place: NameList(Path(settings.SCREENING_LIST), days)})
    if settings.TIERS:
        ports.install(identities={place: TierFile(Path(settings.TIERS), days)})


def _install_mail() -> None:
    from onym.ports.mail import DjangoMail
    from onym.site import breakers

    ports.install(mail=breakers.guard("mail", _counted(DjangoMail(), "mail")))


def _install_witnesses() -> None:
    from onym.ports import witness

    ports.install(witnesses=witness.parse(settings.WITNESSES))
