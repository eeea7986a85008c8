"""A platform that speaks Onym's signed-HTTP contract, in Django and SQLite; see README.md."""

import hashlib
import json
import os
import re
import secrets
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.db import connection, transaction
from django.http import HttpResponse
from django.urls import path
from http_message_signatures import HTTPMessageVerifier, InvalidSignature, MappingKeyResolver
from http_message_signatures.algorithms import ED25519

DB = {"ENGINE": "django.db.backends.sqlite3", "NAME": os.environ["PLATFORM_DB"]}
DB["OPTIONS"] = {"transaction_mode": "IMMEDIATE", "timeout": 30}
settings.configure(ALLOWED_HOSTS=["127.0.0.1"], ROOT_URLCONF=__name__, DATABASES={"default": DB})
application = get_wsgi_application()
KEY = load_pem_public_key(Path(os.environ["ONYM_PUBLIC_KEY"]).read_bytes())
KEYS = MappingKeyResolver(public_keys={"onym": KEY}, private_keys={})
VERIFIER = HTTPMessageVerifier(signature_algorithm=ED25519, key_resolver=KEYS)
READ, WRITE = {'"@method"', '"@target-uri"'}, {'"idempotency-key"', '"content-digest"'}
TABLES = (
    "accounts (account_id TEXT PRIMARY KEY, status TEXT, last_login_at TEXT)",
    "handles (handle TEXT PRIMARY KEY, account_id TEXT, fence BIGINT NOT NULL)",
    "answers (key TEXT PRIMARY KEY, digest TEXT, status INT, body TEXT)",
)
ROWS = "SELECT a.*, handle FROM accounts a JOIN handles USING (account_id) WHERE account_id "


class Refused(Exception):
    def __init__(self, status, code, detail=""):
        told = {"type": f"/problems/{code}", "title": code, "status": status, "code": code}
        self.status, self.body = status, json.dumps(told | {"detail": detail})


def ask(statement, *values):
    with connection.cursor() as cursor:
        cursor.execute(statement, values)
        names = [column[0] for column in cursor.description or ()]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def contract(view):  # a view answers (status, JSON); only requests signed as agreed reach it
    def answered(request, **names):
        try:
            check_signature(request)
            with transaction.atomic():
                status, body = view(request, **names)
        except Refused as no:
            status, body = no.status, no.body
        kind = "application/json" if status < 400 else "application/problem+json"
        return HttpResponse(body, status=status, content_type=kind)

    return answered


def check_signature(request):
    url = request.build_absolute_uri(request.META.get("RAW_URI") or request.get_full_path())
    message = SimpleNamespace(method=request.method, url=url, headers=request.headers)
    body = request.body if request.method == "POST" else None
    try:
        found = VERIFIER.verify(message, max_age=timedelta(minutes=5), body=body)[0]
    except InvalidSignature as fault:
        raise Refused(401, "signature_invalid", str(fault)) from fault
    if not (READ if body is None else READ | WRITE) <= set(found.covered_components):
        raise Refused(401, "signature_invalid", "the signature leaves something out")


def once(request, act):  # the answer kept under this key, or that of `act`, kept from now on
    digest = hashlib.sha256(request.path.encode() + request.body).hexdigest()
    key = request.headers["Idempotency-Key"]
    kept = ask("SELECT digest, status, body FROM answers WHERE key = %s", key)
    if not kept:
        try:  # a refusal comes before the first change, so nothing need be undone
            kept = [{"digest": digest, "status": 200, "body": json.dumps(act())}]
        except Refused as no:
            kept = [{"digest": digest, "status": no.status, "body": no.body}]
        ask("INSERT INTO answers VALUES (%s, %s, %s, %s)", key, *kept[0].values())
    if kept[0]["digest"] != digest:
        raise Refused(409, "idempotency_mismatch")
    return kept[0]["status"], kept[0]["body"]


def find(name):  # nobody holds a handle that has no row
    if not re.fullmatch(r"[A-Za-z0-9_]{1,15}", name, re.ASCII):
        raise Refused(422, "handle_malformed", f"{name!r} is no handle here")
    found = ask("SELECT * FROM handles WHERE handle = %s", name.lower())
    return found[0] if found else {"handle": name.lower(), "account_id": None, "fence": 0}


def put(held, account_id, fence):
    ask("INSERT OR REPLACE INTO handles VALUES (%s, %s, %s)", held["handle"], account_id, fence)


def account(account_id, status=404):
    found = ask(ROWS + "= %s", account_id)
    if not found:
        raise Refused(status, "account_unknown", f"no account {account_id!r}")
    if status == 422 and found[0]["status"] != "active":
        raise Refused(422, "account_unavailable", f"account {account_id} is not active")
    return found[0]


def accounts(request, account_id=None):
    if account_id is not None:
        return 200, json.dumps(account(account_id))
    limit, after = int(request.GET.get("limit", 1000)), request.GET.get("cursor", "")
    items = ask(ROWS + "> %s ORDER BY account_id LIMIT %s", after, limit)
    following = items[-1]["account_id"] if len(items) == limit else None
    return 200, json.dumps({"items": items, "next": following})


def move(name, to=..., expected_holder=None, fence=None, placeholder=None, **_):
    held, given = find(name), None
    if to is ... or not isinstance(fence, int):
        raise Refused(422, "malformed", "a move has to, expected_holder and fence")
    if fence <= held["fence"]:
        raise Refused(412, "stale_fence")
    if held["account_id"] != expected_holder:
        raise Refused(412, "wrong_holder")
    if to != expected_holder:  # else it is a bar and changes the fence alone
        old = find(account(to, 422)["handle"])
        if expected_holder is not None:
            given = find(placeholder or f"user_{expected_holder}")
            while given["account_id"] is not None:
                given = find(f"user_{secrets.token_hex(5)}")
            put(given, expected_holder, given["fence"])
        put(old, None, old["fence"])
    put(held, to, fence)
    return find(name) | {"placeholder": given and given["handle"]}


OFFERS = {"profile": "x", "atomic_move": True, "signals": ["status", "last_login_at"]}
urlpatterns = [
    path("capabilities", contract(lambda _: (200, json.dumps(OFFERS)))),
    path("accounts", contract(accounts)),
    path("accounts/<account_id>", contract(accounts)),
    path("handles/<name>", contract(lambda _, name: (200, json.dumps(find(name))))),
    path("handles/<name>/move", contract(
        lambda request, name: once(request, lambda: move(name, **json.loads(request.body))))),
]  # fmt: skip
for table in TABLES:
    ask(f"CREATE TABLE IF NOT EXISTS {table}")
