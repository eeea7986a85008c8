"""Policies, fee schedules and guidelines in sentences, and what a new version says otherwise."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Literal, NamedTuple

from babel import Locale
from babel.dates import format_timedelta
from babel.numbers import format_decimal, format_percent
from django.utils.translation import get_language, gettext
from django.utils.translation import gettext_noop as said

from onym.core.fees import Schedule
from onym.core.guidelines import Guidelines
from onym.core.money import MINOR_DIGITS, Money
from onym.core.policy import SIGNALS as SIGNAL_KINDS
from onym.core.policy import Effect, Kind, Op, Policy, Rule
from onym.core.tax import Table
from onym.web.templatetags.market import plain_money, reason, word
from onym.web.words import tier_reason

GROUPS = {
    Effect.PROTECT: said("Who is left alone"),
    Effect.SUSPEND: said("Suspended accounts"),
    Effect.SQUAT: said("Accounts run by programs"),
    Effect.IDLE: said("When an account counts as idle: all of this holds"),
}
PERIODS = {
    "suspended_days": said("Time after a suspension became final"),
    "notice_days": said("Notices before the deadline"),
    "resting_unknown_days": said("Rest while references are not counted"),
    "appeal_days": said("Time to appeal"),
    "waking_days": said("A holder who woke up may not sell for"),
    "release_percent": said("Released stage by stage"),
    "release_daily": said("Released on one day at most"),
    "upheld": said("An appeal upheld after the sale brings"),
    "compensate_percent": said("Compensation, as a part of the price"),
    "payment_hours": said("Time to pay"),
    "delivery_hours": said("Time to deliver"),
    "inspection_hours": said("Time to inspect"),
    "cool_off_days": said("No resale after a transfer for"),
    "retained_days": said("The mover's old handle is kept for"),
    "changed_hands_banner_days": said("A change of hands is shown for"),
    "offer_days": said("An offer stands for"),
    "woken_may_not_sell_days": said("A holder who woke up may not sell for"),
}
UPHELD = {
    "wait": said("the next free chance"),
    "return_and_refund": said("the handle back, and the buyer the money"),
    "compensate": said("money"),
}
PAYERS = {
    "buyer": said("the buyer, on top of the price"),
    "seller": said("the seller, out of the price"),
    "half": said("buyer and seller, half each"),
}
SIGNS = {Op.AT_MOST: "≤", Op.AT_LEAST: "≥", Op.UNEQUAL: "≠", Op.EQUAL: "=", Op.IN: "∈"}
NOBODY = said("nobody")
SALES = {
    "trade": said("sales between members"),
    "primary": said("sales by the platform"),
    "*": said("every sale"),
}


class Clause(NamedTuple):
    """One rule: `key` names it in every version, `value` is what it says."""

    key: str
    group: str
    name: str
    value: str


@dataclass(frozen=True, slots=True)
class Change:
    """A clause of either version and what became of it: same, added, removed or changed."""

    what: str
    before: Clause | None
    after: Clause | None

    @property
    def clause(self) -> Clause:
        """The newer of the two."""
        found = self.after or self.before
        assert found is not None  # noqa: S101 - one of them is always there
        return found


class Line(NamedTuple):
    """A line of a text: `sign` is a space, + or -."""

    sign: str
    text: str


def policy_clauses(policy: Policy) -> list[Clause]:
    """Its rules in the order in which they are asked, its periods, its tiers."""
    rules = [
        Clause(f"rule/{rule.code}", gettext(group), reason(rule.code), _condition(rule))
        for effect, group in GROUPS.items()
        for rule in policy.rules_to(effect)
    ]
    absent = ", ".join(word(code) for code in sorted(policy.assume_absent)) or gettext(NOBODY)
    rules.append(Clause("absent", gettext(GROUPS[Effect.PROTECT]), gettext("Unknown here"), absent))
    return [*_grouped(rules), *_policy_periods(policy), *_tiers(policy)]


def fee_clauses(schedule: Schedule) -> list[Clause]:
    """Who pays, the bands in rising order, and the least amounts."""
    bands, amounts = gettext("Commission"), gettext("Amounts")
    lower, found = 0, [Clause("payer", bands, gettext("Paid by"), gettext(PAYERS[schedule.payer]))]
    for n, band in enumerate(schedule.bands):
        rate = percent(Decimal(band.ppm) / 10_000)
        found.append(Clause(f"band/{n}", bands, _span(lower, band.up_to_minor, schedule), rate))
        lower = band.up_to_minor or lower
    for name, minor in (
        (said("Least price"), schedule.least_price_minor),
        (said("Least commission"), schedule.least_commission_minor),
        (said("Fixed fee"), schedule.initiate_minor),
    ):
        found.append(Clause(name, amounts, gettext(name), _money(minor, schedule.currency)))
    share = percent(Decimal(schedule.displaced_ppm) / 10_000)
    lost = gettext("Of a sale by the platform, for the account that lost the handle")
    return [*found, Clause("displaced", amounts, lost, share)]


def tax_clauses(table: Table) -> list[Clause]:
    """The rates in the order in which they are tried."""
    group = gettext("Tax")
    bases = {"price": gettext("of all that the buyer pays"), "service": gettext("of the fees")}
    return [
        Clause(
            f"rate/{n}",
            group,
            f"{_country(rate.country)}, {gettext(SALES[rate.kind])}",
            f"{rate.name} {percent(Decimal(rate.ppm) / 10_000)} {bases[rate.on]}",
        )
        for n, rate in enumerate(table.rates)
    ]


def _country(code: str) -> str:
    return gettext("any country") if code == "*" else territory(code)


def territory(code: str) -> str:
    """A country's name in the page's language; its code where it has none."""
    return str(Locale.parse(_locale()).territories.get(code, code))


def guideline_clauses(rules: Guidelines, *, currency: str) -> list[Clause]:
    """Periods, waits by price, and from which figures on two people decide."""
    group = gettext("Periods")
    found = [
        Clause(name, group, _period_name(name), _time(period))
        for name, period in rules.periods.items()
    ]
    found += _waits("cooling", gettext("Cooling-off by price"), rules.cooling, currency)
    found += _waits("withdrawal", gettext("Payout after settlement"), rules.withdrawal, currency)
    two = gettext("Two people decide from")
    for name, least in rules.approval.items():
        known = name in MINOR_DIGITS
        shown = _money(least * 10 ** MINOR_DIGITS[name], name) if known else number(least)
        found.append(Clause(f"two/{name}", two, name if known else gettext("Followers"), shown))
    return found


def compare(before: Sequence[Clause], after: Sequence[Clause]) -> list[Change]:
    """Clause by clause in the newer order; what is gone stands where its group stands."""
    old, new = ({clause.key: clause for clause in side} for side in (before, after))
    changes = [_change(old.get(clause.key), clause) for clause in after]
    gone = [Change("removed", clause, None) for clause in before if clause.key not in new]
    order = list(dict.fromkeys(clause.group for clause in (*after, *before)))
    return sorted([*changes, *gone], key=lambda one: order.index(one.clause.group))


def line_changes(before: str, after: str) -> list[Line]:
    """The texts line by line, with two lines around each change and an empty one between."""
    old, new = before.splitlines(), after.splitlines()
    found: list[Line] = []
    for group in difflib.SequenceMatcher(None, old, new, autojunk=False).get_grouped_opcodes(2):
        if found:
            found.append(Line(" ", "⋯"))
        for tag, i, j, k, m in group:
            if tag == "equal":
                found += [Line(" ", text) for text in new[k:m]]
                continue
            found += [Line("-", text) for text in old[i:j]]
            found += [Line("+", text) for text in new[k:m]]
    return found


def percent(value: Decimal) -> str:
    """A number of per cent as the page's language writes it."""
    shown = format_percent(value / 100, locale=_locale(), decimal_quantization=False)
    return f"\u2066{shown}\u2069"


