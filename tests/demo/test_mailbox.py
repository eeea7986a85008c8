"""The demo's mailbox as a process: SMTP in, pages out, and mail for the market handed on."""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import smtplib
import threading
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from tests.demo.servers import Program, free_port, until


class Box(Program):
    """A mailbox program with its SMTP port."""

    smtp = 0


def make_box(folder, *options):
    smtp = free_port()
    box = Box("onym_demo.mailbox", folder, ["--smtp-port", str(smtp), *options])
    box.smtp = smtp
    return box.start()


@pytest.fixture(scope="module")
def box(tmp_path_factory):
    clock = tmp_path_factory.mktemp("clock") / "offset"
    program = make_box(tmp_path_factory.mktemp("mailbox"), "--clock-file", str(clock))
    program.clock = clock
    yield program
    program.stop()


def make_letter(**changed):
    letter = EmailMessage()
    fields = {
        "From": "Editor <editor@paper.example>",
        "To": "anna@people.example",
        "Subject": "A question",
        "Message-ID": f"<{changed.pop('number', 1)}@paper.example>",
    }
    text, html = changed.pop("text", "Is it true?\n"), changed.pop("html", "")
    for name, value in {**fields, **changed}.items():
        letter[name.replace("_", "-")] = value
    letter.set_content(text)
    if html:
        letter.add_alternative(html, subtype="html")
    return letter


def post(box, letter, *recipients, sender="editor@paper.example"):
    with smtplib.SMTP("127.0.0.1", box.smtp, timeout=10) as line:
        line.send_message(letter, sender, list(recipients) or [letter["To"]])


def messages(box, to):
    return box.get(f"/messages?to={to}").json()


def test_a_letter_is_shown_to_machines_as_agreed(box):
    post(box, make_letter(number="shape", To="shape@people.example", html="<p>Is it true?</p>"))
    (letter,) = messages(box, "shape@people.example")
    assert set(letter) == {"from", "to", "subject", "text", "html", "headers", "at"}
    assert (letter["from"], letter["to"]) == ("editor@paper.example", "shape@people.example")
    assert (letter["subject"], letter["text"]) == ("A question", "Is it true?\n")
    assert letter["html"] == "<p>Is it true?</p>\n"
    assert letter["headers"]["From"] == "Editor <editor@paper.example>"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", letter["at"])


def test_letters_come_newest_last_and_only_to_the_address_asked_for(box):
    for number in ("o1", "o2", "o3"):
        post(box, make_letter(number=number, Subject=number, To="order@people.example"))
    assert [one["subject"] for one in messages(box, "order@people.example")] == ["o1", "o2", "o3"]
    assert [one["subject"] for one in messages(box, "ORDER@people.example")] == ["o1", "o2", "o3"]
    assert messages(box, "der@people.example") == []
    everything = box.get("/messages").json()
    assert [one["subject"] for one in everything][-3:] == ["o1", "o2", "o3"]


def test_the_same_message_id_is_kept_once_for_each_recipient_and_counted(box):
    letter = make_letter(number="twice", To="b1@people.example")
    for _ in range(3):
        post(box, letter, "b1@people.example", "b2@people.example")
    for to in ("b1@people.example", "b2@people.example"):
        assert len(messages(box, to)) == 1
        assert [one["copies"] for one in box.get(f"/demo/copies?to={to}").json()] == [3]
    del letter["Message-ID"]
    post(box, letter, "b1@people.example")
    post(box, letter, "b1@people.example")
    assert len(messages(box, "b1@people.example")) == 3


