"""The pages of the documentation lead where they say, and stay as short as they promise."""

from __future__ import annotations

import re
import unicodedata
from pathlib import Path

from tests.docs.test_house_rules import ROOT, expect_none, short, tracked

PAGES = [path for path in tracked() if path.suffix == ".md"]
JOURNEYS = [path for path in PAGES if path.parent.name == "journeys"]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")


def told(page: Path) -> str:
    """Its text without what stands as code."""
    text = re.sub(r"(?ms)^\s*```.*?^\s*```", "", page.read_text())
    return re.sub(r"`[^`\n]*`", "", text)


def anchors(page: Path) -> set[str]:
    """What `#…` may name in it, as forges make it of headings."""
    heads = re.findall(r"(?m)^#+ (.+)$", page.read_text())
    plain = (unicodedata.normalize("NFC", head).lower() for head in heads)
    return {re.sub(r"[^\w\- ]", "", head).strip().replace(" ", "-") for head in plain}


def broken(page: Path, link: str) -> bool:
    where, _, part = link.partition("#")
    target = (page.parent / where).resolve() if where else page
    return not target.exists() or bool(part and part not in anchors(target))


def test_every_relative_link_leads_to_a_file_and_to_a_heading_in_it() -> None:
    links = [(page, link) for page in PAGES for link in LINK.findall(told(page))]
    ours = [(page, link) for page, link in links if not re.match(r"[a-z]+:", link)]
    assert len(ours) > 50
    expect_none([f"{short(page)}: {link}" for page, link in ours if broken(page, link)])


def test_every_page_of_docs_is_linked_from_another_page() -> None:
    """A decision is found by its folder; everything else by a link."""
    linked = {
        (page.parent / link.partition("#")[0]).resolve()
        for page in PAGES
        for link in LINK.findall(told(page))
        if not re.match(r"[a-z]+:", link)
    }
    docs = [
        page for page in PAGES if page.is_relative_to(ROOT / "docs") and page.parent.name != "adr"
    ]
    expect_none([short(page) for page in docs if page not in linked])


def test_a_journey_has_one_picture_and_says_what_may_go_wrong_on_one_page() -> None:
    found = [page for page in JOURNEYS if page.name != "README.md"]
    assert len(found) >= 8
    wrong = [
        short(page)
        for page in found
        if len(page.read_text().splitlines()) > 60
        or page.read_text().count("![") != 1
        or "## What may go wrong" not in page.read_text()
    ]
    expect_none(wrong)


def test_the_readme_is_read_in_one_sitting() -> None:
    readme = next(page for page in PAGES if short(page) == "README.md")
    assert len(readme.read_text().splitlines()) <= 110


def test_pictures_of_pages_are_small() -> None:
    pictures = [path for path in tracked() if path.parent.name == "screens"]
    assert pictures
    assert sum(path.stat().st_size for path in pictures) < 13_000_000


def test_the_readme_leads_to_every_guide_and_concept() -> None:
    read = (ROOT / "README.md").read_text()
    pages = [page for page in PAGES if page.parent.name in {"guides", "concepts"}]
    expect_none([short(page) for page in pages if f"({short(page)})" not in read])
