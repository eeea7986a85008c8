"""The sample platform: 50,000 generated accounts around the story of @handle, @sunset and @moon.

The same seed, instant and count give the same rows; every instant derives from `now`, but for the
early years of @handle. `python -m onym_demo.sample --out accounts.csv` writes them as a file.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import chain
from pathlib import Path
from random import Random
from typing import Any, Final

from onym_demo import phrases, story

Row = dict[str, Any]
COLUMNS: Final = (
    "account_id", "handle", "created_at", "last_login_at", "last_post_at", "last_api_at",
    "last_payment_at", "followers", "following", "posts", "status", "suspension_final_at",
    "appeal_open", "memorial", "verified", "public_body", "legal_hold", "minor", "dispute_open",
    "subscriber", "bot_score", "inbound_refs", "registered_batch", "bio", "last_post_text",
    "site_url", "site_alive", "email", "locale",
)  # fmt: skip

SEED: Final = 7
COUNT: Final = 50_000
MAIL_DOMAIN: Final = "mail.example"
FIRST_ID: Final = 1001
_LONGEST: Final = 15
_DAY: Final = 86_400

# Shares of all accounts. A protection that is true or unknown protects: about 12 in 100.
_PROTECTED: Final = 0.082
_UNKNOWN: Final = 0.040
_IDLE_IF_PROTECTED: Final = 0.25
_IDLE: Final = 0.078
_LOGIN_UNKNOWN: Final = 0.019

# Protections that somebody has, in a hundred accounts that have one.
_PROTECTIONS: Final = {
    "verified": 38,
    "subscriber": 36,
    "minor": 9,
    "memorial": 5,
    "public_body": 4,
    "appeal_open": 4,
    "dispute_open": 2,
    "legal_hold": 2,
}
_LOCALES: Final = {
    "en": 46, "fr": 9, "es": 9, "ar": 9, "de": 5, "pt": 5, "ja": 4, "it": 3, "tr": 3, "ru": 3,
    "hi": 3, "sw": 1,
}  # fmt: skip
_KINDS: Final = {
    "name": 36, "name_number": 18, "words": 14, "word": 2, "word_number": 10, "phrase": 6,
    "mix": 11, "bot": 3,
}  # fmt: skip


def _wheel(weights: Mapping[str, int]) -> list[str]:
    return list(chain.from_iterable([name] * weight for name, weight in weights.items()))


_LOCALE_WHEEL: Final = _wheel(_LOCALES)
_KIND_WHEEL: Final = _wheel(_KINDS)
_PROTECTION_WHEEL: Final = _wheel(_PROTECTIONS)


def accounts(*, now: datetime, seed: int = SEED, count: int = COUNT) -> Iterator[Row]:
    """Rows with every column of the account table; None is unknown, instants are aware UTC."""
    for row, _ in profiles(now=now, seed=seed, count=count):
        yield row


def profiles(*, now: datetime, seed: int = SEED, count: int = COUNT) -> Iterator[tuple[Row, str]]:
    """Rows as `accounts` yields them, each with the name shown on the account's page."""
    now = now.astimezone(UTC).replace(microsecond=0)
    rng = Random(seed)  # noqa: S311  # sample data, not a secret
    told = story.accounts(now=now)
    taken = {row["handle"].lower() for row, _ in told.values()}
    for number in range(FIRST_ID, FIRST_ID + count):
        account_id = str(number)
        if account_id in told:
            row, shown = told[account_id]
            yield dict.fromkeys(COLUMNS) | _KNOWN_FALSE | row, shown
        else:
            yield _account(
                account_id, (number - FIRST_ID) / count, int(now.timestamp()), rng, taken
            )


_KNOWN_FALSE: Final[Row] = dict.fromkeys(_PROTECTIONS, False) | {"status": "active"}


def _account(
    account_id: str, age_rank: float, now: int, rng: Random, taken: set[str]
) -> tuple[Row, str]:
    """One ordinary account; `age_rank` runs from 0, the oldest account, to 1, the newest."""
    locale = _pick(_LOCALE_WHEEL, rng)
    handle, shown, is_bot = _named(locale, rng, taken)
    row: Row = dict.fromkeys(COLUMNS) | _KNOWN_FALSE
    row |= {"account_id": account_id, "handle": handle, "locale": locale}
    protected = _protect(row, rng)
    idle_share = _IDLE_IF_PROTECTED if protected else _IDLE
    is_idle = bool(row["memorial"]) or rng.random() < idle_share
    _live(row, age_rank, now, is_idle, rng)
    _suspend(row, now, is_idle, protected, rng)
    _reach(row, is_idle, rng)
    _judge(row, is_bot, is_idle, rng)
    _speak(row, rng)
    if rng.random() < (0.02 if is_idle else 0.0046):
        row["email"] = f"{handle.lower()}@{MAIL_DOMAIN}"
    return row, shown


