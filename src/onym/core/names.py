"""What a handle is: one canonical form per profile, its look-alike skeleton and its availability.

docs/concepts/policy.md tells the profiles apart; the Unicode version in force is UNICODE_VERSION.
"""

from __future__ import annotations

import functools
import hashlib
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from importlib import resources
from typing import Any

import precis_i18n

from onym.core import errors

UNICODE_VERSION = unicodedata.unidata_version
"""The version that case and normalization follow; stored beside every set of canonical handles."""

CONFUSABLES_VERSION = "15.0.0"
"""The version of the look-alike table in core/data/confusables.txt."""


class Case(StrEnum):
    """How two spellings of one handle compare."""

    ASCII = "ascii"  # A-Z equal a-z; nothing else is allowed in, so nothing else needs a rule
    PRECIS = "precis"  # RFC 8265 UsernameCaseMapped


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """The rules of one kind of namespace; `placeholder` holds `{id}`, the rest says what fits."""

    name: str
    case: Case
    pattern: str
    alphabet: str
    shortest: int
    longest: int
    placeholder: str


_LABEL = r"[a-z0-9](-?[a-z0-9])*"

PROFILES: Mapping[str, Profile] = {
    profile.name: profile
    for profile in (
        Profile(
            name="x",
            case=Case.ASCII,
            pattern=r"[a-z0-9_]+",
            alphabet="letters A to Z, digits and _",
            shortest=1,
            longest=15,
            placeholder="user_{id}",
        ),
        Profile(
            name="dns",
            case=Case.ASCII,
            pattern=_LABEL,
            alphabet="letters a to z and digits, with single hyphens between them",
            shortest=3,
            longest=63,
            placeholder="user-{id}",
        ),
        Profile(
            name="atproto",
            case=Case.ASCII,
            pattern=_LABEL,
            alphabet="letters a to z and digits, with single hyphens between them",
            shortest=3,
            longest=18,
            placeholder="user-{id}",
        ),
        Profile(
            name="precis",
            case=Case.PRECIS,
            pattern=r"[^\s]+",
            alphabet="the letters, digits and marks of RFC 8265's UsernameCaseMapped",
            shortest=1,
            longest=64,
            placeholder="user_{id}",
        ),
    )
}


def profile(name: str) -> Profile:
    """The profile called `name`; refuses Malformed for any other name."""
    try:
        return PROFILES[name]
    except KeyError:
        known = ", ".join(PROFILES)
        raise errors.Malformed(f"no profile is called {name!r}; there are {known}") from None


def canon(text: str, profile: str | Profile) -> str:
    """The form that is compared for equality; `canon(canon(x)) == canon(x)` for every x.

    Refuses HandleMalformed and says what does not fit.
    """
    rules = _rules(profile)
    folded = _precis(text, "UsernameCaseMapped") if rules.case is Case.PRECIS else _ascii(text)
    return _fitting(folded, rules)


def display(text: str, profile: str | Profile) -> str:
    """The same handle as its holder writes it, case kept; refuses what `canon` refuses."""
    rules = _rules(profile)
    kept = _precis(text, "UsernameCasePreserved") if rules.case is Case.PRECIS else text
    canon(kept, rules)
    return kept


def is_handle(text: str, profile: str | Profile) -> bool:
    """Whether `canon` would take `text`."""
    try:
        canon(text, profile)
    except errors.HandleMalformed:
        return False
    return True


def _rules(given: str | Profile) -> Profile:
    return given if isinstance(given, Profile) else profile(given)


def _ascii(text: str) -> str:
    # str.lower would turn the Kelvin sign into k: only what is ASCII already may be folded.
    return text.lower() if text.isascii() else text


def _fitting(folded: str, rules: Profile) -> str:
    if not rules.shortest <= len(folded) <= rules.longest:
        raise errors.HandleMalformed(
            f"a handle has {rules.shortest} to {rules.longest} characters, this has {len(folded)}",
            profile=rules.name,
        )
    if not _pattern(rules.pattern).fullmatch(folded):
        raise errors.HandleMalformed(f"a handle is made of {rules.alphabet}", profile=rules.name)
    return folded


@functools.cache
def _pattern(source: str) -> re.Pattern[str]:
    return re.compile(source)


@functools.cache
def _precis_profile(name: str) -> Any:
    return precis_i18n.get_profile(name)


