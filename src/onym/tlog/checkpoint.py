"""Signed notes and checkpoints as in C2SP: keys, signatures, and the head of the log.

A checkpoint says: this log had so many leaves and this root. docs/concepts/log.md explains it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from onym.tlog import merkle

ED25519 = 0x01
"""A signature over the text of the note."""
COSIGNATURE = 0x04
"""A witness's signature over the text and the second at which it was made (tlog-cosignature)."""

MAX_NOTE_BYTES = 100_000
MAX_SIGNATURES = 100
MAX_SIZE = 2**62

_NAME = re.compile(r"[^\s+\x00-\x1f]+")
_NUMBER = re.compile(r"0|[1-9][0-9]{0,18}")
_PRIVATE = "PRIVATE+KEY+"


class Unverified(Exception):
    """A note, checkpoint or key that cannot be read or is not signed as it must be."""


def decode_base64(text: str) -> bytes:
    """Standard base64 in its one canonical spelling; anything else raises Unverified."""
    try:
        value = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as fault:
        raise Unverified("not base64") from fault
    if encode_base64(value) != text:
        raise Unverified("not canonical base64")
    return value


def encode_base64(value: bytes) -> str:
    return base64.b64encode(value).decode("ascii")


def decimal(text: str) -> int:
    """A number in ASCII without leading zeroes, below 2^62; anything else raises Unverified."""
    if not _NUMBER.fullmatch(text) or int(text) >= MAX_SIZE:
        raise Unverified(f"not a number: {text[:30]!r}")
    return int(text)


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key with the name it signs under and the kind of its signatures."""

    name: str
    key: bytes
    kind: int = ED25519

    def __post_init__(self) -> None:
        if not _NAME.fullmatch(self.name):
            raise Unverified(f"not a key name: {self.name!r}")
        if len(self.key) != 32 or self.kind not in (ED25519, COSIGNATURE):
            raise Unverified("not an Ed25519 key of a known kind")

    @classmethod
    def parse(cls, vkey: str) -> Self:
        """A verifier key `name+id+base64(kind ‖ key)`; base64 may hold a + of its own."""
        parts = vkey.split("+", 2)
        if len(parts) != 3:
            raise Unverified("a verifier key is name+id+key")
        value = decode_base64(parts[2])
        if not value:
            raise Unverified("a verifier key is name+id+key")
        verifier = cls(parts[0], value[1:], value[0])
        if verifier.id.hex() != parts[1]:
            raise Unverified("the id of the verifier key is not that of its name and key")
        return verifier

    @property
    def id(self) -> bytes:
        """The first four bytes of SHA-256(name ‖ 0x0A ‖ kind ‖ key)."""
        seed = self.name.encode() + b"\n" + bytes([self.kind]) + self.key
        return hashlib.sha256(seed).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{encode_base64(bytes([self.kind]) + self.key)}"

    def signed(self, text: str, signature: bytes) -> bool:
        """Whether `signature` (without the key id) is by this key over `text`."""
        message = text.encode()
        if self.kind == COSIGNATURE:
            if len(signature) != 72:
                return False
            message = _cosigned(text, int.from_bytes(signature[:8], "big"))
            signature = signature[8:]
        try:
            Ed25519PublicKey.from_public_bytes(self.key).verify(signature, message)
        except InvalidSignature:
            return False
        return True


def _cosigned(text: str, seconds: int) -> bytes:
    return f"cosignature/v1\ntime {seconds}\n{text}".encode()


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key with the name it signs under. `seed` is 32 random bytes."""

    name: str
    seed: bytes = field(repr=False)
    kind: int = ED25519

    def __post_init__(self) -> None:
        if len(self.seed) != 32:
            raise Unverified("an Ed25519 seed has 32 bytes")

    @classmethod
    def parse(cls, skey: str) -> Self:
        """A signer key `PRIVATE+KEY+name+id+base64(kind ‖ seed)`, as `encode` writes it."""
        if not skey.startswith(_PRIVATE):
            raise Unverified("not a signer key")
        parts = skey.removeprefix(_PRIVATE).split("+", 2)
        if len(parts) != 3:
            raise Unverified("not a signer key")
        value = decode_base64(parts[2])
        if not value:
            raise Unverified("not a signer key")
        signer = cls(parts[0], value[1:], value[0])
        if signer.verifier.id.hex() != parts[1]:
            raise Unverified("the id of the signer key is not that of its name and key")
        return signer

    def encode(self) -> str:
        secret = encode_base64(bytes([self.kind]) + self.seed)
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{secret}"

    @property
    def verifier(self) -> Verifier:
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        return Verifier(self.name, private.public_key().public_bytes_raw(), self.kind)

    def sign(self, text: str, *, seconds: int = 0) -> str:
        """The signature line over `text`; a cosignature also covers `seconds` since 1970."""
        private = Ed25519PrivateKey.from_private_bytes(self.seed)
        if self.kind == COSIGNATURE:
            signature = seconds.to_bytes(8, "big") + private.sign(_cosigned(text, seconds))
        else:
            signature = private.sign(text.encode())
        return f"\u2014 {self.name} {encode_base64(self.verifier.id + signature)}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line: the name, the key id, and the bytes after the id."""

    name: str
    id: bytes
    value: bytes

    @classmethod
    def parse(cls, line: str) -> Self:
        dash, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        value = decode_base64(encoded)
        if dash != "\u2014" or not _NAME.fullmatch(name) or len(value) < 5:
            raise Unverified("not a signature line")
        return cls(name, value[:4], value[4:])


