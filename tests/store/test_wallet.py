"""The database itself lets a hold end once, and keeps each of a wallet's promises."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import IntegrityError, connection, transaction
from tests import make

from onym.store.models import Hold

MADE = (
    "insert into store_hold (id, namespace_id, member_id, kind, subject, amount_minor, currency,"
    " state, posted_minor, made_at, ended_at) values ('{id}', 'demo', 'mbr_rich', 'sale',"
    " '{subject}', 500, 'USD', '{state}', {posted}, now(), {ended})"
)
LIVE = {"id": "hld_2", "subject": "sal_2", "state": "held", "posted": 0, "ended": "null"}

DEPOSIT = (
    "insert into store_deposit (id, namespace_id, member_id, state, method, amount_minor, currency,"
    " provider_id, reason, action_url, made_at, gives_up_at) values ('{id}', 'demo', 'mbr_rich',"
    " '{state}', 'pm', 500, 'USD', 'pi_1', '', '', now(), now())"
)

REFUSED: list[tuple[str, str]] = [
    ("hold_ends_once", "update store_hold set state = 'voided' where id = 'hld_1'"),
    ("hold_ends_once", "update store_hold set state = 'held', ended_at = null, posted_minor = 0"),
    ("hold_ends_once", "delete from store_hold"),
    ("hold_posted_within", MADE.format(**LIVE | {"posted": 1})),
    (
        "hold_posted_within",
        MADE.format(**LIVE | {"state": "posted", "posted": 501, "ended": "now()"}),
    ),
    ("hold_ended_has_instant", MADE.format(**LIVE | {"state": "voided"})),
    ("hold_state", MADE.format(**LIVE | {"state": "lapsing", "ended": "now()"})),
    (
        "one_live_hold_per_subject",
        MADE.format(**LIVE) + "; " + MADE.format(**LIVE | {"id": "hld_3"}),
    ),
    ("hold_kind", MADE.format(**LIVE).replace("'sale'", "'whim'")),
    ("hold_positive", MADE.format(**LIVE).replace("500", "0")),
    ("deposit_state", DEPOSIT.format(id="dep_1", state="lost")),
    (
        "deposit_once_per_payment",
        "; ".join(DEPOSIT.format(id=id_, state="paid") for id_ in ("dep_1", "dep_2")),
    ),
    (
        "deposit_positive",
        "insert into store_deposit (id, namespace_id, member_id, state, method, amount_minor,"
        " currency, reason, action_url, made_at, gives_up_at) values ('dep_1', 'demo', 'mbr_rich',"
        " 'pending', 'pm', 0, 'USD', '', '', now(), now())",
    ),
    (
        "chargeback_of_one_payment",
        "insert into store_chargeback (id, provider, provider_id, status, source, amount_minor,"
        " currency, reason, opened_at) values ('cbk_1', 'stripe', 'dp_1', 'open', 'wallet', 1,"
        " 'USD', '', now())",
    ),
]


@pytest.fixture
def ended(database: str) -> Any:
    """A hold that has been posted."""
    place = make.namespace()
    make.member(place, id="mbr_rich")
    return Hold.objects.create(
        id="hld_1",
        namespace=place,
        member_id="mbr_rich",
        kind="sale",
        subject="sal_1",
        amount_minor=500,
        currency="USD",
        state="posted",
        posted_minor=500,
        made_at=make.NOW,
        ended_at=make.NOW,
    )


@pytest.mark.parametrize(("name", "statement"), REFUSED)
def test_the_database_refuses(ended: Any, name: str, statement: str) -> None:
    with pytest.raises(IntegrityError) as refused:  # noqa: SIM117 - one is the test's
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert refused.value.__cause__.diag.constraint_name == name  # type: ignore[union-attr]  # psycopg's


def test_a_second_hold_for_what_has_ended_is_allowed(ended: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute(MADE.format(**LIVE | {"subject": "sal_1"}))
    assert Hold.objects.count() == 2
