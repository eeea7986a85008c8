"""The witness: every answer of the protocol, and two requests at once never roll it back."""

from __future__ import annotations

import fcntl
import multiprocessing
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.tlog import checkpoint, merkle, witness

LOG = checkpoint.Signer("log.example/handles", bytes(range(32)))
WITNESS = checkpoint.Signer("witness.example/w1", bytes(32), checkpoint.COSIGNATURE)
LOGS = {LOG.name: [LOG.verifier]}
LEAVES = [merkle.leaf_hash(b"%d" % number) for number in range(100)]


def head(
    size: int, *, signer: checkpoint.Signer = LOG, fork: bool = False
) -> checkpoint.Checkpoint:
    leaves = [merkle.leaf_hash(b"forked"), *LEAVES[1:size]] if fork else LEAVES[:size]
    return checkpoint.sign(
        origin=signer.name, size=size, root=merkle.root(leaves), signers=[signer]
    )


def request(old: int, size: int) -> bytes:
    return witness.submission(head=head(size), old=old, read=merkle.reader(LEAVES[:size])).encode()


def post(state: Path, body: bytes) -> witness.Answer:
    return witness.add_checkpoint(
        body, logs=LOGS, state=state, signer=WITNESS, seconds=1_700_000_000
    )


def test_a_log_that_grows_is_cosigned_step_by_step(tmp_path: Path) -> None:
    for old, size in ((0, 3), (3, 3), (3, 64), (64, 65), (65, 100)):
        answer = post(tmp_path, request(old, size))
        assert answer.status == 200
        whole = checkpoint.with_signatures(head(size).note, answer.body)
        assert checkpoint.cosignatures(whole, [WITNESS.verifier]) == [WITNESS.name]


def test_an_empty_log_may_be_cosigned_first(tmp_path: Path) -> None:
    assert post(tmp_path, request(0, 0)).status == 200
    assert post(tmp_path, request(0, 5)).status == 200


def test_another_old_size_is_answered_with_the_size_known_here(tmp_path: Path) -> None:
    post(tmp_path, request(0, 64))
    for old, size in ((0, 100), (63, 100), (65, 100)):
        answer = post(tmp_path, request(old, size))
        assert (answer.status, answer.body) == (409, "64\n")
        assert answer.content_type == "text/x.tlog.size"
    assert post(tmp_path, request(64, 100)).status == 200


def test_a_second_root_for_a_size_is_a_conflict(tmp_path: Path) -> None:
    post(tmp_path, request(0, 64))
    forked = witness.Submission(64, (), head(64, fork=True))
    assert post(tmp_path, forked.encode()).status == 409


def test_a_forked_tree_is_never_cosigned(tmp_path: Path) -> None:
    post(tmp_path, request(0, 64))
    leaves = [merkle.leaf_hash(b"forked"), *LEAVES[1:]]
    proof = tuple(merkle.consistency_proof(64, 100, merkle.reader(leaves)))
    forked = witness.Submission(64, proof, head(100, fork=True))
    assert post(tmp_path, forked.encode()).status == 422
    assert post(tmp_path, request(64, 100)).status == 200


@pytest.mark.parametrize(("old", "size"), [(0, 64), (64, 64), (64, 100)])
def test_a_proof_too_many_or_too_few_does_not_hold(old: int, size: int, tmp_path: Path) -> None:
    if old:
        post(tmp_path, request(0, old))
    good = witness.Submission.parse(request(old, size))
    long = witness.Submission(old, (*good.proof, merkle.EMPTY_ROOT), good.head)
    assert post(tmp_path, long.encode()).status == 422
    if good.proof:
        short = witness.Submission(old, good.proof[:-1], good.head)
        assert post(tmp_path, short.encode()).status == 422


def test_an_unknown_log_is_not_found_and_an_unknown_key_is_forbidden(tmp_path: Path) -> None:
    unknown = checkpoint.Signer("other.example", LOG.seed)
    body = witness.Submission(0, (), head(3, signer=unknown)).encode()
    assert post(tmp_path, body).status == 404
    other_key = checkpoint.Signer(LOG.name, b"x" * 32)
    body = witness.Submission(0, (), head(3, signer=other_key)).encode()
    assert post(tmp_path, body).status == 403
    wrong = request(0, 3).replace(b"\n3\n", b"\n4\n")
    assert post(tmp_path, wrong).status == 403
    assert list(tmp_path.iterdir()) == []


