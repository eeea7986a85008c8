"""The operator's brand, read from the environment once, at start; docs/guides/branding.md."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from onym.core import brand
from onym.core.brand import Brand, Logo
from onym.core.errors import Malformed
from onym.core.money import MINOR_DIGITS

LANGUAGES = ("en", "fr", "ar")
LARGEST_LOGO, LARGEST_TEXT = 200_000, 400_000
PNG = b"\x89PNG\r\n\x1a\n"


def read(environment: Mapping[str, str]) -> Brand:
    """What is set. Refuses `malformed` with the setting's name and what to do about it."""
    return Brand(
        names=_names(environment, "ONYM_SITE_NAME"),
        teams=_names(environment, "ONYM_TEAM_NAME"),
        accents=brand.accents(
            light=environment.get("ONYM_ACCENT_LIGHT", ""),
            dark=environment.get("ONYM_ACCENT_DARK", ""),
        ),
        logo=_logo(environment.get("ONYM_LOGO", "")),
        legal=_legal(environment.get("ONYM_LEGAL", "")),
    )


def currency(environment: Mapping[str, str]) -> str:
    """The namespace's currency, three letters that the market can count in."""
    code = environment.get("ONYM_CURRENCY", "").strip().upper() or "USD"
    if code not in MINOR_DIGITS:
        known = ", ".join(sorted(MINOR_DIGITS))
        raise Malformed(f"ONYM_CURRENCY: {code[:10]} is not among {known}")
    return code


def _names(environment: Mapping[str, str], setting: str) -> dict[str, str]:
    asked = {"": setting} | {code: f"{setting}_{code.upper()}" for code in LANGUAGES}
    found = {code: brand.one_line(name, environment.get(name, "")) for code, name in asked.items()}
    return {code: said for code, said in found.items() if said}


def _logo(path: str) -> Logo | None:
    if not path:
        return None
    file = Path(path)
    kind = brand.LOGOS.get(file.suffix.lower())
    if kind is None:
        raise Malformed("ONYM_LOGO: name a file that ends in .svg or .png")
    data = _bytes("ONYM_LOGO", file, most=LARGEST_LOGO)
    is_picture = data.startswith(PNG) if kind == "image/png" else b"<svg" in data
    if not is_picture:
        raise Malformed(f"ONYM_LOGO: {file.name} is no {file.suffix[1:].upper()} picture")
    return Logo(data, kind)


def _legal(path: str) -> dict[str, dict[str, str]]:
    """The texts of a folder: `imprint.en.md`, `terms.fr.txt`, `privacy.ar.md`, …"""
    if not path:
        return {}
    folder = Path(path)
    if not folder.is_dir():
        raise Malformed(f"ONYM_LEGAL: {path} is no folder")
    found: dict[str, dict[str, str]] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix not in (".md", ".txt"):
            continue
        page, _, language = file.stem.partition(".")
        if page not in brand.PAGES or language not in LANGUAGES:
            raise Malformed(
                f"ONYM_LEGAL: call {file.name} PAGE.LANGUAGE.md; pages are "
                f"{', '.join(brand.PAGES)}, languages {', '.join(LANGUAGES)}"
            )
        found.setdefault(page, {})[language] = _text(file)
    return found


def text(environment: Mapping[str, str], setting: str) -> str:
    """What the file that a setting names says; nothing where it is not set."""
    name = environment.get(setting, "")
    return _text(Path(name), setting) if name else ""


def _text(file: Path, setting: str = "ONYM_LEGAL") -> str:
    try:
        return _bytes(setting, file, most=LARGEST_TEXT).decode()
    except UnicodeDecodeError:
        raise Malformed(f"{setting}: {file.name} is not UTF-8") from None


def _bytes(setting: str, file: Path, *, most: int) -> bytes:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise Malformed(f"{setting}: {file} cannot be read ({error.strerror})") from None
    if len(data) > most:
        raise Malformed(f"{setting}: {file.name} is larger than {most:,} bytes")
    return data
