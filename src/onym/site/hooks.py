"""The operator's hooks, from the file that the setting names; what is wrong is said at start."""

from __future__ import annotations

from pathlib import Path

from onym.core import hook
from onym.core.errors import Malformed


def read(path: str) -> tuple[hook.Hook, ...]:
    """The hooks in the TOML file at `path`, in their order; none for no path.

    Refuses `malformed`, also for a file that cannot be read.
    """
    if not path:
        return ()
    try:
        return hook.parse(Path(path).read_text())
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"ONYM_HOOKS: {error}") from error
