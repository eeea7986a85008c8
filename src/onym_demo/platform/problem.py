"""A refusal of the platform, in the form of RFC 9457."""

from __future__ import annotations

import json

TITLES = {
    "malformed": "The request cannot be read",
    "idempotency_key_missing": "Every write needs an Idempotency-Key",
    "idempotency_mismatch": "The key was used for another request",
    "signature_missing": "A write must be signed",
    "signature_invalid": "The signature does not hold",
    "not_found": "There is no such thing",
    "account_unknown": "There is no such account",
    "account_unavailable": "The account may not take a handle now",
    "handle_malformed": "Not a handle of this platform",
    "handle_held": "An account holds the handle",
    "not_reserved": "The custodian does not hold the handle",
    "stale_fence": "A later write was already made",
    "wrong_holder": "Somebody else holds the handle",
    "wrong_handle": "The account does not hold this handle",
    "handed_over": "The account was handed over since",
    "too_large": "The request is too large",
    "busy": "Too many requests at a time",
    "not_from_here": "Only from this machine",
    "fault": "The platform failed",
}


class Problem(Exception):
    """`status` and `code` are contract; `detail` is for people; `facts` are plain JSON values."""

    def __init__(self, status: int, code: str, detail: str = "", **facts: object) -> None:
        super().__init__(code, detail)
        self.status = status
        self.code = code
        self.detail = detail or TITLES[code]
        self.facts = facts

    def json(self) -> str:
        body = {
            "type": f"/problems/{self.code}",
            "title": TITLES[self.code],
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
        }
        return json.dumps(body | self.facts, ensure_ascii=False)
