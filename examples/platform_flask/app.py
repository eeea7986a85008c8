"""A platform that speaks Onym's signed-HTTP contract, in Flask and SQLite; see README.md."""

import json
import os
import re
import sqlite3
import threading
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
CUSTODIAN = "custodian"  # holds what is kept for somebody, and is not in the list
OFFERS = dict.fromkeys(("atomic_move", "reserve", "retain", "notices"), True)
OFFERS |= {"profile": "x", "custodian": CUSTODIAN, "signals": ["status", "last_login_at"]}
PUT = "INSERT OR REPLACE INTO handles VALUES (?, ?, ?, ?)"
ROWS = "SELECT a.*, handle FROM accounts a JOIN handles USING (account_id) WHERE account_id "
DB = sqlite3.connect(os.environ["PLATFORM_DB"], isolation_level=None, check_same_thread=False)
DB.row_factory = sqlite3.Row
DB.executescript("""
CREATE TABLE IF NOT EXISTS accounts (account_id TEXT PRIMARY KEY, status TEXT, last_login_at TEXT);
CREATE TABLE IF NOT EXISTS handles (handle TEXT PRIMARY KEY, account_id TEXT, fence INT, leads_to);
CREATE TABLE IF NOT EXISTS notices (account_id TEXT, kind TEXT, text TEXT, href TEXT);
CREATE TABLE IF NOT EXISTS answers (key TEXT PRIMARY KEY, digest TEXT, status INT, body TEXT)""")
TURN = threading.RLock()  # one connection, so one request at a time
app = Flask(__name__)
app.get("/capabilities")(lambda: OFFERS)


class Refused(Exception):
    def __init__(self, status, code, detail=""):
        told = {"type": f"/problems/{code}", "title": code, "status": status, "code": code}
        self.status, self.body = status, told | {"detail": detail}


def expect(holds, status, code, detail=""):
    if not holds:
        raise Refused(status, code, detail)


@app.before_request
def check_signature():
    url = urls.iri_to_uri(request.url)
    message = SimpleNamespace(method=request.method, url=url, headers=request.headers)
    body = request.get_data() if request.method == "POST" else None
    try:
        found = VERIFIER.verify(message, max_age=timedelta(minutes=5), body=body)[0]
    except InvalidSignature as fault:
        raise Refused(401, "signature_invalid", str(fault)) from fault
    covered = (READ if body is None else READ | WRITE) <= set(found.covered_components)
    expect(covered, 401, "signature_invalid", "the signature leaves something out")


@app.errorhandler(Refused)
@app.errorhandler(exceptions.HTTPException)
def refused(no):
    no = no if isinstance(no, Refused) else Refused(no.code, f"http_{no.code}")
    return Response(json.dumps(no.body), no.status, content_type="application/problem+json")


def ask(statement, *values):
    with TURN:
        return [dict(row) for row in DB.execute(statement, values)]


@app.get("/handles/<name>")
def find(name):  # nobody holds a handle that has no row
    expect(re.fullmatch(r"\w{1,15}", name, re.ASCII), 422, "handle_malformed", name)
    found = ask("SELECT * FROM handles WHERE handle = ?", name.lower())
    return found[0] if found else {"handle": name.lower(), "account_id": None, "fence": 0}


@app.get("/accounts/<account_id>")
def account(account_id, status=404):
    found = ask(ROWS + "= ?", account_id)
    expect(found, status, "account_unknown", account_id)
    expect(status == 404 or found[0]["status"] == "active", 422, "account_unavailable")
    return found[0]


@app.get("/accounts")
def accounts():
    after, limit = request.args.get("cursor", ""), request.args.get("limit", 1000, int)
    items = ask(ROWS + "> ? ORDER BY account_id LIMIT ?", after, max(limit, 1))
    return {"items": items, "next": items[-1]["account_id"] if len(items) == limit else None}


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
    DB.executemany(PUT, changes)
    return find(name) | {"placeholder": given and given["handle"]}


def keep(name, holders, to, code):
    held = find(name)
    expect(held["account_id"] in holders, 409, code)
    ask(PUT, held["handle"], to, held["fence"], to and held.get("leads_to"))
    return find(name)


def notify(name, /, kind="", text="", href=None, **_):
    ask("INSERT INTO notices VALUES (?, ?, ?, ?)", account(name)["account_id"], kind, text, href)
    return {"account_id": name}


VERBS = {"move": move, "notices": notify}
VERBS["reserve"] = lambda name, /, **_: keep(name, (None, CUSTODIAN), CUSTODIAN, "handle_held")
VERBS["unreserve"] = lambda name, /, **_: keep(name, (CUSTODIAN,), None, "not_reserved")


@app.post("/handles/<name>/<any(move, reserve, unreserve):verb>")
@app.post("/accounts/<name>/<any(notices):verb>")
def write(name, verb):  # the answer kept under this key, or that of the verb, kept from now on
    digest = request.path + request.headers["Content-Digest"]
    key, wish = request.headers["Idempotency-Key"], request.get_json(silent=True)
    with TURN, DB:  # commits; rolls back when something else than a refusal is raised
        DB.execute("BEGIN IMMEDIATE")
        kept = ask("SELECT digest, status, body FROM answers WHERE key = ?", key)
        if not kept:
            try:  # a refusal comes before the first change, so nothing need be undone
                status, body = 200, VERBS[verb](name, **(wish if isinstance(wish, dict) else {}))
            except Refused as no:
                status, body = no.status, no.body
            kept = [{"digest": digest, "status": status, "body": json.dumps(body)}]
            ask("INSERT INTO answers VALUES (?, ?, ?, ?)", key, *kept[0].values())
    expect(kept[0]["digest"] == digest, 409, "idempotency_mismatch")
    kind = "application/json" if kept[0]["status"] < 400 else "application/problem+json"
    return Response(kept[0]["body"], kept[0]["status"], content_type=kind)
