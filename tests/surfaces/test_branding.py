"""White label: an operator's name, colours, logo and legal texts, on all pages and mails."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.test import Client
from tests import make

from onym.core import brand as core
from onym.core.brand import Brand
from onym.core.errors import Malformed
from onym.jobs import notice
from onym.queries import brand as queries
from onym.site import branding
from onym.web import brand

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'


@pytest.fixture
def place(database: Any, settings: Any) -> Any:
    settings.NAMESPACE, settings.DEMO = "demo", True
    return make.namespace()


def page(path: str) -> str:
    answer = Client().get(path)
    assert answer.status_code == 200, path
    return answer.content.decode()


TITLES = {"en": "Handle Marketplace", "fr": "Marché des identifiants", "ar": "سوق المعرّفات"}


@pytest.mark.parametrize(("language", "title"), TITLES.items())
def test_without_a_name_of_its_own_the_market_has_its_default_title(
    place: Any, language: str, title: str
) -> None:
    for path in ("", "search", "policies", "sign-in"):
        said = re.search("<title>(.*?)</title>", page(f"/{language}/{path}"), re.S)
        assert said
        assert said[1].endswith(title)
    assert queries.site_name(language) == title


def test_the_operators_name_stands_in_every_title_and_under_every_mail(
    place: Any, settings: Any
) -> None:
    settings.BRAND = branding.read(
        {"ONYM_SITE_NAME": "Plaza <Names>", "ONYM_SITE_NAME_FR": "Noms", "ONYM_TEAM_NAME": "Ada"}
    )
    assert "· Plaza &lt;Names&gt;</title>" in page("/en/")
    assert "· Noms</title>" in page("/fr/")
    assert TITLES["ar"] not in page("/ar/")
    _, text, _ = notice.render("press_reply", language="en", facts={})
    assert text.rstrip().endswith("\nAda")


def test_colours_come_as_a_sheet_of_custom_properties(place: Any, settings: Any) -> None:
    assert "/brand.css" not in page("/en/")
    settings.BRAND = branding.read({"ONYM_ACCENT_LIGHT": "#7a0019", "ONYM_ACCENT_DARK": "#ffb4ab"})
    address = re.search('href="(/brand.css[^"]*)"', page("/en/"))
    assert address
    answer = Client().get(address[1])
    assert answer["Content-Type"].startswith("text/css")
    assert "--brand-light: #7a0019; --brand-dark: #ffb4ab" in answer.content.decode()


def test_colours_are_checked_against_the_paper_that_the_pages_have() -> None:
    folder = Path(brand.__file__).parent / "static"
    sheets = "".join(sheet.read_text() for sheet in folder.rglob("*.css"))
    papers = set(re.findall(r"--paper:\s*light-dark\((#\w+),\s*(#\w+)\)", sheets))
    assert papers == {(core.PAPER["light"], core.PAPER["dark"])}


def test_a_logo_is_shown_as_a_picture_and_cannot_run(
    place: Any, settings: Any, tmp_path: Path
) -> None:
    file = tmp_path / "logo.svg"
    file.write_bytes(SVG)
    settings.BRAND = branding.read({"ONYM_LOGO": str(file)})
    address = re.search('<img src="(/brand/logo[^"]*)" alt=""', page("/en/"))
    assert address
    answer = Client().get(address[1])
    assert (answer["Content-Type"], answer.content) == ("image/svg+xml", SVG)
    policy = answer["Content-Security-Policy"]
    assert policy == "default-src 'none'; style-src 'unsafe-inline'; sandbox"
    assert answer["X-Content-Type-Options"] == "nosniff"


def test_without_a_logo_there_is_none(place: Any) -> None:
    assert Client().get("/brand/logo").status_code == 404


LEGAL = """# Who we are

Plaza <script>alert(1)</script> Ltd
https://plaza.example

- one
- two
"""


def test_legal_texts_are_linked_from_the_footer_and_run_nothing(
    place: Any, settings: Any, tmp_path: Path
) -> None:
    assert "/legal/" not in page("/en/")
    (tmp_path / "imprint.en.md").write_text(LEGAL)
    (tmp_path / "imprint.ar.txt").write_text("من نحن")
    settings.BRAND = branding.read({"ONYM_LEGAL": str(tmp_path)})
    assert 'href="/fr/legal/imprint"' in page("/fr/")
    text = page("/en/legal/imprint")
    assert "<script>alert" not in text
    assert "<h2>Who we are</h2>" in text
    assert "<li>two</li>" in text
    assert '<a href="https://plaza.example"' in text
    assert 'lang="ar" dir="rtl"><p>من نحن' in page("/ar/legal/imprint")
    assert 'lang="ar" dir="rtl"' in page("/fr/legal/imprint"), "another language is named as such"
    assert Client().get("/en/legal/terms").status_code == 404


def test_text_is_cut_into_headings_lists_and_paragraphs() -> None:
    cut = brand.blocks("## A\nb\nc\n\n* d\n* e\n\n\n - no list\nbut words\n")
    assert [(block.kind, block.lines) for block in cut] == [
        ("heading", ("A",)),
        ("paragraph", ("b", "c")),
        ("list", ("d", "e")),
        ("paragraph", ("- no list", "but words")),
    ]
    assert brand.blocks("  \n ") == []


def wrong(folder: Path) -> list[tuple[dict[str, str], str]]:
    """Settings that cannot be used, and how each refusal begins."""
    (folder / "logo.png").write_bytes(SVG)
    (folder / "large.svg").write_bytes(b"<svg" + b" " * branding.LARGEST_LOGO)
    (folder / "legal").mkdir()
    (folder / "legal" / "about.en.md").write_text("x")
    (folder / "bytes").mkdir()
    (folder / "bytes" / "terms.en.md").write_bytes(b"\xff")
    return [
        ({"ONYM_LOGO": str(folder / "logo.gif")}, "ONYM_LOGO: name a file that ends in .svg"),
        ({"ONYM_LOGO": str(folder / "none.svg")}, "ONYM_LOGO: .* cannot be read"),
        ({"ONYM_LOGO": str(folder / "logo.png")}, "ONYM_LOGO: logo.png is no PNG"),
        ({"ONYM_LOGO": str(folder / "large.svg")}, "ONYM_LOGO: large.svg is larger"),
        ({"ONYM_LEGAL": str(folder / "none")}, "ONYM_LEGAL: .* is no folder"),
        ({"ONYM_LEGAL": str(folder / "legal")}, "ONYM_LEGAL: call about.en.md"),
        ({"ONYM_LEGAL": str(folder / "bytes")}, "ONYM_LEGAL: terms.en.md is not UTF-8"),
        ({"ONYM_TEAM_NAME_AR": "@team"}, "ONYM_TEAM_NAME_AR: write one line"),
    ]


def test_a_setting_that_cannot_be_used_is_refused_by_its_name(tmp_path: Path) -> None:
    for environment, said in wrong(tmp_path):
        with pytest.raises(Malformed, match=said):
            branding.read(environment)
    with pytest.raises(Malformed, match="ONYM_CURRENCY: XYZ is not among"):
        branding.currency({"ONYM_CURRENCY": "xyz"})
    assert branding.currency({"ONYM_CURRENCY": "eur"}) == "EUR"
    assert branding.read({}) == Brand()
