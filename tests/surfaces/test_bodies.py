"""What a request may bring, whose limits it uses, and who may keep its answer."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import Client, RequestFactory
from tests import make
from tests.surfaces import signing

from onym.flows import limits

pytestmark = pytest.mark.usefixtures("database")
MUCH = 2_000_000


@pytest.fixture
def member(database: Any, settings: Any) -> Any:
    settings.DEMO, settings.NAMESPACE = True, "demo"
    make.handle(make.namespace(), "moon", account_id="acc-moon")
    return signing.leila()


def is_refused(client: Client, path: str, size: int = MUCH) -> bool:
    """Refused before the body is read, so that nothing of it was ever written down."""
    answer = client.post(path, {"file": SimpleUploadedFile("f.xml", b"x" * size)})
    is_read = hasattr(answer.wsgi_request, "_files")
    return answer.status_code == 400 and not is_read


@pytest.mark.parametrize("path", ["/en/join", "/en/sign-in", "/ar/desk/bank", "/api/v1/offers"])
def test_a_stranger_brings_no_file_and_is_told_before_it_is_read(member: Any, path: str) -> None:
    assert is_refused(Client(), path)
    assert not is_refused(Client(), path, size=1_000)


def test_a_member_brings_a_file_to_the_desk_alone(member: Any) -> None:
    client, _ = signing.by_password()
    assert is_refused(client, "/en/me/name")
    assert not is_refused(client, "/en/desk/bank")


def test_a_length_that_is_none_is_refused(member: Any) -> None:
    answer = Client().post("/en/join", {"mail": "a@b.example"}, CONTENT_LENGTH="-1")
    assert answer.status_code == 400


FROM = [
    # proxies, the connection's address, what X-Forwarded-For says, whose limit it is
    (0, "192.0.2.7", "", "192.0.2.7"),
    (0, "192.0.2.7", "198.51.100.1", "192.0.2.7"),
    (1, "127.0.0.1", "198.51.100.1", "198.51.100.1"),
    (1, "127.0.0.1", "10.0.0.1, 198.51.100.1", "198.51.100.1"),
    (1, "127.0.0.1", "", "127.0.0.1"),
    (0, "2001:db8:1:2:aaaa::1", "", "2001:db8:1:2::"),
    (0, "2001:db8:1:2:bbbb::9", "", "2001:db8:1:2::"),
    (1, "127.0.0.1", "nonsense", "nonsense"),
]


@pytest.mark.parametrize(("proxies", "address", "told", "where"), FROM)
def test_limits_are_the_visitors_own_also_behind_a_proxy(
    settings: Any, proxies: int, address: str, told: str, where: str
) -> None:
    settings.ALLAUTH_TRUSTED_PROXY_COUNT = proxies
    headers = {"X-Forwarded-For": told} if told else {}
    request = RequestFactory().get("/", headers=headers, REMOTE_ADDR=address)
    assert limits.where(request) == where


def test_what_is_shown_to_a_member_is_kept_by_nobody(member: Any) -> None:
    client, _ = signing.by_password()
    for path in ("/en/me", "/en/@moon", "/api/v1/me"):
        assert client.get(path)["Cache-Control"] == "private, no-store", path
    token = {"Authorization": f"Bearer {make.token(member)}"}
    assert Client(headers=token).get("/api/v1/me")["Cache-Control"] == "private, no-store"
    assert "Cache-Control" not in Client().get("/en/@moon")
