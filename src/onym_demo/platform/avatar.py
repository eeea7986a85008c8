"""An account's picture, drawn from its permanent id: a handle may go, the face stays."""

from __future__ import annotations

from hashlib import blake2b

_SIDE = 5


def drawing(account_id: int) -> dict[str, object]:
    """Colours and the cells of a mirrored 5 × 5 pattern, as `(x, y)`, for the page to draw."""
    noise = blake2b(str(account_id).encode(), digest_size=16).digest()
    hue = noise[0] * 360 // 256
    cells = [
        (x, y)
        for y in range(_SIDE)
        for x in range(_SIDE)
        if noise[1 + y * 3 + min(x, _SIDE - 1 - x)] < 150
    ]
    return {
        "back": f"hsl({hue} 55% 88%)",
        "front": f"hsl({(hue + 25) % 360} 60% {32 + noise[-1] % 14}%)",
        "cells": cells,
    }
