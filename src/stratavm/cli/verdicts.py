"""``--tier-report``: what became of each function, on standard error."""

from __future__ import annotations

import sys

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import printable
from stratavm.base.words import counted

if TYPE_CHECKING:
    from stratavm.engine.module import Module

SIDES: Final = "><>>><<"
"""Numbers stand on the right of their columns."""
LEVELS: Final = {-1: "oracle", 0: "level 0", 1: "level 1"}


def print_verdicts(module: Module, top: int | None = None) -> None:
    """A line for each function that was called, those that were seen most first, or only for the ``top`` first ones,
    and a sum."""
    verdicts = getattr(module.code, "verdicts", None)
    if verdicts is None or sys.stderr is None:
        return
    found = sorted(verdicts(), key=lambda v: (-v.ticks, -v.calls, v.function))
    rows = [("function", "level", "calls", "ticks", "bytes", "why", "name")]
    for v in found[:top]:
        name = printable(module.model.func_name(v.function))
        rows.append((str(v.function), LEVELS[v.level], str(v.calls), str(v.ticks), str(v.size), v.reason, name))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, SIDES, widths, strict=True)]
        print("  ".join(cells).rstrip(), file=sys.stderr)
    left = len(found) - len(rows) + 1
    lifted, beside = sum(v.level == 1 for v in found), sum(v.beside for v in found)
    never = len(module.model.functions) - len(found)
    print(
        (f"{left} more; " if left else "")
        + f"{counted(len(found), 'function')} compiled, "
        + f"{lifted} of them again at level 1 ({beside} beside the program); {never} never called",
        file=sys.stderr,
    )
