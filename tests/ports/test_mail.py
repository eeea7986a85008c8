"""The mail port against a real SMTP server, and the signature of mail that comes in."""

from __future__ import annotations

import hashlib
import hmac
import itertools
import json
import socketserver
import threading

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tests.demo.servers import Program, free_port

from onym.core.errors import Malformed, NotSignedIn
from onym.ports.mail import Delivery, DjangoMail, Message, read_inbound

SMTP = "django.core.mail.backends.smtp.EmailBackend"
numbers = itertools.count(1)


@pytest.fixture(scope="module")
def smtp_port():
    return free_port()


@pytest.fixture(scope="module")
def mailbox(tmp_path_factory, smtp_port):
    program = Program(
        "onym_demo.mailbox", tmp_path_factory.mktemp("mailbox"), ["--smtp-port", str(smtp_port)]
    ).start()
    yield program
    program.stop()


@pytest.fixture(scope="module")
def port(mailbox, smtp_port):
    return make_port(smtp_port)


def make_port(smtp_port, timeout=5):
    return DjangoMail(backend=SMTP, host="127.0.0.1", port=smtp_port, timeout=timeout)


def make_message(**changed):
    number = next(numbers)
    plain = {
        "to": f"holder{number}@people.example",
        "sender": "Handle Team <team@onym.example>",
        "subject": "Do you still use this?",
        "text": "Keep it with one click:\nhttps://market.example/en/keep/abc\n",
        "key": f"notice-{number}",
    }
    return Message(**{**plain, **changed})


def received(mailbox, message):
    return mailbox.get(f"/messages?to={message.to}").json()


def copies(mailbox, message):
    return [one["copies"] for one in mailbox.get(f"/demo/copies?to={message.to}").json()]


def test_a_letter_arrives_as_it_was_written(mailbox, port):
    link = "https://market.example/ar/keep/" + "x" * 300
    message = make_message(
        subject="هل ما زلت تستعمل هذا المعرّف؟",
        text=f"اضغط الرابط:\n{link}\n",
        html="<p>مرحبا</p>",
        headers={
            "List-Unsubscribe": "<https://market.example/en/unsubscribe/abc>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
        },
    )
    assert port.send(message) == Delivery("sent")
    (letter,) = received(mailbox, message)
    assert (letter["from"], letter["to"]) == ("team@onym.example", message.to)
    assert letter["subject"] == message.subject
    assert letter["html"].strip() == message.html
    assert link in letter["text"].splitlines()
    headers = letter["headers"]
    assert headers["List-Unsubscribe"] == "<https://market.example/en/unsubscribe/abc>"
    assert headers["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert headers["Message-ID"] == message.message_id
    assert headers["From"] == "Handle Team <team@onym.example>"


@pytest.mark.parametrize(
    ("kind", "state", "reason", "kept"),
    [
        ("refuse", "bounced", "550 5.1.1 No such mailbox", 0),
        ("refuse_letter", "bounced", "554 5.7.1 Refused", 0),
        ("greylist", "unknown", "451 4.7.1 Greylisted, try again later", 0),
        ("unavailable", "unknown", "421 4.3.2 Service not available", 0),
        ("defer_letter", "unknown", "451 4.3.0 Try again later", 0),
        ("silent", "unknown", "SMTPServerDisconnected", 0),
        ("lost", "unknown", "SMTPServerDisconnected", 1),
    ],
)
def test_each_trouble_has_its_state_and_a_retry_leaves_one_letter(
    mailbox, port, kind, state, reason, kept
):
    message = make_message()
    assert mailbox.pull("/demo/faults", kind=kind, to=message.to).ok
    assert port.send(message) == Delivery(state, reason)
    assert len(received(mailbox, message)) == kept
    assert port.send(message) == Delivery("sent")
    assert len(received(mailbox, message)) == 1
    assert copies(mailbox, message) == [kept + 1]


def test_an_answer_that_comes_too_late_is_unknown_and_the_letter_is_there(mailbox, smtp_port):
    message = make_message()
    mailbox.pull("/demo/faults", kind="late", to=message.to, seconds=1.5)
    assert make_port(smtp_port, timeout=0.3).send(message).state == "unknown"
    assert len(received(mailbox, message)) == 1


def test_a_mailbox_killed_at_the_letter_has_it_once_in_the_end(mailbox, port):
    for kind, kept in (("crash_before", 0), ("crash_after", 1)):
        message = make_message()
        mailbox.pull("/demo/faults", kind=kind, to=message.to)
        assert port.send(message).state == "unknown"
        assert mailbox.died()
        mailbox.start()
        assert len(received(mailbox, message)) == kept
        assert port.send(message) == Delivery("sent")
        assert copies(mailbox, message) == [kept + 1]


def test_an_address_that_bounces_does_so_without_being_told(mailbox, port):
    assert port.send(make_message(to="who@bounce.example")).state == "bounced"
    grey = make_message(to="slow@grey.example")
    assert port.send(grey).state == "unknown"
    assert port.send(grey).state == "sent"


def test_nobody_at_the_port_is_unknown():
    assert make_port(9).send(make_message()) == Delivery("unknown", "ConnectionRefusedError")


class NotForUs(socketserver.StreamRequestHandler):
    """A server that turns us away before any recipient was named."""

    def handle(self):
        self.wfile.write(b"554 5.3.2 No service here for <team@onym.example>\r\n")
        self.rfile.readline()


def test_a_server_that_turns_us_away_says_nothing_of_the_recipient():
    with socketserver.TCPServer(("127.0.0.1", 0), NotForUs) as server:
        thread = threading.Thread(target=server.handle_request)
        thread.start()
        delivery = make_port(server.server_address[1]).send(make_message())
        thread.join()
    assert delivery == Delivery("unknown", "554 5.3.2 No service here for …")


def test_the_message_id_follows_from_the_key_alone():
    one, same = make_message(key="k-1"), make_message(key="k-1", subject="Another")
    other = make_message(key="k-2")
    assert one.message_id == same.message_id != other.message_id
    assert one.message_id.endswith("@onym.example>")


BREAKS = ["\n", "\r", "\r\nBcc: all@people.example", "\x00", "\x0b", "\x85", "\u2028", "\ud800"]


@pytest.mark.parametrize("mark", BREAKS)
@pytest.mark.parametrize("place", ["to", "sender", "subject", "header", "name"])
def test_no_header_can_be_smuggled_in(mark, place):
    good = {"to": "a@people.example", "sender": "T <t@onym.example>", "subject": "S"}
    changed = {place: good[place] + mark} if place in good else {}
    if place == "header":
        changed = {"headers": {"List-Id": "x" + mark}}
    if place == "name":
        changed = {"headers": {"List-Id" + mark: "x"}}
    with pytest.raises(Malformed):
        make_message(**changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"to": ""},
        {"to": "nobody"},
        {"to": "a@people.example, b@people.example"},
        {"to": "Name <a@people.example>"},
        {"sender": "Handle Team"},
        {"subject": ""},
        {"subject": "x" * 401},
        {"key": ""},
        {"text": "\ud800"},
        {"html": "\x00"},
        {"headers": {"Bcc": "all@people.example"}},
        {"headers": {"message-id": "<1@onym.example>"}},
        {"headers": {"Content-Type": "text/html"}},
        {"headers": {"MIME-Version": "2.0"}},
        {"headers": {"From": "x@people.example"}},
        {"headers": {"X Y": "x"}},
        {"headers": {"": "x"}},
    ],
)
def test_a_letter_that_could_not_be_sent_whole_is_refused(changed):
    with pytest.raises(Malformed):
        make_message(**changed)


