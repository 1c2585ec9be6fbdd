"""``--tier-report``: what became of each function, on standard error."""

from __future__ import annotations

import sys

from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.text import printable
from stratavm.base.words import counted
from stratavm.cli import output

if TYPE_CHECKING:
    from stratavm.engine.module import Module

LEVELS: Final = {-1: "oracle", 0: "level 0", 1: "level 1"}


def print_verdicts(module: Module) -> None:
    """A line for each function that was called, those that were seen most first, and a sum."""
    verdicts = getattr(module.code, "verdicts", None)
    if verdicts is None:
        output.complain("--tier-report: only the tier auto moves functions between levels")
        return
    if sys.stderr is None:
        return
    found = sorted(verdicts(), key=lambda v: (-v.ticks, -v.calls, v.function))
    print(f"{'function':>8} {'level':8} {'calls':>10} {'ticks':>6} {'bytes':>8} {'why':6} name", file=sys.stderr)
    for v in found:
        name = printable(module.model.func_name(v.function))
        row = f"{v.function:>8} {LEVELS[v.level]:8} {v.calls:>10} {v.ticks:>6} {v.size:>8} {v.reason:6} {name}"
        print(row, file=sys.stderr)
    lifted = sum(v.level == 1 for v in found)
    never = len(module.model.functions) - len(found)
    print(
        f"{counted(len(found), 'function')} compiled, {lifted} of them again at level 1; {never} never called",
        file=sys.stderr,
    )
