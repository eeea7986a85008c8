"""Every string of pages and mails is said in every language, and nothing is kept that is not said.

After a change of words: `msgfmt -o django.mo django.po` in each folder of src/onym/web/locale.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from babel.messages import mofile, pofile
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_python
from django.utils.translation import override
from django.utils.translation.template import templatize

SOURCE = Path(__file__).resolve().parents[2] / "src" / "onym"
LOCALE = SOURCE / "web" / "locale"
LANGUAGES = ("fr", "ar")
KEYWORDS = ["gettext", "gettext_lazy", "gettext_noop", "ngettext", "pgettext", "_", "said"]
Message = str | tuple[str, str]


def said() -> Iterator[Message]:
    """Every message that a template or a module marks, as its catalogue names it."""
    for path in sorted(SOURCE.rglob("*")):
        if "templates" in path.parts and path.suffix in (".html", ".txt"):
            yield from marked(templatize(path.read_text(), origin=str(path)))
        elif path.suffix == ".py":
            yield from marked(path.read_text())


def marked(code: str) -> Iterator[Message]:
    stream = io.BytesIO(code.encode())
    for _, call, words, _ in extract_python(stream, KEYWORDS, [], {"encoding": "utf-8"}):
        if call == "ngettext":
            yield words[0], words[1]
        elif words and isinstance(words, str):
            yield words


def catalogue(language: str) -> Catalog:
    with (LOCALE / language / "LC_MESSAGES" / "django.po").open("rb") as file:
        return pofile.read_po(file, locale=language)


@pytest.fixture(scope="module")
def messages() -> set[Message]:
    found = set(said())
    assert len(found) > 200
    return found


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_message_is_translated_and_every_translation_is_used(
    messages: set[Message], language: str
) -> None:
    known = {message.id: message for message in catalogue(language) if message.id}
    assert sorted(map(str, messages - set(known))) == [], "not translated"
    assert sorted(map(str, set(known) - messages)) == [], "not used"
    empty = [m.id for m in known.values() if not all([m.string] if m.id == str(m.id) else m.string)]
    assert empty == []
    assert [message.id for message in known.values() if message.fuzzy] == []


PLACE = re.compile(r"%\(\w+\)s|%s|%%")


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_translation_names_what_the_message_names(language: str) -> None:
    """One, two and few may say the number in words; nothing else may be left out or added."""
    for message in catalogue(language):
        if isinstance(message.id, str):
            assert sorted(PLACE.findall(message.id)) == sorted(PLACE.findall(message.string))
        else:
            wanted = set(PLACE.findall(message.id[1]))
            for form in message.string:
                assert set(PLACE.findall(form)) <= wanted
            assert set(PLACE.findall(message.string[-1])) == wanted


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_compiled_catalogue_says_what_the_written_one_says(language: str) -> None:
    with (LOCALE / language / "LC_MESSAGES" / "django.mo").open("rb") as file:
        compiled = by_name(mofile.read_mo(file))
    assert compiled == by_name(catalogue(language))


def by_name(read: Catalog) -> dict[str, list[str]]:
    """A catalogue's words by its first form, however the reader shapes plurals."""
    words = {as_list(message.id)[0]: as_list(message.string) for message in read}
    return {name: said for name, said in words.items() if name}


def as_list(said: str | list[str] | tuple[str, ...]) -> list[str]:
    return [said] if isinstance(said, str) else list(said)


def test_the_market_is_called_by_its_name_in_each_language() -> None:
    from django.utils.translation import gettext

    names = {"en": "Handle Marketplace", "fr": "Marché des identifiants", "ar": "سوق المعرّفات"}
    for language, name in names.items():
        with override(language):
            assert gettext("Handle Marketplace") == name
