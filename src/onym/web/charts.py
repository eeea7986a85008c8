"""Numbers become the shapes of a chart: whole units in a drawing 480 wide, mirrored for Arabic.

Each function is pure and answers a `Chart`; its table holds the very numbers that are drawn.
Labels and written numbers come in the page's language from the caller.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import pairwise
from typing import ClassVar, NamedTuple

from onym.core.money import allocate

WIDTH = 480
BAR = 20
LINE = 24
PLOT = 160
SERIES = 5
Say = Callable[[int], str]


class Point(NamedTuple):
    """A number with its name."""

    label: str
    value: int


class Moment(NamedTuple):
    """A number from an instant on; `label` writes the instant."""

    at: datetime
    label: str
    value: int


class Period(NamedTuple):
    """A named time from one instant to another; `label` and `when` write both."""

    label: str
    since: datetime
    until: datetime
    when: str


@dataclass(frozen=True, slots=True)
class Rect:
    """A bar by its left upper corner."""

    tag: ClassVar[str] = "rect"
    x: int
    y: int
    width: int
    height: int
    css: str


@dataclass(frozen=True, slots=True)
class Path:
    """A line through points; an axis is one of two."""

    tag: ClassVar[str] = "path"
    points: tuple[tuple[int, int], ...]
    css: str

    @property
    def d(self) -> str:
        """As SVG writes a path."""
        return "M" + " L".join(f"{x} {y}" for x, y in self.points)


@dataclass(frozen=True, slots=True)
class Dot:
    """One value of a line, with what it says."""

    tag: ClassVar[str] = "dot"
    x: int
    y: int
    css: str


@dataclass(frozen=True, slots=True)
class Text:
    """Words on their base line; `start` is the side where the language begins."""

    tag: ClassVar[str] = "text"
    x: int
    y: int
    words: str
    anchor: str = "start"
    css: str = "chart-label"


Mark = Rect | Path | Dot | Text


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """A drawing and the table of the same numbers; without marks there is nothing to show."""

    kind: str
    height: int = 0
    marks: tuple[Mark, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    width: int = WIDTH

    def mirrored(self) -> Chart:
        """The same chart for a page that runs from right to left."""
        return replace(self, marks=tuple(_mirrored(mark, self.width) for mark in self.marks))


def stacked(points: Sequence[Point], *, say: Say) -> Chart:
    """One bar whose parts fill it exactly, a legend line for each. Negative: ValueError."""
    _expect_counts(points)
    rows = tuple((point.label, say(point.value)) for point in points)
    if not any(point.value for point in points):
        return Chart(kind="stacked")
    marks: list[Mark] = []
    x = 0
    for n, (point, width) in enumerate(zip(points, _parts(points), strict=True)):
        y = BAR * 2 + LINE * (n + 1)
        if width:
            marks.append(Rect(x, 0, width, BAR * 2, _bar(n)))
        marks += [Rect(0, y - 12, 12, 12, _bar(n)), Text(LINE, y, point.label)]
        marks.append(Text(WIDTH, y, say(point.value), "end"))
        x += width
    height = BAR * 2 + LINE * len(points) + 8
    return Chart(kind="stacked", height=height, marks=tuple(marks), rows=rows)


def funnel(points: Sequence[Point], *, say: Say, share: Say) -> Chart:
    """Bars under each other, each with its share of the first in per cent. Negative: ValueError."""
    _expect_counts(points)
    if not any(point.value for point in points):
        return Chart(kind="funnel")
    first, most = points[0].value, max(point.value for point in points)
    marks: list[Mark] = []
    rows = []
    for n, point in enumerate(points):
        y = n * (BAR + LINE + 8)
        said, part = say(point.value), share(_scaled(point.value, 100, first)) if first else "–"
        marks += [Text(0, y + 16, point.label), Text(WIDTH, y + 16, f"{said} · {part}", "end")]
        marks.append(Rect(0, y + LINE, _scaled(point.value, WIDTH, most), BAR, _bar(0)))
        rows.append((point.label, said, part))
    height = len(points) * (BAR + LINE + 8)
    return Chart(kind="funnel", height=height, marks=tuple(marks), rows=tuple(rows))


def bars(points: Sequence[Point], *, say: Say) -> Chart:
    """Upright bars, at most 240, from a common zero that lies inside if a number is negative."""
    if not any(point.value for point in points):
        return Chart(kind="bars")
    most = nice(max(0, *(point.value for point in points)))
    least = -nice(max(0, *(-point.value for point in points)))
    zero = LINE + _scaled(most, PLOT, most - least)
    marks: list[Mark] = [*_axis(most, LINE, say), Path(((0, zero), (WIDTH, zero)), "chart-axis")]
    if least:
        marks += _axis(least, LINE + PLOT, say)
    step = WIDTH // len(points)
    every = -(-len(points) // 3)  # more would touch in French, in a narrow card
    for n, point in enumerate(points):
        tall = _scaled(abs(point.value), PLOT, most - least)
        top = zero - tall if point.value > 0 else zero
        marks.append(Rect(n * step + step // 8, top, max(1, step * 3 // 4), tall, _bar(0)))
        if n % every == 0:
            x, anchor = (0, "start") if n == 0 else (n * step + step // 2, "middle")
            marks.append(Text(x, LINE * 2 + PLOT, point.label, anchor))
    rows = tuple((point.label, say(point.value)) for point in points)
    return Chart(kind="bars", height=LINE * 2 + PLOT + 8, marks=tuple(marks), rows=rows)


def steps(moments: Sequence[Moment], *, say: Say) -> Chart:
    """A price over time: level until it changes, a dot where it did. Negative: ValueError."""
    ordered = sorted(moments)
    if not ordered:
        return Chart(kind="line")
    _expect_counts([Point(one.label, one.value) for one in ordered])
    most = nice(max(one.value for one in ordered))
    begin, span = ordered[0].at, _seconds(ordered[0].at, ordered[-1].at)
    spots = [
        (
            8 + _scaled(_seconds(begin, one.at), WIDTH - 16, span),
            LINE + PLOT - _scaled(one.value, PLOT, most),
        )
        for one in ordered
    ]
    corners = [spots[0]]
    for (_, level), (x, y) in pairwise(spots):
        corners += [(x, level), (x, y)]
    marks: list[Mark] = [*_axis(most, LINE, say), *_axis(0, LINE + PLOT, say)]
    marks.append(Path(tuple(corners), "chart-line"))
    marks += [Dot(x, y, "chart-point series-1") for x, y in spots]
    marks.append(Text(0, LINE * 2 + PLOT, ordered[0].label))
    if len(ordered) > 1:
        marks.append(Text(WIDTH, LINE * 2 + PLOT, ordered[-1].label, "end"))
    rows = tuple((one.label, say(one.value)) for one in ordered)
    return Chart(kind="line", height=LINE * 2 + PLOT + 8, marks=tuple(marks), rows=rows)


def factors(points: Sequence[Point], *, say: Say) -> Chart:
    """Bars to both sides of a middle line, as long as the largest allows; in tenths of a per cent.

    Factors multiply, so a bar is as long as the logarithm of its factor: +100 % and −50 %, which
    undo one another, are equally long.
    """
    if not points:
        return Chart(kind="factors")
    most = max(_weight(point.value) for point in points)
    middle = WIDTH // 2
    marks: list[Mark] = []
    for n, point in enumerate(points):
        y, wide = n * (BAR + LINE + 4), _scaled(_weight(point.value), middle, most)
        left, series = (middle, 0) if point.value >= 0 else (middle - wide, 1)
        marks += [Text(0, y + 16, point.label), Text(WIDTH, y + 16, say(point.value), "end")]
        marks.append(Rect(left, y + LINE, wide, BAR, _bar(series)))
    height = len(points) * (BAR + LINE + 4)
    marks.append(Path(((middle, LINE), (middle, height)), "chart-axis"))
    rows = tuple((point.label, say(point.value)) for point in points)
    return Chart(kind="factors", height=height, marks=tuple(marks), rows=rows)


def _weight(tenths: int) -> int:
    """How far a factor is from one, in thousandths of its natural logarithm."""
    return abs(round(1000 * math.log(max(1 + tenths / 1000, 0.001))))


def grouped(
    groups: Sequence[tuple[str, Sequence[int]]], *, series: Sequence[str], say: Say
) -> Chart:
    """For each group a bar a series, all on one scale, a legend above. Negative: ValueError."""
    values = [value for _, found in groups for value in found]
    _expect_counts([Point("", value) for value in values])
    if not any(values):
        return Chart(kind="grouped")
    marks: list[Mark] = []
    for n, name in enumerate(series):
        marks += [Rect(0, n * LINE + 4, 12, 12, _bar(n)), Text(LINE, n * LINE + 16, name)]
    y = len(series) * LINE + 8
    for label, found in groups:
        marks.append(Text(0, y + 16, label))
        for n, value in enumerate(found):
            top = y + LINE + n * (BAR + 4)
            marks.append(Rect(0, top, _scaled(value, WIDTH - 96, max(values)), BAR, _bar(n)))
            marks.append(Text(WIDTH, top + 16, say(value), "end"))
        y += LINE + len(found) * (BAR + 4) + 8
    rows = tuple((label, *(say(value) for value in found)) for label, found in groups)
    return Chart(kind="grouped", height=y, marks=tuple(marks), rows=rows)


def tenures(periods: Sequence[Period]) -> Chart:
    """One line of time, a piece for each holder as long as it was held, a legend line for each."""
    if not periods:
        return Chart(kind="tenures")
    begin = min(period.since for period in periods)
    span = _seconds(begin, max(period.until for period in periods))
    marks: list[Mark] = []
    for n, period in enumerate(periods):
        x = _scaled(_seconds(begin, period.since), WIDTH, span)
        end = _scaled(_seconds(begin, period.until), WIDTH, span) if span else WIDTH
        y = BAR + LINE * (n + 1)
        marks.append(Rect(min(x, WIDTH - 2), 0, max(2, end - x), BAR, _bar(n)))
        marks += [Rect(0, y - 12, 12, 12, _bar(n)), Text(LINE, y, period.label)]
        marks.append(Text(WIDTH, y, period.when, "end"))
    rows = tuple((period.label, period.when) for period in periods)
    height = BAR + LINE * len(periods) + 8
    return Chart(kind="tenures", height=height, marks=tuple(marks), rows=rows)


def nice(most: int) -> int:
    """The smallest of 1, 2, 5 × 10ⁿ that is not below; 0 stays 0."""
    if most <= 0:
        return 0
    ten: int = 10 ** (len(str(most)) - 1)
    return next(ten * step for step in (1, 2, 5, 10) if ten * step >= most)


def _scaled(value: int, length: int, most: int) -> int:
    """`value` of `most` as a length; what is there stays visible, if only one unit long."""
    if value <= 0 or most <= 0:
        return 0
    return max(1, (2 * value * length + most) // (2 * most))


def _parts(points: Sequence[Point]) -> Sequence[int]:
    """Lengths that fill the width; the odd units of rounding go to none that is nothing."""
    filled = iter(allocate(WIDTH, [point.value for point in points if point.value]))
    return [next(filled) if point.value else 0 for point in points]


def _axis(value: int, y: int, say: Say) -> tuple[Mark, Mark]:
    return Path(((0, y), (WIDTH, y)), "chart-axis"), Text(WIDTH, y - 4, say(value), "end")


def _bar(n: int) -> str:
    return f"chart-bar series-{n % SERIES + 1}"


def _seconds(since: datetime, until: datetime) -> int:
    return round((until - since).total_seconds())


def _expect_counts(points: Sequence[Point]) -> None:
    if any(point.value < 0 for point in points):
        raise ValueError("a part of a whole is not negative")


def _mirrored(mark: Mark, width: int) -> Mark:
    if isinstance(mark, Rect):
        return replace(mark, x=width - mark.x - mark.width)
    if isinstance(mark, Path):
        return replace(mark, points=tuple((width - x, y) for x, y in mark.points))
    return replace(mark, x=width - mark.x)
