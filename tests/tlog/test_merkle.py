"""The Merkle tree against published vectors, and every proof against every tampering."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.tlog import merkle

# The eight leaves of the Certificate Transparency reference tests (RFC 6962), with the roots of
# their first n and with proofs, as published there.
LEAVES = [
    merkle.leaf_hash(bytes.fromhex(entry))
    for entry in (
        "",
        "00",
        "10",
        "2021",
        "3031",
        "40414243",
        "5051525354555657",
        "606162636465666768696a6b6c6d6e6f",
    )
]
ROOTS = [
    "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
A = "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"
B = "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7"
CD = "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e"
E = "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b"
EF = "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a"
EFGH = "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4"
GH = "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0"
ABCD = "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7"


@pytest.mark.parametrize("size", range(9))
def test_the_roots_are_those_published(size: int) -> None:
    assert merkle.root(LEAVES[:size]).hex() == ROOTS[size]
    assert merkle.tree_root(size, merkle.reader(LEAVES)).hex() == ROOTS[size]


@pytest.mark.parametrize(
    ("index", "size", "proof"),
    [
        (0, 1, []),
        (0, 8, [B, CD, EFGH]),
        (5, 8, [E, GH, ABCD]),
        (2, 3, [ROOTS[2]]),
        (1, 5, [A, CD, E]),
    ],
)
def test_the_inclusion_proofs_are_those_published(index: int, size: int, proof: list[str]) -> None:
    built = merkle.inclusion_proof(index, size, merkle.reader(LEAVES[:size]))
    assert [item.hex() for item in built] == proof


@pytest.mark.parametrize(
    ("old", "size", "proof"),
    [(1, 1, []), (1, 8, [B, CD, EFGH]), (6, 8, [EF, GH, ABCD]), (2, 5, [CD, E])],
)
def test_the_consistency_proofs_are_those_published(old: int, size: int, proof: list[str]) -> None:
    built = merkle.consistency_proof(old, size, merkle.reader(LEAVES[:size]))
    assert [item.hex() for item in built] == proof


def test_there_is_no_consistency_proof_from_size_zero() -> None:
    with pytest.raises(ValueError, match="from size 0"):
        merkle.consistency_proof(0, 8, merkle.reader(LEAVES))
    empty = merkle.EMPTY_ROOT
    whole = bytes.fromhex(ROOTS[8])
    assert not merkle.extends(old=0, size=8, proof=[], old_root=empty, root=whole)
    assert not merkle.extends(old=0, size=0, proof=[], old_root=empty, root=empty)


def test_an_index_outside_the_tree_has_no_proof() -> None:
    for index, size in ((8, 8), (-1, 8), (0, 0)):
        with pytest.raises(ValueError, match="no leaf"):
            merkle.inclusion_proof(index, size, merkle.reader(LEAVES))
        assert not merkle.includes(
            leaf=LEAVES[0], index=index, size=size, proof=[], root=merkle.EMPTY_ROOT
        )


def naive_root(leaves: list[bytes]) -> bytes:
    """RFC 6962, 2.1, word for word."""
    if len(leaves) <= 1:
        return leaves[0] if leaves else hashlib.sha256(b"").digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return merkle.node_hash(naive_root(leaves[:k]), naive_root(leaves[k:]))


def leaves(count: int) -> list[bytes]:
    return [merkle.leaf_hash(number.to_bytes(4, "big")) for number in range(count)]


@given(st.integers(0, 300))
def test_growing_leaf_by_leaf_gives_the_root_of_the_definition(size: int) -> None:
    assert merkle.root(leaves(size)) == naive_root(leaves(size))


@given(st.integers(0, 200), st.integers(0, 200))
def test_a_frontier_read_back_can_be_extended(first: int, more: int) -> None:
    every = leaves(first + more)
    half = merkle.frontier(first, merkle.reader(every[:first]))
    assert half == merkle.extend(merkle.Frontier(), every[:first])
    assert merkle.extend(half, every[first:]).root() == merkle.root(every)


@st.composite
def two_numbers(draw: st.DrawFn) -> tuple[int, int]:
    size = draw(st.integers(1, 300))
    return draw(st.integers(0, size - 1)), size


def flip(value: bytes, bit: int) -> bytes:
    bit %= len(value) * 8
    whole = int.from_bytes(value, "big") ^ (1 << bit)
    return whole.to_bytes(len(value), "big")


def spoilt(proof: list[bytes], bit: int) -> list[list[bytes]]:
    """The proof with one bit flipped in any one hash, one hash dropped, and one too many."""
    flipped = [[*proof[:i], flip(item, bit), *proof[i + 1 :]] for i, item in enumerate(proof)]
    dropped = [[*proof[:i], *proof[i + 1 :]] for i in range(len(proof))]
    return [*flipped, *dropped, [*proof, merkle.EMPTY_ROOT], [*proof[:-1], b"short"]]


def refused(check: Callable[..., bool], good: dict[str, object], **bad: object) -> None:
    assert not check(**{**good, **bad}), bad


@given(two_numbers(), st.integers(0, 255))
def test_every_inclusion_proof_verifies_and_no_changed_one_does(
    place: tuple[int, int], bit: int
) -> None:
    index, size = place
    every = leaves(size)
    proof, root = merkle.inclusion_proof(index, size, merkle.reader(every)), merkle.root(every)
    good: dict[str, object] = {
        "leaf": every[index],
        "index": index,
        "size": size,
        "proof": proof,
        "root": root,
    }
    assert merkle.includes(**good)  # type: ignore[arg-type]  # one dict serves every change
    refused(merkle.includes, good, leaf=flip(every[index], bit))
    refused(merkle.includes, good, root=flip(root, bit))
    for other in {(index + 1) % size, index ^ 1, size} - {index}:
        refused(merkle.includes, good, index=other)
    for bad in spoilt(proof, bit):
        if bad != proof:
            refused(merkle.includes, good, proof=bad)


@given(two_numbers(), st.integers(0, 255))
def test_every_consistency_proof_verifies_and_no_changed_one_does(
    sizes: tuple[int, int], bit: int
) -> None:
    old, size = sizes[0] + 1, sizes[1]
    every = leaves(size)
    proof = merkle.consistency_proof(old, size, merkle.reader(every))
    old_root, root = merkle.root(every[:old]), merkle.root(every)
    good: dict[str, object] = {
        "old": old,
        "size": size,
        "proof": proof,
        "old_root": old_root,
        "root": root,
    }
    assert merkle.extends(**good)  # type: ignore[arg-type]  # one dict serves every change
    refused(merkle.extends, good, old_root=flip(old_root, bit))
    refused(merkle.extends, good, root=flip(root, bit))
    refused(merkle.extends, good, old=size + 1)
    for bad in spoilt(proof, bit):
        if bad != proof:
            refused(merkle.extends, good, proof=bad)


def test_a_rewritten_past_has_no_consistency_proof() -> None:
    every = leaves(100)
    forged = [*every[:10], merkle.leaf_hash(b"forged"), *every[11:]]
    for old in range(11, 100):
        proof = merkle.consistency_proof(old, 100, merkle.reader(forged))
        assert not merkle.extends(
            old=old,
            size=100,
            proof=proof,
            old_root=merkle.root(every[:old]),
            root=merkle.root(forged),
        )


def test_a_proof_that_ends_too_early_for_its_size_shows_nothing() -> None:
    one, two = LEAVES[0], merkle.root(LEAVES[:2])
    assert not merkle.includes(leaf=one, index=0, size=2, proof=[], root=one)
    assert not merkle.includes(leaf=two, index=0, size=4, proof=[], root=two)
    assert not merkle.extends(old=1, size=2, proof=[], old_root=one, root=one)
    assert not merkle.extends(old=2, size=4, proof=[], old_root=two, root=two)
