"""The native structs that compiled code, entry stubs and Cython share: declared here once, everything else derived.

``make gen`` writes ``_gen_layout.pxd`` (C structs and offset constants) from these rows. Every field is eight
bytes unless its type says otherwise; offsets are the sum of the sizes before. Reasons: docs/ideas/runtime.md.
"""

from __future__ import annotations

from _collections_abc import Sequence, Sized

from stratavm.base.cached import cached
from stratavm.base.errors import MAX_TRAP_FRAMES
from stratavm.base.forms import TYPE_CHECKING, Final, Protocol, dataclass

if TYPE_CHECKING:
    from stratavm.spec.types import GlobalType, MemoryType, RecGroup, SubType, TableType

SIZES: Final = {"u8": 1, "u32": 4, "i32": 4, "u64": 8, "ptr": 8}

ARG_CELL: Final = 16
"""Bytes per value in an argument buffer of an array entry (a v128 fits; smaller values sit in the low bytes,
zero-extended)."""
NO_FRAME: Final = 1 << 31
"""In tables of trap sites, beside the kind: the function has no frame, its return address is at the stack pointer."""
KIND_BITS: Final = 0xFF
"""The kind there. Between these bits and ``NO_FRAME`` stands where the reference is that the trap is about: one of the
places below, and its number above them; 0: nobody says so."""
HELD_SHIFT: Final = 8
HELD_REGISTER: Final = 1
HELD_ABOVE_SP: Final = 2
"""So many words above the stack pointer."""
HELD_BELOW_FP: Final = 3
"""So many words below the frame pointer."""
HELD_MOST: Final = (1 << 21) - 1
"""The largest number."""
HELD_SECOND: Final = 11
"""Of an access outside of an array: where the index is stands in so many bits, where the array is in as many above."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a native struct: ``type`` is a key of ``SIZES``, ``count`` > 1 makes an array."""

    name: str
    type: str
    doc: str
    count: int = 1

    @property
    def size(self) -> int:
        """Bytes."""
        return SIZES[self.type] * self.count


