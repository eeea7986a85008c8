"""Handles: the canonical form is a fixed point, look-alikes are found, one ladder tells why not."""

from __future__ import annotations

import sys
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import errors, names

PROFILES = tuple(names.PROFILES)


@pytest.mark.parametrize(
    ("profile", "text", "canonical"),
    [
        ("x", "Handle", "handle"),
        ("x", "_", "_"),
        ("x", "A_B_C_D_E_F_1_2", "a_b_c_d_e_f_1_2"),
        ("dns", "Open-Market", "open-market"),
        ("dns", "abc", "abc"),
        ("dns", "a" * 63, "a" * 63),
        ("atproto", "moon", "moon"),
        ("atproto", "a" * 18, "a" * 18),
        ("precis", "Straße", "straße"),
        ("precis", "ΑΒΓ", "αβγ"),
        ("precis", "ＡＢ", "ab"),
        ("precis", "معرّف", "معرّف"),
        ("precis", "\u212a", "k"),
        ("precis", "e\u0301", "é"),
    ],
)
def test_a_handle_has_one_canonical_form(profile: str, text: str, canonical: str) -> None:
    assert names.canon(text, profile) == canonical


@pytest.mark.parametrize(
    ("profile", "text"),
    [
        ("x", ""),
        ("x", "a" * 16),
        ("x", "open-market"),
        ("x", "a b"),
        ("x", "a\n"),
        ("x", "\u212a"),
        ("x", "é"),
        ("x", "１"),
        ("x", "@handle"),
        ("dns", "ab"),
        ("dns", "a" * 64),
        ("dns", "-abc"),
        ("dns", "abc-"),
        ("dns", "xn--abc"),
        ("dns", "a_b"),
        ("dns", "abc\n"),
        ("atproto", "a" * 19),
        ("atproto", "moon.example"),
        ("precis", ""),
        ("precis", "a b"),
        ("precis", "①"),
        ("precis", "a\u200bb"),
        ("precis", "x" * 65),
        ("precis", "אa"),
    ],
)
def test_what_is_not_a_handle_is_refused_with_a_reason(profile: str, text: str) -> None:
    with pytest.raises(errors.HandleMalformed) as refused:
        names.canon(text, profile)
    assert refused.value.facts == {"profile": profile}
    assert len(refused.value.detail) > 20
    assert not names.is_handle(text, profile)


def test_an_unknown_profile_is_refused_by_name() -> None:
    with pytest.raises(errors.Malformed, match="'y'; there are x, dns, atproto, precis"):
        names.canon("handle", "y")


def _code_points() -> Iterator[str]:
    return (chr(c) for c in range(sys.maxunicode + 1) if not 0xD800 <= c <= 0xDFFF)


@pytest.mark.parametrize("profile", PROFILES)
def test_canon_is_a_fixed_point_for_every_code_point(profile: str) -> None:
    rules, seen = names.profile(profile), 0
    for char in _code_points():
        for text in (f"ab{char}", char) if ord(char) < 0x3000 else (f"ab{char}",):
            try:
                once = names.canon(text, rules)
            except errors.HandleMalformed:
                continue
            seen += 1
            assert names.canon(once, rules) == once, f"U+{ord(char):04X}"
    assert seen >= {"x": 126, "dns": 62, "atproto": 62}.get(profile, 100_000)


@given(st.text(max_size=20), st.sampled_from(PROFILES))
def test_canon_is_a_fixed_point_for_every_text(text: str, profile: str) -> None:
    if names.is_handle(text, profile):
        once = names.canon(text, profile)
        assert names.canon(once, profile) == once
        assert names.canon(names.display(text, profile), profile) == once


def test_the_display_form_keeps_case_and_means_the_same_handle() -> None:
    assert names.display("OnymTeam", "x") == "OnymTeam"
    assert names.display("Ｓtraße", "precis") == "Straße"
    with pytest.raises(errors.HandleMalformed):
        names.display("no spaces", "x")


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("modern", "rnodern"),
        ("paypal", "paypa1"),
        ("paypal", "paypaI"),
        ("bob", "b0b"),
        ("bob", "B0B"),
        ("scope", "ѕсоре"),
        ("handle", "hаndle"),
        ("é", "e\u0301"),
    ],
)
def test_look_alikes_share_a_skeleton(one: str, other: str) -> None:
    assert names.skeleton(one) == names.skeleton(other)


@pytest.mark.parametrize(("one", "other"), [("moon", "noon"), ("sun", "son"), ("handle", "candle")])
def test_different_names_keep_different_skeletons(one: str, other: str) -> None:
    assert names.skeleton(one) != names.skeleton(other)


@pytest.mark.parametrize("profile", PROFILES)
def test_a_placeholder_is_a_canonical_handle_of_its_profile(profile: str) -> None:
    ids = ["1007", "0", "9" * 40, "did:plc:abcdefghijklmnop", "ABC", "a-", "مرحبا", "", "x" * 300]
    made = [names.placeholder(profile, i) for i in ids]
    made += [names.placeholder(profile, "1007", attempt=n) for n in (1, 2)]
    assert [names.canon(p, profile) for p in made] == made
    assert len(set(made)) == len(made)


def test_a_short_id_stands_in_its_placeholder_in_clear() -> None:
    assert names.placeholder("x", "1007") == "user_1007"
    assert names.placeholder("dns", "1007") == "user-1007"


LADDER = [
    (names.Rung.MALFORMED, {"malformed": True}),
    (names.Rung.PROHIBITED, {"prohibited": True}),
    (names.Rung.RETIRED, {"retired": True}),
    (names.Rung.PROTECTED, {"protected": True}),
    (names.Rung.RESERVED, {"reserved": True}),
    (names.Rung.HELD, {"holder": "1007"}),
    (names.Rung.RESTING, {"resting": True}),
    (names.Rung.SALE_SLOT_TAKEN, {"sale_slot_taken": True}),
]


@pytest.mark.parametrize("first", range(len(LADDER)))
def test_the_ladder_names_the_first_rung_that_fails(first: int) -> None:
    facts = {key: value for _, rung in LADDER[first:] for key, value in rung.items()}
    assert names.check_available(names.Facts(**facts)) is LADDER[first][0]


def test_a_handle_without_any_obstacle_is_free() -> None:
    assert names.check_available(names.Facts()) is None


def test_the_custodian_does_not_count_as_a_holder() -> None:
    assert names.check_available(names.Facts(holder="0", custodian="0")) is None
    assert names.check_available(names.Facts(holder="1", custodian="0")) is names.Rung.HELD