def number(value: Decimal | int) -> str:
    """A number as the page's language writes it, with all its decimals."""
    return str(format_decimal(value, locale=_locale(), decimal_quantization=False))


def _change(before: Clause | None, after: Clause) -> Change:
    if before is None:
        return Change("added", None, after)
    same = (before.name, before.value) == (after.name, after.value)
    return Change("same" if same else "changed", before, after)


def _grouped(clauses: Sequence[Clause]) -> Iterator[Clause]:
    """The same, each group in one piece."""
    for group in dict.fromkeys(clause.group for clause in clauses):
        yield from (clause for clause in clauses if clause.group == group)


def _condition(rule: Rule) -> str:
    """The threshold of a rule; a flag needs none."""
    when = rule.when
    if when.op is Op.OLDER_THAN:
        return _days(when.value)
    if when.op is Op.IS or SIGNAL_KINDS[when.signal] is Kind.TEXT:
        return ""
    return f"\u2066{when.signal} {SIGNS.get(when.op, when.op.value)} {when.value}\u2069"


def _policy_periods(policy: Policy) -> Iterator[Clause]:
    periods, group = policy.periods, gettext("Periods")
    days = ("suspended_days", "resting_unknown_days", "appeal_days", "waking_days")
    values = {name: _days(getattr(periods, name)) for name in days} | {
        "notice_days": ", ".join(_days(day) for day in periods.notice_days),
        "release_percent": ", ".join(percent(Decimal(part)) for part in periods.release_percent),
        "release_daily": number(periods.release_daily),
        "upheld": gettext(UPHELD[periods.upheld]),
        "compensate_percent": percent(Decimal(periods.compensate_percent)),
    }
    for name in PERIODS:
        if name in values:
            yield Clause(name, group, _period_name(name), values[name])
    rest = gettext("Rest before release")
    for below, length in periods.resting_days:
        fewer = gettext("fewer references than %(count)s") % {"count": number(below)}
        yield Clause(f"rest/{below}", rest, fewer, _days(length))
    most = gettext("%(count)s references or more") % {"count": number(periods.resting_days[-1][0])}
    yield Clause("rest/most", rest, most, gettext("never assigned again"))


