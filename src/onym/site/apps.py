"""Filling the ports once, when Django is set up: the one place that names adapters."""

from __future__ import annotations

import importlib.util
from typing import TypeVar, cast

from django.apps import AppConfig
from django.conf import settings

from onym import ports
from onym.site import keys, restoring
from onym.site.counted import Counted


class Site(AppConfig):
    name = "onym.site"
    label = "site"

    def ready(self) -> None:
        """An outside without an address stays empty: asking for it is a fault that says so.

        Refuses (`restore_interrupted`) to start on a DATA that is half restored.
        """
        restoring.expect_none(settings.DATA)
        if settings.PLATFORM_URL:
            _install_platform()
        if settings.PAYMENTS_KEY:
            _install_payments()
        if importlib.util.find_spec("onym.ports.mail"):
            _install_mail()
        _install_witnesses()


Port = TypeVar("Port")


def _counted(port: Port, outside: str) -> Port:
    """The same port, each call of which is counted; its type is what callers see of it."""
    return cast(Port, Counted(port, outside))


def _install_platform() -> None:
    from onym.ports.platform import SignedHttp

    platform = SignedHttp(
        base=settings.PLATFORM_URL,
        key_id=keys.KEY_ID,
        private_key=keys.platform_key(settings.DATA),
        timeout=settings.PLATFORM_TIMEOUT,
    )
    ports.install(platforms={settings.NAMESPACE: _counted(platform, "platform")})


def _install_payments() -> None:
    from onym.ports.stripe import StripePayments

    payments = StripePayments(
        api_key=settings.PAYMENTS_KEY,
        api_base=settings.PAYMENTS_URL or "https://api.stripe.com",
        webhook_secrets=settings.PAYMENTS_WEBHOOK_SECRET.split(","),
        timeout=settings.PAYMENTS_TIMEOUT,
    )
    ports.install(payments={settings.NAMESPACE: _counted(payments, "payments")})


def _install_mail() -> None:
    from onym.ports.mail import DjangoMail

    ports.install(mail=_counted(DjangoMail(), "mail"))


def _install_witnesses() -> None:
    from onym.ports import witness

    ports.install(witnesses=witness.parse(settings.WITNESSES))
