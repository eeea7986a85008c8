"""Which names are near each other: one slip of the finger apart, or alike to the eye."""

from __future__ import annotations

import string

from onym.core.names import skeleton

LETTERS = string.ascii_lowercase + string.digits + "_-"
LONGEST = 30
"""Longer names have too many neighbours to be worth asking for; nobody mistypes them so."""

ALIKE = (("0", "o"), ("1", "l"), ("1", "i"), ("i", "l"), ("rn", "m"), ("vv", "w"), ("5", "s"))
"""Pairs that are taken for one another; whether two whole names are alike `skeleton` decides."""


def one_edit(handle: str) -> list[str]:
    """Every name that one letter left out, put in, changed or swapped with its neighbour makes of
    `handle`, sorted; plain letters, digits, `_` and `-` are put in. The handle itself is none.
    """
    if not 0 < len(handle) <= LONGEST:
        return []
    cuts = [(handle[:at], handle[at:]) for at in range(len(handle) + 1)]
    made = {left + right[1:] for left, right in cuts if right}
    made |= {left + letter + right for left, right in cuts for letter in LETTERS}
    made |= {left + letter + right[1:] for left, right in cuts if right for letter in LETTERS}
    made |= {left + right[1] + right[0] + right[2:] for left, right in cuts if len(right) > 1}
    return sorted(made - {handle, ""})


def look_alikes(handle: str) -> list[str]:
    """Names with the same skeleton that one exchange of an `ALIKE` pair makes, everywhere or at
    one place, sorted; the handle itself is none.
    """
    made = set()
    for one, other in ALIKE:
        for old, new in ((one, other), (other, one)):
            made.add(handle.replace(old, new))
            starts = (at for at in range(len(handle)) if handle.startswith(old, at))
            made |= {handle[:at] + new + handle[at + len(old) :] for at in starts}
    return sorted(name for name in made - {handle} if skeleton(name) == skeleton(handle))


def is_one_edit(one: str, other: str) -> bool:
    """Whether `other` is in `one_edit(one)`, whatever its letters, without making them all."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), None)
    if start is None:
        return True
    left, right = one[start:], other[start:]
    if len(left) == len(right):
        return left[1:] == right[1:] or (left[:2] == right[1::-1] and left[2:] == right[2:])
    return left[1:] == right if len(left) > len(right) else left == right[1:]
