"""Signed notes and checkpoints against published keys, notes and signed tree heads."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.tlog import checkpoint as cp

# From the tests of golang.org/x/mod/sumdb/note.
GO_SIGNER = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
GO_KEY = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
GO_SECOND_KEY = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
GO_TEXT = (
    "If you think cryptography is the answer to your problem,\n"
    "then you don't know what your problem is.\n"
)
GO_LINE = (
    "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNX"
    "gKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
)
GO_SECOND_LINE = (
    "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG0"
    "1oOTGwnWLox33WWd1RvMc+QQ=\n"
)

# The Go checksum database: its pinned key, whose base64 holds a plus sign, and heads it signed.
SUMDB_KEY = "sum.golang.org+033de0ae+Ac4zctda0e5eza+HJyk9SxEdh+s3Ux18htTTAD8OuAn8"
SUMDB_HEADS = [
    (
        65209736,
        "5+uGFjx6xBZG8ip1+wi77v+grwbhhukIrxEUS8PXvRo=",
        "Az3grnbssgK7ubgFX36gVETtNv0U23qxyAhAMai2QUfeGa3nB/akvkMdlUErfcZz7l/R3cVtYspg3dxXABkGZZKdsQ8=",
    ),
    (
        6476701,
        "mb8QLQIs0Z0yP5Cstq6guj87oXWeC9gEM8oVikmm9Wk=",
        "Az3grsLX85Gz+s1SiTbgkuqxgItqFq7gsMUEyVnrsa9LM7Us9S+1xbFIGu95949rj4nPRYfvimWEPWL+o3GeoWwOoAw=",
    ),
]

SIGNER = cp.Signer("log.example/handles", bytes(range(32)))
WITNESS = cp.Signer("witness.example/w1", bytes(32), cp.COSIGNATURE)


def a_checkpoint() -> cp.Checkpoint:
    return cp.sign(origin=SIGNER.name, size=7, root=b"r" * 32, signers=[SIGNER])


def test_a_published_signer_key_gives_the_published_verifier_key_and_signature() -> None:
    signer = cp.Signer.parse(GO_SIGNER)
    assert str(signer.verifier) == GO_KEY
    assert signer.encode() == GO_SIGNER
    assert signer.sign(GO_TEXT) == GO_LINE


def test_a_published_note_with_two_signatures_verifies() -> None:
    note = cp.Note.parse(f"{GO_TEXT}\n{GO_LINE}{GO_SECOND_LINE}".encode())
    first, second = cp.Verifier.parse(GO_KEY), cp.Verifier.parse(GO_SECOND_KEY)
    assert note.text == GO_TEXT
    assert note.signers([first, second]) == [first, second]
    assert note.signers([second]) == [second]
    assert note.signers([]) == []


@pytest.mark.parametrize(("size", "root", "signature"), SUMDB_HEADS)
def test_signed_heads_of_the_go_checksum_database_verify(
    size: int, root: str, signature: str
) -> None:
    note = f"go.sum database tree\n{size}\n{root}\n\n— sum.golang.org {signature}\n".encode()
    key = cp.Verifier.parse(SUMDB_KEY)
    head = cp.verify(note, log=key, origin="go.sum database tree")
    assert (head.size, cp.encode_base64(head.root)) == (size, root)
    with pytest.raises(cp.Unverified, match="is wrong"):
        cp.verify(note.replace(b"\n6", b"\n7", 1), log=key, origin="go.sum database tree")
    with pytest.raises(cp.Unverified, match="is of go"):
        cp.verify(note, log=key)


def test_a_verifier_key_whose_base64_holds_a_plus_is_split_at_most_twice() -> None:
    key = cp.Verifier.parse(SUMDB_KEY)
    assert key.name == "sum.golang.org"
    assert str(key) == SUMDB_KEY


def test_no_piece_and_no_change_of_a_verifier_key_is_accepted() -> None:
    for start in range(len(GO_KEY)):
        for end in range(start + 1, len(GO_KEY) + 1):
            if (start, end) != (0, len(GO_KEY)):
                with pytest.raises(cp.Unverified):
                    cp.Verifier.parse(GO_KEY[start:end])
    for place, letter in enumerate(GO_KEY):
        with pytest.raises(cp.Unverified):
            cp.Verifier.parse(GO_KEY[:place] + chr(ord(letter) + 1) + GO_KEY[place + 1 :])


@pytest.mark.parametrize(
    "vkey",
    [
        "PeterNeumann+cc469956+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TWBADKEY==",
        "PeterNeumann+173116ae+ZRpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
        "PeterNeumann+c74f20a3+",
        "Peter Neumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW",
    ],
)
def test_a_key_of_wrong_length_kind_or_name_is_refused(vkey: str) -> None:
    with pytest.raises(cp.Unverified):
        cp.Verifier.parse(vkey)


@pytest.mark.parametrize("skey", ["", "PRIVATE+KEY+a", "PRIVATE+KEY+a+00000000+", GO_KEY])
def test_what_is_no_signer_key_is_refused(skey: str) -> None:
    with pytest.raises(cp.Unverified):
        cp.Signer.parse(skey)
    with pytest.raises(cp.Unverified):
        cp.Signer.parse(GO_SIGNER.replace("c74f20a3", "c74f20a4"))


def test_the_seed_does_not_show_when_a_signer_is_printed() -> None:
    assert "seed" not in repr(SIGNER)


def test_a_checkpoint_is_three_lines_and_signatures() -> None:
    lines = a_checkpoint().note.decode().split("\n")
    assert lines[:4] == ["log.example/handles", "7", cp.encode_base64(b"r" * 32), ""]
    assert lines[4].startswith("— log.example/handles ")
    assert cp.verify(a_checkpoint().note, log=SIGNER.verifier) == a_checkpoint()


def test_a_checkpoint_by_another_key_of_the_same_name_is_refused() -> None:
    other = cp.Signer(SIGNER.name, b"x" * 32)
    with pytest.raises(cp.Unverified, match="not signed by"):
        cp.verify(a_checkpoint().note, log=other.verifier)


GOOD_ROOT = cp.encode_base64(b"r" * 32)
LINE = SIGNER.sign("x")


@pytest.mark.parametrize(
    "note",
    [
        b"",
        b"\xff\xfe",
        b"origin\n1\n",
        f"origin\n1\n{GOOD_ROOT}\n\n".encode(),
        f"origin\n1\n{GOOD_ROOT}\n\n{LINE}"[:-1].encode(),
        f"origin\n01\n{GOOD_ROOT}\n\n{LINE}".encode(),
        f"origin\n-1\n{GOOD_ROOT}\n\n{LINE}".encode(),
        f"origin\n{2**62}\n{GOOD_ROOT}\n\n{LINE}".encode(),
        f"origin\n1\n{GOOD_ROOT[:-4]}\n\n{LINE}".encode(),
        f"origin\n1\n{GOOD_ROOT[:-1]}\n\n{LINE}".encode(),
        f"origin\n1\n{GOOD_ROOT}\nextension\n\nmore\n\n{LINE}".encode(),
        f"\n1\n{GOOD_ROOT}\n\n{LINE}".encode(),
        f"origin\t\n1\n{GOOD_ROOT}\n\n{LINE}".encode(),
        f"origin\n1\n\n{LINE}".encode(),
        f"origin\n1\n{GOOD_ROOT}\n\n- name AAAAAAAA\n".encode(),
        f"origin\n1\n{GOOD_ROOT}\n\n— name AAAA\n".encode(),
        f"origin\n1\n{GOOD_ROOT}\n\n— name\n".encode(),
        f"origin\n1\n{GOOD_ROOT}\n\n{LINE * 101}".encode(),
        b"x" * 100_001,
    ],
)
def test_what_is_no_checkpoint_is_refused(note: bytes) -> None:
    with pytest.raises(cp.Unverified):
        cp.Checkpoint.parse(note)


def test_extension_lines_are_signed_and_kept() -> None:
    text = f"{SIGNER.name}\n1\n{GOOD_ROOT}\nan extension\n"
    note = f"{text}\n{SIGNER.sign(text)}".encode()
    assert cp.verify(note, log=SIGNER.verifier).note == note
    with pytest.raises(cp.Unverified, match="is wrong"):
        cp.verify(note.replace(b"an ext", b"no ext"), log=SIGNER.verifier)


@given(st.integers(0, len(a_checkpoint().note) * 8 - 1))
def test_no_checkpoint_with_a_flipped_bit_verifies(bit: int) -> None:
    note = bytearray(a_checkpoint().note)
    note[bit // 8] ^= 1 << bit % 8
    with pytest.raises(cp.Unverified):
        cp.verify(bytes(note), log=SIGNER.verifier)


def test_a_cosignature_covers_text_and_time_and_stands_beside_the_logs_signature() -> None:
    note = a_checkpoint().note
    line = WITNESS.sign(a_checkpoint().text, seconds=1_700_000_000)
    whole = cp.with_signatures(note, line)
    assert cp.cosignatures(whole, [WITNESS.verifier]) == ["witness.example/w1"]
    assert cp.verify(whole, log=SIGNER.verifier).size == 7
    assert cp.with_signatures(whole, line) == whole
    value = bytearray(cp.Signature.parse(line[:-1]).value)
    value[7] ^= 1
    assert not WITNESS.verifier.signed(a_checkpoint().text, bytes(value))
    assert not WITNESS.verifier.signed(a_checkpoint().text, bytes(value[8:]))


def test_a_log_key_and_a_witness_key_over_the_same_bytes_have_different_ids() -> None:
    assert cp.Signer("a", bytes(32)).verifier.id != cp.Signer("a", bytes(32), 4).verifier.id


@pytest.mark.parametrize("text", ["AB==", "AA", "AA=", "A A=", "AA==\n", "_-==", "é"])
def test_base64_has_one_spelling(text: str) -> None:
    assert cp.decode_base64("AA==") == b"\x00"
    with pytest.raises(cp.Unverified):
        cp.decode_base64(text)
