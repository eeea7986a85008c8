"""Events: the facts that enter the public log, their fields, and the bytes that are hashed.

An event of an unknown type, with an unknown field or with free text in it raises ValueError where
it is built, so nothing of the kind can reach a leaf. docs/concepts/log.md explains the format.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypedDict

import rfc8785

from onym.core.money import Money

JSON = Any
"""A plain JSON value: null, bool, int, str, list or dict of the same. Floats are refused."""

VERSION = 1
MAX_ENTRY_BYTES = 65_535
SALT_BYTES = 32

_WORD = re.compile(r"[^\s\x00-\x1f\x7f]{1,256}")
_MAIL = re.compile(r"[^@\s]@[^@\s]+\.")
_HASH = re.compile(r"[0-9a-f]{64}")
_INSTANT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")
_DIGITS = re.compile(r"0|-?[1-9]\d{0,17}")
_CURRENCY = re.compile(r"[A-Z]{3}")


# What a field may hold. A word has no white space and is no mail address, so free text and
# addresses cannot be put into a leaf even by mistake.


def _is_account(value: JSON) -> bool:
    return value is None or (isinstance(value, str) and bool(_WORD.fullmatch(value)))


def _is_word(value: JSON) -> bool:
    return isinstance(value, str) and bool(_WORD.fullmatch(value)) and not _MAIL.search(value)


def _is_hash(value: JSON) -> bool:
    return isinstance(value, str) and bool(_HASH.fullmatch(value))


def _is_instant(value: JSON) -> bool:
    return isinstance(value, str) and bool(_INSTANT.fullmatch(value))


def _is_count(value: JSON) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**53


def _is_flag(value: JSON) -> bool:
    return isinstance(value, bool)


def _is_amount(value: JSON) -> bool:
    return (
        isinstance(value, Mapping)
        and value.keys() == {"minor", "currency"}
        and isinstance(value["minor"], str)
        and bool(_DIGITS.fullmatch(value["minor"]))
        and isinstance(value["currency"], str)
        and bool(_CURRENCY.fullmatch(value["currency"]))
    )


def _is_words(value: JSON) -> bool:
    return isinstance(value, list | tuple) and all(_is_word(item) for item in value)


def _is_data(value: JSON) -> bool:
    """Nested JSON made of words, whole numbers, flags and null."""
    if isinstance(value, Mapping):
        return all(_is_word(key) and _is_data(value[key]) for key in value)
    if isinstance(value, list | tuple):
        return all(_is_data(item) for item in value)
    return value is None or _is_flag(value) or _is_count(value) or _is_word(value)


def _is_versions(value: JSON) -> bool:
    """What a decision was made under: `{"fees": "onym-2026/1", …}`."""
    return isinstance(value, Mapping) and all(map(_is_word, (*value, *value.values())))


def _is_path(value: JSON) -> bool:
    """An inclusion proof: position, size of the tree, sibling hashes from the leaf upwards."""
    return (
        isinstance(value, Mapping)
        and value.keys() - {"import"} == {"index", "size", "path"}
        and _is_count(value["index"])
        and _is_count(value["size"])
        and isinstance(value["path"], list | tuple)
        and all(_is_hash(item) for item in value["path"])
        and _is_word(value.get("import", "-"))
    )


def _is_openings(value: JSON) -> bool:
    """Published openings of earlier leaves, about amounts only: those about people never are."""
    return isinstance(value, list | tuple) and all(
        isinstance(item, Mapping)
        and item.keys() == {"type", "ref", "field", "salt", "value"}
        and item["type"] in TYPES
        and _is_word(item["ref"])
        and item["field"] in AMOUNTS
        and _is_hash(item["salt"])
        and _is_amount(item["value"])
        for item in value
    )


AMOUNTS = frozenset(
    {"price", "gross", "commission", "proceeds", "fee", "tax", "share", "refund"}
) | {"reserve_price", "start_price", "low", "mid", "high"}
"""Fields that hold `amount(...)`, and the only ones whose openings may be published."""

_KINDS: Mapping[Callable[[JSON], bool], str] = {
    _is_account: "account_id holder_before holder_after",
    _is_hash: "sha256 root seen_root shown criteria_sha256 candidate ticket seed",
    _is_instant: "effective_from as_of deadline starts_at ends_at expires_at closes_at",
    _is_count: "count rejects added removed position previous round seen stage",
    _is_flag: "on consent",
    _is_words: "reasons winners wiped",
    _is_path: "path imported",
    _is_openings: "opens",
    _is_versions: "versions",
    _is_data: "counts partitions stages bids schedule result",
    _is_word: (
        "id version policy profile sweep handle campaign sale lot drop mechanism by buyer seller "
        "proposer approver approval action reason outcome before after model tier key "
        "area previous_key previous_ref reviewer randomness why transfer appeal term"
    ),
    _is_amount: " ".join(sorted(AMOUNTS)),
}
KINDS: Mapping[str, Callable[[JSON], bool]] = {
    key: kind for kind, keys in _KINDS.items() for key in keys.split()
}


@dataclass(frozen=True, slots=True)
class Shape:
    """The fields of one form of an event. `either` must stand in clear or committed, once."""

    required: frozenset[str]
    optional: frozenset[str] = frozenset()
    committed: frozenset[str] = frozenset()
    either: frozenset[str] = frozenset()

    def misfit(self, body: Mapping[str, JSON], committed: Mapping[str, JSON]) -> str | None:
        """What is wrong with these fields, or None."""
        for key in sorted(self.required - body.keys()):
            return f"{key} is missing"
        for key in sorted(self.either):
            if (key in body) == (key in committed):
                return f"{key} must be either in clear or committed"
        for key in sorted(body.keys() - self.required - self.optional - self.either):
            return f"{key} is not a field of it"
        for key in sorted(committed.keys() - self.committed - self.either):
            return f"{key} is not a committed field of it"
        return None


def _shape(required: str, optional: str = "", committed: str = "", either: str = "") -> Shape:
    return Shape(*(frozenset(keys.split()) for keys in (required, optional, committed, either)))


_PUBLISHED = (_shape("id version effective_from sha256", "schedule"),)
_STEP = (
    _shape("handle reasons", "deadline policy sweep approval", "evidence"),
    _shape("count root sha256 policy", "deadline sweep stage as_of approval"),
)
_DECIDED = (_shape("handle outcome reasons", "id reviewer approval", "evidence"),)
_TWO_PEOPLE = "proposer approver shown reason"
_TERMS = "gross commission proceeds fee tax share"

TYPES: Mapping[str, tuple[Shape, ...]] = {
    "PolicyPublished": _PUBLISHED,
    "FeesPublished": _PUBLISHED,
    "GuidelinesPublished": _PUBLISHED,
    "TaxPublished": _PUBLISHED,
    "LimitsPublished": _PUBLISHED,
    "DirectoryImported": (_shape("count root sha256", "as_of profile rejects partitions"),),
    "SweepRecorded": (_shape("policy as_of counts partitions", "profile sha256 approval"),),
    "HandleWarned": _STEP,
    "Kept": _STEP,
    "Resting": _STEP,
    "Released": _STEP,
    "Restored": _STEP,
    "Retired": _STEP,
    "ReleaseStopSet": (_shape("on", "by reason approval"),),
    "AreaStopSet": (_shape("area on", "by reason approval"),),
    "WholeAccountsSet": (_shape("on", "by reason approval"),),
    "ReleaseAnnounced": (_shape("starts_at stages", "policy sweep count approval"),),
    "PhaseSet": (_shape("before after", "by reason approval"),),
    "ProtectedListChanged": (_shape("count added removed root", "approval"),),
    "AppealDecided": _DECIDED,
    "ClaimDecided": _DECIDED,
    "CandidatesCommitted": (_shape("campaign count root criteria_sha256", "approval", "people"),),
    "InvitationSent": (
        _shape("campaign candidate path expires_at", "", "recipient handle", "price"),
    ),
    "InvitationAccepted": (_shape("campaign position", "why"),),
    "InvitationClosed": (_shape("campaign position why"),),
    "Appraised": (_shape("model", "", "", "handle tier low mid high"),),
    "PriceSet": (_shape("", "model opens approval", "", "handle price"),),
    "ListingOpened": (_shape("handle versions", "seller approval term", "", "price"),),
    "OfferAccepted": (_shape("handle versions buyer seller", "term", "", "price"),),
    "LotOpened": (
        _shape("lot handle mechanism versions", "seller start_price ends_at", "reserve_price"),
    ),
    "LotClosed": (_shape("lot handle outcome bids versions", "price opens buyer"),),
    "SaleAgreed": (
        _shape(
            "sale handle mechanism by buyer seller versions",
            f"{_TERMS} term consent",
            _TERMS,
            "price",
        ),
    ),
    "SaleFunded": (_shape("sale handle", "", "", "gross"),),
    "SaleSettled": (
        _shape(f"sale handle price {_TERMS} versions", "opens mechanism buyer seller by term"),
    ),
    "SaleRefunded": (_shape("sale handle reason", "appeal", "", "refund"),),
    "SaleClosed": (_shape("sale handle outcome", "reason"),),
    "TransferReadBack": (
        _shape(
            "handle holder_before holder_after",
            "sale transfer previous previous_ref imported term wiped",
        ),
    ),
    "Approved": (_shape(f"{_TWO_PEOPLE} action", "handle campaign sale"),),
    "Overridden": (_shape(f"{_TWO_PEOPLE} action", "handle campaign sale"),),
    "HousePurchase": (_shape(f"{_TWO_PEOPLE} handle", "sale versions", "", "price"),),
    "DrawCommitted": (_shape("drop count root round closes_at"),),
    "Drawn": (_shape("drop randomness seed result", "winners"),),
    "StaffSetCommitted": (_shape("root", "count"),),
    "KeyRotated": (_shape("key", "previous_key"),),
    "LogResumed": (_shape("count previous"),),
    "LogSucceeded": (_shape("key previous_key count root seen", "seen_root"),),
}
"""Every type of entry, with its forms; a bulk act has a form of its own: one leaf a partition."""


@dataclass(frozen=True, slots=True)
class Event:
    """A fact: `body` stands in clear, the values in `committed` stay hidden behind commitments.

    `ref` is the id of what it is about (`sal_…`, `lst_…`). Unknown types, unknown or missing
    fields and values of the wrong kind raise ValueError.
    """

    type: str
    ref: str
    body: Mapping[str, JSON]
    committed: Mapping[str, JSON] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.type not in TYPES:
            raise ValueError(f"no such event: {self.type}")
        if not _is_word(self.ref):
            raise ValueError(f"{self.type}: ref must be an id")
        misfits = [shape.misfit(self.body, self.committed) for shape in TYPES[self.type]]
        if None not in misfits:
            raise ValueError(f"{self.type}: {'; or '.join(str(misfit) for misfit in misfits)}")
        for key, value in self.body.items():
            if not KINDS[key](value):
                raise ValueError(f"{self.type}: {key} may not hold such a value")
        for key in AMOUNTS & self.committed.keys():
            if not _is_amount(self.committed[key]):
                raise ValueError(f"{self.type}: {key} must be an amount")


class Opening(TypedDict):
    """What opens a commitment: the salt as hex and the value."""

    salt: str
    value: JSON


@dataclass(frozen=True, slots=True)
class Sealed:
    """The bytes of the leaf, and what opens each of its commitments, to be kept apart."""

    entry: bytes
    openings: dict[str, Opening]


@dataclass(frozen=True, slots=True)
class Entry:
    """A leaf read back. `at` is the instant as written."""

    type: str
    namespace: str
    at: str
    ref: str
    body: dict[str, JSON]


def seal(event: Event, *, namespace: str, at: datetime, salt: Callable[[], bytes]) -> Sealed:
    """The canonical entry of `event`; `price` committed appears as `"price_commitment": hex`.

    `salt` gives 32 fresh random bytes a call. An entry above 65,535 bytes raises ValueError.
    """
    body = dict(event.body)
    openings: dict[str, Opening] = {}
    for key in sorted(event.committed):
        grain, value = salt(), event.committed[key]
        body[key + _HIDDEN] = commitment(event.type, key, salt=grain, value=value).hex()
        openings[key] = {"salt": grain.hex(), "value": value}
    entry = canonical(
        {
            "v": VERSION,
            "type": event.type,
            "namespace": namespace,
            "at": instant(at),
            "ref": event.ref,
            "body": body,
        }
    )
    if len(entry) > MAX_ENTRY_BYTES:
        raise ValueError(f"{event.type}: {len(entry)} bytes do not fit into one leaf")
    return Sealed(entry, openings)


def commitment(type: str, key: str, *, salt: bytes, value: JSON) -> bytes:
    """SHA-256(tag ‖ 0x00 ‖ salt ‖ canonical value), the tag being `onym/v1/<type>/<field>`."""
    if len(salt) != SALT_BYTES:
        raise ValueError("a salt has 32 bytes")
    tag = f"onym/v{VERSION}/{type}/{key}".encode()
    return hashlib.sha256(tag + b"\x00" + salt + canonical(value)).digest()


def open_commitment(type: str, key: str, *, commitment_hex: str, opening: Opening) -> bool:
    """Whether `opening` opens the commitment that stands as `<key>_commitment` in a leaf."""
    try:
        salt = bytes.fromhex(opening["salt"])
        return commitment(type, key, salt=salt, value=opening["value"]).hex() == commitment_hex
    except (ValueError, TypeError, KeyError):
        return False


def published(type: str, ref: str, key: str, opening: Opening) -> dict[str, JSON]:
    """One item of a later event's `opens`: makes the amount committed in (type, ref) public."""
    return {"type": type, "ref": ref, "field": key, **opening}


