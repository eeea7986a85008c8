"""Charts draw what their tables say, in whole units, for both directions, and without styles."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from django.template import engines
from django.utils.translation import override
from hypothesis import given
from hypothesis import strategies as st
from tests import make

from onym.web import charts
from onym.web.charts import Chart, Dot, Moment, Path, Period, Point, Rect, Text
from onym.web.templatetags import chart as tags

JAN, FEB, MAR = (datetime(2026, month, 1, tzinfo=UTC) for month in (1, 2, 3))


def rects(chart: Chart) -> list[Rect]:
    """The bars, legend squares apart."""
    found = [mark for mark in chart.marks if isinstance(mark, Rect)]
    return [rect for rect in found if (rect.width, rect.height) != (12, 12)]


def points(*values: int) -> list[Point]:
    return [Point(f"p{n}", value) for n, value in enumerate(values)]


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=9).filter(any))
def test_the_parts_of_a_bar_fill_it_exactly_and_nothing_has_no_part(values: list[int]) -> None:
    drawn = rects(charts.stacked(points(*values), say=str))
    assert sum(rect.width for rect in drawn) == charts.WIDTH
    assert len(drawn) <= sum(value > 0 for value in values)
    ends = [0, *(rect.x + rect.width for rect in drawn)]
    assert [rect.x for rect in drawn] == ends[:-1]


def test_one_value_fills_the_whole_bar() -> None:
    assert [rect.width for rect in rects(charts.stacked(points(7), say=str))] == [charts.WIDTH]


@pytest.mark.parametrize("values", [[], [0], [0, 0]])
def test_without_numbers_nothing_is_drawn(values: list[int]) -> None:
    drawn = [
        charts.stacked(points(*values), say=str),
        charts.funnel(points(*values), say=str, share=str),
        charts.bars(points(*values), say=str),
        charts.grouped([("a", values)], series=["s"] * len(values), say=str),
    ]
    assert [chart.marks for chart in drawn] == [()] * 4
    assert [chart.rows for chart in drawn] == [()] * 4
    assert charts.steps([], say=str).marks == ()
    assert charts.factors([], say=str).marks == ()
    assert charts.tenures([]).marks == ()


def test_a_negative_part_of_a_whole_is_a_bug() -> None:
    for draw in (
        lambda: charts.stacked(points(3, -1), say=str),
        lambda: charts.funnel(points(3, -1), say=str, share=str),
        lambda: charts.grouped([("a", [1, -1])], series=["s", "t"], say=str),
        lambda: charts.steps([Moment(JAN, "Jan", -1)], say=str),
    ):
        with pytest.raises(ValueError, match="negative"):
            draw()


def test_a_funnel_says_each_steps_share_of_the_first() -> None:
    chart = charts.funnel(points(1000, 250, 3, 0), say=str, share=lambda n: f"{n} %")
    assert [row[2] for row in chart.rows] == ["100 %", "25 %", "1 %", "0 %"]
    assert [rect.width for rect in rects(chart)] == [480, 120, 1, 0]


def test_a_huge_range_stays_inside_and_the_smallest_visible() -> None:
    chart = charts.bars(points(1, 10**14), say=str)
    assert [rect.height for rect in rects(chart)] == [1, charts.PLOT]
    assert all(0 <= rect.y <= rect.y + rect.height <= chart.height for rect in rects(chart))


def test_negative_weeks_hang_below_the_common_zero() -> None:
    up, down = rects(charts.bars(points(100, -50), say=str))
    assert up.y + up.height == down.y
    assert (up.height, down.height) == (107, 53)


@given(st.lists(st.integers(-(10**9), 10**9), min_size=1, max_size=60).filter(any))
def test_bars_lie_side_by_side_inside_the_drawing(values: list[int]) -> None:
    chart = charts.bars(points(*values), say=str)
    drawn = rects(chart)
    assert len(drawn) == len(values)
    assert all(a.x + a.width <= b.x for a, b in pairwise(drawn))
    assert all(r.x >= 0 and r.x + r.width <= charts.WIDTH for r in drawn)
    assert all(r.y >= 0 and r.y + r.height <= chart.height for r in drawn)


def test_a_price_stays_level_until_it_changes() -> None:
    moments = [Moment(MAR, "Mar", 50), Moment(JAN, "Jan", 100), Moment(FEB, "Feb", 0)]
    chart = charts.steps(moments, say=str)
    line = next(mark for mark in chart.marks if isinstance(mark, Path) and "line" in mark.css)
    assert line.points == ((8, 24), (252, 24), (252, 184), (472, 184), (472, 104))
    assert [(d.x, d.y) for d in chart.marks if isinstance(d, Dot)] == [
        (8, 24),
        (252, 184),
        (472, 104),
    ]
    assert chart.rows == (("Jan", "100"), ("Feb", "0"), ("Mar", "50"))


def test_a_price_that_never_changed_is_one_dot() -> None:
    chart = charts.steps([Moment(JAN, "Jan", 70)], say=str)
    assert [(d.x, d.y) for d in chart.marks if isinstance(d, Dot)] == [(8, 72)]


def test_factors_go_to_both_sides_of_the_middle() -> None:
    more, less, none = rects(charts.factors(points(1400, -200, 0), say=str))
    assert (more.x, more.width) == (240, 240)
    assert (less.x + less.width, less.width) == (240, 61)
    assert none.width == 0


def test_factors_that_undo_one_another_are_equally_long() -> None:
    twice, half, nothing = rects(charts.factors(points(1000, -500, -1000), say=str))
    assert twice.width == half.width
    assert nothing.width == 240


def test_groups_share_one_scale() -> None:
    chart = charts.grouped(
        [("rare", [10, 5]), ("priority", [40, 0])], series=["offered", "sold"], say=str
    )
    assert [rect.width for rect in rects(chart)] == [96, 48, 384, 0]
    assert chart.rows == (("rare", "10", "5"), ("priority", "40", "0"))


def test_each_holder_has_a_piece_as_long_as_the_time() -> None:
    chart = charts.tenures([Period("a", JAN, FEB, ""), Period("b", FEB, MAR, "")])
    first, second = rects(chart)
    assert (first.x, first.x + first.width) == (0, second.x)
    assert second.x + second.width == charts.WIDTH
    assert first.width > second.width
    alone = rects(charts.tenures([Period("a", JAN, JAN, "")]))
    assert [(rect.x, rect.width) for rect in alone] == [(0, charts.WIDTH)]


def test_mirroring_twice_changes_nothing() -> None:
    chart = charts.bars(points(3, -2, 5), say=str)
    assert chart.mirrored() != chart
    assert chart.mirrored().mirrored() == chart


@given(st.integers(0, 10**15))
def test_an_axis_ends_at_one_two_or_five_and_noughts(most: int) -> None:
    assert most <= charts.nice(most) <= 5 * most
    assert re.fullmatch(r"0|[125]0*", str(charts.nice(most)))


WEEKS = [date(2026, 1, 5), date(2026, 1, 12)]
TENURES = [
    {"account_id": "1007", "held_from": JAN, "held_to": FEB, "cause": "registered"},
    {"account_id": "1008", "held_from": FEB, "held_to": None, "cause": "trade"},
]
DRAWN: dict[str, tuple[str, dict[str, Any]]] = {
    "verdicts": ("verdict_chart it", {"it": {"keep": 90, "reclaim": 9, "protected": 1}}),
    "funnel": ("funnel_chart it 'Funnel'", {"it": [("a < b & c", 100), ("d", 20)]}),
    "revenue": ("revenue_chart it", {"it": [(day, make.usd(1250)) for day in WEEKS]}),
    "sold": ("sold_chart it", {"it": [(day, 3) for day in WEEKS]}),
    "prices": ("price_chart it", {"it": [(JAN, make.usd(900)), (MAR, make.usd(700))]}),
    "factors": (
        "factor_chart it",
        {"it": [{"name": "length", "percent": 140.0}, {"name": "age", "percent": -20.5}]},
    ),
    "sell-through": ("sell_through_chart it", {"it": [("rare", 10, 5), ("priority", 40, 1)]}),
    "tenures": ("tenure_chart it now", {"it": TENURES, "now": MAR}),
}


def rendered(name: str, language: str, **changes: Any) -> str:
    tag, told = DRAWN[name]
    with override(language):
        page = engines["django"].from_string("{% load chart %}{% " + tag + " %}")
        return str(page.render(told | changes))


def words(element: ElementTree.Element, path: str) -> list[str]:
    return ["".join(found.itertext()) for found in element.iterfind(path)]


SVG = "{http://www.w3.org/2000/svg}"


@pytest.mark.parametrize("language", ["en", "fr", "ar"])
@pytest.mark.parametrize("name", DRAWN)
def test_the_markup_is_valid_has_no_style_and_the_table_says_what_is_drawn(
    name: str, language: str
) -> None:
    text = rendered(name, language)
    figure = ElementTree.fromstring(text)
    assert "style" not in text
    svg = figure.find(f"{SVG}svg")
    assert svg is not None
    assert svg.get("role") == "img"
    assert svg.get("direction") == ("rtl" if language == "ar" else "ltr")
    ids = {element.get("id") for element in svg.iter()}
    assert set((svg.get("aria-labelledby") or "").split()) <= ids
    cells = words(figure, ".//tbody//td") + words(figure, ".//tbody//th")
    drawn = " ".join(words(svg, f"{SVG}text"))
    if name not in ("prices", "revenue", "sold"):  # these write numbers at their axis only
        assert [cell for cell in cells if cell not in drawn] == []
    assert len(words(figure, ".//tbody/tr")) == len(DRAWN[name][1]["it"])
    assert words(svg, f"{SVG}desc")[0].count(";") == len(DRAWN[name][1]["it"]) - 1
    assert words(figure, "figcaption")[0] == words(svg, f"{SVG}title")[0]


def test_numbers_are_written_in_the_pages_language_and_kept_in_one_piece() -> None:
    assert "\u2066+140%\u2069" in rendered("factors", "en")
    assert "\u2066−20,5\xa0%\u2069" in rendered("factors", "fr")
    assert "\u2066$1,250.00\u2069" in rendered("revenue", "en")
    assert "\u200f" not in rendered("revenue", "ar")


def test_a_figure_without_numbers_says_so_and_draws_nothing() -> None:
    text = rendered("verdicts", "en", it={})
    assert "There are no numbers to show yet." in text
    assert "<svg" not in text
    assert "<table" not in text
    assert tags.tenure_chart([], MAR)["figure"].chart.marks == ()


def test_arabic_begins_at_the_right() -> None:
    left, right = (tags.factor_chart(DRAWN["factors"][1]["it"]), None)
    with override("ar"):
        right = tags.factor_chart(DRAWN["factors"][1]["it"])
    bars = [rects(shown["figure"].chart)[0] for shown in (left, right)]
    assert [bar.x for bar in bars] == [240, 0]
    starts = [m.x for m in right["figure"].chart.marks if isinstance(m, Text)]
    assert starts[:2] == [charts.WIDTH, 0]
