"""Stripe's wire format: bracketed form fields in, JSON objects and error objects out."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

JSON = dict[str, Any]

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes back to the caller when it is not a plain 200."""

    status: int
    body: JSON


class WireError(Exception):
    """An error object. `kept`: the answer is remembered under the idempotency key."""

    def __init__(
        self,
        message: str,
        *,
        status: int = 400,
        kind: str = "invalid_request_error",
        code: str = "",
        param: str = "",
        kept: bool = True,
    ) -> None:
        super().__init__(message)
        self.kept = kept
        error = {"type": kind, "message": message, "code": code, "param": param}
        self.answer = Answer(status, {"error": {k: v for k, v in error.items() if v}})


def missing(*, noun: str, identity: str, param: str = "id", status: int = 404) -> WireError:
    return WireError(
        f"No such {noun}: '{identity}'", status=status, code="resource_missing", param=param
    )


def needed(param: str) -> WireError:
    return WireError(
        f"Missing required param: {param}.", code="parameter_missing", param=param, kept=False
    )


def new_id(prefix: str) -> str:
    return f"{prefix}_" + "".join(secrets.choice(ALPHABET) for _ in range(24))


def read_form(text: str) -> JSON:
    """Decode `a[b]=1&c[]=2&d[0][e]=3` into nested dicts and lists of strings."""
    root: JSON = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        keys = re.findall(r"[^\[\]]+|\[\]", name)
        if not keys or len(keys) > 8:
            raise WireError(f"Received unknown parameter: {name}", param=name, kept=False)
        _place(root, keys, value)
    return {name: _listed(value) for name, value in root.items()}


def _place(node: JSON, keys: list[str], value: str) -> None:
    for key in keys[:-1]:
        name = str(len(node)) if key == "[]" else key
        below = node.setdefault(name, {})
        if not isinstance(below, dict):
            raise WireError("Invalid parameter nesting", param=keys[0], kept=False)
        node = below
    node[str(len(node)) if keys[-1] == "[]" else keys[-1]] = value


def _listed(value: Any) -> Any:
    """Turn dicts whose keys are 0, 1, 2 … into lists, all the way down."""
    if not isinstance(value, dict):
        return value
    below = {name: _listed(part) for name, part in value.items()}
    if below and list(below) == [str(i) for i in range(len(below))]:
        return list(below.values())
    return below


def whole(params: JSON, name: str, *, least: int = 1) -> int:
    """A required whole number, as Stripe reads one."""
    if name not in params:
        raise needed(name)
    text = params[name]
    if not isinstance(text, str) or not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise WireError(
            f"Invalid integer: {text}", code="parameter_invalid_integer", param=name, kept=False
        )
    if int(text) < least:
        raise WireError(
            f"This value must be greater than or equal to {least}.",
            code="parameter_invalid_integer",
            param=name,
            kept=False,
        )
    return int(text)


def word(params: JSON, name: str, *, default: str | None = None) -> str:
    """A text field; required when there is no default."""
    value = params.get(name, default)
    if value is None or (value == "" and default is None):
        raise needed(name)
    if not isinstance(value, str):
        raise WireError(f"Invalid string: {value}", param=name, kept=False)
    return value


def currency(params: JSON) -> str:
    text = word(params, "currency").lower()
    if not re.fullmatch(r"[a-z]{3}", text):
        raise WireError(f"Invalid currency: {text}", param="currency", kept=False)
    return text


def capture_method(params: JSON) -> str:
    """When a payment that the bank has agreed to is taken."""
    found = word(params, "capture_method", default="automatic")
    if found not in ("automatic", "automatic_async", "manual"):
        raise WireError("Invalid capture_method", param="capture_method", kept=False)
    return found


def metadata(params: JSON) -> JSON:
    """Up to 50 keys of 40 characters with values of 500, as Stripe allows."""
    given = params.get("metadata") or {}
    if not isinstance(given, dict):
        raise WireError("Invalid object", param="metadata", kept=False)
    if len(given) > 50 or any(len(k) > 40 or len(str(v)) > 500 for k, v in given.items()):
        raise WireError("Metadata is too large", param="metadata", kept=False)
    return given


def truth(params: JSON, name: str) -> bool:
    return params.get(name) == "true"


def only(params: JSON, allowed: Iterable[str]) -> None:
    """Refuse fields that this server does not know, rather than ignore them silently."""
    for name in params.keys() - set(allowed) - {"expand", "metadata"}:
        raise WireError(
            f"Received unknown parameter: {name}",
            code="parameter_unknown",
            param=name,
            kept=False,
        )