def test_letters_carry_the_market_s_time(box):
    box.clock.write_text("86400")
    post(box, make_letter(number="later", To="later@people.example"))
    box.clock.write_text("0")
    post(box, make_letter(number="now", To="later@people.example"))
    later, now = [one["at"] for one in messages(box, "later@people.example")]
    assert later > now


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"\r\n\r\n",
        b"Subject: \xff\xfe\r\nFrom: <<<\r\n\r\n\xff",
        b"Content-Type: text/plain; charset=no-such\r\n\r\ntext",
        b"Content-Type: multipart/mixed\r\n\r\nno boundary",
        b"From: a@b@c\r\nTo: :;,\r\nDate: never\r\nMessage-ID: <\r\n\r\n",
        b"Content-Transfer-Encoding: base64\r\n\r\n!!!!",
        b"Subject: =?utf-8?b?////?=\r\n\r\nx",
    ],
)
def test_a_broken_letter_is_kept_and_shown(box, raw):
    with smtplib.SMTP("127.0.0.1", box.smtp, timeout=10) as line:
        line.sendmail("x@people.example", "broken@people.example", raw)
    newest = box.get("/demo/copies?to=broken@people.example").json()[-1]["id"]
    assert box.get(f"/messages/{newest}").status_code == 200
    assert box.get(f"/messages/{newest}/html").status_code == 200
    assert messages(box, "broken@people.example")


def test_the_pages_list_search_and_show_a_letter_and_run_nothing_of_it(box):
    evil = "<script>document.title='taken'</script><a href='https://x.example/'>x</a>"
    post(
        box,
        make_letter(
            number="evil",
            To="page@people.example",
            Subject="<b>100%</b>",
            text="Keep it:\nhttps://market.example/en/keep/a?b=1&c=2\n<script>no</script>\n",
            html=evil,
        ),
    )
    listed = box.get("/?to=page@people.example").text
    assert "&lt;b&gt;100%&lt;/b&gt;" in listed
    assert "<b>100%" not in listed
    number = re.search(r"/messages/(\d+)", listed).group(1)
    assert "100%" in box.get("/?q=100%25").text
    assert "No letters match" in box.get("/?q=100%25_").text
    page = box.get(f"/messages/{number}")
    assert 'href="https://market.example/en/keep/a?b=1&amp;c=2"' in page.text
    assert "<script>" not in page.text
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page.text
    framed = box.get(f"/messages/{number}/html")
    assert evil in framed.text
    policy = framed.headers["Content-Security-Policy"]
    assert "sandbox allow-popups" in policy
    assert "allow-scripts" not in policy
    assert "default-src 'none'" in policy
    assert box.get(f"/messages/{number}/raw").headers["Content-Type"].startswith("text/plain")
    assert box.get("/messages/999999").status_code == 404


def test_a_long_list_goes_on_over_several_pages(box):
    for number in range(53):
        post(box, make_letter(number=f"long{number}", To="long@people.example"))
    first = box.get("/?to=long@people.example").text
    assert first.count("<li>") == 50
    older = re.search(r'href="(/\?[^"]*before=\d+)"', first).group(1).replace("&amp;", "&")
    assert box.get(older).text.count("<li>") == 3


def test_it_listens_on_loopback_only_and_for_its_own_name(box):
    strange = requests.get(box.base, headers={"Host": "attacker.example"}, timeout=5)
    assert strange.status_code == 400
    with open("/proc/net/tcp") as table:
        listening = [line.split()[1] for line in table if line.split()[3] == "0A"]
    for port in (box.port, box.smtp):
        assert [one for one in listening if one.endswith(f":{port:04X}")] == [
            f"0100007F:{port:04X}"
        ]


def test_it_is_small(box):
    box.get("/")
    assert box.pss_mb() < 60


def test_a_lever_that_makes_no_sense_is_refused(box):
    assert box.pull("/demo/faults", kind="nonsense").status_code == 400
    assert box.pull("/demo/faults", kind="lost", times="many").status_code == 400
    assert requests.post(box.base + "/demo/faults", data="x", timeout=5).status_code == 415


def test_nothing_acknowledged_is_lost_by_kill_9_in_the_middle(tmp_path):
    box = make_box(tmp_path)
    taken, stop = [], threading.Event()

    def write():
        for number in range(10_000):
            if stop.is_set():
                return
            try:
                post(box, make_letter(number=f"kill{number}", Subject=str(number)))
            except (smtplib.SMTPException, OSError):
                return
            taken.append(str(number))

    writer = threading.Thread(target=write)
    writer.start()
    until(lambda: len(taken) >= 20)
    box.kill()
    stop.set()
    writer.join()
    box.start()
    kept = [one["subject"] for one in messages(box, "anna@people.example")]
    assert kept[: len(taken)] == taken
    assert len(kept) <= len(taken) + 1
    assert box.stop() == 0