def test_signatures_by_unknown_keys_beside_the_logs_are_ignored(tmp_path: Path) -> None:
    other = checkpoint.Signer("other.example", b"x" * 32)
    whole = checkpoint.with_signatures(head(3).note, other.sign(head(3).text))
    submitted = witness.Submission(0, (), checkpoint.Checkpoint.parse(whole))
    assert post(tmp_path, submitted.encode()).status == 200


NOTE = head(3).note
HASH = checkpoint.encode_base64(merkle.EMPTY_ROOT).encode()


@pytest.mark.parametrize(
    "body",
    [
        b"",
        NOTE,
        b"old 0\n" + NOTE,
        b"old\n\n" + NOTE,
        b"old 00\n\n" + NOTE,
        b"old -1\n\n" + NOTE,
        b"old 4\n\n" + NOTE,
        b"old 1\nAAAA\n\n" + NOTE,
        b"old 1\nnot base64\n\n" + NOTE,
        b"old 1\n" + (HASH + b"\n") * 64 + b"\n" + NOTE,
        b"old 0\xff\n\n" + NOTE,
        b"old 0\n\nnot a checkpoint",
    ],
)
def test_a_malformed_request_is_a_bad_request(body: bytes, tmp_path: Path) -> None:
    assert post(tmp_path, body).status == 400


def test_the_form_of_the_specifications_example_is_read() -> None:
    text = "example.com/behind-the-sofa\n20852163\nCsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n"
    above = (
        "old 20852014\n"
        "PlRNCrwHpqhGrupue0L7gxbjbMiKA9temvuZZDDpkaw=\n"
        "jrJZDmY8Y7SyJE0MWLpLozkIVMSMZcD5kvuKxPC3swk=\n"
    )
    line = (
        "— example.com/behind-the-sofa Az3grlgtzPICa5OS8npVmf1Myq/5IZniMp+ZJurmRDeOoRDe4URYN7u5/"
        "Zhcyv2q1gGzGku9nTo+zyWE+xeMcTOAYQ8=\n"
    )
    submitted = witness.Submission.parse(f"{above}\n{text}\n{line}".encode())
    assert (submitted.old, len(submitted.proof), submitted.head.size) == (20852014, 2, 20852163)


@given(st.lists(st.tuples(st.integers(0, 99), st.integers(0, 99), st.booleans()), max_size=8))
def test_whatever_is_asked_what_was_cosigned_last_only_ever_grows(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[int, int, bool]]
) -> None:
    state = tmp_path_factory.mktemp("state")
    size = 0
    for old, new, fork in steps:
        old, new = min(old, new), max(old, new, 1)
        body = witness.Submission(0, (), head(new, fork=True)).encode() if fork else None
        if body is None or size == 0:
            body = request(min(old, new), new)
        answer = post(state, body)
        assert (answer.status == 200) == (old == size and not (fork and size))
        size = new if answer.status == 200 else size


def _race(state: Path, size: int, results: multiprocessing.Queue[int]) -> None:
    results.put(post(state, request(3, size)).status)


def test_of_many_requests_at_once_from_one_size_exactly_one_is_cosigned(tmp_path: Path) -> None:
    post(tmp_path, request(0, 3))
    start = multiprocessing.get_context("fork")
    results: multiprocessing.Queue[int] = start.Queue()
    racers = [start.Process(target=_race, args=(tmp_path, 10 + n, results)) for n in range(8)]
    for racer in racers:
        racer.start()
    statuses = sorted(results.get(timeout=30) for _ in racers)
    for racer in racers:
        racer.join(10)
    assert statuses == [200] + [409] * 7


def test_a_request_waits_for_the_one_before_it_on_the_same_log(tmp_path: Path) -> None:
    post(tmp_path, request(0, 3))
    (path,) = tmp_path.glob("*.lock")
    with path.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        waiting = threading.Thread(target=post, args=(tmp_path, request(3, 10)))
        waiting.start()
        waiting.join(0.3)
        assert waiting.is_alive()
    waiting.join(10)
    assert post(tmp_path, request(10, 11)).status == 200
