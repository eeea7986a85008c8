"""The accounts the demo tells its story with: fixed ids, known to nobody but this file.

@handle is silent since 2019 and promised a relaunch; @sunset is idle, but its holder reads mail;
@moon is held by the seller and not for sale. See docs/guides/platform.md.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

Row = dict[str, Any]

HANDLE: Final = "1007"
SUNSET: Final = "1008"

# Who signs in to the demo's market; each is one active account.
PEOPLE: Final = {
    "buyer": {"account_id": "1002", "handle": "nadia", "mail": "nadia@mail.example"},
    "seller": {"account_id": "1003", "handle": "moon", "mail": "leila@mail.example"},
    "acme": {"account_id": "1004", "handle": "acme_hq", "mail": "handles@acme.example"},
}

_HANDLE_BORN: Final = datetime(2007, 3, 21, 15, 4, 10, tzinfo=UTC)
_HANDLE_LAST: Final = datetime(2019, 5, 2, 18, 30, 0, tzinfo=UTC)
_RELAUNCH: Final = "We are not gone. handle.example relaunches this autumn. Watch this space."

POSTS: Final = {
    HANDLE: (
        (_HANDLE_BORN, "So this is where everybody went. Hello from @handle."),
        (datetime(2012, 6, 9, 9, 12, tzinfo=UTC), "Five years of handle.example. Thank you all."),
        (datetime(2016, 2, 1, 20, 1, tzinfo=UTC), "The old site is slow today. We know, we know."),
        (datetime(2018, 11, 30, 17, 45, tzinfo=UTC), "Quiet for a while: we are rebuilding."),
        (_HANDLE_LAST, _RELAUNCH),
    )
}

# What others wrote lately, by account: `<@id>` names an account, days count back from the start.
ASIDES: Final = {
    "1003": ((2, "Whatever became of <@1007>? That relaunch never came."),),
    "1004": ((4, "Still typing <@1007> by habit. Somebody should do something with it."),),
    "1010": ((9, "<@1008> used to post the best skies on here."),),
}


def accounts(*, now: datetime) -> dict[str, tuple[Row, str]]:
    """Partial rows by account id, each with the name shown; what is missing has a usual value."""
    told = [_plaza(now), *_people(now), _handle(), _sunset(now), *_members(now)]
    return {row["account_id"]: (row, shown) for row, shown in told}


def _handle() -> tuple[Row, str]:
    """Below 10,000 followers and 10,000 references: one approver, at most 180 days of rest."""
    row = {
        "account_id": HANDLE,
        "handle": "handle",
        "created_at": _HANDLE_BORN,
        "last_login_at": _HANDLE_LAST + timedelta(hours=1),
        "last_post_at": _HANDLE_LAST,
        "followers": 9412,
        "following": 87,
        "posts": len(POSTS[HANDLE]),
        "bot_score": 0.02,
        "inbound_refs": 8214,
        "bio": "The one and only @handle. Home: handle.example",
        "last_post_text": _RELAUNCH,
        "site_url": "https://handle.example",
        "site_alive": False,
        "email": "handle@mail.example",
        "locale": "en",
    }
    return row, "Handle"


def _sunset(now: datetime) -> tuple[Row, str]:
    row = _row(now, SUNSET, "sunset", years=11, seen_days=214, followers=1830, refs=640)
    row |= {"bio": "Evening skies, mostly west.", "last_post_text": "Last light over the bay."}
    return row, "Sunset Photos"


def _plaza(now: datetime) -> tuple[Row, str]:
    row = _row(now, "1001", "plaza", years=18, seen_days=0, followers=88_210, refs=41_000)
    row |= {"verified": True, "public_body": True, "bio": "News from the people who run Plaza."}
    return row, "Plaza"


def _people(now: datetime) -> list[tuple[Row, str]]:
    """Buyer, seller and Acme: active, nothing protects them."""
    nadia = _row(now, "1002", "nadia", years=6, seen_days=0, followers=2140, refs=77)
    moon = _row(now, "1003", "moon", years=14, seen_days=0, followers=5321, refs=903)
    acme = _row(now, "1004", "acme_hq", years=9, seen_days=0, followers=7790, refs=512)
    nadia |= {"bio": "Ceramics and slow mornings.", "locale": "fr"}
    moon |= {"bio": "Astronomer. Yes, that @moon.", "email": PEOPLE["seller"]["mail"]}
    acme |= {"bio": "Anvils, rockets, magnets. Since 1949.", "email": PEOPLE["acme"]["mail"]}
    acme |= {"site_url": "https://acme.example", "site_alive": True}
    return [(nadia, "Nadia Roux"), (moon, "Leila Mansour"), (acme, "Acme")]


def _members(now: datetime) -> list[tuple[Row, str]]:
    """Active accounts with an address, for the market's past."""
    names = (
        ("1005", "rosa_vega", "Rosa Vega"),
        ("1006", "kenji", "健二 森"),
        ("1009", "omarhaddad", "عمر حداد"),
        ("1010", "tessa_lane", "Tessa Lane"),
        ("1011", "paulbecker", "Paul Becker"),
        ("1012", "zuri", "Zuri Okello"),
    )
    return [
        (_row(now, number, handle, years=8, seen_days=1, followers=300, refs=21), shown)
        for number, handle, shown in names
    ]


def _row(
    now: datetime, account_id: str, handle: str, *, years: int, seen_days: int,
    followers: int, refs: int,
) -> Row:  # fmt: skip
    """A quiet life: `years` old, last seen `seen_days` and some hours ago."""
    seen = now - timedelta(days=seen_days, hours=3 + int(account_id) % 7)
    return {
        "account_id": account_id,
        "handle": handle,
        "created_at": now - timedelta(days=365 * years + int(account_id) % 90),
        "last_login_at": seen,
        "last_post_at": seen - timedelta(hours=5),
        "followers": followers,
        "following": 120,
        "posts": 40 + int(account_id) % 60,
        "bot_score": 0.01,
        "inbound_refs": refs,
        "last_post_text": "Back tomorrow with more.",
        "email": f"{handle}@mail.example",
        "locale": "en",
    }