def _tiers(policy: Policy) -> Iterator[Clause]:
    for tier in policy.tiers:
        why = tier_reason(tier.reason.format(length="n", words="n"))
        yield Clause(f"tier/{tier.name}/{tier.reason}", gettext("Tiers"), why, word(tier.name))


def _waits(
    key: str, group: str, bands: Sequence[tuple[int | None, timedelta]], currency: str
) -> Iterator[Clause]:
    unit = 10 ** MINOR_DIGITS[currency]
    ends = [below * unit if below is not None else None for below, _ in bands]
    for n, ((lower, upper), (_, wait)) in enumerate(zip(pairwise([0, *ends]), bands, strict=True)):
        yield Clause(f"{key}/{n}", group, _below(lower or 0, upper, currency), _time(wait))


def _span(lower: int, upper: int | None, schedule: Schedule) -> str:
    """The part of a price that a band of a schedule is about."""
    amounts = {"from": _money(lower, schedule.currency)}
    if upper is None:
        return gettext("the part above %(from)s") % amounts if lower else gettext("the whole price")
    amounts["to"] = _money(upper, schedule.currency)
    return gettext("the part from %(from)s to %(to)s") % amounts


def _below(lower: int, upper: int | None, currency: str) -> str:
    amounts = {"from": _money(lower, currency)}
    if upper is None:
        return gettext("from %(from)s") % amounts if lower else gettext("any price")
    amounts["to"] = _money(upper, currency)
    return gettext("from %(from)s to below %(to)s") % amounts


def _period_name(name: str) -> str:
    return gettext(PERIODS[name]) if name in PERIODS else name


def _money(minor: int, currency: str) -> str:
    return f"\u2066{plain_money(Money(minor, currency))}\u2069"


def _days(count: object) -> str:
    return _spelled(timedelta(days=int(str(count))), "day")


def _time(period: timedelta) -> str:
    """Whole days as days, what is shorter as hours."""
    if period.days >= 1 and not period.seconds:
        return _days(period.days)
    return _spelled(period, "hour")


def _spelled(period: timedelta, unit: Literal["day", "hour"]) -> str:
    """A period in one unit; none is ever large enough to be told in the next."""
    never = 10**9
    return str(format_timedelta(period, granularity=unit, threshold=never, locale=_locale()))


def _locale() -> str:
    return get_language() or "en"