def _named(locale: str, rng: Random, taken: set[str]) -> tuple[str, str, bool]:
    """A free handle, the name shown beside it, and whether it looks made by a machine."""
    while True:
        kind = _pick(_KIND_WHEEL, rng)
        handle, shown = _NAMERS[kind](locale, rng)
        if len(handle) <= _LONGEST and handle.lower() not in taken:
            taken.add(handle.lower())
            return handle, shown, kind == "bot"


def _by_name(locale: str, rng: Random) -> tuple[str, str]:
    first = _pick(phrases.forms("first_names", locale), rng)
    last = _pick(phrases.forms("last_names", locale), rng)
    forms = (
        f"{first[0]}{last[0]}", f"{first[0]}_{last[0]}", f"{first[0][0]}{last[0]}",
        f"{first[0].title()}{last[0].title()}", f"{first[0]}_{last[0][0]}", first[0],
    )  # fmt: skip
    return _pick(forms, rng), f"{first[1]} {last[1]}"


def _by_name_number(locale: str, rng: Random) -> tuple[str, str]:
    handle, shown = _by_name(locale, rng)
    return f"{handle}{_below(10 ** (2 + _below(3, rng)), rng)}", shown


def _by_word(locale: str, rng: Random) -> tuple[str, str]:
    word = _pick(phrases.forms("words", locale), rng)
    return word[0], word[1].title()


def _by_word_number(locale: str, rng: Random) -> tuple[str, str]:
    handle, shown = _by_word(locale, rng)
    return f"{handle}{_below(1000, rng)}", shown


def _by_words(locale: str, rng: Random) -> tuple[str, str]:
    one, two = _by_word(locale, rng), _by_word(locale, rng)
    return one[0] + ("_" if rng.random() < 0.3 else "") + two[0], f"{one[1]} {two[1]}"


def _by_phrase(locale: str, rng: Random) -> tuple[str, str]:
    before = _pick(("the", "my", "all", "just", "hello", "its", "no", "go", "we_are"), rng)
    word = _by_word(locale, rng)
    after = _pick(("", "club", "daily", "lab", "fan", "co", "hq", "now"), rng)
    return f"{before}{word[0]}{after}", f"{before} {word[1]} {after}".strip().title()


def _by_mix(_: str, rng: Random) -> tuple[str, str]:
    letters, digits = "abcdefghjkmnpqrstuvwxyz", "0123456789"
    shape = _pick(("lld", "ldl", "lldd", "lldld", "ldldl", "lllddd", "ldd", "lldldldd"), rng)
    handle = "".join(_pick(letters if slot == "l" else digits, rng) for slot in shape)
    return handle, handle.upper()


def _by_bot(locale: str, rng: Random) -> tuple[str, str]:
    first = _pick(phrases.forms("first_names", locale), rng)
    return f"{first[0].title()[:7]}{10_000_000 + _below(90_000_000, rng)}", first[1]


_NAMERS: Final = {
    "name": _by_name, "name_number": _by_name_number, "words": _by_words, "word": _by_word,
    "word_number": _by_word_number, "phrase": _by_phrase, "mix": _by_mix, "bot": _by_bot,
}  # fmt: skip


def _protect(row: Row, rng: Random) -> bool:
    """Sets one protection true or unknown on some accounts, and says whether it did."""
    draw = rng.random()
    if draw >= _PROTECTED + _UNKNOWN:
        return False
    row[_pick(_PROTECTION_WHEEL, rng)] = True if draw < _PROTECTED else None
    return True


def _live(row: Row, age_rank: float, now: int, is_idle: bool, rng: Random) -> None:
    """Instants of birth and activity; the idle ones have been silent for 30 days or more."""
    created = now - 45 * _DAY - int((1 - age_rank) ** 1.3 * 6500 * _DAY * (0.9 + rng.random() / 5))
    silence = _silence(rng) if is_idle else min(28.5 * _DAY, 60 + rng.expovariate(1 / (3 * _DAY)))
    login = now - int(silence)
    created = min(created, login - int((1 + rng.random() * 900) * _DAY))
    row["created_at"] = _at(created)
    if is_idle or rng.random() >= _LOGIN_UNKNOWN:
        row["last_login_at"] = _at(login)
    if rng.random() < 0.83:
        row["last_post_at"] = _at(max(created, login - int(rng.expovariate(1 / (9 * _DAY)))))
    if rng.random() < 0.07:
        row["last_api_at"] = _at(max(created, login - int(rng.random() * 20 * _DAY)))
    if row["subscriber"]:
        row["last_payment_at"] = _at(max(created, login - int(rng.random() * 28 * _DAY)))


