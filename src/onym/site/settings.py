"""Django's settings, read from the environment once; docs/reference/settings.md names them.

Nothing here connects to a database: without DATABASE_URL the address is that of the embedded
server of ONYM_DATA (default `data/`), whether it runs or not.
"""

from __future__ import annotations

import importlib.util
import os
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

from csp.constants import NONE, SELF
from django.utils.translation import gettext_lazy as _

from onym.core import retention
from onym.core.errors import Malformed
from onym.site import branding, embedded, files, hooks, numbers, origins


def database(url: str, *, pool: int = 0) -> dict[str, Any]:
    """Django's form of a `postgresql://` URL; `pool` > 0 keeps that many connections a process."""
    parts = urlsplit(url)
    if parts.scheme not in ("postgres", "postgresql"):
        raise Malformed("DATABASE_URL must begin with postgresql://")
    options: dict[str, Any] = dict(parse_qsl(parts.query))
    host, port = options.pop("host", parts.hostname or ""), options.pop("port", parts.port or "")
    if pool:
        options["pool"] = {"min_size": 1, "max_size": pool, "timeout": 10}
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")),
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": host,
        "PORT": str(port),
        "OPTIONS": options,
        "CONN_MAX_AGE": 0 if pool else None,
        "CONN_HEALTH_CHECKS": not pool,
        "ATOMIC_REQUESTS": False,
    }


def flag(name: str) -> bool:
    """A switch in the environment: 1, true, yes or on."""
    return os.environ.get(name, "").lower() in ("1", "true", "yes", "on")


HERE = Path(__file__).resolve().parent.parent
DATA = embedded.data_directory()
DEMO = flag("ONYM_DEMO")
DEBUG = False
SECRET_KEY = os.environ.get("ONYM_SECRET_KEY") or embedded.kept_secret(DATA / "keys" / "secret")

# What seals confidential fields at rest; apart from SECRET_KEY so that either can be rotated.
FIELD_KEY = os.environ.get("ONYM_FIELD_KEY") or embedded.kept_secret(DATA / "keys" / "field")

# Where the site is reached; links in mails begin with it.
BASE_URL = os.environ.get("ONYM_BASE_URL", "http://127.0.0.1:8000").rstrip("/")
STREAM_URL = os.environ.get("ONYM_STREAM_URL", "http://127.0.0.1:8001").rstrip("/")
# The name that the log signs under; fixed with the key when that is first made.
LOG_ORIGIN = os.environ.get("ONYM_LOG_ORIGIN") or f"{urlsplit(BASE_URL).hostname}/log"
# Who is asked to cosign the log: `URL VKEY`, apart by `;`. docs/guides/witnesses.md.
WITNESSES = os.environ.get("ONYM_WITNESSES", "")
ALLOWED_HOSTS = [
    *filter(None, os.environ.get("ONYM_HOSTS", "").split(",")),
    urlsplit(BASE_URL).hostname or "localhost",
    "localhost",
    "127.0.0.1",
    "[::1]",
]
CSRF_TRUSTED_ORIGINS = [BASE_URL]
ROOT_URLCONF = "onym.site.urls"
WSGI_APPLICATION = "onym.site.wsgi.application"
APPEND_SLASH = False

INSTALLED_APPS = [
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.staticfiles",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.usersessions",
    "django_htmx",
    "csp",
    "procrastinate.contrib.django",
    "onym.store",
    "onym.site.apps.Site",
]
MIDDLEWARE = [
    "onym.site.requests.Requests",
    "django.middleware.security.SecurityMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "onym.site.bodies.Bodies",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "onym.web.page.Pages",
]
CSRF_FAILURE_VIEW = "onym.web.page.forged"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [HERE / "web" / "templates", HERE / "desk" / "templates"],
        "APP_DIRS": False,
        "OPTIONS": {
            "libraries": {
                "market": "onym.web.templatetags.market",
                "chart": "onym.web.templatetags.chart",
                "share": "onym.web.templatetags.share",
            },
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "onym.web.page.context",
            ],
        },
    }
]