def read(entry: bytes) -> Entry:
    """The entry in `entry`; bytes that are not a canonical entry of version 1 raise ValueError."""
    try:
        value = json.loads(entry)
    except (ValueError, RecursionError) as fault:
        raise ValueError("not JSON") from fault
    if not isinstance(value, dict) or value.keys() != _ENVELOPE:
        raise ValueError("not an entry")
    if canonical(value) != entry or value["v"] is True or value["v"] != VERSION:
        raise ValueError("not canonical, or of an unknown version")
    words = [value[key] for key in ("type", "namespace", "ref")]
    if not all(map(_is_word, words)) or not isinstance(value["body"], dict):
        raise ValueError("an entry needs a type, a namespace, a ref and a body")
    if not _is_instant(value["at"]):
        raise ValueError("at must be an instant")
    return Entry(value["type"], value["namespace"], value["at"], value["ref"], value["body"])


def misfit(entry: Entry) -> str | None:
    """Why a leaf read back may not stand in this log: an unknown type or field; None if it may."""
    if entry.type not in TYPES:
        return f"no such event: {entry.type}"
    hidden = {key: None for key in entry.body if key.endswith(_HIDDEN)}
    clear = {key: value for key, value in entry.body.items() if key not in hidden}
    committed = {key.removesuffix(_HIDDEN): None for key in hidden}
    misfits = [shape.misfit(clear, committed) for shape in TYPES[entry.type]]
    if None not in misfits:
        return f"{entry.type}: {'; or '.join(str(item) for item in misfits)}"
    wrong = [key for key in hidden if not _is_hash(entry.body[key])]
    wrong += [key for key, value in clear.items() if not KINDS[key](value)]
    return f"{entry.type}: {wrong[0]} may not hold such a value" if wrong else None


