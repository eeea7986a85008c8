"""What waits for a person at the desk, each as a case with all that a decision needs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.db.models import Exists, F, FilteredRelation, OuterRef, Q, QuerySet, Value
from django.db.models.functions import Coalesce

from onym.core import handle as handles
from onym.core import sale as sales
from onym.core.chargeback import GIVING_BACK
from onym.core.money import Money
from onym.queries import appraisal, desk, names
from onym.queries.ground import Ground
from onym.store.models import Appeal, Approval, Chargeback, Handle, Payment, Payout, Reclaim, Sale

KINDS = ("approval", "appeal", "unreached", "dispute", "chargeback", "payout", "refund")
DEALS_WITH_A_HANDLE = ("list", "campaign", "house_purchase")
Case = dict[str, Any]


def cases(looked: Ground, *, kind: str = "", with_text: bool, also: str = "") -> list[Case]:
    """Open cases of one kind or of all, the oldest first.

    `with_text` brings the holder's own words of an appeal. `also` is an approval that was just
    acted on: it comes last, as kind `done`.
    """
    found: list[Case] = []
    if kind in ("", "approval") or also:
        found += approvals(looked, also=also, wanted=kind in ("", "approval"))
    if kind in ("", "appeal"):
        found += appeals(looked, with_text=with_text)
    if kind in ("", "unreached"):
        found += unreached(looked)
    if kind in ("", "dispute", "chargeback"):
        wanted = {kind} if kind else {"dispute", "chargeback"}
        found += [case for case in quarrels(looked) if case["kind"] in wanted]
    if kind in ("", "payout", "refund"):
        found += [case for case in refused(looked) if kind in ("", case["kind"])]
    return sorted(found, key=lambda case: (case["kind"] == "done", case["at"], case["id"]))


def approvals(looked: Ground, *, also: str = "", wanted: bool = True) -> list[Case]:
    """What waits for a second person: what was true then beside what is true now."""
    open_ = Q(state="open") if wanted else Q(pk=also)
    rows = Approval.objects.filter(open_ | Q(pk=also), namespace=looked.place)
    known = list(rows.select_related("proposed_by"))
    asked = [row.payload["handle"] for row in known if row.action in DEALS_WITH_A_HANDLE]
    touched = {row.handle: row for row in _touched(looked, asked)} if asked else {}
    return [_approval(looked, row, touched) for row in known]


def _touched(looked: Ground, asked: Iterable[str]) -> Iterable[Handle]:
    return Handle.objects.filter(namespace=looked.place, handle__in=list(asked))


def _approval(looked: Ground, row: Approval, touched: Mapping[str, Handle]) -> Case:
    case = desk.approval_view(row)
    handle = case["handle"]
    case |= {
        "kind": "approval" if row.state == "open" else "done",
        "at": row.proposed_at,
        "who": row.proposed_by.name or row.proposed_by_id,
        "wish": wish(row.payload),
        "facts": facts(row.facts, _now(looked, row, touched)),
        "changed": False,
    }
    case["changed"] = any(fact["changed"] for fact in case["facts"])
    if handle:
        case |= worth(looked, handle)
    return case


def worth(looked: Ground, handle: str) -> Case:
    """Tier and appraisal of a canonical handle, from lexicon and directory alone."""
    account = looked.directory.by_handle(handle) if looked.directory else None
    return {
        "tier": appraisal.tier(handle, rules=names.rules(looked)),
        "appraisal": appraisal.appraise(handle, account=account, demand=None, now=looked.now),
    }


def wish(payload: Mapping[str, Any]) -> dict[str, Any]:
    """What is proposed, without who the candidates are."""
    said = {
        name: payload[name]
        for name in ("list", "add", "remove", "criteria", "area", "term")
        if name in payload
    }
    if "starts_at" in payload:
        said["starts_at"] = datetime.fromisoformat(payload["starts_at"])
        said["stage_days"] = payload["stage_days"]
    if "days" in payload:
        said["days"] = payload["days"]
    return said


def _now(looked: Ground, row: Approval, touched: Mapping[str, Handle]) -> Mapping[str, Any] | None:
    """The same facts today; None: they cannot change, or only the approval itself looks."""
    if row.action in DEALS_WITH_A_HANDLE:
        found = touched.get(row.payload["handle"])
        return handles.facts(found.snapshot()) if found else None
    if row.action == "lift_stop":
        return {"release_stop": looked.place.release_stop}
    if row.action == "lift_area":
        return {"area_stopped": row.payload["area"] in looked.stopped}
    return None


def facts(then: Mapping[str, Any], now: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """`name`, `then`, `now` and whether they differ."""
    today = then if now is None else now
    return [
        {"name": name, "then": _flat(value), "now": _flat(today.get(name)), "changed": differs}
        for name, value in then.items()
        if (differs := today.get(name) != value) or name != "handle"
    ]


def _flat(value: Any) -> Any:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {of}" for name, of in value.items())
    return value


def appeals(looked: Ground, *, with_text: bool) -> list[Case]:
    """Open appeals; the holder's own words for whoever may decide only."""
    rows = Appeal.objects.filter(namespace=looked.place, state="open")
    return [
        {
            "kind": "appeal",
            "id": row.id,
            "at": row.opened_at,
            "handle": row.handle.display,
            "state": row.handle.state,
            "reasons": list(row.process.reasons),
            "text": row.text if with_text else "",
        }
        for row in rows.select_related("handle", "process")
    ]


