"""The examination of mail: does the server take letters, and does the world believe its sender."""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Iterator
from email.utils import parseaddr

from onym.site.findings import Finding, fail, ok, warn

SECONDS = 10


def _mail() -> Iterator[Finding]:
    from django.conf import settings

    backend = str(settings.EMAIL_BACKEND)
    if not backend.endswith("smtp.EmailBackend"):
        yield warn("mail", f"letters leave through {backend}", "send yourself a sign-in code")
        return
    where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    todo = "correct ONYM_SMTP_HOST, ONYM_SMTP_PORT, ONYM_SMTP_TLS, ONYM_SMTP_USER"
    try:
        with smtplib.SMTP(settings.EMAIL_HOST, settings.EMAIL_PORT, timeout=SECONDS) as server:
            server.ehlo()
            offered = server.has_extn("starttls")
            if settings.EMAIL_USE_TLS:
                server.starttls(context=ssl.create_default_context())
                server.ehlo()
            if settings.EMAIL_HOST_USER:
                server.login(settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD)
    except smtplib.SMTPAuthenticationError:
        yield fail("mail", f"{where} does not take our password", "correct ONYM_SMTP_PASSWORD")
        return
    except (OSError, smtplib.SMTPException) as fault:
        yield fail("mail", f"{where}: {_words(fault)}", todo)
        return
    secured = "with" if settings.EMAIL_USE_TLS else "without"
    yield ok("mail", f"{where} answers, {secured} TLS")
    if offered and not settings.EMAIL_USE_TLS:
        yield warn("mail", f"{where} offers STARTTLS", "set ONYM_SMTP_TLS=1")


def _words(fault: Exception) -> str:
    return (str(fault).strip().splitlines() or [type(fault).__name__])[0]


def _dns() -> Iterator[Finding]:
    """SPF (RFC 7208), DKIM (RFC 6376) and DMARC (RFC 7489) of the sender's domain."""
    from django.conf import settings

    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2].lower()
    if not domain or domain.endswith((".example", ".invalid", ".localhost")):
        told = f"the sender is {settings.DEFAULT_FROM_EMAIL}"
        yield fail("dns", told, "set ONYM_MAIL_FROM to an address of your own domain")
        return
    if settings.DNS and not re.fullmatch(r".+:\d{1,5}", settings.DNS):
        yield fail("dns", f"ONYM_DNS is {settings.DNS}", "write it as HOST:PORT, or leave it out")
        return
    look = _Resolver()
    yield from _spf(domain, look)
    yield from _dmarc(domain, look)
    yield from _dkim(domain, look)


class _Resolver:
    """Asks for TXT records: the system's resolver, or the one that ONYM_DNS names."""

    def __init__(self) -> None:
        import dns.resolver
        from django.conf import settings

        named = settings.DNS
        self._ask = dns.resolver.Resolver(configure=not named)
        if named:
            host, _, port = named.rpartition(":")
            self._ask.nameservers, self._ask.port = [host], int(port)
        self._ask.lifetime = SECONDS

    def texts(self, name: str) -> list[str]:
        """Every TXT record of a name, its strings joined; none where there is no such name."""
        import dns.resolver

        try:
            found = self._ask.resolve(name, "TXT")
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            return []
        return [b"".join(record.strings).decode("utf-8", "replace") for record in found]


def _spf(domain: str, look: _Resolver) -> Iterator[Finding]:
    found = [t for t in look.texts(domain) if t == "v=spf1" or t.startswith("v=spf1 ")]
    todo = f'publish one TXT record at {domain}, such as "v=spf1 mx -all"'
    if len(found) != 1:
        told = "has no SPF record" if not found else f"has {len(found)} SPF records"
        yield fail("dns", f"{domain} {told}", todo)
        return
    last = found[0].split()[-1]
    if last in ("all", "+all"):
        yield fail("dns", f"{domain} lets everybody send: {found[0]}", todo)
    elif last in ("-all", "~all") or last.startswith("redirect="):
        yield ok("dns", f"SPF of {domain}: {found[0]}")
    else:
        yield warn("dns", f"SPF of {domain} forbids nobody: {found[0]}", "end it with -all")


def _dmarc(domain: str, look: _Resolver) -> Iterator[Finding]:
    name = f"_dmarc.{domain}"
    found = [text for text in look.texts(name) if text.startswith("v=DMARC1")]
    todo = f'publish one TXT record at {name}, such as "v=DMARC1; p=quarantine"'
    if len(found) != 1:
        yield fail("dns", f"{name} has {len(found) or 'no'} DMARC record", todo)
    elif re.search(r";\s*p\s*=\s*none\b", found[0]):
        yield warn("dns", f"DMARC of {domain} only watches: {found[0]}", todo)
    elif re.search(r";\s*p\s*=\s*(quarantine|reject)\b", found[0]):
        yield ok("dns", f"DMARC of {domain}: {found[0]}")
    else:
        yield fail("dns", f"DMARC of {domain} has no policy: {found[0]}", todo)


def _dkim(domain: str, look: _Resolver) -> Iterator[Finding]:
    from django.conf import settings

    selector = settings.DKIM_SELECTOR
    if not selector:
        told = f"which key signs the letters of {domain} is not known"
        yield warn("dns", told, "set ONYM_DKIM_SELECTOR to your mail server's selector")
        return
    name = f"{selector}._domainkey.{domain}"
    found = look.texts(name)
    key = re.search(r"(?:^|;)\s*p\s*=\s*([A-Za-z0-9+/=\s]*)", found[0]) if found else None
    if key is None:
        yield fail("dns", f"{name} has no DKIM key", "publish what your mail server signs with")
    elif not key[1].strip():
        yield fail("dns", f"the DKIM key at {name} is revoked", "publish the new key")
    else:
        yield ok("dns", f"DKIM key at {name}")


AREAS: dict[str, Callable[[], Iterator[Finding]]] = {"mail": _mail, "dns": _dns}
