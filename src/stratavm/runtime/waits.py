"""Builtins by which guests wait at a shared memory, and wake who waits there."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.contract._gen_layout import (
    BUILTIN_MEMORY_NOTIFY,
    BUILTIN_MEMORY_WAIT,
    TRAP_NOT_SHARED,
    ExecContext,
    VMContext,
)
from cython.cimports.stratavm.runtime.template import builtin_table


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def memory_wait(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    memory_width: uint64_t,
    address: uint64_t,
    expected: uint64_t,
    timeout: uint64_t,
) -> uint32_t:
    """Builtin ``memory_wait``."""
    return TRAP_NOT_SHARED


@cython.cfunc
@cython.exceptval(check=False)
@cython.linetrace(False)
def memory_notify(
    context: cython.pointer(ExecContext),
    vm: cython.pointer(VMContext),
    memory: uint64_t,
    address: uint64_t,
    count: uint64_t,
) -> uint32_t:
    """Builtin ``memory_notify``."""
    context.waited = 0
    return 0


builtin_table[BUILTIN_MEMORY_WAIT] = cython.cast(cython.p_void, memory_wait)
builtin_table[BUILTIN_MEMORY_NOTIFY] = cython.cast(cython.p_void, memory_notify)
