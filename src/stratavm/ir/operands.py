"""Which fields of a node hold values: ``operand_count`` of ``ssa.pxd`` for Python."""

from __future__ import annotations

from functools import cache

from stratavm.base.forms import Final
from stratavm.ir.ssa import count_operands

ARGS_LIST: Final[tuple[int, ...]] = (-1,)
"""The operands are ``args[b : b + c]``."""


@cache
def operand_fields(op: int, flags: int) -> tuple[int, ...]:
    """Positions among (a, b, c) that hold values (or NO_VALUE), or ``ARGS_LIST``."""
    count = count_operands(op, flags)
    return ARGS_LIST if count > 3 else tuple(range(count))
