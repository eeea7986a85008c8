"""Receipts: the published format, every proof verifies offline, no changed one does."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.tlog import checkpoint, integrator, proof, tiles

SIGNER = checkpoint.Signer("log.example/handles", bytes(range(32)))
WITNESS = checkpoint.Signer("witness.example/w1", bytes(32), checkpoint.COSIGNATURE)
OTHER = checkpoint.Signer("witness.example/w2", b"2" * 32, checkpoint.COSIGNATURE)


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("log")
    integrator.append(folder, [b"row %d" % n for n in range(300)], SIGNER, first=0)
    return folder


def note(log: Path) -> bytes:
    return (log / "checkpoint").read_bytes()


def receipt(log: Path, index: int) -> bytes:
    return proof.build(index=index, note=note(log), read=tiles.directory(log)).encode()


def test_a_receipt_has_the_published_form(log: Path) -> None:
    lines = receipt(log, 7).decode().split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1] == "extra cm93IDc="
    assert lines[2] == "index 7"
    assert [len(line) for line in lines[3:12]] == [44] * 9
    assert lines[12] == ""
    assert "\n".join(lines[13:]).encode() == note(log)


@given(st.integers(0, 299))
def test_every_receipt_verifies_offline_and_holds_its_entry(log: Path, index: int) -> None:
    found, head, entry = proof.verify(receipt(log, index), log=SIGNER.verifier)
    assert (found.index, head.size, entry) == (index, 300, b"row %d" % index)


@given(st.integers(0, 299), st.data())
def test_no_receipt_with_a_flipped_bit_verifies(log: Path, index: int, data: st.DataObject) -> None:
    good = receipt(log, index)
    bit = data.draw(st.integers(0, len(good) * 8 - 1))
    bad = bytearray(good)
    bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(checkpoint.Unverified):
        proof.verify(bytes(bad), log=SIGNER.verifier)


def test_a_receipt_shows_its_own_entry_only(log: Path) -> None:
    with pytest.raises(checkpoint.Unverified, match="leaf 7 is not shown"):
        proof.verify(receipt(log, 7), log=SIGNER.verifier, entry=b"row 8")


def test_a_receipt_of_another_log_is_refused(log: Path) -> None:
    other = checkpoint.Signer(SIGNER.name, b"o" * 32)
    with pytest.raises(checkpoint.Unverified, match="not signed by"):
        proof.verify(receipt(log, 7), log=other.verifier)
    other = checkpoint.Signer("other.example", SIGNER.seed)
    with pytest.raises(checkpoint.Unverified, match="not of other"):
        proof.verify(receipt(log, 7), log=other.verifier)


def test_a_witness_that_is_asked_for_must_have_cosigned(log: Path) -> None:
    head = checkpoint.verify(note(log), log=SIGNER.verifier)
    whole = checkpoint.with_signatures(head.note, WITNESS.sign(head.text, seconds=9))
    data = proof.build(index=7, note=whole, read=tiles.directory(log)).encode()
    proof.verify(data, log=SIGNER.verifier, witnesses=[WITNESS.verifier])
    with pytest.raises(checkpoint.Unverified, match=r"not cosigned by witness\.example/w2"):
        proof.verify(data, log=SIGNER.verifier, witnesses=[WITNESS.verifier, OTHER.verifier])


def test_a_leaf_that_the_checkpoint_does_not_cover_has_no_receipt_yet(log: Path) -> None:
    with pytest.raises(ValueError, match="no leaf 300"):
        receipt(log, 300)


def test_no_receipt_is_handed_out_that_would_not_verify(log: Path) -> None:
    honest = tiles.directory(log)

    def damaged(path: str) -> bytes:
        data = honest(path)
        return data[:-1] + bytes([data[-1] ^ 1]) if path.startswith("tile/0") else data

    with pytest.raises(checkpoint.Unverified, match="not shown"):
        proof.build(index=255, note=note(log), read=damaged)


HASH = "A" * 43 + "="


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"c2sp.org/tlog-proof@v1\n\n",
        b"c2sp.org/tlog-proof@v2\nindex 0\n\nx",
        b"c2sp.org/tlog-proof@v1\nindex 00\n\nx",
        b"c2sp.org/tlog-proof@v1\nindex -1\n\nx",
        b"c2sp.org/tlog-proof@v1\nextra !\nindex 0\n\nx",
        b"c2sp.org/tlog-proof@v1\nindex 0\nAAAA\n\nx",
        b"c2sp.org/tlog-proof@v1\nindex 0\n" + f"{HASH}\n".encode() * 64 + b"\nx",
        b"c2sp.org/tlog-proof@v1\nindex 0\n\xff\n\nx",
        b"c2sp.org/tlog-proof@v1\nindex 0\n\nx" + b"x" * 1_000_000,
    ],
)
def test_what_is_no_receipt_is_refused(data: bytes) -> None:
    with pytest.raises(checkpoint.Unverified):
        proof.verify(data, log=SIGNER.verifier)


def test_the_form_of_the_specifications_example_is_read() -> None:
    example = proof.Proof.parse(
        b"c2sp.org/tlog-proof@v1\n"
        b"extra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6\n"
        b"index 73894\n"
        b"gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n"
        b"B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n"
        b"\n"
        b"example.com/fancylog\n109482\n"
    )
    assert (example.index, len(example.path)) == (73894, 2)
    assert example.extra == b"age-v1.2.1-darwin-arm64.tar.gz"
    assert example.note.startswith(b"example.com/fancylog\n")