@given(subject=st.text(min_size=1, max_size=60), value=st.text(max_size=60))
@example(subject="a\rb", value="")
def test_whatever_is_written_a_letter_has_one_recipient(subject, value):
    from email import message_from_bytes

    from onym.ports.mail import _letter

    try:
        message = make_message(subject=subject, headers={"List-Id": value})
    except Malformed:
        return
    sent = message_from_bytes(_letter(message).message().as_bytes())
    names = [name.lower() for name in sent]
    assert sorted(names) == sorted(set(names))
    assert sent["To"] == message.to
    assert "bcc" not in names
    assert sent.get_payload().strip() == message.text.strip()


# ---- mail that comes in

NOW = 1_800_000_000.0
BODY = {
    "from": "editor@paper.example",
    "to": "press@onym.example",
    "subject": "A question",
    "text": "Is it true?",
    "message_id": "<1@paper.example>",
    "in_reply_to": "",
    "auto_submitted": "",
}


def sign(payload, key="new", at=NOW):
    mark = hmac.new(key.encode(), f"{int(at)}.".encode() + payload, hashlib.sha256)
    return f"t={int(at)},v1={mark.hexdigest()}"


def read(body, *, signature=None, keys=("new", "old")):
    payload = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_inbound(payload=payload, signature=signature or sign(payload), keys=keys, now=NOW)


def test_a_signed_letter_is_read():
    letter = read(BODY)
    assert (letter.sender, letter.to) == ("editor@paper.example", "press@onym.example")
    assert (letter.text, letter.message_id) == ("Is it true?", "<1@paper.example>")
    payload = json.dumps(BODY).encode()
    assert read(payload, signature=sign(payload, "old")) == letter


@pytest.mark.parametrize(
    ("body", "signature", "refusal"),
    [
        (BODY, sign(json.dumps(BODY).encode(), "other"), NotSignedIn),
        (BODY, sign(json.dumps(BODY).encode(), at=NOW - 301), NotSignedIn),
        (BODY, sign(b"{}"), NotSignedIn),
        (BODY, "v1=00", Malformed),
        (b"no json", None, Malformed),
        (b"[]", None, Malformed),
        (BODY | {"from": ""}, None, Malformed),
        (BODY | {"to": ""}, None, Malformed),
        (BODY | {"text": 1}, None, Malformed),
        (BODY | {"subject": None}, None, Malformed),
    ],
)
def test_a_letter_that_nobody_signed_for_us_is_refused(body, signature, refusal):
    with pytest.raises(refusal):
        read(body, signature=signature)


def test_without_a_key_no_letter_is_read():
    with pytest.raises(NotSignedIn):
        read(BODY, keys=())
