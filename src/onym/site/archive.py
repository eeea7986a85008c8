"""A backup as one file: a tar whose last member is a manifest with the digest of all the others.

A file without its manifest is no backup, so one that was cut short is refused as a whole. The keys
lie in it in clear, sealed under a passphrase, or not at all; docs/guides/backup.md.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from onym.core.errors import Refusal

FORMAT = "onym-backup/1"
MANIFEST = "manifest.json"
DATABASE = "database.dump"
SEALED = "keys.sealed"
CHECKPOINT = "log/checkpoint"
PIECE_BYTES = 1 << 20
SALT_BYTES, NONCE_BYTES = 16, 12
_NAME = re.compile(r"(?:database\.dump|keys\.sealed|onym\.env|(?:log|keys|namespaces)/[^\0]+)")


class NotABackup(Refusal):
    status, code, title = 422, "not_a_backup", "The file is no whole backup"


class PassphraseNeeded(Refusal):
    status, code, title = 422, "passphrase_needed", "The keys in the backup are sealed"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What the file says of itself. `files` is name → (bytes, SHA-256); `data` where DATA was;
    `sealed_under` knows the field key again, empty in older ones.
    """

    made_at: str
    onym: str
    postgres: int
    tool: int
    migrations: list[str]
    data: str
    keys: str  # "plain", "sealed" or "apart"
    log: dict[str, Any] = field(default_factory=dict)
    files: dict[str, tuple[int, str]] = field(default_factory=dict)
    sealed_under: str = ""
    format: str = FORMAT

    def __post_init__(self) -> None:
        """A backup that tells of a log holds it, or is none; when written and when read."""
        if self.log and CHECKPOINT not in self.files:
            raise NotABackup(f"it tells of {self.log.get('size')} leaves and lacks the log's files")

    @property
    def id(self) -> str:
        """The digest of all of it."""
        return hashlib.sha256(self.encode()).hexdigest()

    def encode(self) -> bytes:
        return json.dumps(asdict(self), sort_keys=True, indent=1).encode()

    @classmethod
    def parse(cls, data: bytes) -> Manifest:
        try:
            told = json.loads(data)
            if told["format"] != FORMAT:
                raise NotABackup(f"its format is {told['format']!r}, this is {FORMAT!r}")
            files = {name: (int(size), str(sha)) for name, (size, sha) in told["files"].items()}
            return cls(**{**told, "files": files})
        except (ValueError, KeyError, TypeError, AttributeError) as fault:
            raise NotABackup(f"its manifest cannot be read: {fault}") from None


class Writer:
    """Adds members to an open tar and keeps their digests."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self._tar = tar
        self.files: dict[str, tuple[int, str]] = {}

    def file(self, name: str, path: Path) -> None:
        """One file of the disk; it may not change meanwhile."""
        with path.open("rb") as source:
            reading = _Digesting(source)
            member = tarfile.TarInfo(name)
            member.size, member.mode = os.fstat(source.fileno()).st_size, 0o600
            self._tar.addfile(member, reading)
        self.files[name] = (member.size, reading.digest.hexdigest())

    def data(self, name: str, data: bytes) -> None:
        member = tarfile.TarInfo(name)
        member.size, member.mode = len(data), 0o600
        self._tar.addfile(member, io.BytesIO(data))
        self.files[name] = (len(data), hashlib.sha256(data).hexdigest())


class _Digesting:
    """A file that is digested as it is read."""

    def __init__(self, source: IO[bytes]) -> None:
        self._source = source
        self.digest = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        piece = self._source.read(size)
        self.digest.update(piece)
        return piece


@contextmanager
def writing(path: Path) -> Iterator[Writer]:
    """A tar for the owner alone, on disk when this ends; the caller adds the manifest last."""
    number = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(number, "wb") as file:
        with tarfile.open(fileobj=file, mode="w", format=tarfile.PAX_FORMAT) as tar:
            yield Writer(tar)
        file.flush()
        os.fsync(file.fileno())


def manifest(path: Path) -> Manifest:
    """The manifest of a backup, without looking at the rest. Refuses `not_a_backup`."""
    with _opened(path) as tar:
        last = None
        for member in tar:
            last = member
        if last is None or last.name != MANIFEST:
            raise NotABackup("it has no manifest at its end: it was not finished, or was cut")
        return Manifest.parse(_whole(tar, last))


def unpack(path: Path, told: Manifest, into: Path) -> None:
    """Write every member below `into` and compare it with the manifest. Refuses `not_a_backup`.

    Nothing outside `into` is ever written: a name that leads elsewhere is refused.
    """
    seen = set()
    with _opened(path) as tar:
        for member in tar:
            if member.name == MANIFEST:
                continue
            size, sha = told.files.get(member.name, (-1, ""))
            if not member.isreg() or not _is_ours(member.name) or member.size != size:
                raise NotABackup(f"{member.name} is not what the manifest says")
            if _extract(tar, member, into / member.name) != sha:
                raise NotABackup(f"{member.name} is damaged: its digest is another")
            seen.add(member.name)
    if missing := sorted(told.files.keys() - seen):
        raise NotABackup(f"{missing[0]} is missing")


def _is_ours(name: str) -> bool:
    return bool(_NAME.fullmatch(name)) and ".." not in Path(name).parts


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> str:
    digest = hashlib.sha256()
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    source = tar.extractfile(member)
    number = os.open(target, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    with os.fdopen(number, "wb") as file:
        while source and (piece := source.read(PIECE_BYTES)):
            digest.update(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


@contextmanager
def _opened(path: Path) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(path, mode="r:") as tar:
            yield tar
    except (tarfile.TarError, EOFError) as fault:
        raise NotABackup(f"{path} is no backup, or was cut: {fault}") from None


def _whole(tar: tarfile.TarFile, member: tarfile.TarInfo) -> bytes:
    source = tar.extractfile(member)
    return source.read() if source else b""


# Keys


def seal(files: Mapping[str, bytes], passphrase: str) -> bytes:
    """Salt, nonce and AES-256-GCM of the files, under a key that scrypt (RFC 7914) makes."""
    salt, nonce = os.urandom(SALT_BYTES), os.urandom(NONCE_BYTES)
    plain = json.dumps({name: data.hex() for name, data in files.items()}).encode()
    return salt + nonce + AESGCM(_key(passphrase, salt)).encrypt(nonce, plain, FORMAT.encode())


def unseal(data: bytes, passphrase: str) -> dict[str, bytes]:
    """The files again. Refuses `passphrase_needed` for a wrong one."""
    salt, rest = data[:SALT_BYTES], data[SALT_BYTES:]
    try:
        cipher = AESGCM(_key(passphrase, salt))
        plain = cipher.decrypt(rest[:NONCE_BYTES], rest[NONCE_BYTES:], FORMAT.encode())
    except (InvalidTag, ValueError):
        raise PassphraseNeeded("this passphrase does not open the keys") from None
    return {name: bytes.fromhex(text) for name, text in json.loads(plain).items()}


def _key(passphrase: str, salt: bytes) -> bytes:
    return Scrypt(salt=salt, length=32, n=2**15, r=8, p=1).derive(passphrase.encode())