def unreached(looked: Ground) -> list[Case]:
    """Handles of the public list that no reviewer has confirmed yet."""
    rows = Reclaim.objects.filter(
        plan__namespace=looked.place, listed_at__isnull=False, ended_at=None, confirmed_by=None
    )
    return [
        {
            "kind": "unreached",
            "id": row.handle.handle,
            "at": row.listed_at,
            "handle": row.handle.display,
            "state": row.handle.state,
            "reasons": list(row.reasons),
        }
        for row in rows.select_related("handle")
    ]


def quarrels(looked: Ground) -> list[Case]:
    """Sales whose buyers object, and payments that a bank has taken back and is deciding about.

    Money and handle stay where they are meanwhile; a bank is answered at the provider's.
    """
    rows = Sale.objects.filter(
        Q(state=sales.State.DISPUTED) | Q(frozen=True), namespace=looked.place
    ).annotate(taken=FilteredRelation("chargeback", condition=Q(chargeback__status="open")))
    told = {name: F(f"taken__{name.removeprefix('taken_')}") for name in TAKEN}
    found: list[Case] = []
    told_of: Iterable[Any] = rows.annotate(**told).select_related("handle").order_by("id")
    for row in told_of:
        if row.state == sales.State.DISPUTED:
            found.append(_dispute(row))
        if row.taken_id:
            found.append(_chargeback(row))
    return found


TAKEN = (
    *("taken_id", "taken_provider_id", "taken_opened_at"),
    *("taken_amount_minor", "taken_source", "taken_reason"),
)


def _dispute(row: Sale) -> Case:
    return {
        "kind": "dispute",
        "id": row.id,
        "at": row.funded_at or row.agreed_at,
        "handle": row.handle.display,
        "price": Money(row.price_minor, row.currency),
        "gross": Money(row.gross_minor, row.currency),
        "mechanism": row.mechanism,
        "buyer": row.buyer_id,
        "seller": row.seller_id,
        "read_back_at": row.read_back_at,
        "inspection_until": row.inspection_until,
    }


def _chargeback(row: Any) -> Case:
    return {
        "kind": "chargeback",
        "id": row.taken_id,
        "at": row.taken_opened_at,
        "handle": row.handle.display,
        "sale": row.id,
        "state": row.state,
        "amount": Money(row.taken_amount_minor, row.currency),
        "source": row.taken_source,
        "reason": row.taken_reason,
        "provider_id": row.taken_provider_id,
    }


SENT = ("kind", "id", "at", "handle", "sale", "member", "minor", "currency", "reason", "attempt")


def refused(looked: Ground) -> list[Case]:
    """Money that the provider refused to send: proceeds, tried again once the account is ready, and
    refunds. Asked for at once."""
    found = _payouts(looked).union(_refunds(looked), all=True)
    cases = [dict(zip(SENT, row, strict=True)) for row in found]
    return [case | {"amount": Money(case.pop("minor"), case.pop("currency"))} for case in cases]


def _payouts(looked: Ground) -> QuerySet[Payout, tuple[Any, ...]]:
    return Payout.objects.filter(sale__namespace=looked.place, state="refused").values_list(
        Value("payout"),
        "id",
        Coalesce("answered_at", "due_at"),
        "sale__handle__display",
        "sale_id",
        "member_id",
        F("amount_minor") - F("recovered_minor"),
        "currency",
        "reason",
        "attempt",
    )


def _refunds(looked: Ground) -> QuerySet[Payment, tuple[Any, ...]]:
    """Those that nothing else has followed; not what a bank is deciding about, or has given to the
    buyer itself."""
    later = Payment.objects.filter(sale=OuterRef("sale"), kind="refund", id__gt=OuterRef("id"))
    theirs = Chargeback.objects.filter(
        sale=OuterRef("sale"), status="lost", amount_minor__gte=OuterRef("sale__gross_minor")
    )
    rows = Payment.objects.filter(
        ~Exists(later),
        ~Exists(theirs),
        kind="refund",
        state="refused",
        sale__namespace=looked.place,
        sale__state__in=GIVING_BACK,
        sale__frozen=False,
    )
    return rows.values_list(
        Value("refund"),
        "id",
        Coalesce("answered_at", "made_at"),
        "sale__handle__display",
        "sale_id",
        "sale__buyer_id",
        "amount_minor",
        "currency",
        "reason",
        Value(0),
    )
