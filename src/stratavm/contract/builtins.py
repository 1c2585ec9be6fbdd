"""Builtins: what compiled code may call. Declared here once; numbers index ``ExecContext.builtins``.

All use the C calling convention with (exec, vmctx, …operands) in rdi, rsi, rdx, rcx, r8, r9; further operands
do not occur.
Compiled code and stubs reach them through the gate (``contract/stubs.py``) alone, with the number in rax.
*leaf*: noexcept nogil, little stack, no Python, no lock, no poll. *host*: may take the GIL and run Python, or poll.
``returns``: ``status`` = 0, a trap kind code or one of ``STATUSES`` (the gate stores it to ``exec.trap_code`` and
raises a *dynamic* trap when non-zero), ``value`` = a 64-bit result that cannot fail.
"""

from __future__ import annotations

from stratavm.base.forms import Final, Literal, dataclass


@dataclass(frozen=True, slots=True)
class Builtin:
    """One builtin. ``operands`` names the C arguments after (exec, vmctx)."""

    name: str
    kind: Literal["leaf", "host"]
    operands: tuple[str, ...]
    returns: Literal["status", "value"]
    doc: str


BUILTINS: Final[tuple[Builtin, ...]] = (
    Builtin("lazy_compile", "host", ("defined_index",), "value", "code address, or 0: exec.trap_code has a status"),
    Builtin("host_call", "host", ("cells",), "status", "vmctx is the HostFunc; cells: arguments in, results out"),
    Builtin("oracle_call", "host", ("defined_index", "cells"), "status", "runs a function on the oracle"),
    Builtin("poll", "host", ("lowest",), "status", "the poll's slow path; lowest: the stack address that is wanted"),
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
    Builtin("count", "host", ("defined_index",), "status", "a word of counters ran out as a function was entered"),
    Builtin("table_prepare", "host", ("table", "init", "delta"), "status", "its fuel, and what is written ahead"),
    Builtin("throw", "host", ("tag", "cells"), "status", "tag: the TagDef; cells: the values, as arguments lie"),
    Builtin("throw_ref", "host", ("exception",), "status", "throws again what an exnref names"),
    Builtin("exn_ref", "host", (), "value", "an exnref to what was thrown last, or 0: an error is pending"),
    Builtin("rethrow", "leaf", (), "status", "what was thrown last goes on: who looked at it does not catch it"),
    Builtin(
        "memory_wait",
        "host",
        ("memory_width", "address", "expected", "timeout"),
        "status",
        "memory | bytes << 32; ns, negative: no end. exec.waited: 0 woken, 1 another value, 2 too late",
    ),
    Builtin(
        "object_op", "host", ("cells", "row", "x", "y"), "status", "a row of objects, by id: operands in, result out"
    ),
    Builtin(
        "ref_is",
        "leaf",
        ("reference", "heap"),
        "value",
        "1 if it is of a heap type, as the binary has that, and not null",
    ),
    Builtin(
        "object_new",
        "host",
        ("type_index", "length"),
        "status",
        "exec.waited: a reference to a new object of zeros; without the GIL where nothing is to be collected",
    ),
    Builtin("memory_notify", "host", ("memory", "address", "count"), "status", "exec.waited: how many were woken"),
    Builtin(
        "note", "leaf", ("thing", "slot"), "value", "the write barrier: a reference in an object is about to change; 0"
    ),
)
STATUSES: Final[dict[str, int]] = {"suspend": 0x100, "throw": 0x101}
"""Statuses beyond the kinds of traps: a guest on a fiber is suspended, an exception of WebAssembly looks for who
catches it. Nobody can suspend a guest on a thread's stack: ``Store.trap_error`` decides what becomes of a call that
ends so."""
LAZY_WAIT: Final = 1 << 30
LAZY_AGAIN: Final = 1 << 29
"""Bits of the operand of ``lazy_compile``: suspend the guest until the function is compiled, a status; and compile it,
however long that takes."""
NUMBERS: Final[dict[str, int]] = {b.name: i for i, b in enumerate(BUILTINS)}
