"""Signing in: password, mail code, second factor; what is wrong is told apart from nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as site
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tests import make
from tests.surfaces import signing

from onym.flows import factors
from onym.jobs import notice as post
from onym.queries import notice as letters
from onym.store.models import MailAddress, MailCode, Member, Notice

pytestmark = pytest.mark.usefixtures("database")
CODE_PAGE = "/en/sign-in/code"


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE = "demo"
    made = make.namespace()
    make.handle(made, "moon", account_id="acc-moon")
    return made


@pytest.fixture
def member(place: Any) -> Any:
    return signing.leila()


def mailed_code() -> str:
    return str(signing.letters("sign_in_code")[-1].facts["code"])


# The second factor


def test_a_member_without_second_factor_is_in_with_the_password(member: Any) -> None:
    client, to = signing.by_password(to="/en/@moon")
    assert to == "/en/@moon"
    assert signing.is_signed_in(client)


def test_a_member_with_totp_is_not_in_before_its_code(member: Any) -> None:
    secret = make.totp(member)
    client, to = signing.by_password(to="/en/@moon")
    assert to == "/en/sign-in/factor"
    assert not signing.is_signed_in(client)
    assert "authenticator app" in client.get(to).content.decode()
    assert signing.sent(client, to, code="000000") == ""
    assert not signing.is_signed_in(client)
    assert signing.sent(client, to, code=make.totp_code(secret)) == "/en/@moon"
    assert signing.is_signed_in(client)


def test_a_code_may_be_typed_in_arabic_digits_and_with_a_gap(member: Any) -> None:
    code = make.totp_code(make.totp(member))
    typed = code[:3] + " " + code[3:].translate(str.maketrans("0123456789", "٠١٢٣٤٥٦٧٨٩"))
    client, to = signing.by_password()
    assert signing.sent(client, to, code=typed) == "/en/me"


def test_a_totp_code_is_taken_once(member: Any) -> None:
    code = make.totp_code(make.totp(member))
    one, to = signing.by_password()
    assert signing.sent(one, to, code=code) == "/en/me"
    two, to = signing.by_password()
    assert signing.sent(two, to, code=code) == ""
    assert not signing.is_signed_in(two)


def test_no_older_totp_code_is_taken_after_a_newer_one(member: Any) -> None:
    secret = make.totp(member)
    older, newer = make.totp_code(secret), make.totp_code(secret, later=1)
    client, to = signing.by_password()
    assert signing.sent(client, to, code=newer) == "/en/me"
    other, to = signing.by_password()
    assert signing.sent(other, to, code=older) == ""


def test_a_recovery_code_signs_in_once(member: Any) -> None:
    make.totp(member)
    codes = factors.new_recovery_codes(member=member.id)
    one, to = signing.by_password()
    assert signing.sent(one, to, code=codes[3]) == "/en/me"
    two, to = signing.by_password()
    assert signing.sent(two, to, code=codes[3]) == ""
    assert signing.sent(two, to, code=codes[4]) == "/en/me"


def test_second_factors_are_not_guessed_by_the_dozen(member: Any) -> None:
    secret = make.totp(member)
    client, to = signing.by_password()
    statuses = until_refused(lambda: client.post(to, {"code": "000000"}).status_code)
    assert set(statuses[:-1]) == {403}
    assert client.post(to, {"code": make.totp_code(secret)}).status_code == 429
    assert not signing.is_signed_in(client)


def until_refused(once_more: Callable[[], int]) -> list[int]:
    """What the same act answers, up to the first 429; a window may end on the way, but only one."""
    found: list[int] = []
    while not found or found[-1] != 429:
        assert len(found) < 25, found
        found.append(once_more())
    return found


def test_the_step_of_the_second_factor_leads_to_the_first_when_nobody_took_it(member: Any) -> None:
    assert Client().get("/en/sign-in/factor")["Location"] == "/en/sign-in"


def test_a_passkey_that_is_none_opens_nothing(member: Any) -> None:
    for credential in ("", "x", "[]", "{}", '{"response": 1}', '{"id": "a", "response": {}}'):
        answer = Client().post("/en/sign-in/passkey", {"credential": credential})
        assert answer.status_code == 403, credential
    options = Client().post("/en/sign-in/options").json()["publicKey"]
    assert options["userVerification"] == "required"


# Codes by mail


def test_a_code_by_mail_signs_in_once_and_only_in_the_browser_that_asked(member: Any) -> None:
    client = Client()
    to = signing.sent(client, CODE_PAGE, mail=signing.MAIL, next="/en/@moon")
    assert to.startswith(CODE_PAGE)
    assert client.get(to).status_code == 200
    code = mailed_code()
    assert signing.sent(Client(), CODE_PAGE, code=code) == ""
    assert signing.sent(client, CODE_PAGE, code=code, next="/en/@moon") == "/en/@moon"
    assert signing.is_signed_in(client)
    client.post("/en/sign-out")
    session = client.session
    session["mail_code"] = MailCode.objects.get().id
    session.save()
    assert signing.sent(client, CODE_PAGE, code=code) == ""


def test_a_code_by_mail_is_no_second_factor(member: Any) -> None:
    make.totp(member)
    client = Client()
    signing.sent(client, CODE_PAGE, mail=signing.MAIL)
    assert signing.sent(client, CODE_PAGE, code=mailed_code()) == "/en/sign-in/factor"
    assert not signing.is_signed_in(client)


def test_neither_answer_nor_effort_tells_whether_an_address_is_a_members(member: Any) -> None:
    """The same statements for both: who it is, is looked up by a job, after the answer."""
    asked = []
    for mail in (signing.MAIL, "nobody@mail.example"):
        client = Client()
        with CaptureQueriesContext(connection) as seen:
            answer = client.post(CODE_PAGE, {"mail": mail})
        asked.append((answer.status_code, [shape(one["sql"]) for one in seen.captured_queries]))
    assert asked[0] == asked[1]
    assert asked[0][0] == 302
    assert [letter.address for letter in signing.letters("sign_in_code")] == [signing.MAIL]


def shape(statement: str) -> str:
    """A statement without what stands in its quotes."""
    return re.sub(r"'[^']*'", "?", statement)


def test_a_code_by_mail_ends_after_ten_minutes(member: Any) -> None:
    client = Client()
    signing.sent(client, CODE_PAGE, mail=signing.MAIL)
    row = MailCode.objects.get()
    MailCode.objects.update(ordered_at=row.ordered_at - timedelta(minutes=10))
    assert signing.sent(client, CODE_PAGE, code=mailed_code()) == ""
    MailCode.objects.update(ordered_at=row.ordered_at - timedelta(minutes=9))
    assert signing.sent(client, CODE_PAGE, code=mailed_code()) == "/en/me"


def test_five_wrong_guesses_spend_a_code(member: Any) -> None:
    client = Client()
    signing.sent(client, CODE_PAGE, mail=signing.MAIL)
    for _ in range(5):
        assert signing.sent(client, CODE_PAGE, code="no code") == ""
    assert signing.sent(client, CODE_PAGE, code=mailed_code()) == ""


def test_an_unknown_address_is_told_the_same_and_gets_no_mail(member: Any) -> None:
    known, unknown = Client(), Client()
    first = signing.sent(known, CODE_PAGE, mail=signing.MAIL)
    second = signing.sent(unknown, CODE_PAGE, mail="nobody@mail.example")
    assert first == second
    pages = [client.get(to).content.decode() for client, to in ((known, first), (unknown, second))]
    said = [page.split("<main")[1].split("csrfmiddlewaretoken")[0] for page in pages]
    assert said[0] == said[1]
    assert len(signing.letters("sign_in_code")) == Notice.objects.count() == 1
    wrong = [client.post(CODE_PAGE, {"code": "123"}).status_code for client in (known, unknown)]
    assert wrong == [403, 403]


def test_nobody_is_flooded_with_codes(member: Any) -> None:
    typed = {"mail": signing.MAIL}
    statuses = until_refused(lambda: Client().post(CODE_PAGE, typed).status_code)
    assert set(statuses[:-1]) == {302}


@pytest.mark.parametrize("typed", ["", "x", "@", "a@b", "<b>@x.example", "a" * 300 + "@x.example"])
def test_what_is_no_address_is_said_beside_the_form(member: Any, typed: str) -> None:
    for path in (CODE_PAGE, "/en/join"):
        answer = Client().post(path, {"mail": typed})
        assert answer.status_code == 400
        assert "This is no mail address." in answer.content.decode()


@pytest.mark.parametrize(
    ("lang", "subject"),
    [("en", "Your sign-in code"), ("fr", "Votre code de connexion"), ("ar", "رمز الدخول")],
)
def test_the_code_is_mailed_in_the_language_of_the_page(
    member: Any, lang: str, subject: str
) -> None:
    client = Client()
    signing.sent(client, f"/{lang}/sign-in/code", mail=signing.MAIL)
    letter = signing.letters("sign_in_code")[-1]
    said, text, html = post.render(letter.kind, language=letter.language, facts=letter.facts)
    assert said == subject
    assert letter.facts["code"] in text
    assert letter.facts["code"] in html


def test_neither_code_nor_address_nor_secret_lies_in_the_database_in_the_clear(member: Any) -> None:
    secret = make.totp(member)
    codes = factors.new_recovery_codes(member=member.id)
    client, to = signing.by_password()
    signing.sent(client, to, code=make.totp_code(secret))
    fresh = Client()
    signing.sent(fresh, "/en/join", mail="new@mail.example", name="Newcomer Nour")
    client.get("/en/security/totp")
    kept = everything()
    for plain in (secret, *codes, mailed_code(), signing.MAIL, "new@mail.example", "Newcomer"):
        assert plain not in kept, plain
    assert "account_authentication_methods" not in kept


def everything() -> str:
    """Every row of every table, as text."""
    with connection.cursor() as cursor:
        cursor.execute("select tablename from pg_tables where schemaname = 'public'")
        tables = [name for (name,) in cursor.fetchall()]
        found = []
        for table in tables:
            cursor.execute(f'select t::text from "{table}" t')
            found += [row for (row,) in cursor.fetchall()]
    return "\n".join(found)


@pytest.mark.parametrize(
    "statement",
    [
        'insert into account_emailaddress (email, verified, "primary", user_id) '
        "select 'a@b.example', true, true, id from auth_user",
        "update auth_user set email = 'a@b.example'",
    ],
)
def test_the_database_refuses_a_plain_address(member: Any, statement: str) -> None:
    from django.db import IntegrityError

    with pytest.raises(IntegrityError, match="no_plain_address"), connection.cursor() as cursor:
        cursor.execute(statement)


# Joining


def test_who_joins_is_a_member_once_the_code_comes_back(place: Any) -> None:
    client = Client()
    signing.sent(client, "/fr/join", mail="nour@mail.example", name="Nour <b>")
    assert not MailAddress.objects.exists()
    assert signing.sent(client, "/fr/sign-in/code", code=mailed_code()) == "/fr/me"
    assert signing.is_signed_in(client)
    row = Member.objects.get(mailaddress__isnull=False)
    assert (row.name, row.language) == ("Nour <b>", "fr")
    assert row.user is not None
    assert not row.user.has_usable_password()


def test_who_is_a_member_already_is_signed_in_instead_of_joined_twice(member: Any) -> None:
    client, before = Client(), Member.objects.count()
    signing.sent(client, "/en/join", mail=signing.MAIL, name="Another name")
    assert signing.sent(client, CODE_PAGE, code=mailed_code()) == "/en/me"
    assert Member.objects.count() == before
    assert Member.objects.get(pk=member.id).name == "Leila"


def test_a_member_without_password_gets_in_by_mail_code(place: Any) -> None:
    made = signing.leila(password=None)
    client = Client()
    signing.sent(client, CODE_PAGE, mail=signing.MAIL)
    assert signing.sent(client, CODE_PAGE, code=mailed_code()) == "/en/me"
    assert Member.objects.get(pk=made.id).user is not None
    assert letters.letter(Notice.objects.get().id) is not None


# The demo


@pytest.fixture
def demo(member: Any) -> Any:
    """A demo.json that names the member as the seller."""
    file = Path(site.DATA) / "demo.json"
    person = {"mail": signing.MAIL, "member": member.id}
    file.write_text(json.dumps({"people": {"seller": person}}))
    yield person
    file.unlink()


def test_in_the_demo_one_click_signs_in_with_the_second_factor(demo: Any, settings: Any) -> None:
    settings.DEMO = True
    make.totp(Member.objects.get(pk=demo["member"]))
    client = Client()
    assert 'value="seller"' in client.get("/en/sign-in").content.decode()
    assert (
        signing.sent(client, "/en/sign-in/demo", person="seller", next="/en/@moon") == "/en/@moon"
    )
    assert signing.is_signed_in(client)
    assert client.post("/en/sign-in/demo", {"person": "nobody"}).status_code == 404
    assert "demonstration" in client.get("/en/confirm").content.decode()


def test_production_has_no_sign_in_by_one_click(demo: Any, settings: Any) -> None:
    settings.DEMO = False
    client = Client()
    assert 'value="seller"' not in client.get("/en/sign-in").content.decode()
    assert client.post("/en/sign-in/demo", {"person": "seller"}).status_code == 404
    assert not signing.is_signed_in(client)
    make.totp(Member.objects.get(pk=demo["member"]))
    inside, _ = signing.by_password()
    assert inside.post("/en/confirm", {"do": "demo"}).status_code == 302
    assert not signing.is_signed_in(inside)