_HIDDEN = "_commitment"
_ENVELOPE = {"v", "type", "namespace", "at", "ref", "body"}


def canonical(value: JSON) -> bytes:
    """RFC 8785 bytes of `value`. Floats and whole numbers beyond ±2^53 raise ValueError."""
    _refuse_floats(value)
    try:
        return rfc8785.dumps(value)
    except (rfc8785.CanonicalizationError, RecursionError) as fault:
        raise ValueError(f"no canonical form: {fault}") from fault


def _refuse_floats(value: JSON) -> None:
    if isinstance(value, float):
        raise ValueError("amounts are strings; a leaf holds no floating-point number")
    if isinstance(value, Mapping):
        for item in value.values():
            _refuse_floats(item)
    elif isinstance(value, list | tuple):
        for item in value:
            _refuse_floats(item)


def instant(at: datetime) -> str:
    """RFC 3339 in UTC with microseconds and Z; a naive datetime raises ValueError."""
    if at.tzinfo is None:
        raise ValueError("an instant has a time zone")
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def parse_instant(text: str) -> datetime:
    """The inverse of `instant`; anything else raises ValueError."""
    if not _is_instant(text):
        raise ValueError("not an instant")
    return datetime.fromisoformat(text)


def amount(money: Money) -> dict[str, str]:
    """Money as it stands in a leaf: `{"minor": "5000000", "currency": "USD"}`."""
    return {"minor": str(money.minor), "currency": money.currency}


def money(value: JSON) -> Money:
    """The inverse of `amount`; anything else raises ValueError."""
    if not _is_amount(value):
        raise ValueError("not an amount")
    return Money(int(value["minor"]), value["currency"])


def directory_row(handle: str, account_id: str) -> bytes:
    """One row under DirectoryImported's root: canonical JSON of `[handle, account_id]`.

    The root is the Merkle tree hash over all rows, sorted as bytes.
    """
    return canonical([handle, account_id])
