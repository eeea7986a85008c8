"""A platform that speaks Onym's signed-HTTP contract, in Flask and SQLite; see README.md."""

import contextlib
import hashlib
import json
import os
import re
import secrets
import sqlite3
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

from cryptography.hazmat.primitives.serialization import load_pem_public_key
from flask import Flask, Response, request
from http_message_signatures import HTTPMessageVerifier, InvalidSignature, MappingKeyResolver
from http_message_signatures.algorithms import ED25519
from werkzeug import exceptions, urls

KEY = load_pem_public_key(Path(os.environ["ONYM_PUBLIC_KEY"]).read_bytes())
KEYS = MappingKeyResolver(public_keys={"onym": KEY}, private_keys={})
VERIFIER = HTTPMessageVerifier(signature_algorithm=ED25519, key_resolver=KEYS)
READ, WRITE = {'"@method"', '"@target-uri"'}, {'"idempotency-key"', '"content-digest"'}
SCHEMA = """
CREATE TABLE IF NOT EXISTS accounts (account_id TEXT PRIMARY KEY, status TEXT, last_login_at TEXT);
CREATE TABLE IF NOT EXISTS handles (handle TEXT PRIMARY KEY, account_id TEXT, fence INT NOT NULL);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, digest TEXT, status INT, body TEXT);
"""
ROWS = "SELECT a.*, handle FROM accounts a JOIN handles USING (account_id) WHERE account_id "
app = Flask(__name__)
sqlite3.connect(os.environ["PLATFORM_DB"]).executescript(SCHEMA).close()


class Refused(Exception):
    def __init__(self, status, code, detail=""):
        told = {"type": f"/problems/{code}", "title": code, "status": status, "code": code}
        self.status, self.body = status, told | {"detail": detail}


@contextlib.contextmanager
def transaction():
    db = sqlite3.connect(os.environ["PLATFORM_DB"], isolation_level=None, timeout=30)
    db.row_factory = sqlite3.Row
    db.execute("BEGIN IMMEDIATE")
    with contextlib.closing(db), db:  # commits; rolls back when something is raised
        yield db


@app.before_request
def check_signature():
    url = urls.iri_to_uri(request.url)
    message = SimpleNamespace(method=request.method, url=url, headers=request.headers)
    body = request.get_data() if request.method == "POST" else None
    try:
        found = VERIFIER.verify(message, max_age=timedelta(minutes=5), body=body)[0]
    except InvalidSignature as fault:
        raise Refused(401, "signature_invalid", str(fault)) from fault
    if not (READ if body is None else READ | WRITE) <= set(found.covered_components):
        raise Refused(401, "signature_invalid", "the signature leaves something out")


@app.errorhandler(Refused)
@app.errorhandler(exceptions.HTTPException)
def refused(no):
    no = no if isinstance(no, Refused) else Refused(no.code, f"http_{no.code}")
    return Response(json.dumps(no.body), no.status, content_type="application/problem+json")


def once(db, act):  # the answer kept under this key, or that of `act`, kept from now on
    digest = hashlib.sha256(request.path.encode() + request.get_data()).hexdigest()
    key = request.headers["Idempotency-Key"]
    kept = db.execute("SELECT digest, status, body FROM answers WHERE key = ?", (key,)).fetchone()
    if kept is None:
        try:  # a refusal comes before the first change, so nothing need be undone
            status, body = 200, act()
        except Refused as no:
            status, body = no.status, no.body
        kept = (digest, status, json.dumps(body))
        db.execute("INSERT INTO answers VALUES (?, ?, ?, ?)", (key, *kept))
    if kept[0] != digest:
        raise Refused(409, "idempotency_mismatch")
    kind = "application/json" if kept[1] < 400 else "application/problem+json"
    return Response(kept[2], kept[1], content_type=kind)


def find(db, name):  # handle, account id or None, fence
    if not re.fullmatch(r"[A-Za-z0-9_]{1,15}", name, re.ASCII):
        raise Refused(422, "handle_malformed", f"{name!r} is no handle here")
    found = db.execute("SELECT * FROM handles WHERE handle = ?", (name.lower(),)).fetchone()
    return tuple(found or (name.lower(), None, 0))


def account(db, account_id, status=404):
    row = db.execute(ROWS + "= ?", (account_id,)).fetchone()
    if row is None:
        raise Refused(status, "account_unknown", f"no account {account_id!r}")
    if status == 422 and row["status"] != "active":
        raise Refused(422, "account_unavailable", f"account {account_id} is {row['status']}")
    return dict(row)


@app.get("/capabilities")
def capabilities():
    return {"profile": "x", "atomic_move": True, "signals": ["status", "last_login_at"]}


@app.get("/accounts")
@app.get("/accounts/<account_id>")
def accounts(account_id=None):
    after, limit = request.args.get("cursor", ""), request.args.get("limit", 1000, int)
    with transaction() as db:
        if account_id is not None:
            return account(db, account_id)
        rows = db.execute(ROWS + "> ? ORDER BY account_id LIMIT ?", (after, limit)).fetchall()
    following = rows[-1]["account_id"] if len(rows) == limit else None
    return {"items": [*map(dict, rows)], "next": following}


@app.get("/handles/<name>")
def one_handle(name):
    with transaction() as db:
        return dict(zip(("handle", "account_id", "fence"), find(db, name), strict=True))


@app.post("/handles/<name>/move")
def moved(name):
    wish = request.get_json(silent=True)
    with transaction() as db:
        return once(db, lambda: move(db, name, **(wish if isinstance(wish, dict) else {})))


def move(db, name, to=..., expected_holder=None, fence=None, placeholder=None, **_):
    handle, holder, used = find(db, name)
    if to is ... or not isinstance(fence, int):
        raise Refused(422, "malformed", "a move has to, expected_holder and fence")
    if fence <= used:
        raise Refused(412, "stale_fence")
    if holder != expected_holder:
        raise Refused(412, "wrong_holder")
    given, changes = None, [(handle, to, fence)]
    if to != holder:  # else it is a bar and changes the fence alone
        old = find(db, account(db, to, 422)["handle"])
        changes.append((old[0], None, old[2]))
        if holder is not None:
            given, held, its_fence = find(db, placeholder or f"user_{holder}")
            while held is not None:
                given, held, its_fence = find(db, f"user_{secrets.token_hex(5)}")
            changes.append((given, holder, its_fence))
    db.executemany("INSERT OR REPLACE INTO handles VALUES (?, ?, ?)", changes)
    return {"handle": handle, "account_id": to, "placeholder": given, "fence": fence}