def _silence(rng: Random) -> float:
    """Seconds: about a fifth below 60 days, two fifths below a year, the rest up to 12 years."""
    draw = rng.random()
    if draw < 0.22:
        return (31 + rng.random() * 28) * _DAY
    if draw < 0.60:
        return (61 + rng.random() * 303) * _DAY
    return (366 + rng.random() ** 2 * 4000) * _DAY


def _suspend(row: Row, now: int, is_idle: bool, protected: bool, rng: Random) -> None:
    """Who appeals is suspended and not finally; a fifth of the idle are suspended, too."""
    draw = rng.random()
    if row["appeal_open"]:
        row["status"] = "suspended"
    elif is_idle and draw < 0.20:
        row["status"] = "suspended"
        final = int(row["last_login_at"].timestamp()) + int((1 + rng.random() * 30) * _DAY)
        row["suspension_final_at"] = _at(final) if final < now else None
    elif is_idle and draw < 0.28 and not protected:
        row["status"] = "deactivated"


def _reach(row: Row, is_idle: bool, rng: Random) -> None:
    shift = (-1.0 if is_idle else 0.0) + (3.0 if row["verified"] else 0.0)
    row["followers"] = _long_tail(4.0 + shift, 1.8, rng)
    row["following"] = _long_tail(4.4, 1.0, rng)
    row["posts"] = 1 + _long_tail(4.6 + shift / 2, 1.6, rng) if row["last_post_at"] else 0
    if rng.random() < 0.96:
        row["inbound_refs"] = _long_tail(2.0 + shift, 2.6 if is_idle else 2.0, rng)


def _judge(row: Row, is_bot: bool, is_idle: bool, rng: Random) -> None:
    """The platform's own bot score; the surest bots have been put to silence already."""
    if is_bot:
        low, high = (0.7, 0.99) if is_idle else (0.45, 0.88)
        row["bot_score"] = round(low + rng.random() * (high - low), 3)
        row["registered_batch"] = f"{row['created_at']:%Y%m}-{_below(40, rng):02d}"
    elif rng.random() < 0.8:
        row["bot_score"] = round(rng.random() ** 3 * 0.45, 3)


def _speak(row: Row, rng: Random) -> None:
    if rng.random() < 0.7:
        row["bio"] = phrases.bio(locale=row["locale"], rng=rng)
    if row["posts"]:
        friend = _pick(phrases.forms("first_names", row["locale"]), rng)[0]
        row["last_post_text"] = phrases.post(locale=row["locale"], rng=rng, mention=f"@{friend}")
    if rng.random() < 0.16:
        row["site_url"] = f"https://{row['handle'].lower().replace('_', '-').strip('-')}.example"
        row["site_alive"] = _pick((True, True, True, False, None), rng)


def _pick(choices: Any, rng: Random) -> Any:
    return choices[int(rng.random() * len(choices))]


def _below(limit: int, rng: Random) -> int:
    return int(rng.random() * limit)


def _long_tail(middle: float, spread: float, rng: Random) -> int:
    return min(9_000_000, int(math.exp(rng.gauss(middle, spread))))


def _at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


def main() -> None:
    """Write the sample as CSV or JSON Lines, by the ending of `--out`."""
    options = argparse.ArgumentParser(prog="python -m onym_demo.sample", description=main.__doc__)
    options.add_argument("--out", type=Path, required=True)
    options.add_argument("--seed", type=int, default=SEED)
    options.add_argument("--count", type=int, default=COUNT)
    options.add_argument("--days-ago", type=int, default=0, help="make `now` an earlier day")
    asked = options.parse_args()
    if asked.out.suffix not in (".csv", ".jsonl"):
        sys.exit("--out must end in .csv or .jsonl")
    now = datetime.now(UTC) - timedelta(days=asked.days_ago)
    rows = (wire(row) for row in accounts(now=now, seed=asked.seed, count=asked.count))
    with asked.out.open("w", encoding="utf-8", newline="") as file:
        if asked.out.suffix == ".csv":
            table = csv.DictWriter(file, COLUMNS)
            table.writeheader()
            table.writerows(rows)
        else:
            file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def wire(row: Mapping[str, Any]) -> Row:
    """The row as files and the platform's answers carry it: instants in RFC 3339."""
    return {
        name: value.isoformat()[:19] + "Z" if isinstance(value, datetime) else value
        for name, value in row.items()
    }


if __name__ == "__main__":
    main()
