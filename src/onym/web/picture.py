"""A picture of 1200 × 630 that says a few lines about a handle, for previews of shared links."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from functools import cache, lru_cache
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont, features

SIZE = (1200, 630)
MARGIN = 80
PAPER, INK, SOFT = "#f5f6f4", "#14181a", "#566064"
FONTS = Path(__file__).parent / "fonts"
LATIN = re.compile(r"[\x20-\x7e\xa0-\xff…]*")
TEXT = re.compile(r"[\x20-\x7e\xa0-\xffœŒ–—‘’“”…€]*")
ARABIC = re.compile(r"[\x20-\x7e\xa0-\xff\u0600-\u06ff\u2066-\u2069…]*")
LARGEST, SMALLEST = 150, 64
COLOURS = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Card:
    """What stands on a picture; `handle` is empty on the site's own."""

    site: str
    handle: str
    lines: tuple[str, ...]
    language: str
    accent: str


def can_shape() -> bool:
    """Whether Arabic can be written: libraqm comes with Pillow, libfribidi with the system."""
    return bool(features.check("raqm"))


def can_draw(handle: str) -> bool:
    """Whether a face here has all its characters."""
    return bool(LATIN.fullmatch(handle) or (can_shape() and ARABIC.fullmatch(handle)))


@lru_cache(maxsize=256)
def png(card: Card) -> bytes:
    """The picture; the same card gives the same bytes."""
    image = Image.new("RGB", SIZE, PAPER)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, SIZE[0], 16), fill=card.accent)
    if card.handle:
        _line(draw, card, card.site, y=MARGIN, size=44, fill=card.accent)
    _handle(draw, card)
    for n, line in enumerate(card.lines):
        _line(draw, card, line, y=410 + n * 72, size=48, fill=INK if n == 0 else SOFT)
    out = io.BytesIO()
    image.quantize(COLOURS, method=Image.Quantize.FASTOCTREE).save(out, "PNG", optimize=True)
    return out.getvalue()


def _handle(draw: ImageDraw.ImageDraw, card: Card) -> None:
    """As large as fits in one line; a very long one is cut. The site's own has its name."""
    if not card.handle:
        _line(draw, card, card.site, y=230, size=92, fill=INK)
        return
    shown = f"@{card.handle}"
    face = "handle" if LATIN.fullmatch(shown) else "arabic"
    way = None if face == "handle" else "ltr"
    size = LARGEST
    while size > SMALLEST and _width(draw, shown, face, size) > SIZE[0] - 2 * MARGIN:
        size -= 2
    while _width(draw, shown, face, size) > SIZE[0] - 2 * MARGIN:
        shown = shown.rstrip("…")[:-1] + "…"
    x, anchor = _begin(card)
    font = _font(face, size)
    draw.text((x, 330), shown, font=font, fill=INK, anchor=f"{anchor}s", direction=way)


def _line(
    draw: ImageDraw.ImageDraw, card: Card, words: str, *, y: int, size: int, fill: str
) -> None:
    x, anchor = _begin(card)
    if TEXT.fullmatch(words):
        draw.text((x, y), words, font=_font("text", size), fill=fill, anchor=f"{anchor}a")
        return
    draw.text(
        (x, y),
        words,
        font=_font("arabic", size),
        fill=fill,
        anchor=f"{anchor}a",
        direction="rtl" if card.language == "ar" else "ltr",
        language=card.language,
    )


def _begin(card: Card) -> tuple[int, str]:
    return (SIZE[0] - MARGIN, "r") if card.language == "ar" else (MARGIN, "l")


def _width(draw: ImageDraw.ImageDraw, words: str, face: str, size: int) -> float:
    return draw.textlength(words, font=_font(face, size))


@cache
def _font(face: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(FONTS / f"{face}.ttf", size)