@dataclass(frozen=True, slots=True)
class Note:
    """A text ending in a newline, and the signatures under it, none of them checked yet."""

    text: str
    signatures: tuple[Signature, ...]

    @classmethod
    def parse(cls, data: bytes) -> Self:
        if len(data) > MAX_NOTE_BYTES:
            raise Unverified("the note is too long")
        try:
            whole = data.decode("utf-8")
        except UnicodeDecodeError as fault:
            raise Unverified("the note is not UTF-8") from fault
        if any(letter < " " and letter != "\n" for letter in whole):
            raise Unverified("the note holds control characters")
        text, gap, below = whole.rpartition("\n\n")
        if not gap or not below.endswith("\n"):
            raise Unverified("the note has no signatures under an empty line")
        lines = below[:-1].split("\n")
        if len(lines) > MAX_SIGNATURES:
            raise Unverified("the note has too many signatures")
        return cls(text + "\n", tuple(Signature.parse(line) for line in lines))

    def signers(self, verifiers: Sequence[Verifier]) -> list[Verifier]:
        """Which of `verifiers` signed. A wrong signature under a known key raises Unverified."""
        found = []
        for verifier in verifiers:
            own = [s for s in self.signatures if (s.name, s.id) == (verifier.name, verifier.id)]
            if not all(verifier.signed(self.text, signature.value) for signature in own):
                raise Unverified(f"the signature by {verifier.name} is wrong")
            if own:
                found.append(verifier)
        return found


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The head of a log: `note` is the signed note as it is published."""

    origin: str
    size: int
    root: bytes
    note: bytes = b""

    @classmethod
    def parse(cls, note: bytes) -> Self:
        """What the note says, its signatures unchecked; unreadable notes raise Unverified."""
        lines = Note.parse(note).text[:-1].split("\n")
        if len(lines) < 3 or not all(lines):
            raise Unverified("a checkpoint has an origin, a size and a root")
        root = decode_base64(lines[2])
        if len(root) != merkle.HASH_BYTES:
            raise Unverified("a root has 32 bytes")
        return cls(lines[0], decimal(lines[1]), root, note)

    @property
    def text(self) -> str:
        return f"{self.origin}\n{self.size}\n{encode_base64(self.root)}\n"


def sign(*, origin: str, size: int, root: bytes, signers: Sequence[Signer]) -> Checkpoint:
    """A checkpoint signed by each of `signers`, the log's own first."""
    bare = Checkpoint(origin, size, root)
    lines = "".join(signer.sign(bare.text) for signer in signers)
    return Checkpoint(origin, size, root, f"{bare.text}\n{lines}".encode())


def verify(note: bytes, *, log: Verifier, origin: str | None = None) -> Checkpoint:
    """The checkpoint in `note`, signed by `log`; `origin` defaults to the name of the key.

    Raises Unverified where it cannot be read, is another log's, or lacks the log's signature.
    """
    checkpoint = Checkpoint.parse(note)
    if checkpoint.origin != (origin or log.name):
        raise Unverified(f"the checkpoint is of {checkpoint.origin}, not of {origin or log.name}")
    if not Note.parse(note).signers([log]):
        raise Unverified(f"the checkpoint is not signed by {log.name} with this key")
    return checkpoint


def cosignatures(note: bytes, witnesses: Sequence[Verifier]) -> list[str]:
    """The names of the witnesses whose cosignatures stand under `note`, each once."""
    return [verifier.name for verifier in Note.parse(note).signers(witnesses)]


def with_signatures(note: bytes, lines: str) -> bytes:
    """`note` with further signature lines, each ending in a newline, unless it has them."""
    have = set(note.decode().splitlines())
    fresh = [line for line in lines.splitlines() if line not in have]
    whole = note + "".join(f"{line}\n" for line in fresh).encode()
    Note.parse(whole)
    return whole
