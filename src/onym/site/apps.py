"""Filling the ports once, when Django is set up: the one place that names adapters."""

from __future__ import annotations

import importlib.util

from django.apps import AppConfig
from django.conf import settings

from onym import ports
from onym.site import keys


class Site(AppConfig):
    name = "onym.site"
    label = "site"

    def ready(self) -> None:
        """An outside without an address stays empty: asking for it is a fault that says so."""
        if settings.PLATFORM_URL:
            _install_platform()
        if settings.OIDC_ISSUER:
            _install_openid()
        if settings.PAYMENTS_KEY:
            _install_payments()
        if importlib.util.find_spec("onym.ports.mail"):
            _install_mail()
        _install_witnesses()


def _install_platform() -> None:
    from onym.ports.platform import SignedHttp

    platform = SignedHttp(
        base=settings.PLATFORM_URL,
        key_id=keys.KEY_ID,
        private_key=keys.platform_key(settings.DATA),
        timeout=settings.PLATFORM_TIMEOUT,
    )
    ports.install(platforms={settings.NAMESPACE: platform})


def _install_openid() -> None:
    from onym.ports.openid import Provider

    provider = Provider(
        issuer=settings.OIDC_ISSUER,
        client_id=settings.OIDC_CLIENT_ID,
        client_secret=settings.OIDC_CLIENT_SECRET,
        redirect_uri=f"{settings.BASE_URL}/sign-in/platform/back",
        claim=settings.OIDC_ACCOUNT_CLAIM,
        timeout=settings.PLATFORM_TIMEOUT,
    )
    ports.install(openid={settings.NAMESPACE: provider})


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
