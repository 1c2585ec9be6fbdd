"""Instances: the VMContext and FuncRecs of one module in one store. Who fills in what is decided by ``link``."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.runtime._gen_layout import (
    GLOBAL_CELL,
    MAGIC_VMCTX,
    MEM_CELL,
    TABLE_CELL,
    VMCTX_SIZE,
    FuncRec,
    VMContext,
)
from cython.cimports.stratavm.runtime.func import FuncRef, cell_widths
from cython.cimports.stratavm.runtime.globals import Global, global_at
from cython.cimports.stratavm.runtime.kinds import KIND_INSTANCE_CLOSED, KIND_INSTANCE_POISONED
from cython.cimports.stratavm.runtime.memory import Memory
from cython.cimports.stratavm.runtime.native import store_ptr
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.runtime.table import Table

from stratavm.base.errors import StoreBusy, Trap
from stratavm.runtime.layout import vm_layout

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")

assert cython.sizeof(VMContext) == VMCTX_SIZE


@cython.cfunc
def plain_offset(code: bytes, value: cython.pointer(uint64_t)) -> cython.bint:
    """The value of ``i32.const n; end`` as an unsigned number; False for every other expression."""
    first: cython.p_char = code
    n: cython.Py_ssize_t = len(code)
    at: cython.Py_ssize_t
    bits: uint64_t = 0
    shift: uint32_t = 0
    byte: uint8_t = 0
    if n < 3 or n > 7 or cython.cast(uint8_t, first[0]) != 0x41 or cython.cast(uint8_t, first[n - 1]) != 0x0B:
        return False
    for at in range(1, n - 1):
        byte = cython.cast(uint8_t, first[at])
        bits |= cython.cast(uint64_t, byte & 0x7F) << shift
        shift += 7
        if (byte < 0x80) != (at == n - 2):
            return False
    if byte & 0x40:
        bits |= ~cython.cast(uint64_t, 0) << shift
    value[0] = bits & 0xFFFFFFFF
    return True


@cython.cclass
class Instance:
    """A module's code with its own state, as the native world sees it. Index spaces list imports first."""

    def __init__(
        self, store: Store, module: object, code: object, name: str = "", layout: object = None, ids: object = None
    ):
        if self.store is not None:
            raise TypeError("an instance is initialised once")
        store.count("instances")
        self.store = store
        self.module = module
        self.code = code
        self.name = name
        self.layout = layout or vm_layout(module)
        self.memories = []
        self.tables = []
        self.globals = []
        self.imported_funcs = []
        self.n_imported_funcs = len(module.imported_funcs)
        self.n_defined = len(module.functions)
        self.allocate(ids or store.runtime.types.of_module(module))
        self.number = len(store.instances)
        store.instances.append(self)

    def allocate(self, type_ids: tuple) -> None:
        """The context, slots, FuncRecs, type ids and segment tables, all zero but for what links them."""
        module: object = self.module
        i: uint32_t
        self.vm = cython.cast(cython.pointer(VMContext), calloc(1, self.layout.size))
        if self.vm == cython.NULL:
            raise MemoryError("no memory for an instance")
        self.vm.slots = cython.cast(cython.pp_void, calloc(self.n_defined + 1, 8))
        self.vm.func_recs = cython.cast(cython.pointer(FuncRec), calloc(self.n_defined + 1, cython.sizeof(FuncRec)))
        self.vm.type_ids = cython.cast(cython.pointer(uint32_t), calloc(len(type_ids) + 1, 4))
        self.seg.data = cython.cast(
            cython.pointer(DataSegment), calloc(len(module.datas) + 1, cython.sizeof(DataSegment))
        )
        self.seg.elements = cython.cast(
            cython.pointer(ElementSegment), calloc(len(module.elements) + 1, cython.sizeof(ElementSegment))
        )
        if (
            self.vm.slots == cython.NULL
            or self.vm.func_recs == cython.NULL
            or self.vm.type_ids == cython.NULL
            or self.seg.data == cython.NULL
            or self.seg.elements == cython.NULL
        ):
            raise MemoryError("no memory for an instance")
        self.vm.magic = MAGIC_VMCTX
        self.vm.exec = self.store.exec
        self.vm.instance = cython.cast(cython.p_void, self)
        self.vm.segments = cython.address(self.seg)
        self.seg.n_data = len(module.datas)
        self.seg.n_elements = len(module.elements)
        self.seg.n_memories = self.layout.n_memories
        self.seg.n_tables = self.layout.n_tables
        for i in range(len(type_ids)):
            self.vm.type_ids[i] = type_ids[i]
        for i in range(self.n_defined):
            self.vm.func_recs[i].vmctx = self.vm
            self.vm.func_recs[i].type_id = type_ids[module.functions[i].type_index]
            self.vm.func_recs[i].func = self.n_imported_funcs + i

    def __dealloc__(self):
        i: uint32_t
        if self.vm == cython.NULL:
            return
        free(self.vm.slots)
        free(self.vm.func_recs)
        free(self.vm.type_ids)
        free(self.seg.data)
        if self.seg.elements != cython.NULL:
            for i in range(self.seg.n_elements):
                free(self.seg.elements[i].items)
        free(self.seg.elements)
        free(self.vm)

    @cython.cfunc
    @cython.nogil
    @cython.exceptval(check=False)
    def cell(self, offset: uint64_t) -> cython.p_char:
        """An address inside the VMContext."""
        return cython.cast(cython.p_char, self.vm) + offset

    # ---- building, in index order ----

    def add_memory(self, memory: Memory) -> None:
        """The next memory of the index space."""
        at: cython.pp_void = cython.cast(
            cython.pp_void, self.cell(self.layout.memories + MEM_CELL * len(self.memories))
        )
        at[0] = memory.d.base
        at[1] = cython.address(memory.d)
        if not self.memories:
            self.vm.mem0_base = memory.d.base
            self.vm.mem0_def = cython.address(memory.d)
        self.memories.append(memory)

    def add_table(self, table: Table) -> None:
        """The next table."""
        at: cython.pp_void = cython.cast(cython.pp_void, self.cell(self.layout.tables + TABLE_CELL * len(self.tables)))
        at[0] = table.d.base
        at[1] = cython.address(table.d)
        self.tables.append(table)

    def add_imported_global(self, variable: Global) -> None:
        """The next global, an imported one: the cell points to its owner's."""
        at: cython.pp_void = cython.cast(
            cython.pp_void, self.cell(self.layout.globals + GLOBAL_CELL * len(self.globals))
        )
        at[0] = variable.cell
        self.globals.append(variable)

    def add_global(self, type: object, bits: int) -> None:
        """The next global, one of our own."""
        cell: cython.pointer(uint64_t) = cython.cast(
            cython.pointer(uint64_t), self.cell(self.layout.globals + GLOBAL_CELL * len(self.globals))
        )
        variable: Global = global_at(self.store, type, self, cell)
        variable.bits = bits
        self.globals.append(variable)

    def add_imported_func(self, function: FuncRef) -> None:
        """The next imported function."""
        at: cython.pp_void = cython.cast(
            cython.pp_void, self.cell(self.layout.imported_funcs + 8 * len(self.imported_funcs))
        )
        at[0] = function.rec
        self.imported_funcs.append(function)

    def set_datas(self) -> None:
        """The data segments: ranges of the module's binary, which stays alive with the instance."""
        binary: bytes = self.module.binary
        first: cython.p_char = binary
        segment: cython.pointer(DataSegment) = self.seg.data
        start: uint64_t
        self.keep = binary
        for data in self.module.datas:
            start = data.start
            segment.start = cython.cast(cython.pointer(uint8_t), first + start)
            segment.size = data.end - start
            segment += 1

    def copy_active_datas(self, evaluate: object, covered: int = 0) -> None:
        """Copy active data segments into their memories, in order, and drop each.

        Native, since large programs have tens of thousands; ``evaluate(expression, instance)`` is asked for offsets
        that are no plain constants. The first ``covered`` are there already in memories that show an image. Traps at
        the first that does not fit.
        """
        i: uint32_t
        at: uint64_t = 0
        upto: uint32_t = covered
        memory: Memory
        segment: cython.pointer(DataSegment)
        for i, data in enumerate(self.module.datas):
            if data.mode == "active":
                memory = self.memories[data.memory]
                if memory.shows and i < upto:
                    self.seg.data[i].size = 0
                    continue
                if not plain_offset(data.offset.code, cython.address(at)):
                    at = evaluate(data.offset, self)
                segment = cython.address(self.seg.data[i])
                if not memory.inside(at, segment.size):
                    detail: str = f"data segment {i} at {at:#x} of {memory.d.bytes:#x} bytes"
                    raise Trap("memory_out_of_bounds", detail=detail)
                memcpy(memory.d.base + at, segment.start, segment.size)
                segment.size = 0

    def set_element(self, index: int, items: list) -> None:
        """An element segment: raw references."""
        i: uint64_t
        n: uint64_t = len(items)
        segment: cython.pointer(ElementSegment) = cython.address(self.seg.elements[index])
        segment.items = cython.cast(cython.pointer(uint64_t), calloc(n + 1, 8))
        if segment.items == cython.NULL:
            raise MemoryError("no memory for an element segment")
        for i in range(n):
            segment.items[i] = items[i]
        segment.size = n

    # ---- code, for tiers ----

    def set_code(self, defined_index: int, address: int) -> None:
        """Publish a function's code: its slot and its FuncRec. One release store each."""
        if not 0 <= defined_index < self.n_defined:
            raise IndexError(f"function {defined_index} of {self.n_defined}")
        code: cython.p_void = cython.cast(cython.p_void, cython.cast(uint64_t, address))
        at: uint32_t = defined_index
        store_ptr(cython.address(self.vm.slots[at]), code)
        store_ptr(cython.address(self.vm.func_recs[at].code), code)

    def set_lazy_code(self, first: int, stride: int) -> None:
        """Point every function at its lazy stub: stub i lies at ``first + i * stride``."""
        i: uint32_t
        base: uint64_t = first
        step: uint64_t = stride
        for i in range(self.n_defined):
            self.vm.slots[i] = cython.cast(cython.p_void, base + i * step)
            self.vm.func_recs[i].code = self.vm.slots[i]

    def runs(self, func: int, address: int) -> bool:
        """Whether function ``func`` is ours and its code lies at ``address``."""
        own: object = func - self.n_imported_funcs
        return 0 <= own < self.n_defined and self.slot(own) == address

    @property
    def vmctx(self) -> int:
        """Address of the VMContext."""
        return cython.cast(uint64_t, self.vm)

    def slot(self, defined_index: int) -> int:
        """The code address in a slot."""
        if not 0 <= defined_index < self.n_defined:
            raise IndexError(f"function {defined_index} of {self.n_defined}")
        return cython.cast(uint64_t, self.vm.slots[cython.cast(uint32_t, defined_index)])

    # ---- what the host and the oracle use ----

    def callee(self, index: int) -> FuncRef:
        """A function by function index."""
        if index < self.n_imported_funcs:
            return self.imported_funcs[index]
        return self.store.function_at(self.func_ref(index))

    def func_ref(self, index: int) -> int:
        """The raw funcref of a function by function index."""
        imported: FuncRef
        if not 0 <= index < self.n_imported_funcs + self.n_defined:
            raise IndexError(f"function {index} of {self.n_imported_funcs + self.n_defined}")
        if index < self.n_imported_funcs:
            imported = self.imported_funcs[index]
            return imported.raw
        return cython.cast(
            uint64_t, cython.address(self.vm.func_recs[cython.cast(uint32_t, index - self.n_imported_funcs)])
        )

    def records(self) -> tuple:
        """Where our FuncRecs lie, and how many."""
        return cython.cast(uint64_t, self.vm.func_recs), self.n_defined

    def function_of(self, address: int) -> FuncRef:
        """The FuncRef for one of our FuncRecs; made once per function by ``Store.function_at``."""
        function: FuncRef = FuncRef.__new__(FuncRef)
        rec: cython.pointer(FuncRec) = cython.cast(cython.pointer(FuncRec), cython.cast(uint64_t, address))
        type: object = self.module.func_type(rec.func)
        stubs: object = self.store.runtime.stubs
        function.rec = rec
        function.store = self.store
        function.instance = self
        function.type = type
        function.params = cell_widths(type.params)
        function.results = cell_widths(type.results)
        if stubs is not None and rec.code != cython.NULL:
            rec.array_entry = cython.cast(cython.p_void, cython.cast(uint64_t, stubs.array_entry(type)))
        return function

    def resolve_func(self, raw: int) -> FuncRef:
        """The function that a raw reference names."""
        return self.store.function_at(raw)

    def export(self, kind: str, index: int) -> object:
        """The runtime object for an entry of an index space: ``func``, ``table``, ``memory`` or ``global``."""
        if kind == "func":
            return self.callee(index)
        return {"table": self.tables, "memory": self.memories, "global": self.globals}[kind][index]

    def data_segment(self, index: int) -> bytes:
        """The bytes of a data segment; empty once dropped."""
        segment: cython.pointer(DataSegment) = cython.address(self.seg.data[self.segment(index, self.seg.n_data)])
        return cython.cast(cython.p_char, segment.start)[: segment.size] if segment.size else b""

    def drop_data(self, index: int) -> None:
        """Empty a data segment."""
        self.seg.data[self.segment(index, self.seg.n_data)].size = 0

    def elem_segment(self, index: int) -> list:
        """The raw references of an element segment; empty once dropped."""
        segment: cython.pointer(ElementSegment) = cython.address(
            self.seg.elements[self.segment(index, self.seg.n_elements)]
        )
        return [segment.items[i] for i in range(segment.size)]

    def drop_elem(self, index: int) -> None:
        """Empty an element segment."""
        self.seg.elements[self.segment(index, self.seg.n_elements)].size = 0

    @cython.cfunc
    @cython.exceptval(0xFFFFFFFF, check=True)
    def segment(self, index: object, count: uint32_t) -> uint32_t:
        """A checked segment index."""
        if not 0 <= index < count:
            raise IndexError(f"segment {index} of {count}")
        return index

    def charge(self, units: int) -> None:
        """Take fuel of the store's; raises OutOfFuel."""
        self.store.charge(units)

    def poll(self) -> None:
        """Raise what is pending for the store."""
        self.store.poll()

    # ---- life ----

    def poison(self) -> None:
        """Mark it: a call was abandoned midway."""
        if not self.poisoned:
            self.store.note(KIND_INSTANCE_POISONED, self.number, 0, 0)
        self.poisoned = True
        self.vm.unusable = 1

    def close(self) -> None:
        """Refuse further calls from the host."""
        if self.store.busy:
            raise StoreBusy("an instance cannot be closed while a call is inside its store")
        if not self.closed:
            self.store.note(KIND_INSTANCE_CLOSED, self.number, 0, 0)
        self.closed = True
        self.vm.unusable = 1

    def let_go(self) -> None:
        """The store is closed: give memories back now, and end the cycles through host functions that know us."""
        memory: Memory
        for memory in self.memories:
            memory.let_go()
        self.imported_funcs.clear()
        self.globals.clear()  # each has its cell in us
        self.oracle = None
        self.compiler = None

    def __repr__(self) -> str:
        return f"<instance of {self.name or 'a module'}>"