# ---- mail for the market


class Market(ThreadingHTTPServer):
    """Takes what is handed over. `answers` are the next statuses; afterwards all are 204."""

    def __init__(self, port=0):
        super().__init__(("127.0.0.1", port), Inbound)
        self.answers, self.taken = [], []
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server_address[1]}/mail/inbound"


class Inbound(BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        status = self.server.answers.pop(0) if self.server.answers else 204
        self.server.taken.append((status, self.headers["Onym-Signature"], body, self.path))
        self.send_response(status)
        self.end_headers()

    def log_message(self, *parts):
        pass


@pytest.fixture
def market():
    server = Market()
    yield server
    server.shutdown()
    server.server_close()


def make_market_box(folder, market):
    options = ["--inbound-url", market.url, "--inbound-key", "secret"]
    own = ["--own-address", "press@onym.example", "--own-address", "@team.example"]
    return make_box(folder, *options, *own)


def test_mail_for_the_market_is_handed_over_signed_and_once(tmp_path, market):
    box = make_market_box(tmp_path, market)
    letter = make_letter(To="press@onym.example", In_Reply_To="<0@onym.example>")
    post(box, letter, "press@onym.example", "friend@people.example")
    post(box, letter, "press@onym.example")
    until(lambda: box.get("/demo/pending").json() == {"handovers": 0})
    ((status, signature, body, path),) = market.taken
    assert (status, path) == (204, "/mail/inbound")
    assert json.loads(body) == {
        "from": "editor@paper.example",
        "to": "press@onym.example",
        "subject": "A question",
        "text": "Is it true?\n",
        "message_id": "<1@paper.example>",
        "in_reply_to": "<0@onym.example>",
        "auto_submitted": "",
    }
    at, mark = re.fullmatch(r"t=(\d+),v1=([0-9a-f]{64})", signature).groups()
    signed = hmac.new(b"secret", at.encode() + b"." + body, hashlib.sha256).hexdigest()
    assert mark == signed
    box.stop()


@pytest.mark.parametrize(
    ("to", "own"),
    [
        ("press@onym.example", True),
        ("PRESS@Onym.Example", True),
        ("press+spring@onym.example", True),
        ("anyone@team.example", True),
        ("press@other.example", False),
        ("xpress@onym.example", False),
        ("press@team.example.evil.example", False),
    ],
)
def test_which_addresses_are_the_market_s(to, own):
    from onym_demo.mailbox.handover import is_own

    assert is_own(to, ("press@onym.example", "@team.example")) == own


@pytest.mark.parametrize(
    ("headers", "sender", "word"),
    [
        ({}, "editor@paper.example", ""),
        ({"Auto_Submitted": "auto-replied"}, "editor@paper.example", "auto-replied"),
        ({"Auto_Submitted": "no"}, "editor@paper.example", "no"),
        ({"Precedence": "bulk"}, "editor@paper.example", "auto-replied"),
        ({}, "", "auto-replied"),
    ],
)
def test_automatic_letters_are_named_as_such(headers, sender, word):
    from onym_demo.mailbox.parse import read

    assert read(make_letter(**headers).as_bytes(), envelope_sender=sender).auto_submitted == word


def test_a_handover_is_tried_until_the_market_takes_it_even_after_a_kill(tmp_path, market):
    market.answers = [500, 503]
    box = make_market_box(tmp_path, market)
    post(box, make_letter(To="press@onym.example"))
    until(lambda: len(market.taken) == 3)
    until(lambda: box.get("/demo/pending").json() == {"handovers": 0})
    assert [status for status, *_ in market.taken] == [500, 503, 204]
    assert len({body for _, _, body, _ in market.taken}) == 1

    market.answers = [500] * 1000
    post(box, make_letter(number=2, To="press@onym.example"))
    until(lambda: len(market.taken) > 3)
    box.kill()
    market.answers = []
    box.start()
    until(lambda: box.get("/demo/pending").json() == {"handovers": 0})
    assert market.taken[-1][0] == 204
    box.stop()
