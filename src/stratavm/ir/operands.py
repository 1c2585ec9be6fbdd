"""Which fields of a node hold values: ``operand_kinds`` of ``ssa.pxd`` for Python."""

from __future__ import annotations

from functools import cache
from typing import Final

from stratavm.ir.ssa import operand_mask

ARGS_LIST: Final[tuple[int, ...]] = (-1,)
"""The operands are ``args[b : b + c]``."""


@cache
def operand_fields(op: int, flags: int) -> tuple[int, ...]:
    """Positions among (a, b, c) that hold values (or NO_VALUE), or ``ARGS_LIST``."""
    mask = operand_mask(op, flags)
    return ARGS_LIST if mask & 8 else tuple(i for i in range(3) if mask >> i & 1)
