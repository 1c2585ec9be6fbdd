"""Every opcode of WebAssembly as a row, one file per group. Importing this package fills ``record.ROWS``."""

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
