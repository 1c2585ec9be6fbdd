# strata: hot
"""What integer operations make of constants, as C that `make gen` makes from the semantic functions of their rows. The
tests hold it against ``spec/concrete`` for every operation.
"""

import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.stratavm.ir.passes._gen_fold import fold_row


def fold(op, a, b, result):
    """Raw bits of ``op`` on constants; False where it is not folded (floats, what traps)."""
    return fold_row(op, a, b, result)


def fold_bits(op: int, a: int, b: int = 0) -> "int | None":
    """``fold`` for Python: the raw result, or None where the operation is not folded."""
    result: uint64_t = 0
    if fold(op, a, b, cython.address(result)):
        return result
    return None