def _precis(text: str, name: str) -> str:
    """`text` under a PRECIS profile, applied until it is stable (RFC 8264 section 7: 4 times)."""
    rules = _precis_profile(name)
    try:
        for _ in range(4):
            mapped = rules.apply_five_rules(text)
            if mapped == text:
                return str(rules.enforce(text)) if text else text
            text = mapped
    except UnicodeEncodeError as refused:
        raise errors.HandleMalformed(_why(refused), profile="precis") from None
    raise errors.HandleMalformed("the name has no stable form", profile="precis")


def _why(refused: UnicodeEncodeError) -> str:
    found = refused.object[refused.start : refused.end]
    what = f"U+{ord(found):04X}" if len(found) == 1 else "the name"
    reason = refused.reason.removeprefix("DISALLOWED/").replace("_", " ")
    return f"{what} is not allowed in a handle ({reason})"


# Look-alikes


def skeleton(handle: str) -> str:
    """The form that is compared for look-alikes (UTS #39, section 4); never shown or stored.

    Handles compare without case, so the mapped form is case-folded and mapped once more: that
    makes b0b, BOB and bob one, and paypaI (capital i) paypal. r followed by n equals m.
    """
    if handle.isascii():
        handle = handle.translate(_confusables()).casefold()
        return handle.translate(_confusables())
    return _mapped(_mapped(handle).casefold())


def _mapped(text: str) -> str:
    decomposed = unicodedata.normalize("NFD", text)
    return unicodedata.normalize("NFD", decomposed.translate(_confusables()))


@functools.cache
def _confusables() -> dict[int, str]:
    table: dict[int, str] = {}
    text = resources.files("onym.core.data").joinpath("confusables.txt").read_text("utf-8")
    for line in text.splitlines():
        if line.startswith("#"):
            continue
        target, sources = (
            "".join(chr(int(c, 16)) for c in part.split()) for part in line.split("\t")
        )
        table.update((ord(source), target) for source in sources)
    return table


# Placeholders


def placeholder(profile: str | Profile, account_id: str, *, attempt: int = 0) -> str:
    """The canonical name for an account that loses its handle, e.g. `user_1007`.

    An id that does not fit the profile as it stands is replaced by a digest of it; so is any id
    from `attempt` 1 on, for a placeholder that turned out to be taken.
    """
    rules = _rules(profile)
    plain = rules.placeholder.format(id=account_id)
    if attempt == 0 and plain == plain.lower() and is_handle(plain, rules):
        return plain
    digest = hashlib.sha256(f"{attempt}:{account_id}".encode()).digest()
    room = min(rules.longest, 18) - len(rules.placeholder.format(id=""))
    return rules.placeholder.format(id=_base32(digest)[:room])


def _base32(digest: bytes) -> str:
    # Crockford's alphabet: no i, l, o, u, so no placeholder reads as a word or as another one.
    value = int.from_bytes(digest, "big")
    return "".join(
        "0123456789abcdefghjkmnpqrstvwxyz"[value >> shift & 31] for shift in range(0, 160, 5)
    )


# Availability


class Rung(StrEnum):
    """Why a handle cannot be had, in the order in which the reasons are asked."""

    MALFORMED = "malformed"  # not a handle of this profile
    PROHIBITED = "prohibited"  # nobody may ever have it
    RETIRED = "retired"  # had a holder once and will have none again
    PROTECTED = "protected"  # its rights-holder comes first
    RESERVED = "reserved"  # staff may grant it
    HELD = "held"  # an account other than the custodian holds it
    RESTING = "resting"  # due process is over, the way back is still open
    SALE_SLOT_TAKEN = "sale_slot_taken"  # a listing, lot, drop or live sale fills the slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known of a wanted handle; `holder` and `custodian` are account ids."""

    malformed: bool = False
    prohibited: bool = False
    retired: bool = False
    protected: bool = False
    reserved: bool = False
    holder: str | None = None
    custodian: str | None = None
    resting: bool = False
    sale_slot_taken: bool = False


def check_available(facts: Facts) -> Rung | None:
    """The first rung that fails, or None: the handle is free."""
    ladder = {
        Rung.MALFORMED: facts.malformed,
        Rung.PROHIBITED: facts.prohibited,
        Rung.RETIRED: facts.retired,
        Rung.PROTECTED: facts.protected,
        Rung.RESERVED: facts.reserved,
        Rung.HELD: facts.holder is not None and facts.holder != facts.custodian,
        Rung.RESTING: facts.resting,
        Rung.SALE_SLOT_TAKEN: facts.sale_slot_taken,
    }
    return next((rung for rung in Rung if ladder[rung]), None)