# Database
DATABASE_URL = os.environ.get("DATABASE_URL") or embedded.address(DATA)
DATABASES = {"default": database(DATABASE_URL, pool=numbers.whole("ONYM_POOL", 0, most=1000))}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# Languages and time
LANGUAGE_CODE = "en"
LANGUAGES = [("en", _("English")), ("fr", _("French")), ("ar", _("Arabic"))]
LOCALE_PATHS = [HERE / "web" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = "UTC"

# Sessions, sign-in and transport
SECURE = BASE_URL.startswith("https://")
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator"},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AUTHENTICATION_BACKENDS = ["onym.flows.sign_in.ByMail"]
ACCOUNT_ADAPTER = "onym.flows.sign_in.Account"
ACCOUNT_EMAIL_VERIFICATION = "none"  # a member's addresses are ours, and sealed
ACCOUNT_RATE_LIMITS = MFA_RATE_LIMITS = False  # flows/limits counts, for all processes alike
MFA_ADAPTER = "onym.flows.factors.Factors"
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_PASSKEY_LOGIN_ENABLED = True
MFA_TOTP_TOLERANCE = 1  # half a minute either way
ALLAUTH_TRUSTED_PROXY_COUNT = 1 if flag("ONYM_PROXY") else 0
SESSION_ENGINE = "onym.store.sessions"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SECURE_SSL_REDIRECT = False  # the operator's proxy does it
SECURE_HSTS_SECONDS = 31_536_000 if SECURE else 0
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if flag("ONYM_PROXY") else None
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
DATA_UPLOAD_MAX_MEMORY_SIZE = 1_000_000
DATA_UPLOAD_MAX_NUMBER_FIELDS = 1_000
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF],
        "font-src": [SELF],
        "connect-src": [SELF, STREAM_URL],
        "manifest-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
    }
}

# Files
STATICFILES_DIRS = [p for p in (HERE / "web" / "static", HERE / "desk" / "static") if p.exists()]
STATIC_URL = f"/static/{files.edition(STATICFILES_DIRS)}/"
STATIC_ROOT = None  # served from the package; there is nothing to collect
WHITENOISE_USE_FINDERS = True
WHITENOISE_AUTOREFRESH = False
WHITENOISE_IMMUTABLE_FILE_TEST = files.always

# Mail
EMAIL_BACKEND = os.environ.get("ONYM_MAIL_BACKEND", "django.core.mail.backends.smtp.EmailBackend")
EMAIL_HOST = os.environ.get("ONYM_SMTP_HOST", "127.0.0.1")
EMAIL_PORT = numbers.whole("ONYM_SMTP_PORT", 25, least=1, most=65535)
EMAIL_HOST_USER = os.environ.get("ONYM_SMTP_USER", "")
EMAIL_HOST_PASSWORD = os.environ.get("ONYM_SMTP_PASSWORD", "")
EMAIL_USE_TLS = flag("ONYM_SMTP_TLS")
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = os.environ.get("ONYM_MAIL_FROM", "Handle Team <team@onym.example>")
# Whom to tell about a weakness (RFC 9116): an address of a page, or mailto:.
SECURITY_CONTACT = os.environ.get("ONYM_SECURITY_CONTACT", "mailto:security@onym.example")
PRESS_ADDRESS = os.environ.get("ONYM_PRESS", "press@onym.example")

# What `onym doctor` is told: a resolver (HOST:PORT), the DKIM selector, where the backup lies.
DNS = os.environ.get("ONYM_DNS", "")
DKIM_SELECTOR = os.environ.get("ONYM_DKIM_SELECTOR", "")
BACKUP_FILE = os.environ.get("ONYM_BACKUP_FILE", "")

# The namespace that paths without one mean, and that the adapters below belong to.
NAMESPACE = os.environ.get("ONYM_NAMESPACE") or ("demo" if DEMO else "main")

# The operator's name, colours, logo and legal texts; what is wrong with them is said at start.
BRAND = branding.read(os.environ)
CURRENCY = branding.currency(os.environ)

# Days by class of personal data, from the operator's file or as shipped.
RETENTION = retention.read(branding.text(os.environ, "ONYM_RETENTION"))

