"""Who is on the demo's PDS: 300 accounts drawn from one seed, some of which fall silent at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from importlib import resources
from random import Random

ROLES = {"buyer": "nadia-roux", "seller": "moon", "acme": "acme-hq"}
"""People of the demo's story, in the order of its demo.json → the label they sign up with."""

CUSTODIAN = "custodian"
SILENT = ("handle", "sunset", "harbor", "velvet", "comet", "lantern", "meadow", "cobalt", "saffron")
"""Words that people want, whose holders never write again."""

LIVELY_PERCENT = 60
SUSPENDED_PERCENT = 3


@dataclass(frozen=True, slots=True)
class Person:
    """One account to be made. `lives` is whether it goes on writing."""

    label: str
    email: str
    lives: bool
    suspended: bool = False


def everybody(count: int) -> list[Person]:
    """`count` accounts, the story's people and the silent words first."""
    chance = Random("7/pds")  # noqa: S311 - a story, not a secret
    made = [Person(label, f"{label}@people.example", lives=True) for label in ROLES.values()]
    made += [Person(label, f"{label}@people.example", lives=False) for label in SILENT]
    for label in _labels(chance, taken={one.label for one in made} | {CUSTODIAN}):
        if len(made) >= count:
            break
        draw = chance.randrange(100)
        suspended = draw >= 100 - SUSPENDED_PERCENT
        lives = draw < LIVELY_PERCENT
        made.append(Person(label, f"{label}@people.example", lives, suspended))
    return made[:count]


def posts() -> list[str]:
    """What they write."""
    return _lines("posts.txt")


def _labels(chance: Random, *, taken: set[str]) -> Iterator[str]:
    """Words, names, and both together; three to eighteen letters, each once."""
    words = [word for word in _latin("words.txt") if word.isalpha()]
    first, last = _latin("first_names.txt"), _latin("last_names.txt")
    while True:
        way = chance.randrange(3)
        label = chance.choice(words) if way == 0 else chance.choice(first)
        if way == 2:
            label = f"{label}-{chance.choice(last)}"
        if label not in taken and 3 <= len(label) <= 18 and label.replace("-", "a").isalpha():
            taken.add(label)
            yield label


def _latin(name: str) -> list[str]:
    return [line.split("\t")[1].lower() for line in _lines(name) if line.count("\t") >= 2]


def _lines(name: str) -> list[str]:
    text = resources.files("onym_demo.data").joinpath(name).read_text("utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]
