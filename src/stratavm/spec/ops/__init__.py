"""Every opcode of WebAssembly as a row with its meaning, one file per group: for who runs or proves what rows mean.

Who only asks for facts takes the rows of ``spec/index.py``, which ``make gen`` writes down.
"""

from collections.abc import Mapping

from stratavm.base.forms import Final
from stratavm.spec.declare import ROWS, Declared
from stratavm.spec.ops import (  # noqa: F401
    atomics,
    control,
    convert,
    exception,
    float,
    gc,
    int,
    memory,
    reference,
    simd_arith,
    simd_memory,
    table,
    tail,
    variable,
    wide,
)
from stratavm.spec.record import rows_by_id

BY_ID: Final = rows_by_id(ROWS.values())
"""Every row by id, in order."""

BY_MNEMONIC: Final[Mapping[str, Declared]] = ROWS
"""Row by mnemonic."""
