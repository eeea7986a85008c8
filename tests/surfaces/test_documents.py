"""What the market is run by is told in sentences, and each new version says what it changes."""

from __future__ import annotations

from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st
from tests import make

from onym.core import guidelines, policy
from onym.core.fees import Schedule
from onym.store.models import Document
from onym.web import clauses
from onym.web.clauses import Clause

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    return make.namespace()


def next_version(place: Any, kind: str, *changes: tuple[str, str]) -> None:
    """Version 2 of a document with parts of its text replaced, each found exactly once."""
    text = Document.objects.get(kind=kind).text
    for old, new in (("version = ", "version = 9"), *changes):
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    name = Document.objects.get(kind=kind).name
    make.document(place, kind=kind, name=name, text=text, version=2)


def page(path: str) -> str:
    answer = Client().get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


LANGUAGES = ("en", "fr", "ar")
DOCUMENTS = {"policies": "x-2023", "fees": "onym-2026", "guidelines": "onym-2026"}


@pytest.mark.parametrize("lang", LANGUAGES)
@pytest.mark.parametrize("kind", DOCUMENTS)
def test_each_document_has_a_page_and_each_version_one_of_its_own(
    place: Any, kind: str, lang: str
) -> None:
    address = f"/{lang}/{kind}/{DOCUMENTS[kind]}/1"
    assert f'href="{address}"' in page(f"/{lang}/{kind}")
    text = page(address)
    assert DOCUMENTS[kind] in text
    assert "<details" in text
    assert "effective_from =" in text


@pytest.mark.parametrize("kind", DOCUMENTS)
def test_without_a_document_the_page_says_so(place: Any, kind: str) -> None:
    Document.objects.all().delete()
    assert "Nothing is published yet." in page(f"/en/{kind}")


def test_a_policy_is_told_in_sentences(place: Any) -> None:
    text = page("/en/policies")
    for sentence in (
        "the account is a memorial",
        "nobody has signed in to the account for a long time</th><td>30 days",
        "Notices before the deadline</th><td>30 days, 14 days, 3 days",
        "fewer references than 1,000</th><td>90 days",
        "10,000 references or more</th><td>never assigned again",
        "dictionary word of n letters</th><td>rare",
    ):
        assert sentence in text, sentence
    assert "30\u00a0jours" in page("/fr/policies")
    assert "30 يومًا" in page("/ar/policies")


def test_guidelines_are_told_as_periods(place: Any) -> None:
    text = page("/en/guidelines")
    for sentence in (
        "Time to pay</th><td>3 days",
        "Time to deliver</th><td>1 day<",
        "from \u2066$500.00\u2069 to below \u2066$10,000.00\u2069</th><td>1 day<",
        "from \u2066$10,000.00\u2069</th><td>7 days",
        "USD</th><td>\u2066$10,000.00\u2069",
        "Followers</th><td>10,000",
    ):
        assert sentence in text, sentence


def test_fees_are_a_table_of_bands_with_an_example_to_the_cent(place: Any) -> None:
    text = page("/en/fees").replace("\u2066", "").replace("\u2069", "")
    for sentence in (
        "the buyer, on top of the price",
        "the part from $5,000.00 to $25,000.00</th><td>4%",
        "the part above $25,000.00</th><td>3%",
        'A sale at <bdi dir="ltr" class="money">$12,345.67</bdi>',
        "293.8268",  # 4 % of 7,345.67
        "$543.82",  # 250 and that, rounded down once
        "$12,889.49",
    ):
        assert sentence in text, sentence


PRICES = [("20", 200, "$1.00"), ("30000", 200, "$1,200.00"), ("abc", 400, ""), ("0", 422, "")]


@pytest.mark.parametrize(("typed", "status", "commission"), PRICES)
def test_the_example_may_be_of_any_price(
    place: Any, typed: str, status: int, commission: str
) -> None:
    answer = Client().get("/en/fees", {"price": typed})
    assert answer.status_code == status
    text = answer.content.decode()
    assert commission in text
    assert f'value="{typed}"' in text
    assert ('role="alert"' in text) == (status != 200)


def test_markup_in_a_price_stays_words(place: Any) -> None:
    answer = Client().get("/en/fees", {"price": '"><script>alert(1)</script>'})
    assert "<script>alert" not in answer.content.decode()


def test_a_new_policy_says_which_rules_it_changes(place: Any) -> None:
    next_version(
        place,
        "policy",
        ('code = "memorial"\nsignal = "memorial"', 'code = "many"\nsignal = "memorial"'),
        ("value = 30\n", "value = 60\n"),
        ("appeal_days = 180", "appeal_days = 90"),
    )
    text = page("/en/policies/x-2023/2?against=1")
    changes = text.split('class="changes"')[1].split("</table>")[0]
    assert changes.count("<tr class") == 4
    assert "<del>30 days</del></td><td><ins>60 days</ins></td><td>changed" in changes
    assert "<del>180 days</del></td><td><ins>90 days</ins></td><td>changed" in changes
    assert changes.count("</td><td>added") == 1
    assert changes.count("</td><td>removed") == 1
    lines = text.split('class="lines"')[1].split("</pre>")[0]
    assert "<del>- appeal_days = 180</del>" in lines
    assert "<ins>+ appeal_days = 90</ins>" in lines
    assert "waking_days" in lines
    assert "word with digits" not in lines


