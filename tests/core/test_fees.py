"""Fees are exact to the minor unit, published, and never more than the price."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from onym.core import fees
from onym.core.errors import (
    AmountTooLarge,
    AmountTooSmall,
    CurrencyMismatch,
    Malformed,
    NotFound,
)
from onym.core.money import MAX_MINOR, Money


def usd(text: str) -> Money:
    whole, _, cents = text.replace(",", "").partition(".")
    return Money(int(whole) * 100 + int(cents.ljust(2, "0") or 0), "USD")


def schedule(name: str = "onym-2026", currency: str = "USD") -> fees.Schedule:
    return fees.built_in(name, currency=currency)


TOML = """
id = "house"
version = 7
effective_from = 2026-05-01T12:00:00+02:00
payer = "half"
[currency.USD]
initiate = "50000.00"
bands = [{ percent = "2.5" }]
[currency.JPY]
least_price = "100"
bands = [{ percent = "10" }]
"""

half = fees.Schedule.from_toml(TOML, currency="USD")


@pytest.mark.parametrize(
    ("name", "price", "commission"),
    [
        ("onym-2026", "1.00", "1.00"),
        ("onym-2026", "19.99", "1.00"),
        ("onym-2026", "20.00", "1.00"),
        ("onym-2026", "20.39", "1.01"),
        ("onym-2026", "499.99", "24.99"),
        ("onym-2026", "5000.00", "250.00"),
        ("onym-2026", "5000.24", "250.00"),
        ("onym-2026", "5000.25", "250.01"),
        ("onym-2026", "25000.00", "1050.00"),
        ("onym-2026", "50000.00", "1800.00"),
        ("flat-5", "1.00", "0.05"),
        ("flat-5", "1.19", "0.05"),
        ("flat-5", "1000000.00", "50000.00"),
        ("domain-2021", "1.00", "1.00"),
        ("domain-2021", "14.99", "14.99"),
        ("domain-2021", "50", "15"),
        ("domain-2021", "75", "15"),
        ("domain-2021", "10,000", "1,750"),
        ("domain-2021", "50,000", "6,500"),
        ("domain-2021", "1,000,000", "101,500"),
    ],
)
@pytest.mark.parametrize("currency", ["USD", "EUR"])
def test_the_published_figures(name, price, commission, currency):
    price, commission = Money(usd(price).minor, currency), Money(usd(commission).minor, currency)
    assert schedule(name, currency).commission(price) == commission


@pytest.mark.parametrize(
    ("table", "price", "gross", "commission", "fee", "proceeds"),
    [
        (schedule(), "1000", "1050", "50", "0", "1000"),
        (schedule("flat-5"), "1000", "1000", "50", "0", "950"),
        (schedule("domain-2021"), "10.00", "10.00", "10.00", "0", "0"),
        (half, "1000", "51012.50", "25", "50000", "987.50"),
        (half, "1.50", "50001.52", "0.03", "50000", "1.49"),  # the buyer pays the odd cent
    ],
)
def test_a_trade_is_split_by_who_pays(table, price, gross, commission, fee, proceeds):
    parts = fees.split(price=usd(price), schedule=table, kind="trade")
    shown = (parts.gross, parts.commission, parts.fee, parts.proceeds)
    assert shown == tuple(map(usd, (gross, commission, fee, proceeds)))


def test_a_primary_sale_has_no_commission():
    parts = fees.split(price=usd("50000"), schedule=schedule(), kind="primary")
    assert (parts.gross, parts.commission) == (usd("50000"), usd("0"))
    assert parts.proceeds == usd("50000")


def test_tax_is_the_buyers_and_a_share_the_sellers():
    parts = fees.split(price=usd("1000"), schedule=schedule(), tax=usd("210"), share=usd("500"))
    assert (parts.gross, parts.proceeds) == (usd("1260"), usd("500"))


def test_prices_outside_the_limits_are_refused():
    with pytest.raises(AmountTooSmall) as least:
        schedule().commission(usd("0.99"))
    assert least.value.facts == {"minimum": {"minor": 100, "currency": "USD"}}
    with pytest.raises(AmountTooSmall):
        fees.split(price=usd("0.99"), schedule=schedule(), kind="primary")
    with pytest.raises(AmountTooLarge):
        schedule().commission(Money(MAX_MINOR + 1, "USD"))
    with pytest.raises(AmountTooLarge):
        fees.split(price=Money(MAX_MINOR, "USD"), schedule=schedule())
    with pytest.raises(AmountTooLarge):
        fees.split(price=usd("10"), schedule=schedule(), share=usd("10.01"))
    with pytest.raises(AmountTooSmall):
        fees.split(price=usd("10"), schedule=schedule(), tax=Money(-1, "USD"))


def test_another_currency_is_refused():
    with pytest.raises(CurrencyMismatch):
        schedule().commission(Money(1000, "EUR"))
    with pytest.raises(CurrencyMismatch):
        fees.split(price=usd("10"), schedule=schedule(), tax=Money(1, "EUR"))
    with pytest.raises(CurrencyMismatch):
        schedule(currency="KWD")
    with pytest.raises(CurrencyMismatch):
        fees.Schedule.from_toml(TOML, currency="EUR")


def test_a_currency_without_minor_units_counts_whole_ones():
    yen = fees.Schedule.from_toml(TOML, currency="JPY")
    assert yen.commission(Money(109, "JPY")) == Money(10, "JPY")
    with pytest.raises(AmountTooSmall):
        yen.commission(Money(99, "JPY"))


@pytest.mark.parametrize("name", fees.BUILT_IN)
def test_a_schedule_names_its_version_and_its_start(name):
    assert schedule(name).key == f"{name}/1"
    assert half.key == "house/7"
    assert half.effective_from == datetime(2026, 5, 1, 10, tzinfo=UTC)
    assert schedule("domain-2021").effective_from == datetime(2021, 1, 1, tzinfo=UTC)


def test_the_version_in_force_is_the_last_one_begun():
    old, new = schedule(), half
    assert fees.in_force([new, old], at=datetime(2026, 5, 1, 9, 59, tzinfo=UTC)) is old
    assert fees.in_force([new, old], at=datetime(2026, 5, 1, 10, tzinfo=UTC)) is new
    with pytest.raises(NotFound):
        fees.in_force([new, old], at=datetime(2025, 12, 31, tzinfo=UTC))
    with pytest.raises(NotFound):
        fees.built_in("../../etc/passwd", currency="USD")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('id = "house"', "id ="),
        ('id = "house"', 'id = ""'),
        ('id = "house"', ""),
        ('id = "house"', 'id = "house"\nsurprise = 1'),
        ("version = 7", "version = 0"),
        ("version = 7", "version = true"),
        ('payer = "half"', 'payer = "nobody"'),
        ("2026-05-01T12:00:00+02:00", "2026-05-01T12:00:00"),
        ("2026-05-01T12:00:00+02:00", '"soon"'),
        ('"2.5"', "2.5"),
        ('"2.5"', '"NaN"'),
        ('"2.5"', '"many"'),
        ('"2.5"', '"100.1"'),
        ('"2.5"', '"0.00001"'),
        ('"50000.00"', '"0.001"'),
        ('"50000.00"', '"-1"'),
        ('"50000.00"', '"1e20"'),
        ('[{ percent = "2.5" }]', "[]"),
        ('[{ percent = "2.5" }]', '["2.5"]'),
        ('[{ percent = "2.5" }]', '[{ percent = "2", up_to = "10" }]'),
        ('[{ percent = "2.5" }]', '[{ percent = "2" }, { percent = "1" }]'),
        (
            '[{ percent = "2.5" }]',
            '[{percent="2",up_to="9"},{percent="2",up_to="8"},{percent="1"}]',
        ),
        ('initiate = "50000.00"', 'least = "1"'),
    ],
)
def test_a_bad_schedule_is_refused_with_its_reason(old, new):
    assert old in TOML
    with pytest.raises(Malformed) as refusal:
        fees.Schedule.from_toml(TOML.replace(old, new, 1), currency="USD")
    assert refusal.value.detail != Malformed.title


tables = st.sampled_from([*map(schedule, fees.BUILT_IN), half])
prices = st.integers(100, 10**14).map(lambda minor: Money(minor, "USD"))


@given(price=prices, table=tables, kind=st.sampled_from(["trade", "primary"]), data=st.data())
def test_the_parts_sum_to_the_gross_exactly(price, table, kind, data):
    tax = Money(data.draw(st.integers(0, 10**12)), "USD")
    most = fees.split(price=price, schedule=table, kind=kind).proceeds.minor
    share = Money(data.draw(st.integers(0, most)), "USD")
    parts = fees.split(price=price, schedule=table, kind=kind, tax=tax, share=share)
    rest = parts.commission + parts.fee + parts.tax + parts.share
    assert parts.gross == parts.proceeds + rest
    assert min(parts.proceeds.minor, parts.commission.minor) >= 0
    assert parts.commission.minor <= price.minor


@given(price=prices, more=st.integers(0, 10**9), table=tables)
def test_a_higher_price_never_pays_less_commission_and_never_leaves_the_seller_less(
    price, more, table
):
    low = fees.split(price=price, schedule=table)
    high = fees.split(price=price + Money(more, "USD"), schedule=table)
    assert low.commission <= high.commission
    assert low.proceeds <= high.proceeds
    assert low.gross <= high.gross


@given(price=prices)
def test_the_commission_of_the_built_in_bands_is_the_rules_arithmetic(price):
    cents = price.minor
    bands = 5 * min(cents, 500_000)
    bands += 4 * max(0, min(cents, 2_500_000) - 500_000)
    bands += 3 * max(0, cents - 2_500_000)
    expected = min(cents, max(100, bands // 100))
    assert schedule().commission(price).minor == expected
