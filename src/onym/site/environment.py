"""Every setting that the environment may hold, with what it means; docs/reference/settings.md."""

from __future__ import annotations

from typing import NamedTuple


class Setting(NamedTuple):
    """`default` as a person would write it; empty: none, or made by `onym up`."""

    name: str
    default: str
    meaning: str


PLACE = (
    Setting("ONYM_DATA", "`data/`", "Where keys, the log, imports and the embedded database lie"),
    Setting("DATABASE_URL", "the embedded one's", "`postgresql://…` of a database of your own"),
    Setting("ONYM_PG_BIN", "the wheel's", "The folder of `postgres`, for the embedded database"),
    Setting("ONYM_SPARK_MASTER", "`local[*]`", "The cluster for `onym sweep --engine spark`"),
    Setting("ONYM_POOL", "0", "Database connections that a web process keeps"),
    Setting("ONYM_BASE_URL", "`http://127.0.0.1:8000`", "Where the site is reached"),
    Setting("ONYM_STREAM_URL", "`http://127.0.0.1:8001`", "Where live updates are reached"),
    Setting("ONYM_HOSTS", "", "More host names that the site answers to, with commas between"),
    Setting(
        "ONYM_PROXY",
        "off",
        "A proxy in front says by `X-Forwarded-Proto` what it speaks, and for whom by"
        " `X-Forwarded-For`",
    ),
    Setting("ONYM_NAMESPACE", "`main`, in the demo `demo`", "The namespace that pages mean"),
    Setting("ONYM_LOG_ORIGIN", "host name of the site, `/log`", "The name the log signs under"),
    Setting("ONYM_WITNESSES", "", "Who is asked to cosign the log: `URL VKEY`, apart by `;`"),
    Setting("ONYM_LOG_LEVEL", "`WARNING`", "What the programs write about themselves"),
    Setting("ONYM_LOG_FORMAT", "`line`", "`json`: one object a line; `line`: for people"),
    Setting("ONYM_METRICS_TOKEN", "", "Bearer token for `/metrics`; without it this machine only"),
    Setting("ONYM_SECRET_KEY", "kept in DATA", "What sessions and links are signed with"),
    Setting("ONYM_FIELD_KEY", "kept in DATA", "What confidential fields are sealed with"),
    Setting("ONYM_BACKUP_FILE", "", "Where the daily backup lies; the doctor looks at its age"),
    Setting("ONYM_DEMO", "off", "The demo: a clock with an offset, sign-ins that are printed"),
    Setting("ONYM_DEMO_CLOCK_FILE", "", "Where the demo's outside world reads the offset"),
)
BRAND = (
    Setting("ONYM_SITE_NAME", "*Handle Marketplace*, translated", "The site's name"),
    Setting("ONYM_SITE_NAME_EN", "", "The same in English; `_FR` and `_AR` likewise"),
    Setting("ONYM_SITE_NAME_FR", "", "The site's name in French"),
    Setting("ONYM_SITE_NAME_AR", "", "The site's name in Arabic"),
    Setting("ONYM_TEAM_NAME", "*Handle Team*, translated", "How mails are signed; without @"),
    Setting("ONYM_TEAM_NAME_EN", "", "The same in English"),
    Setting("ONYM_TEAM_NAME_FR", "", "The same in French"),
    Setting("ONYM_TEAM_NAME_AR", "", "The same in Arabic"),
    Setting("ONYM_LOGO", "", "A picture beside the name: a file `.svg` or `.png`, 200 kB at most"),
    Setting("ONYM_ACCENT_LIGHT", "", "Colour of links and buttons on light paper, as `#rrggbb`"),
    Setting("ONYM_ACCENT_DARK", "", "The same on dark paper; both or none"),
    Setting("ONYM_LEGAL", "", "A folder of legal texts, `imprint.en.md` and so on"),
    Setting(
        "ONYM_RETENTION",
        "as shipped",
        "A TOML file: days for which each class of personal data is kept",
    ),
    Setting("ONYM_CURRENCY", "USD", "The currency that the namespace is founded with"),
    Setting("ONYM_PROFILE", "x", "Which handles the namespace is founded with; for `onym init`"),
)
MAIL = (
    Setting("ONYM_MAIL_FROM", "`Handle Team <team@onym.example>`", "Sender of all letters"),
    Setting(
        "ONYM_SECURITY_CONTACT",
        "`mailto:security@onym.example`",
        "Who is told of weak points; `security.txt`",
    ),
    Setting("ONYM_PRESS", "`press@onym.example`", "The address that answers by itself"),
    Setting("ONYM_MAIL_BACKEND", "SMTP", "Django's or django-anymail's back end"),
    Setting("ONYM_SMTP_HOST", "`127.0.0.1`", "The mail server"),
    Setting("ONYM_SMTP_PORT", "25", "Its port"),
    Setting("ONYM_SMTP_USER", "", "Who signs in there"),
    Setting("ONYM_SMTP_PASSWORD", "", "With which password"),
    Setting("ONYM_SMTP_TLS", "off", "STARTTLS before anything is said"),
    Setting("ONYM_DKIM_SELECTOR", "", "The mail server's DKIM selector, for the doctor"),
    Setting("ONYM_DNS", "the system's", "The resolver that the doctor asks, as `HOST:PORT`"),
    Setting("ONYM_INBOUND_SECRET", "", "What letters that come in are signed with"),
)
OUTSIDE = (
    Setting("ONYM_PLATFORM_URL", "", "The platform's address"),
    Setting("ONYM_PLATFORM_KIND", "`http`", "`http` (signed), `atproto` (a PDS), `sql` or `scim`"),
    Setting("ONYM_PLATFORM_PROFILE", "x", "With `scim`: what a handle is"),
    Setting("ONYM_PLATFORM_SQL", "", "With `sql`: the file of the mapping"),
    Setting("ONYM_PLATFORM_PASSWORD", "", "A PDS's administrator's password, or SCIM's token"),
    Setting("ONYM_PLATFORM_CUSTODIAN", "", "A PDS's account that keeps handles: its handle or DID"),
    Setting("ONYM_PLATFORM_MAIL", "off", "The PDS sends mail, so holders are told by it"),
    Setting("ONYM_PLATFORM_HAND_OVER", "off", "Whole accounts of a PDS may change hands"),
    Setting(
        "ONYM_IMPORT_HOURS",
        "0",
        "Every how many hours the platform's list is read for what changed; 0: by command only",
    ),
    Setting("ONYM_PLATFORM_TIMEOUT", "10", "Seconds to wait for it"),
    Setting(
        "ONYM_OIDC_ISSUER", "", "The platform as an OpenID provider: *Sign in with the platform*"
    ),
    Setting("ONYM_OIDC_CLIENT_ID", "`onym`", "What it knows this market by"),
    Setting("ONYM_OIDC_CLIENT_SECRET", "", "With which secret"),
    Setting("ONYM_OIDC_ACCOUNT_CLAIM", "`sub`", "The claim that holds the permanent account id"),
    Setting("ONYM_ATPROTO_ISSUER", "", "A PDS's public address: *Sign in with Bluesky*"),
    Setting("ONYM_HOOKS", "", "A TOML file: what is called once a handle has changed hands"),
    Setting("ONYM_PAYMENTS_URL", "the provider's", "The payment provider's address"),
    Setting("ONYM_PAYMENTS_KEY", "", "Its secret key"),
    Setting("ONYM_PAYMENTS_WEBHOOK_SECRET", "", "What its messages are signed with"),
    Setting("ONYM_PAYMENTS_TIMEOUT", "20", "Seconds to wait for it"),
    Setting(
        "ONYM_CARD_ENTRY",
        "`checkout`; in the demo `both`",
        "Where a buyer enters a card: `checkout` at the provider, `methods` by name, `both`",
    ),
    Setting(
        "ONYM_CHECKOUT_ORIGIN",
        "the provider's",
        "The one other site that a form may lead to: where cards are entered",
    ),
    Setting("ONYM_WALLET", "off", "Members may keep money with the market and pay from it"),
    Setting("ONYM_BANK_IBAN", "", "The operator's bank account; without it no bank transfers"),
    Setting("ONYM_BANK_BIC", "", "Its bank, for payment files and for buyers abroad"),
    Setting("ONYM_BANK_BENEFICIARY", "", "Whose account it is, as buyers write it"),
    Setting(
        "ONYM_INVOICE_ISSUER",
        "the beneficiary",
        "Who issues invoices: name, address, tax number; `\\n` between lines",
    ),
    Setting(
        "ONYM_SCREENING_LIST", "", "A file of names that may not deal here; none: no screening"
    ),
    Setting("ONYM_TIERS", "", "A file of members and their tiers; none: the least tier's limits"),
    Setting("ONYM_LIST_DAYS", "7", "How many days old either file may be; then all fails closed"),
    Setting("ONYM_MAILBOX_URL", "", "The demo's mailbox, linked from every page"),
)
GROUPS = {
    "Place and process": PLACE,
    "Brand": BRAND,
    "Mail": MAIL,
    "Outside world": OUTSIDE,
}
"""Title of a section of the reference → its settings."""
