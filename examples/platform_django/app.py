"""A platform that speaks Onym's signed-HTTP contract, in Django and SQLite; see README.md."""

import json
import os
import re
from datetime import timedelta
from pathlib import Path

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection
from django.http import HttpResponse
from django.urls import path
from http_message_signatures import HTTPMessageVerifier, InvalidSignature, MappingKeyResolver
from http_message_signatures.algorithms import ED25519

DB = {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["PLATFORM_DB"]}
DB |= {"OPTIONS": {"transaction_mode": "IMMEDIATE", "timeout": 30}, "ATOMIC_REQUESTS": True}
settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, DATABASES={"default": DB})
application = get_wsgi_application()
KEY = load_pem_public_key(Path(os.environ["ONYM_PUBLIC_KEY"]).read_bytes())
KEYS = MappingKeyResolver(public_keys={"onym": KEY}, private_keys={})
VERIFIER = HTTPMessageVerifier(signature_algorithm=ED25519, key_resolver=KEYS)
READ, WRITE = {'"@method"', '"@target-uri"'}, {'"idempotency-key"', '"content-digest"'}
CUSTODIAN = "custodian"  # holds what is kept for somebody, and is not in the list
OFFERS = dict.fromkeys(("atomic_move", "reserve", "retain", "notices"), True)
OFFERS |= {"profile": "x", "custodian": CUSTODIAN, "signals": ["status", "last_login_at"]}
KEEP = "INSERT INTO answers VALUES (%s, %s, %s, %s) RETURNING *"
PUT = "INSERT OR REPLACE INTO handles VALUES (%s, %s, %s, %s) RETURNING *"
ROWS = "SELECT a.*, handle FROM accounts a JOIN handles USING (account_id) WHERE account_id "


class Refused(Exception): ...  # the status, and the problem as JSON


def expect(holds, status, code, detail=""):
    if not holds:
        told = {"type": f"/problems/{code}", "title": code, "status": status, "code": code}
        raise Refused(status, json.dumps(told | {"detail": detail}))


def expect_signed(request):
    request.url = request.build_absolute_uri(request.META.get("RAW_URI") or request.get_full_path())
    body, found, why = request.body if request.method == "POST" else None, set(), ""
    try:
        signed = VERIFIER.verify(request, max_age=timedelta(minutes=5), body=body)[0]
        found, why = set(signed.covered_components), "the signature leaves something out"
    except InvalidSignature as fault:
        why = str(fault)
    expect(found >= (READ if body is None else READ | WRITE), 401, "signature_invalid", why)


def contract(act, method="GET"):  # only requests that are signed as agreed reach it
    def view(request, **names):
        try:
            expect_signed(request)
            expect(request.method == method, 405, "http_405")
            wish = request.GET.dict() if method == "GET" else json.loads(request.body)
            do = lambda: (200, json.dumps(act(*names.values(), **wish)))  # noqa: E731
            status, text = do() if method == "GET" else once(request, do)
        except Refused as no:
            status, text = no.args
        kind = "application/json" if status < 400 else "application/problem+json"
        return HttpResponse(text, status=status, content_type=kind)

    return view


def once(request, do):  # the answer kept under this key, or that of `do`, kept from now on
    key, digest = request.headers["Idempotency-Key"], request.headers["Content-Digest"]
    kept = ask("SELECT * FROM answers WHERE key = %s", key)
    if not kept:
        try:  # a refusal comes before the first change, so nothing need be undone
            answer = do()
        except Refused as no:
            answer = no.args
        kept = ask(KEEP, key, request.path + digest, *answer)
    expect(kept[0]["digest"] == request.path + digest, 409, "idempotency_mismatch")
    return kept[0]["status"], kept[0]["body"]


def ask(statement, *values):
    with connection.cursor() as rows:
        rows.execute(statement, values)
        return [dict(zip((it[0] for it in rows.description), row, strict=True)) for row in rows]


def find(name, **_):  # nobody holds a handle that has no row
    expect(re.fullmatch(r"\w{1,15}", name, re.ASCII), 422, "handle_malformed", name)
    found = ask("SELECT * FROM handles WHERE handle = %s", name.lower())
    return found[0] if found else {"handle": name.lower(), "account_id": None, "fence": 0}


def account(account_id, /, status=404, **_):
    found = ask(ROWS + "= %s", account_id)
    expect(found, status, "account_unknown", account_id)
    expect(status == 404 or found[0]["status"] == "active", 422, "account_unavailable")
    return found[0]


def accounts(cursor="", limit="1000", **_):
    items = ask(ROWS + "> %s ORDER BY account_id LIMIT %s", cursor, max(int(limit), 1))
    return {"items": items, "next": items[-1]["account_id"] if len(items) == int(limit) else None}


def move(name, /, to=..., expected_holder=None, fence=0, placeholder=None, retain=False, **_):
    held, given = find(name), None
    expect(to is not ... and type(fence) is int, 422, "malformed", "a move has to and fence")
    expect(fence > held["fence"], 412, "stale_fence")
    expect(held["account_id"] == expected_holder, 412, "wrong_holder")
    changes = [(held["handle"], to, fence, None)]  # no other if it is a bar
    if to not in (expected_holder, CUSTODIAN):
        old = find(account(to, 422)["handle"])
        changes.append((old["handle"], CUSTODIAN if retain else None, old["fence"], to))
    if to != expected_holder and expected_holder not in (None, CUSTODIAN):
        given = find(placeholder or f"user_{expected_holder}")
        while given["account_id"] is not None:
            given = find(f"user_{os.urandom(5).hex()}")
        changes.append((given["handle"], expected_holder, given["fence"], None))
    changed = [ask(PUT, *change)[0] for change in changes]
    return changed[0] | {"placeholder": given and given["handle"]}


def keep(name, to, /, **_):  # reserve: to the custodian; unreserve: to nobody
    held, to_be = find(name), (None, CUSTODIAN) if to else (CUSTODIAN,)
    expect(held["account_id"] in to_be, 409, "handle_held" if to else "not_reserved")
    return ask(PUT, held["handle"], to, held["fence"], to and held.get("leads_to"))[0]


def notify(name, /, kind="", text="", href=None, **_):
    row = account(name)["account_id"], kind, text, href
    return ask("INSERT INTO notices VALUES (%s, %s, %s, %s) RETURNING account_id", *row)[0]


urlpatterns = [
    path("capabilities", contract(lambda **_: OFFERS)),
    path("accounts", contract(accounts)),
    path("accounts/<name>", contract(lambda name, **_: account(name))),
    path("accounts/<name>/notices", contract(notify, "POST")),
    path("handles/<name>", contract(find)),
    path("handles/<name>/move", contract(move, "POST")),
    path("handles/<name>/reserve", contract(keep, "POST"), {"to": CUSTODIAN}),
    path("handles/<name>/unreserve", contract(keep, "POST"), {"to": None}),
]
connection.cursor().executescript("""
CREATE TABLE IF NOT EXISTS accounts (account_id TEXT PRIMARY KEY, status TEXT, last_login_at TEXT);
CREATE TABLE IF NOT EXISTS handles (handle TEXT PRIMARY KEY, account_id TEXT, fence INT, leads_to);
CREATE TABLE IF NOT EXISTS notices (account_id TEXT, kind TEXT, text TEXT, href TEXT);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, digest TEXT, status INT, body TEXT)""")
