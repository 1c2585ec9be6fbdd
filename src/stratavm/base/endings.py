"""The endings of files that hold modules, and the file that a name without one means."""

from __future__ import annotations

import os

from stratavm.base.forms import Final

ENDINGS: Final = (".wasm", ".wat", ".strata")


def with_ending(name: object) -> str:
    """The module that a name without its ending means; empty where there is none."""
    if not name or not isinstance(name, (str, bytes, os.PathLike)):
        return ""
    path = os.fsdecode(name)
    return next((path + ending for ending in ENDINGS if os.path.isfile(path + ending)), "")
