"""The operator's list of hooks: read in its order, or refused with what is wrong."""

from __future__ import annotations

import pytest

from onym.core import hook
from onym.core.errors import Malformed

TWO = """
[[hook]]
name = "tokens"
url = "https://one.example/tokens"
[[hook]]
name = "mail-aliases"
url = "https://two.example/aliases"
"""


def test_hooks_are_called_in_the_order_in_which_they_stand() -> None:
    assert [one.name for one in hook.parse(TWO)] == ["tokens", "mail-aliases"]
    assert hook.parse("") == ()


WRONG = [
    "hook = 3",
    "[[hook]]\nname = 'tokens'",
    "[[hook]]\nname = 'Not a name'\nurl = 'https://one.example/'",
    "hook = ['https://one.example/']",
    "[[hook]]\nname = 'tokens'\nurl = 'ftp://one.example/'",
    "[[hook]]\nname = 'tokens'\nurl = 'https:///tokens'",
    "[[hook]]\nname = 'tokens'\nurl = 'https://[one.example/'",
    "[[hook]]\nname = 'tokens'\nurl = 'https://one.example:tokens/'",
    "[[hook]]\nname = 'tokens'\nurl = 'https://one.example/'\nsecret = 'x'",
    TWO.replace("mail-aliases", "tokens"),
    "[[hook]\n",
    "[other]\nname = 'x'",
]


@pytest.mark.parametrize("text", WRONG)
def test_a_list_that_cannot_be_meant_is_refused(text: str) -> None:
    with pytest.raises(Malformed):
        hook.parse(text)
