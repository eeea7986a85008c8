"""Filling the ports once, when Django is set up: the one place that names adapters."""

from __future__ import annotations

import importlib.util

from django.apps import AppConfig
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from onym import ports
from onym.ports.platform import Platform, SignedHttp
from onym.site import keys


class Site(AppConfig):
    name = "onym.site"
    label = "site"

    def ready(self) -> None:
        """An outside without an address stays empty: asking for it is a fault that says so."""
        if settings.PLATFORM_URL:
            _install_platform()
        if settings.PAYMENTS_KEY:
            _install_payments()
        if importlib.util.find_spec("onym.ports.mail"):
            _install_mail()
        _install_witnesses()


def _install_platform() -> None:
    """A kind that nobody knows is a fault at start, not at the first move."""
    kinds = {"http": _signed_http, "atproto": _atproto}
    if settings.PLATFORM_KIND not in kinds:
        known = ", ".join(kinds)
        raise ImproperlyConfigured(f"ONYM_PLATFORM_KIND is one of {known}")
    ports.install(platforms={settings.NAMESPACE: kinds[settings.PLATFORM_KIND]()})


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


def _install_payments() -> None:
    from onym.ports.stripe import StripePayments

    payments = StripePayments(
        api_key=settings.PAYMENTS_KEY,
        api_base=settings.PAYMENTS_URL or "https://api.stripe.com",
        webhook_secrets=settings.PAYMENTS_WEBHOOK_SECRET.split(","),
        timeout=settings.PAYMENTS_TIMEOUT,
    )
    ports.install(payments={settings.NAMESPACE: payments})


def _install_mail() -> None:
    from onym.ports.mail import DjangoMail

    ports.install(mail=DjangoMail())


def _install_witnesses() -> None:
    from onym.ports import witness

    ports.install(witnesses=witness.parse(settings.WITNESSES))