@dataclass(frozen=True, slots=True)
class Struct:
    """A native struct."""

    name: str
    doc: str
    fields: tuple[Field, ...]
    unit: int = 16

    def offset(self, name: str) -> int:
        """Byte offset of a field."""
        at = 0
        for f in self.fields:
            if f.name == name:
                return at
            at += f.size
        raise KeyError(f"{self.name} has no field {name}")

    @property
    def size(self) -> int:
        """Bytes of the whole struct, a multiple of ``unit``."""
        return -(-sum(f.size for f in self.fields) // self.unit) * self.unit


MAX_BUILTINS: Final = 64
N_COUNTERS: Final = 256
"""Words that functions of a store count their calls in, where they do; several functions share one."""

EXEC: Final = Struct(
    "ExecContext",
    "One per store; register r15.",
    (
        Field("poll_limit", "u64", "stack limit compared in every prologue and loop; MAX = something is pending"),
        Field("real_limit", "u64", "the true stack limit of the running activation"),
        Field("pending", "u32", "bits: why poll_limit is MAX"),
        Field("attention", "u32", "behind pending: calls take the long way in and out, see ATTENTION_BITS"),
        Field("activation", "ptr", "innermost Activation"),
        Field("gate", "ptr", "machine code through which guests call builtins (targets/x64/stubs.py: gate)"),
        Field("value_gate", "ptr", "the same for builtins that return a value"),
        Field("trap_exit", "ptr", "machine code that leaves the activation with a trap"),
        Field("fuel", "u64", "units of fuel left; MAX = not counted"),
        Field("note_stub", "ptr", "machine code of the write barrier's slow path (targets/x64/stubs.py: note_stub)"),
        Field("occupant", "u64", "serial of the thread inside, 0 = free; top bit: a guest waits that it ran"),
        Field("thread", "ptr", "ThreadBlock of the occupant"),
        Field("store", "ptr", "borrowed PyObject* of the Store"),
        Field("exception", "ptr", "owned PyObject*: a host exception on its way out, or NULL"),
        Field("deadline_ns", "u64", "CLOCK_MONOTONIC time at which the ticker sets the deadline bit; 0 = none"),
        Field("entered_ns", "u64", "when the outermost activation began; used by the ticker"),
        Field("poll_stub", "ptr", "machine code of the poll's slow path (targets/x64/stubs.py: poll_stub)"),
        Field("count_stub", "ptr", "machine code where a word of counters goes that has run out (count_stub there)"),
        Field("ring", "ptr", "the Ring of the engine's bus: events to deliver when a call has ended; or NULL"),
        Field("trap_code", "u32", "a builtin's status other than 0, which makes a 'dynamic' trap"),
        Field("jitter", "u32", "state of the random numbers that counters begin with"),
        Field("osr_code", "ptr", "where the poll at hand goes on instead of returning; NULL: it returns"),
        Field("osr_values", "ptr", "owned, malloc: the words that this code reads first"),
        Field("thrown_tag", "ptr", "TagDef of the exception of WebAssembly that was thrown last"),
        Field("thrown", "ptr", "its values, in cells as those of an array entry; valid until the next is thrown"),
        Field("catch_pc", "u64", "where it is caught; 0: not in the innermost activation"),
        Field("catch_fp", "u64", "and the frame pointer of who catches it"),
        Field("waited", "u64", "the result of memory_wait and memory_notify, where their status is 0"),
        Field("pot", "ptr", "Pot that more fuel comes from where it runs out; NULL: none (runtime/pot.pxd)"),
        Field("heap_next", "u64", "the HeapWindow of guests' objects (heap/state.pxd): where the next one begins"),
        Field("heap_end", "u64", "of its hole; 0: there is no heap yet"),
        Field("heap_side", "u64", "the side byte of an object is at (address >> 4) + this"),
        Field("objects", "ptr", "borrowed PyObject* of the store's Objects; NULL: it has none"),
        Field("heap", "ptr", "HeapState of their heap; NULL as that"),
        Field("new_stub", "ptr", "machine code that makes an object where the window has no room (new_stub there)"),
        Field("builtins", "ptr", "addresses of builtins, see contract/builtins.py", MAX_BUILTINS),
        Field("counters", "u32", "entries until a word runs out; of a function: its defined index modulo", N_COUNTERS),
        Field("spans", "u8", "what each of them began with", N_COUNTERS),
    ),
)

ACTIVATION: Final = Struct(
    "Activation",
    "One per entry from the host into a guest, whose stack is [exit_sp, entry_sp]; lives on the caller's C stack.",
    (
        Field("prev", "ptr", "the activation below on this thread"),
        Field("exec", "ptr", "ExecContext"),
        Field("entry_sp", "u64", "SP inside the entry stub: where the trap exit continues"),
        Field("exit_sp", "u64", "SP in the gate: guest FP and return address lie there. Valid while a builtin runs"),
        Field("prev_limit", "u64", "real_limit to restore"),
        Field("trap_kind", "u32", "trap kind code, 0 = none"),
        Field("n_frames", "u32", "number of valid frames"),
        Field("trap_pc", "u64", "where it trapped"),
        Field("fault_address", "u64", "si_addr of a memory fault"),
        Field("prev_exec", "ptr", "exec.activation to restore"),
        Field("vmctx", "ptr", "r14 at the trap: the innermost instance's VMContext, or a HostFunc"),
        Field("rec", "ptr", "FuncRec that was entered"),
        Field("fiber", "ptr", "FiberState whose stack the guest is on, else NULL. Read where attention says fiber"),
        Field("frames", "u64", "return addresses, innermost first", MAX_TRAP_FRAMES),
    ),
)

FIBER_STATE: Final = Struct(
    "FiberState",
    "A guest on a stack of its own; lies at the top of that stack, as its Activation does.",
    (
        Field("thread_sp", "u64", "SP of the thread that runs it: builtins run below. Valid while it runs"),
        Field("sp", "u64", "its SP in the gate; valid while it is suspended, as the next is"),
        Field("vmctx", "ptr", "its r14"),
        Field("cells", "ptr", "where the host function that it waits for has its arguments and gets its results"),
        Field("host", "ptr", "borrowed PyObject* of that HostFunction, or NULL: a tick suspended it"),
        Field("request", "ptr", "owned PyObject* of what that function returned, until its Fiber takes it"),
    ),
)

VMCTX: Final = Struct(
    "VMContext",
    "Head of an instance's context; register r14. A module-dependent region follows, see VMLayout.",
    (
        Field("magic", "u64", "MAGIC_VMCTX"),
        Field("exec", "ptr", "ExecContext of the store"),
        Field("instance", "ptr", "borrowed PyObject* of the runtime instance"),
        Field("slots", "ptr", "code pointers by DEFINED function index (function index - imported functions)"),
        Field("type_ids", "ptr", "u32 canonical type ids by type index"),
        Field("mem0_base", "ptr", "base address of memory 0 (never moves)"),
        Field("mem0_def", "ptr", "MemDef of memory 0"),
        Field(
            "func_recs",
            "ptr",
            "FuncRecs of the functions that can be referenced, by declared ordinal (contract/records.pxd)",
        ),
        Field("unusable", "u64", "non-zero: closed or poisoned, the host may not call"),
        Field("segments", "ptr", "Segments: data and element segments, for builtins"),
    ),
)

FUNC_REC: Final = Struct(
    "FuncRec",
    "What a funcref, a table element or an imported function points to.",
    (
        Field("code", "ptr", "entry under the guest calling convention"),
        Field("vmctx", "ptr", "r14 of the callee: a VMContext or a HostFunc"),
        Field("type_id", "u32", "engine-wide canonical type id"),
        Field("func", "u32", "function index within its instance"),
    ),
    unit=8,
)

HOST_FUNC: Final = Struct(
    "HostFunc",
    "The vmctx of a host function's FuncRec.",
    (
        Field("magic", "u64", "MAGIC_HOST"),
        Field("callable", "ptr", "borrowed PyObject* of the runtime HostFunction"),
        Field("n_params", "u32", "cells in"),
        Field("n_results", "u32", "cells out"),
        Field("flags", "u64", "reserved"),
    ),
)

CALL_GATE: Final = Struct(
    "CallGate",
    "Part of a public Func: what the machine code of its vectorcall reads.",
    (
        Field("exec", "ptr", "ExecContext of the store"),
        Field("rec", "ptr", "FuncRec of a guest function"),
        Field("landing", "ptr", "where the trap exit continues in that machine code"),
        Field("codes", "ptr", "codes of the parameters, see engine/cells.py"),
    ),
)

MEM_DEF: Final = Struct(
    "MemDef",
    "A linear memory.",
    (
        Field("base", "ptr", "first byte"),
        Field("bytes", "u64", "current size in bytes"),
        Field("max_bytes", "u64", "size it can grow to"),
        Field("reserved", "u64", "reserved address space in bytes, guard included"),
        Field("page_shift", "u32", "log2 of the page size"),
        Field("plan", "u32", "PLAN_GUARD or PLAN_BOUNDED"),
        Field("memory", "ptr", "borrowed PyObject* of the Memory"),
        Field("flags", "u64", "bit 0: shared, bit 1: 64-bit addresses"),
    ),
)

TABLE_DEF: Final = Struct(
    "TableDef",
    "A table; elements are u64: a FuncRec pointer or an externref handle; 0 = null.",
    (
        Field("base", "ptr", "first element (never moves)"),
        Field("length", "u64", "elements"),
        Field("max_length", "u64", "what it can grow to"),
        Field("table", "ptr", "borrowed PyObject* of the Table"),
    ),
)

TAG_DEF: Final = Struct(
    "TagDef",
    "A tag of exceptions; its address is what tells it from others.",
    (
        Field("tag", "ptr", "borrowed PyObject* of the Tag"),
        Field("type_id", "u32", "engine-wide canonical type id"),
        Field("n_values", "u32", "cells of its exceptions"),
    ),
)

STRUCTS: Final = (EXEC, ACTIVATION, FIBER_STATE, VMCTX, FUNC_REC, HOST_FUNC, CALL_GATE, MEM_DEF, TABLE_DEF, TAG_DEF)

MAGIC_VMCTX: Final = 0x564D4358
MAGIC_HOST: Final = 0x484F5354
PLAN_GUARD: Final = 0
PLAN_BOUNDED: Final = 1
PLANS: Final = {"guard": PLAN_GUARD, "bounded": PLAN_BOUNDED}
ATTENTION_BITS: Final = {
    "closed": 1,
    "aborted": 2,
    "bound": 4,
    "deadline": 8,
    "stack": 16,
    "forced": 32,
    "reported": 64,
    "crowded": 128,
    "fiber": 256,
    "thrown": 512,
}
"""Why calls take the long way in and out: the store is closed; its last call was abandoned midway; it is bound to a
thread; it has a deadline; its guests have a stack budget; the next call meets pending bits; an error was reported;
many handles wait for a collection; a guest on a fiber is inside; an exception was thrown."""
PENDING_BITS: Final = {
    "tick": 1,
    "interrupt": 2,
    "deadline": 4,
    "signal": 8,
    "gc": 16,
    "swap": 32,
    "sample": 64,
    "turn": 128,
}

MEM_CELL: Final = 16
TABLE_CELL: Final = 16
GLOBAL_CELL: Final = 16
TAG_CELL: Final = 8


@dataclass(frozen=True)
class VMLayout:
    """Offsets from r14 of the module-dependent region; a pure function of the module.

    Order: memories {base, MemDef*}, tables {base, TableDef*}, globals (own: the value; imported: a pointer to
    the owner's cell), imported functions (FuncRec pointers), tags (TagDef pointers).
    """

    n_memories: int
    n_tables: int
    n_globals: int
    n_imported_globals: int
    n_imported_funcs: int
    n_tags: int = 0

    @cached
    def memories(self) -> int:
        """Offset of the first memory cell: base at +0, MemDef pointer at +8."""
        return VMCTX.size

    @cached
    def tables(self) -> int:
        """Offset of the first table cell: base at +0, TableDef pointer at +8."""
        return self.memories + MEM_CELL * self.n_memories

    @cached
    def globals(self) -> int:
        """Offset of the first global cell (index space order)."""
        return self.tables + TABLE_CELL * self.n_tables

    @cached
    def imported_funcs(self) -> int:
        """Offset of the first imported function's FuncRec pointer."""
        return self.globals + GLOBAL_CELL * self.n_globals

    @cached
    def tags(self) -> int:
        """Offset of the first tag's TagDef pointer."""
        return self.imported_funcs + 8 * self.n_imported_funcs

    @cached
    def size(self) -> int:
        """Bytes of the whole VMContext."""
        return -(-(self.tags + TAG_CELL * self.n_tags) // 64) * 64


class Shape(Protocol):
    """What instances of a module consist of, imports first: of this the layout of their contexts and the plan of a
    target are made. A decoded WebAssembly module is one.
    """

    @property
    def types(self) -> Sequence[SubType]:
        """Types by index."""

    @property
    def rec_groups(self) -> Sequence[RecGroup]:
        """The same types, in the groups in which they may refer to each other."""

    @property
    def func_type_indices(self) -> Sequence[int]:
        """The type of every function, as an index into ``types``."""

    @property
    def imported_funcs(self) -> Sized:
        """As long as there are functions without a body, which have the first indices."""

    @property
    def recorded_funcs(self) -> Sequence[int]:
        """Functions with a body that can be referenced, ascending: instances have a FuncRec of each."""

    @property
    def confines_funcs(self) -> bool:
        """Whether no reference to a function can leave an instance, or come into it (ADR-0062)."""

    @property
    def global_types(self) -> Sequence[GlobalType]:
        """The type of every global."""

    @property
    def globals(self) -> Sized:
        """As long as there are globals that are not imported."""

    @property
    def memory_types(self) -> Sequence[MemoryType]:
        """The type of every memory."""

    @property
    def table_types(self) -> Sequence[TableType]:
        """The type of every table."""

    @property
    def tag_types(self) -> Sized:
        """As long as there are tags."""


def vm_layout(shape: Shape) -> VMLayout:
    """The layout of the VMContext of a module's instances."""
    key = (
        len(shape.memory_types),
        len(shape.table_types),
        len(shape.global_types),
        len(shape.global_types) - len(shape.globals),
        len(shape.imported_funcs),
        len(shape.tag_types),
    )
    found = _layouts.get(key)
    if found is None:
        if len(_layouts) >= MOST_LAYOUTS:
            _layouts.clear()
        found = _layouts[key] = VMLayout(*key)
    return found


MOST_LAYOUTS: Final = 256
"""That are kept: modules come and go."""
_layouts: Final[dict[tuple[int, ...], VMLayout]] = {}


def plan_of(type: MemoryType, wanted: str) -> str:
    """The plan a memory gets: guard needs 32-bit addresses and pages of 64 KiB."""
    if wanted not in PLANS:
        raise ValueError(f"memory plan {wanted!r}: expected guard or bounded")
    return wanted if not type.limits.is64 and type.page_shift == 16 else "bounded"
