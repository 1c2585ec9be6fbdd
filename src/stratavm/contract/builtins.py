"""Builtins: what compiled code may call. Declared here once; numbers index ``ExecContext.builtins``.

All use the C calling convention with (exec, vmctx, …operands) in rdi, rsi, rdx, rcx, r8, r9; further operands
do not occur.
*leaf*: noexcept nogil, little stack, no Python, no lock, no poll. *host*: may take the GIL and run Python, or poll;
compiled code stores SP and FP into the ExecContext before the call. ``returns``: ``status`` = 0 or a trap kind
code (compiled code stores it to ``exec.trap_code`` and raises a *dynamic* trap when non-zero), ``value`` = a
64-bit result that cannot fail.
"""

from __future__ import annotations

from typing import Final, Literal

from stratavm.base.data import dataclass


@dataclass(frozen=True, slots=True)
class Builtin:
    """One builtin. ``operands`` names the C arguments after (exec, vmctx)."""

    name: str
    kind: Literal["leaf", "host"]
    operands: tuple[str, ...]
    returns: Literal["status", "value"]
    doc: str


BUILTINS: Final[tuple[Builtin, ...]] = (
    Builtin("lazy_compile", "host", ("defined_index",), "value", "code address, or 0: trap with exec.trap_code"),
    Builtin("host_call", "host", ("cells",), "status", "vmctx is the HostFunc; cells: arguments in, results out"),
    Builtin("oracle_call", "host", ("defined_index", "cells"), "status", "runs a function on the oracle"),
    Builtin("poll", "host", (), "status", "slow path of the poll; also tells a real stack overflow"),
    Builtin("memory_grow", "host", ("memory", "delta"), "value", "old size in pages or -1 (as u64)"),
    Builtin("table_grow", "host", ("table", "init", "delta"), "value", "old length or -1 (as u64)"),
    Builtin("memory_copy", "host", ("memories", "dst", "src", "n"), "status", "memories = dst index | src index << 32"),
    Builtin("memory_fill", "host", ("memory", "dst", "byte", "n"), "status", "memset"),
    Builtin("memory_init", "host", ("segment_memory", "dst", "src", "n"), "status", "segment | memory << 32"),
    Builtin("data_drop", "leaf", ("segment",), "status", "always 0"),
    Builtin("table_copy", "host", ("tables", "dst", "src", "n"), "status", "dst index | src index << 32"),
    Builtin("table_init", "host", ("segment_table", "dst", "src", "n"), "status", "segment | table << 32"),
    Builtin("table_fill", "host", ("table", "dst", "value", "n"), "status", ""),
    Builtin("elem_drop", "leaf", ("segment",), "status", "always 0"),
    Builtin("table_charge", "leaf", ("table", "delta"), "status", "takes the fuel of a table.grow, before it"),
)
NUMBERS: Final[dict[str, int]] = {b.name: i for i, b in enumerate(BUILTINS)}
