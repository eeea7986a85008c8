"""A second person reads what is proposed in their own language; the digest is of exact facts."""

from __future__ import annotations

from typing import Any

import pytest
from django.utils.translation import override

from onym.flows import record
from onym.flows.desk import ACTS
from onym.queries import approval

PRICE = {"minor": "1250000", "currency": "USD"}
CAMPAIGN = {"handle": "kale", "price": PRICE, "candidates": 3}
LISTS = {"list": "protected", "add": ["a", "b"], "remove": ["c"]}
PLAN = {"starts_at": "2026-11-03T00:00:00.000000Z"}

SAID = [
    ("en", "list", CAMPAIGN, {}, "List the handle kale at $12,500.00."),
    ("fr", "list", CAMPAIGN, {}, "Mettre en vente l’identifiant kale à 12 500,00 $US."),
    ("en", "campaign", CAMPAIGN, {}, "Offer the handle kale at $12,500.00 to 3 candidates."),
    ("ar", "campaign", CAMPAIGN | {"candidates": 2}, {}, "على مرشّحَين."),
    ("ar", "campaign", CAMPAIGN | {"candidates": 11}, {}, "على 11 مرشّحًا."),
    ("en", "house_purchase", CAMPAIGN, {}, "The operator buys the handle kale at $12,500.00."),
    ("en", "edit_list", LISTS, {}, "2 handles are added. 1 handle is taken off."),
    ("fr", "edit_list", LISTS, {}, "Modifier la liste des identifiants protégés."),
    ("en", "adopt_plan", PLAN, {"findings": 1234}, "with 1,234 findings"),
    ("ar", "adopt_plan", PLAN, {"findings": 1234}, "3 نوفمبر 2026"),
    ("fr", "lift_stop", {"on": False}, {}, "Lever l’arrêt des libérations"),
    ("en", "another_act", {}, {}, "another_act"),
]


@pytest.mark.parametrize(("language", "action", "payload", "facts", "said"), SAID)
def test_a_proposal_is_said_in_the_readers_language(
    language: str, action: str, payload: Any, facts: Any, said: str
) -> None:
    with override(language):
        found = approval.summary(action=action, payload=payload, facts=facts)
    plain = found.translate({0x2066: None, 0x2069: None, 0xA0: " ", 0x202F: " "})
    assert said in plain


def test_every_act_that_needs_two_people_has_a_sentence() -> None:
    assert set(ACTS) == set(approval.SENTENCES)


def test_the_digest_is_the_same_in_every_language_and_another_for_other_facts() -> None:
    digests = set()
    for language in ("en", "fr", "ar"):
        with override(language):
            digests.add(record.shown(action="list", payload=CAMPAIGN, facts={"state": "released"}))
    assert len(digests) == 1
    other = record.shown(action="list", payload=CAMPAIGN, facts={"state": "held"})
    assert other not in digests
