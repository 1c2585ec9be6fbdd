"""``--tier-report``: what became of each function, on standard error."""

from __future__ import annotations

import sys

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.text import printable
from stratavm.base.words import counted

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.tiers.jit.auto import Loop

SIDES: Final = "><>>><<"
"""Numbers stand on the right of their columns."""
LEVELS: Final = {-1: "oracle", 0: "level 0", 1: "level 1"}


def print_verdicts(module: Module, top: int | None = None) -> None:
    """A line for each function that was called or compiled here, those that were seen most first, or only for the
    ``top`` first ones; a line for each of their loops that ran for long; and a sum."""
    code: Any = module.code
    if not hasattr(code, "verdicts") or sys.stderr is None:
        return
    verdicts = code.verdicts()
    loops: dict[int, list[Loop]] = {}
    for loop in code.loops():
        loops.setdefault(loop.function, []).append(loop)
    # Of most of what came compiled nothing is known but that: few of it count their calls.
    unseen = [v for v in verdicts if v.reason == "kept" and not v.calls and not v.ticks and v.function not in loops]
    left_out = {v.function for v in unseen}
    found = sorted((v for v in verdicts if v.function not in left_out), key=lambda v: (-v.ticks, -v.calls, v.function))
    rows: list[tuple[str, ...]] = [("function", "level", "calls", "ticks", "bytes", "why", "name")]
    for v in found[:top]:
        name = printable(module.model.func_name(v.function))
        rows.append((str(v.function), LEVELS[v.level], str(v.calls), str(v.ticks), str(v.size), v.reason, name))
        rows += [("", *_of_loop(loop), "") for loop in loops.get(v.function, ())]
    _print_table(rows)
    left = max(len(found) - (len(found) if top is None else top), 0)
    lifted, beside = sum(v.level == 1 for v in found), sum(v.beside for v in found)
    told = [f"{left} more"] if left else []
    told.append(
        f"{counted(len(found), 'function')} compiled, {lifted} of them again at level 1 ({beside} beside the program)"
    )
    never = len(module.model.functions) - len(verdicts)
    if unseen:
        came = counted(len(unseen), "function")
        told.append(f"{came} came compiled, from the cache or an image, and nothing was seen of them")
        told.append(f"{never} others never called")
    else:
        told.append(f"{never} never called")
    print("; ".join(told), file=sys.stderr)


def _of_loop(loop: Loop) -> tuple[str, str, str, str, str]:
    """The columns from ``level`` on: whether a loop went on at level 1, or why not."""
    return ("level 1", "", "", "", "loop") if loop.code else ("level 0", "", "", "", f"loop: {loop.reason}")


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, SIDES, widths, strict=True)]
        print("  ".join(cells).rstrip(), file=sys.stderr)
