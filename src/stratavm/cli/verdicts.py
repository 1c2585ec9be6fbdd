"""``--tier-report``: what became of each function, on standard error."""

from __future__ import annotations

import sys

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.text import printable
from stratavm.base.words import counted

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.tiers.jit.auto import Loop, Verdict

SIDES: Final = "><<>>><<"
"""Numbers stand on the right of their columns."""
LEVELS: Final = {-1: "oracle", 0: "level 0", 1: "level 1"}
KEPT: Final = {"cache": "the cache", "image": "the image"}
"""Where code comes from that was not compiled here."""


def print_verdicts(module: Module, top: int | None = None) -> None:
    """A line for each function that has code, those that were seen most first, or only for the ``top`` first ones:
    where the code came from and why it is what it is; a line for each of their loops that ran for long; and a sum. An
    image has code of all functions, which counts nothing: those of which nothing was seen are a number."""
    code: Any = module.code
    if not hasattr(code, "verdicts") or sys.stderr is None:
        return
    verdicts = code.verdicts()
    loops: dict[int, list[Loop]] = {}
    for loop in code.loops():
        loops.setdefault(loop.function, []).append(loop)
    found = [v for v in verdicts if v.origin != "image" or v.calls or v.ticks or v.function in loops]
    found.sort(key=lambda v: (-v.ticks, -v.calls, -v.level, v.function))
    rows: list[tuple[str, ...]] = [("function", "level", "from", "calls ~", "ticks", "bytes", "why", "name")]
    for v in found[:top]:
        name = printable(module.model.func_name(v.function))
        rows.append(
            (str(v.function), LEVELS[v.level], v.origin, str(v.calls), str(v.ticks), str(v.size), v.reason, name)
        )
        rows += [("", *_of_loop(loop), "") for loop in loops.get(v.function, ())]
    if found:
        _print_table(rows)
    left = max(len(found) - (len(found) if top is None else top), 0)
    told = [f"{left} more"] if left else []
    is_image = any(v.origin == "image" for v in verdicts)
    never = f"{len(module.model.functions) - len(verdicts)} never called"
    print("; ".join([*told, *_sums(verdicts), "calls are not counted" if is_image else never]), file=sys.stderr)


def _sums(verdicts: list[Verdict]) -> list[str]:
    """How much was compiled here, and how much came compiled."""
    here = [v for v in verdicts if v.origin not in KEPT]
    lifted, beside = sum(v.level == 1 for v in here), sum(v.beside for v in here)
    told = [
        f"{counted(len(here), 'function')} compiled, {lifted} of them again at level 1 ({beside} beside the program)"
    ]
    for origin, place in KEPT.items():
        levels = [v.level for v in verdicts if v.origin == origin]
        if levels:
            told.append(f"{counted(len(levels), 'function')} from {place}, {sum(levels)} of them at level 1")
    return told


def _of_loop(loop: Loop) -> tuple[str, ...]:
    """The columns from ``level`` on: whether a loop went on at level 1, or why not."""
    why = "loop" if loop.code else f"loop: {loop.reason}"
    return ("level 1" if loop.code else "level 0", "", "", "", "", why)


def _print_table(rows: list[tuple[str, ...]]) -> None:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        cells = [f"{cell:{side}{width}}" for cell, side, width in zip(row, SIDES, widths, strict=True)]
        print("  ".join(cells).rstrip(), file=sys.stderr)
