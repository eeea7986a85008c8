"""An appraisal: a figure with its range, the same for the same handle, higher for what sells."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import ROUND_HALF_UP, Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests import words

from onym.core import appraisal, policy, reading
from onym.core.appraisal import Comparable
from onym.core.money import MAX_MINOR, Money

MODEL = appraisal.built_in()

handles = st.from_regex(r"[a-z0-9_]{1,15}", fullmatch=True) | st.sampled_from(sorted(words.WORDS))


def appraise(handle: str, **more) -> appraisal.Appraisal:
    return appraisal.appraise(handle, lexicon=words.small(), model=MODEL, **more)


def worth(handle: str, **more) -> int:
    return appraise(handle, **more).mid.minor


def rank(values: list[float]) -> list[float]:
    return [sum(v < value for v in values) + values.count(value) / 2 for value in values]


def spearman(a: list[float], b: list[float]) -> float:
    x, y = rank(a), rank(b)
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    top = sum((i - mean_x) * (j - mean_y) for i, j in zip(x, y, strict=True))
    return top / (sum((i - mean_x) ** 2 for i in x) * sum((j - mean_y) ** 2 for j in y)) ** 0.5


# Reading


@pytest.mark.parametrize(
    ("handle", "kind", "parts"),
    [
        ("handle", "word", ("handle",)),
        ("banque", "word", ("banque",)),
        ("سلام", "word", None),
        ("james", "first_name", ("james",)),
        ("garcia", "last_name", ("garcia",)),
        ("london", "term", ("london",)),
        ("google", "term", ("google",)),
        ("johnsmith", "full_name", ("john", "smith")),
        ("john_smith", "full_name", ("john", "smith")),
        ("openmarket", "phrase", ("open", "market")),
        ("themoon", "phrase", ("the", "moon")),
        ("888", "number", ()),
        ("1", "number", ()),
        ("studio54", "alphanumeric", ("studio",)),
        ("k7q2", "alphanumeric", None),
        ("q7", "alphanumeric", None),
        ("x", "letters", ("x",)),
        ("zqxkv", "letters", None),
        ("aglet", "word", ("aglet",)),
        ("_", "letters", ()),
    ],
)
def test_a_handle_reads_as_one_kind(handle, kind, parts):
    read = reading.read(handle, lexicon=words.small())
    assert read.kind == kind
    assert kind in reading.KINDS
    if parts is not None:
        assert read.parts == parts


@given(handle=handles)
def test_the_parts_spell_the_handle_without_its_digits_and_separators(handle):
    read = reading.read(handle, lexicon=words.small())
    assert "".join(read.parts) == read.stem
    assert len(read.parts) == len(read.zipfs)


# Tiers


@pytest.mark.parametrize(
    ("handle", "name", "reason"),
    [
        ("handle", "rare", "dictionary word of six letters"),
        ("moon", "rare", "dictionary word of four letters"),
        ("888", "rare", "short: three characters"),
        ("google", "rare", "name of a brand"),
        ("slack", "rare", "dictionary word of five letters"),
        ("london", "rare", "name that everybody knows"),
        ("james", "priority", "first name"),
        ("johnsmith", "priority", "full name"),
        ("openmarket", "priority", "phrase of two words"),
        ("studio54", "priority", "word with digits that reads"),
        ("aglet", "standard", "no mark of a rarer tier"),
        ("moon_", "standard", "no mark of a rarer tier"),
        ("k7q2", "standard", "no mark of a rarer tier"),
    ],
)
def test_a_tier_explains_itself(handle, name, reason):
    facts = reading.facts(handle, words.small())
    assert policy.tier(policy.built_in("onym-default"), facts) == (name, reason)


def test_the_facts_are_those_that_a_policy_may_ask_for():
    facts = reading.facts("studio54", words.small())
    assert facts.keys() <= policy.FACTS.keys()
    assert (facts["length"], facts["letters"], facts["digits"]) == (8, 6, 2)
    assert facts["words"] is None
    assert reading.facts("john_smith", words.small())["words"] == 2


# The estimate


@given(
    handle=handles,
    base=st.integers(1, 10**9),
    refs=st.none() | st.integers(0, 10**9),
    age=st.none() | st.floats(0, 100),
    demand=st.none() | st.integers(0, 10**6),
)
def test_the_estimate_recomputes_from_the_printed_percents(handle, base, refs, age, demand):
    found = appraise(handle, base=Money(base, "EUR"), refs=refs, age=age, demand=demand)
    product = Decimal(base)
    for factor in found.factors:
        product *= 1 + Decimal(repr(factor.percent)) / 100
    assert found.base == Money(base, "EUR")
    assert found.mid.minor == min(
        MAX_MINOR, int(product.quantize(Decimal(1), rounding=ROUND_HALF_UP))
    )
    assert found.low.minor <= found.mid.minor <= found.high.minor
    assert {found.low.currency, found.high.currency} == {"EUR"}


@given(handle=handles)
def test_every_factor_is_named_once_and_is_above_minus_a_hundred(handle):
    factors = appraise(handle).factors
    assert len({factor.name for factor in factors}) == len(factors)
    assert all(-100 < factor.percent != 0 for factor in factors)
    assert all(round(factor.percent, 2) == factor.percent for factor in factors)


@given(handle=handles)
def test_the_same_question_has_the_same_answer(handle):
    assert appraise(handle) == appraise(handle)


def test_the_level_is_the_operators():
    once = appraise("handle", base=Money(50_000, "USD"))
    tenfold = appraise("handle", base=Money(500_000, "USD"))
    assert once.factors == tenfold.factors
    assert abs(tenfold.mid.minor - 10 * once.mid.minor) <= 10
    assert appraisal.default_base("JPY") == Money(500, "JPY")
    assert appraisal.default_base("USD") == appraisal.DEFAULT_BASE


def test_a_six_letter_word_in_common_use_is_worth_tens_of_thousands_at_the_default_level():
    assert 1_000_000 <= worth("handle") <= 6_000_000


@pytest.mark.parametrize(
    ("dearer", "cheaper"),
    [
        ("moon", "handle"),  # shorter
        ("handle", "aglet"),  # in more common use
        ("casino", "handle"),  # a trade pays for it
        ("thought", "through"),  # nobody wants a function word
        ("handle", "hendla"),  # a word above letters that only sound like one
        ("hendla", "hqxvkz"),  # letters that read above noise
        ("handle", "openmarket"),  # one word above two
        ("openmarket", "openthemarket"),
        ("themoon", "the_moon"),
        ("moon", "moon_"),
        ("moon_", "moon__"),
        ("moon", "moon1"),
        ("studio54", "zqxkvj54"),
        ("g00gla", "g00gle"),  # a look-alike is worth less than nonsense
        ("banque", "bnaque"),  # French
        ("novosti", "nvoosti"),  # Russian, in Latin letters
        ("james", "jmaes"),
        ("z", "zq"),
        ("zq", "zqx"),
        ("zqx", "zqxk"),
        ("zqxk", "zqxkv"),
        ("7", "74"),
        ("417", "4173"),
        ("4173", "41739"),
        ("41739", "417396"),
        ("000", "417"),
        ("888", "444"),
        ("123", "417"),
        ("100", "417"),
        ("417", "417a"),
    ],
)
def test_what_buyers_pay_more_for(dearer, cheaper):
    assert worth(dearer) > worth(cheaper)


def test_age_references_and_demand_add_and_unknown_ones_say_nothing():
    plain = appraise("handle")
    assert {f.name for f in plain.factors} == {"length", "word_en"}
    for more in ({"age": 10.0}, {"refs": 900}, {"demand": 12}):
        found = appraise("handle", **more)
        assert found.mid > plain.mid
        assert len(found.factors) == len(plain.factors) + 1
        assert found.factors[: len(plain.factors)] == plain.factors


def test_the_language_of_a_word_is_named():
    names = {h: {f.name for f in appraise(h).factors} for h in ("banque", "novosti", "سلام")}
    assert "word_fr" in names["banque"]
    assert "word_ru" in names["novosti"]
    assert "word_ar" in names["سلام"]


def test_comparables_are_the_sales_most_like_the_handle():
    def sale(handle: str, day: int = 1) -> Comparable:
        at = datetime(2026, 1, day, tzinfo=UTC)
        return Comparable(handle=handle, price=Money(100_00, "USD"), at=at)

    sales = [sale("888"), sale("openmarket"), sale("sunset"), sale("sunset", 2), sale("handle")]
    near = appraisal.nearest("handle", sales, lexicon=words.small(), count=3)
    assert near == (sale("sunset", 2), sale("sunset", 1), sale("openmarket"))
    found = appraise("handle", comparables=near)
    assert found.wire()["comparables"][0] == {
        "handle": "sunset",
        "price": {"minor": 10_000, "currency": "USD"},
        "at": "2026-01-02T00:00:00Z",
    }


def test_a_factor_cannot_make_a_handle_worth_nothing():
    awful = replace(MODEL, weights={"characters.letters": -50.0})
    found = appraisal.appraise("zqxkv", lexicon=words.small(), model=awful)
    assert found.factors == (appraisal.Factor("characters", -99.99),)
    splendid = replace(MODEL, weights={"characters.letters": 5_000.0})
    found = appraisal.appraise("zqxkv", lexicon=words.small(), model=splendid)
    assert found.factors == (appraisal.Factor("characters", 10_000_000.0),)


# Sales that were reported in public, on the full lexicon. A guard against losing what there is, not
# evidence: the priors were set with public sales in view, these among them, and on these few rows
# English frequency alone ranks better (0.53) than the model (0.40). See docs/concepts/appraisal.md.

SALES = {
    # .com domains, thousands of dollars (Domain Name Journal; companies' filings)
    "voice": 30_000,  # 2019
    "chat": 15_500,  # 2023
    "sex": 13_000,  # 2010
    "hotels": 11_000,  # 2001
    "fund": 9_999,  # 2008
    "porn": 9_500,  # 2007
    "fb": 8_500,  # 2010
    "business": 7_500,  # 1999
    "diamond": 7_500,  # 2006
    "beer": 7_000,  # 2004
    "casino": 5_500,  # 2003
    "slots": 5_500,  # 2010
    "toys": 5_100,  # 2009
    "clothes": 4_900,  # 2008
    "candy": 3_000,  # 2009
    "vodka": 3_000,  # 2006
    "pizza": 2_605,  # 2008
    "computer": 2_100,  # 2007
    "cryptoworld": 195,  # 2018
    # .eth names, thousands of dollars at the day's rate (public chain)
    "paradigm": 1_500,  # 420 ETH, 2021
    "000": 315,  # 300 ETH, 2022
    # the least prices of the .eth digit clubs in the summer of 2022: three, four and five digits
    "417": 30,
    "4173": 2,
    "41739": 0.2,
    # Telegram usernames on Fragment, thousands of dollars at the day's rate
    "news": 1_900,  # 994,000 TON, 2022
    "auto": 1_700,  # 900,000 TON, 2022
    "bank": 1_700,  # 850,000 TON, 2022
}


def test_the_ranking_of_reported_sales_does_not_fall_below_what_it_was():
    score = {h: appraisal.score(h, lexicon=words.full(), model=MODEL) for h in SALES}
    ranked = spearman([score[h] for h in SALES], list(SALES.values()))
    assert ranked >= 0.38
    shortest_first = spearman([-len(h) for h in SALES], list(SALES.values()))
    assert ranked > shortest_first + 0.2


@pytest.mark.parametrize(
    ("dearer", "cheaper"),
    [
        ("news", "novosti"),
        ("novosti", "xqzkwpt"),
        ("maria", "mxria"),
        ("bitcoin", "strength"),
        ("akhbar", "akhbrq"),
        ("haus", "hqus"),
        ("smarthome", "smxrthome"),
        ("nike", "zoka"),
        ("london", "lodnon"),
        ("voice", "cryptoworld"),
        ("carinsurance", "carstrength"),
    ],
)
def test_other_languages_brands_and_names_stand_above_noise(dearer, cheaper):
    def score(handle: str) -> float:
        return appraisal.score(handle, lexicon=words.full(), model=MODEL)

    assert score(dearer) > score(cheaper)