# The outside world, as addresses; `onym up --demo` fills them in.
PLATFORM_URL = os.environ.get("ONYM_PLATFORM_URL", "").rstrip("/")
# What the operator's other systems end once a handle has changed hands; docs/guides/platform.md.
HOOKS = hooks.read(os.environ.get("ONYM_HOOKS", ""))
PLATFORM_KIND = os.environ.get("ONYM_PLATFORM_KIND") or "http"
PLATFORM_PROFILE = os.environ.get("ONYM_PLATFORM_PROFILE") or "x"
PLATFORM_SQL = os.environ.get("ONYM_PLATFORM_SQL", "")
PLATFORM_PASSWORD = os.environ.get("ONYM_PLATFORM_PASSWORD", "")
PLATFORM_CUSTODIAN = os.environ.get("ONYM_PLATFORM_CUSTODIAN") or None
PLATFORM_MAIL = os.environ.get("ONYM_PLATFORM_MAIL") == "1"
PLATFORM_HAND_OVER = os.environ.get("ONYM_PLATFORM_HAND_OVER") == "1"
# Every how many hours the platform's list is read for what changed; 0: only by command.
IMPORT_HOURS = numbers.whole("ONYM_IMPORT_HOURS", 0, most=numbers.MOST_HOURS)
PAYMENTS_URL = os.environ.get("ONYM_PAYMENTS_URL", "").rstrip("/")
MAILBOX_URL = os.environ.get("ONYM_MAILBOX_URL", "").rstrip("/")
PAYMENTS_KEY = os.environ.get("ONYM_PAYMENTS_KEY", "")
PAYMENTS_WEBHOOK_SECRET = os.environ.get("ONYM_PAYMENTS_WEBHOOK_SECRET", "")
PAYMENTS_TIMEOUT = numbers.seconds("ONYM_PAYMENTS_TIMEOUT", 20)
# How a buyer pays by card, and the one other site that a form of ours may lead to for it.
CARD_ENTRY = os.environ.get("ONYM_CARD_ENTRY") or ("both" if DEMO else "checkout")
if CARD_ENTRY not in ("checkout", "methods", "both"):
    raise Malformed("ONYM_CARD_ENTRY is checkout, methods or both")
CHECKOUT_ORIGIN = origins.checkout(os.environ.get("ONYM_CHECKOUT_ORIGIN", ""), PAYMENTS_URL)
PLATFORM_TIMEOUT = numbers.seconds("ONYM_PLATFORM_TIMEOUT", 10)
# The operator's account at a bank; without an IBAN no sale is paid by transfer.
BANK_IBAN = os.environ.get("ONYM_BANK_IBAN", "")
BANK_BIC = os.environ.get("ONYM_BANK_BIC", "")
BANK_BENEFICIARY = os.environ.get("ONYM_BANK_BENEFICIARY", "")
# Whether members may keep money with the market; docs/concepts/wallet.md.
WALLET = flag("ONYM_WALLET")
# The sanctions list and the members' tiers, as files; how many days old either may be.
SCREENING_LIST = os.environ.get("ONYM_SCREENING_LIST", "")
TIERS = os.environ.get("ONYM_TIERS", "")
LIST_DAYS = numbers.whole("ONYM_LIST_DAYS", 7, least=1, most=36_500)
# Who issues invoices, in lines: name, address, tax number.
INVOICE_ISSUER = os.environ.get("ONYM_INVOICE_ISSUER", "").replace("\\n", "\n").strip() or (
    BANK_BENEFICIARY or NAMESPACE
)
# The platform as an OpenID provider; the claim names the account by its permanent id.
OIDC_ISSUER = os.environ.get("ONYM_OIDC_ISSUER", "").rstrip("/")
OIDC_CLIENT_ID = os.environ.get("ONYM_OIDC_CLIENT_ID", "onym")
OIDC_CLIENT_SECRET = os.environ.get("ONYM_OIDC_CLIENT_SECRET", "")
OIDC_ACCOUNT_CLAIM = os.environ.get("ONYM_OIDC_ACCOUNT_CLAIM", "sub")
# A PDS as the place to sign in: how its authorization server calls itself.
ATPROTO_ISSUER = os.environ.get("ONYM_ATPROTO_ISSUER", "").rstrip("/")
INBOUND_SECRET = os.environ.get("ONYM_INBOUND_SECRET", "")
DEMO_CLOCK_FILE = os.environ.get("ONYM_DEMO_CLOCK_FILE", "")

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
LOG_FORMAT = os.environ.get("ONYM_LOG_FORMAT", "line")
if LOG_FORMAT not in ("line", "json"):
    raise Malformed("ONYM_LOG_FORMAT is line or json")
LOG_LEVEL = os.environ.get("ONYM_LOG_LEVEL") or "WARNING"
if LOG_LEVEL not in LEVELS:
    raise Malformed(f"ONYM_LOG_LEVEL is one of {', '.join(LEVELS)}")
# Who may read /metrics from elsewhere; without it only this machine may.
METRICS_TOKEN = os.environ.get("ONYM_METRICS_TOKEN", "")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {
            "()": "onym.site.logs.Line",
            "format": "%(asctime)s %(levelname)s %(name)s %(message)s",
        },
        "json": {"()": "onym.site.logs.Json"},
    },
    "handlers": {"error": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT}},
    "root": {"handlers": ["error"], "level": LOG_LEVEL},
}

if importlib.util.find_spec("anymail") and EMAIL_BACKEND.startswith("anymail."):
    INSTALLED_APPS.append("anymail")
