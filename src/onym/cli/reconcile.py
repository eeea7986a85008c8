"""`onym reconcile`: the provider's list beside the books, by day; exit 1 when they differ."""

from __future__ import annotations

import json
from dataclasses import asdict
from datetime import UTC, datetime, timedelta

import click
from django.conf import settings

from onym import ports
from onym.core.errors import PlatformUnavailable
from onym.core.reconcile import BOOKED_AS, Difference, Report
from onym.flows import reconcile as flow
from onym.ports.payments import Payments
from onym.queries import clock
from onym.queries import reconcile as queries

NEEDS_DATABASE = True
DAYS = click.DateTime(formats=["%Y-%m-%d"])
BEGUN = timedelta(days=120)


@click.command("reconcile")
@click.option("--from", "since", type=DAYS, help="First day, UTC (default: 35 days ago).")
@click.option("--to", "until", type=DAYS, help="Day after the last, UTC (default: tomorrow).")
@click.option("--json", "as_json", is_flag=True, help="One JSON object, for machines.")
def command(since: datetime | None, until: datetime | None, as_json: bool) -> int:
    """Match every payment, refund, transfer and chargeback with its entry, and back.

    \b
    Example:
      onym reconcile --from 2026-11-01 --to 2026-12-01
    """
    now = clock.now()
    end = until.replace(tzinfo=UTC) if until else now + timedelta(days=1)
    begin = since.replace(tzinfo=UTC) if since else end - timedelta(days=35)
    report = _report(begin, end)
    if since is None and until is None:
        flow.write(namespace=settings.NAMESPACE, provider=_provider().name, report=report)
    _tell(report, as_json=as_json)
    return int(bool(report.differences))


def _provider() -> Payments:
    return ports.payments(settings.NAMESPACE)


def _report(since: datetime, until: datetime) -> Report:
    begun = int((since - BEGUN).timestamp())
    theirs = _provider().lines(since=begun, until=int(until.timestamp()))
    if theirs is None:
        raise PlatformUnavailable("the payment provider does not answer")
    return queries.compared(
        settings.NAMESPACE, provider=_provider().name, theirs=theirs, since=since, until=until
    )


def _tell(report: Report, *, as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(_plain(report)))
        return
    for (day, kind, currency), of in report.days.items():
        same = "=" if (of.theirs, of.theirs_minor) == (of.ours, of.ours_minor) else "≠"
        click.echo(
            f"{day}  {kind:<10}  {of.theirs:>5} there {of.theirs_minor:>15} {currency}  {same}"
            f"  {of.ours:>5} {BOOKED_AS[kind]:<12} {of.ours_minor:>15}"
        )
    for one in report.differences:
        click.echo(_line(one))
    click.echo(
        f"{report.matched} matched, {report.under_way} under way, {len(report.differences)} unknown"
    )


def _line(one: Difference) -> str:
    there = f"{one.theirs.minor} {one.theirs.currency}" if one.theirs else "nothing"
    here = f"{one.ours.minor} {one.ours.currency}" if one.ours else "nothing"
    whose = f" of {one.sale}" if one.sale else ""
    return f"{one.what}: {one.kind} {one.id}{whose} on {one.day}: there {there}, booked {here}"


def _plain(report: Report) -> dict[str, object]:
    return {
        "matched": report.matched,
        "under_way": report.under_way,
        "differences": [asdict(one) for one in report.differences],
        "days": [
            {"day": day, "kind": kind, "currency": currency, **asdict(of)}
            for (day, kind, currency), of in report.days.items()
        ],
    }