def test_a_new_fee_schedule_says_which_bands_it_changes(place: Any) -> None:
    text = Document.objects.get(kind="fees").text
    fresh = text.replace('percent = "4"', 'percent = "4.5"').replace(
        'up_to = "5000"', 'up_to = "6000"'
    )
    make.document(place, kind="fees", name="onym-2026", text=fresh, version=2)
    changes = page("/en/fees/onym-2026/2?against=1").split('class="changes"')[1]
    changes = changes.split("</table>")[0].replace("\u2066", "").replace("\u2069", "")
    assert changes.count("<tr class") == 2
    assert "the part from $5,000.00 to $25,000.00: 4%</del></td><td><ins>4.5%</ins>" in changes


@pytest.mark.parametrize(
    "path",
    [
        "policies/x-2023/7",
        "policies/other/1",
        "fees/x-2023/1",
        "policies/x-2023/1?against=7",
        "policies/x-2023/1?against=x",
        "policies/x-2023/99999999999999999999",
        "laws/x-2023/1",
    ],
)
def test_a_version_that_was_not_published_is_not_found(place: Any, path: str) -> None:
    assert Client().get(f"/en/{path}").status_code == 404


def test_a_version_is_announced_in_force_or_replaced(place: Any) -> None:
    from datetime import UTC, datetime

    next_version(place, "policy")
    make.document(
        place, kind="policy", name="x-2023", text=Document.objects.first().text, version=3
    )
    Document.objects.filter(version=2).update(effective_from=datetime(2021, 1, 1, tzinfo=UTC))
    Document.objects.filter(version=3).update(effective_from=datetime(2999, 1, 1, tzinfo=UTC))
    rows = page("/en/policies").split('class="versions"')[1].split("<tr>")[2:]
    found = [next(w for w in ("announced", "in force", "replaced") if w in row) for row in rows]
    assert found == ["announced", "in force", "replaced"]


@pytest.mark.parametrize("path", ["policies", "fees", "guidelines", "policies/x-2023/2?against=1"])
def test_these_pages_ask_the_database_at_most_twelve_times(place: Any, path: str) -> None:
    next_version(place, "policy")
    with CaptureQueriesContext(connection) as asked:
        page(f"/en/{path}")
    assert len(asked) <= 12


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_rule_has_a_name_of_its_own_in_every_built_in_document(language: str) -> None:
    with override(language):
        told = [clauses.policy_clauses(policy.built_in(name)) for name in policy.BUILT_IN]
        told.append(
            clauses.guideline_clauses(guidelines.parse(guidelines.built_in()), currency="USD")
        )
        for found in told:
            assert len({clause.key for clause in found}) == len(found)
            assert all(clause.name and clause.group for clause in found)


def test_a_flat_fee_has_one_band_for_the_whole_price(place: Any) -> None:
    text = 'id = "f"\nversion = 1\neffective_from = 2026-01-01\npayer = "half"\n'
    text += '[currency.USD]\nbands = [{ percent = "5" }]\n'
    found = clauses.fee_clauses(Schedule.from_toml(text, currency="USD"))
    assert [clause.name for clause in found if clause.key.startswith("band")] == ["the whole price"]


KEYS = st.lists(st.sampled_from("abcdef"), unique=True)


@given(KEYS, KEYS)
def test_every_clause_of_both_versions_is_compared_once(old: list[str], new: list[str]) -> None:
    before = [Clause(key, "g", key, "1") for key in old]
    after = [Clause(key, "g", key, "2" if key < "d" else "1") for key in new]
    found = {change.clause.key: change.what for change in clauses.compare(before, after)}
    assert found == {
        key: "added"
        if key not in old
        else "removed"
        if key not in new
        else "changed"
        if key < "d"
        else "same"
        for key in {*old, *new}
    }


@given(
    st.lists(st.sampled_from("ab\n")).map("".join), st.lists(st.sampled_from("ab\n")).map("".join)
)
def test_the_changed_lines_lead_from_one_text_to_the_other(old: str, new: str) -> None:
    found = clauses.line_changes(old, new)
    gone = [line.text for line in found if line.sign == "-"]
    come = [line.text for line in found if line.sign == "+"]
    left = [line for line in old.splitlines() if line not in gone]
    assert len(old.splitlines()) - len(gone) == len(new.splitlines()) - len(come)
    assert all(line in new.splitlines() for line in left)
