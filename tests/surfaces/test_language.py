"""Whose language: the address's first, then the member's own, then what their program asks for."""

from __future__ import annotations

from typing import Any

import pytest
from django.test import Client
from django.utils.translation import override
from tests import make

from onym.core.errors import Malformed
from onym.flows import people, record
from onym.jobs import notice
from onym.store.models import Member, Notice
from onym.web import language, words
from onym.web.templatetags import market


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE, settings.DEMO = "demo", True
    return make.namespace()


@pytest.fixture
def leila(place: Any) -> Any:
    return people.join(
        namespace="demo", name="Leila", mail="leila@mail.example", password="orbit-and-tide"
    )


def signed_in() -> Client:
    client = Client(headers={"Accept-Language": "fr"})
    client.post("/en/sign-in", {"mail": "leila@mail.example", "password": "orbit-and-tide"})
    return client


@pytest.mark.parametrize("language", ["en", "fr", "ar"])
def test_a_language_alone_leads_to_its_home_with_what_was_asked(place: Any, language: str) -> None:
    assert Client().get(f"/{language}").headers["Location"] == f"/{language}/"
    assert Client().get(f"/{language}?a=b").headers["Location"] == f"/{language}/?a=b"


def test_the_address_wins_over_every_preference(leila: Any) -> None:
    people.speak(member=leila.id, language="ar")
    answer = signed_in().get("/en/search", headers={"Accept-Language": "fr"})
    assert answer["Content-Language"] == "en"
    assert '<html lang="en"' in answer.content.decode()


ADDRESSES = [("/", "/ar/"), ("/problems/expired", "/ar/problems/expired")]


@pytest.mark.parametrize(("address", "to"), ADDRESSES)
def test_an_address_without_a_language_leads_to_the_members_own(
    leila: Any, address: str, to: str
) -> None:
    client = signed_in()
    people.speak(member=leila.id, language="ar")
    answer = client.get(address)
    assert answer["Location"] == to
    assert {"Accept-Language", "Cookie"} <= set(answer["Vary"].split(", "))
    stranger = Client().get(address, headers={"Accept-Language": "fr;q=0.9, de"})
    assert stranger["Location"] == to.replace("/ar/", "/fr/")


def test_a_member_chooses_and_the_page_answers_in_that_language(leila: Any) -> None:
    client = signed_in()
    assert 'value="en" checked' in client.get("/en/language").content.decode()
    answer = client.post("/en/language", {"language": "fr"})
    assert answer["Location"] == "/fr/language"
    assert Member.objects.get(pk=leila.id).language == "fr"
    assert list(language.LOCAL_NAMES) == ["en", "fr", "ar"]


@pytest.mark.parametrize("wanted", ["", "de", "en\n", "<b>", "x" * 10_000])
def test_a_language_that_the_site_does_not_speak_is_refused(leila: Any, wanted: str) -> None:
    assert signed_in().post("/en/language", {"language": wanted}).status_code == 400
    with pytest.raises(Malformed):
        people.speak(member=leila.id, language=wanted)
    assert Member.objects.get(pk=leila.id).language == "en"


def test_who_is_not_signed_in_has_nothing_to_choose(place: Any) -> None:
    assert Client().get("/fr/language")["Location"] == "/fr/sign-in?next=/fr/language"


def test_a_letter_is_in_the_members_language_by_every_channel(leila: Any) -> None:
    people.speak(member=leila.id, language="ar")
    record.notify(
        namespace="demo",
        kind="offer_declined",
        about="off_1",
        now=leila.created_at,
        member=leila.id,
        account_id="acc-moon",
        facts={"handle": "moon"},
    )
    assert set(Notice.objects.values_list("channel", "language")) == {
        ("mail", "ar"),
        ("platform", "ar"),
    }
    subject, text, html = notice.render("offer_declined", language="ar", facts={"handle": "moon"})
    assert "moon" in subject
    assert "فريق المعرّفات" in text
    assert '<html lang="ar" dir="rtl">' in html


COUNTED = [
    ("fr", "dictionary word of six letters", "mot du dictionnaire de 6 lettres"),
    ("ar", "dictionary word of two letters", "كلمة من القاموس من حرفين"),
    ("ar", "dictionary word of six letters", "كلمة من القاموس من 6 أحرف"),
    ("ar", "dictionary word of eleven letters", "كلمة من القاموس من 11 حرفًا"),
    ("ar", "dictionary word of 102 letters", "كلمة من القاموس من 102 حرف"),
    ("ar", "phrase of three words", "عبارة من 3 كلمات"),
    ("en", "phrase of three words", "phrase of three words"),
    ("fr", "a sentence of the operator", "a sentence of the operator"),
    ("fr", "phrase of many words", "phrase of many words"),
]


@pytest.mark.parametrize(("spoken", "sentence", "said"), COUNTED)
def test_a_count_is_said_as_its_language_counts(spoken: str, sentence: str, said: str) -> None:
    with override(spoken):
        assert words.tier_reason(sentence) == said


def test_dates_and_shares_are_written_as_their_language_writes_them(leila: Any) -> None:
    at = leila.created_at.replace(year=2026, month=11, day=3, hour=15, minute=6)
    written = {
        "en": ("November 3, 2026", "November 3, 2026, 15:06 UTC", "10%"),
        "fr": ("3 novembre 2026", "3 novembre 2026, 15:06 UTC", "10\u202f%"),
        "ar": ("3 نوفمبر 2026", "3 نوفمبر 2026، 15:06 UTC", "10%\u200e"),
    }
    for spoken, (day, moment, share) in written.items():
        with override(spoken):
            assert (market.date(at), market.moment(at)) == (day, moment)
            assert market.percent(10).replace("\xa0", "\u202f").strip("\u200e") == share.strip(
                "\u200e"
            )
            assert notice.day(at, language=spoken) == day


def test_a_words_language_is_named_in_the_pages_language() -> None:
    for spoken, name in {"en": "Spanish", "fr": "espagnol", "ar": "الإسبانية"}.items():
        with override(spoken):
            assert name in market.word("word_es")
