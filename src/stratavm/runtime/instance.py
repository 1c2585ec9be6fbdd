"""Instances: the VMContext and FuncRecs of one module in one store. Who fills in what is decided by ``link``."""

# strata: hot
import cython
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.contract._gen_layout import (
    GLOBAL_CELL,
    MEM_CELL,
    TABLE_CELL,
    FuncRec,
    VMContext,
)
from cython.cimports.stratavm.runtime.blueprint import (
    NOWHERE,
    ActiveData,
    DataSegment,
    ElementPlan,
    ElementSegment,
    data_segment_at,
)
from cython.cimports.stratavm.runtime.func import FuncRef, Shape
from cython.cimports.stratavm.runtime.globals import Global, global_at
from cython.cimports.stratavm.runtime.kinds import KIND_INSTANCE_POISONED
from cython.cimports.stratavm.runtime.memory import Memory
from cython.cimports.stratavm.runtime.native import store_ptr
from cython.cimports.stratavm.runtime.occupancy import is_closed
from cython.cimports.stratavm.runtime.quota import give_back
from cython.cimports.stratavm.runtime.residents import instances_go_by
from cython.cimports.stratavm.runtime.table import Table

from stratavm.base.errors import StoreBusy, Trap
from stratavm.base.text import printable
from stratavm.runtime.events import InstanceClosed


@cython.cclass
class CodeTable:
    """Code addresses of a module's functions by defined index: the slots of all its instances.

    Of a function there is at first a lazy stub and then, for good, its code. It reaches a FuncRec when somebody calls
    the stub through it.
    """

    def __cinit__(self, count: uint32_t):
        self.codes = cython.cast(cython.pp_void, calloc(count + 1, cython.sizeof(cython.p_void)))
        if self.codes == cython.NULL:
            raise MemoryError("no memory for a table of code")
        self.count = count

    def __dealloc__(self):
        free(self.codes)

    def fill(self, first: uint64_t, stride: uint64_t) -> None:
        """Let functions without code begin at their lazy stub: stub i lies at ``first + i * stride``."""
        i: uint32_t
        for i in range(self.count):
            if self.codes[i] == cython.NULL:
                self.codes[i] = cython.cast(cython.p_void, first + i * stride)

    @cython.nonecheck(True)
    def attach(self, instance, compiler):
        """Give it to a new instance, and with it what ``publish`` gets from now on. ``compiler`` answers lazy stubs.

        Raises:
            ValueError: the instance has another number of functions.
        """
        i: uint32_t
        if self.count != instance.n_defined or instance.table != cython.NULL:
            raise ValueError(f"code of {self.count} functions for an instance of {instance.n_defined}")
        instance.compiler = compiler
        instance.vm.slots = self.codes
        for i in range(self.count):
            instance.vm.func_recs[i].code = self.codes[i]
        # Not an attribute: the collector would take it away from an instance that is still in the list.
        Py_INCREF(self)
        instance.table = cython.cast(cython.p_void, self)
        instance.next_peer = self.first
        if self.first != cython.NULL:
            cython.cast(Instance, self.first).prev_peer = cython.cast(cython.p_void, instance)
        self.first = cython.cast(cython.p_void, instance)
        return 0

    def publish(self, defined_index: int, address: int) -> None:
        """A function has code from now on: one store, however many instances there are."""
        if not 0 <= defined_index < self.count:
            raise IndexError(f"function {defined_index} of {self.count}")
        at: uint32_t = defined_index
        store_ptr(cython.address(self.codes[at]), cython.cast(cython.p_void, cython.cast(uint64_t, address)))

    def instances(self) -> list:
        """Those that are alive; the collector may be about to clear others."""
        found: list = []
        peer: cython.p_void = self.first
        while peer != cython.NULL:
            if cython.cast(Instance, peer).store is not None and cython.cast(Instance, peer).blueprint is not None:
                found.append(cython.cast(Instance, peer))
            peer = cython.cast(Instance, peer).next_peer
        return found


@cython.cfunc
@cython.exceptval(check=False)
def leave_table(instance: Instance) -> cython.void:
    """Take an instance that dies out of the list of those that have the table, and let that go."""
    table: CodeTable = cython.cast(CodeTable, instance.table)
    Py_DECREF(table)
    if instance.prev_peer != cython.NULL:
        cython.cast(Instance, instance.prev_peer).next_peer = instance.next_peer
    else:
        table.first = instance.next_peer
    if instance.next_peer != cython.NULL:
        cython.cast(Instance, instance.next_peer).prev_peer = instance.prev_peer


NOTHING: list = []  # an index space without entries; never added to


@cython.freelist(8)
@cython.nonecheck(True)  # of an object that no initialiser has seen: an AttributeError, no crash
@cython.cclass
class Instance:
    """A module's code with its own state. Index spaces list imports first."""

    def __init__(self, *arguments: object, **options: object):
        raise TypeError("instances are made by load(), Linker.instantiate() and InstancePre.instantiate()")

    def begin(self, store, blueprint):
        """Become an instance in a store: a copy of the blueprint's bytes, linked with itself."""
        i: uint32_t
        base: cython.p_char
        if self.store is not None:
            raise TypeError("an instance is initialised once")
        store.count_instance()
        self.store = store
        self.charge_bytes(blueprint.size)
        base = cython.cast(cython.p_char, malloc(blueprint.size))
        if base == cython.NULL:
            raise MemoryError("no memory for an instance")
        memcpy(base, blueprint.template, blueprint.size)
        self.vm = cython.cast(cython.pointer(VMContext), base)
        self.blueprint = blueprint
        self.n_imported_funcs = blueprint.n_imported_funcs
        self.n_defined = blueprint.n_defined
        self.seg = blueprint.counts
        self.seg.data = cython.cast(cython.pointer(DataSegment), base + blueprint.datas)
        self.seg.elements = cython.cast(cython.pointer(ElementSegment), base + blueprint.elements)
        self.vm.exec = store.exec
        self.vm.instance = cython.cast(cython.p_void, self)
        self.vm.func_recs = cython.cast(cython.pointer(FuncRec), base + blueprint.func_recs)
        self.vm.type_ids = cython.cast(cython.pointer(uint32_t), base + blueprint.type_ids)
        self.vm.segments = cython.address(self.seg)
        for i in range(self.n_defined):
            self.vm.func_recs[i].vmctx = self.vm
        self.memories = [] if self.seg.n_memories else NOTHING
        self.tables = [] if self.seg.n_tables else NOTHING
        self.made_globals = [None] * blueprint.n_globals if blueprint.n_globals else NOTHING
        self.imported_funcs = [] if self.n_imported_funcs else NOTHING
        # Making an object may run the collector, and that anything: from here on the store's end is ours as well.
        if is_closed(store):
            raise store.why_closed()
        self.number = len(store.instances)
        store.instances.append(self)
        return 0

    def charge_bytes(self, count):
        """Take bytes of the store's quota for what the instance holds as long as the store lives."""
        self.store.quota.check(count, "a part of an instance")
        self.store.quota.claim(count)
        self.charged += count
        return 0

    @property
    def model(self) -> object:
        """The model of its module."""
        return self.blueprint.module

    @property
    def code(self) -> object:
        """What the tier made of it."""
        return self.blueprint.code

    @property
    def name(self) -> str:
        """The module's name."""
        return self.blueprint.name

    @property
    def layout(self) -> object:
        """Where everything lies in the context."""
        return self.blueprint.layout

    def __dealloc__(self):
        i: uint32_t
        if self.vm == cython.NULL:
            return
        if self.table != cython.NULL:
            leave_table(self)
        for i in range(self.seg.n_elements):
            free(self.seg.elements[i].items)
        free(self.all_datas)
        free(self.vm)

    def cell(self, offset):
        """An address inside the VMContext."""
        return cython.cast(cython.p_char, self.vm) + offset

    # ---- building, in index order ----

    def add_memory(self, memory):
        """The next memory of the index space."""
        at: cython.pp_void = cython.cast(
            cython.pp_void, self.cell(self.blueprint.memory_cells + MEM_CELL * len(self.memories))
        )
        at[0] = memory.d.base
        at[1] = cython.address(memory.d)
        if not self.memories:
            self.vm.mem0_base = memory.d.base
            self.vm.mem0_def = cython.address(memory.d)
        self.memories.append(memory)
        return 0

    def add_table(self, table):
        """The next table."""
        at: cython.pp_void = cython.cast(
            cython.pp_void, self.cell(self.blueprint.table_cells + TABLE_CELL * len(self.tables))
        )
        at[0] = table.d.base
        at[1] = cython.address(table.d)
        self.tables.append(table)
        return 0

    def import_global(self, index, variable):
        """A global of another instance, or of the host: the cell points to its owner's."""
        at: cython.pp_void = cython.cast(
            cython.pp_void, self.cell(self.blueprint.global_cells + GLOBAL_CELL * cython.cast(uint64_t, index))
        )
        if is_closed(self.store):  # meanwhile: the list is empty
            raise self.store.why_closed()
        at[0] = variable.cell
        self.made_globals[index] = variable
        return 0

    def global_of(self, index):
        """A global by its index. Its value lies in our cell from the beginning; the object is made when needed."""
        if is_closed(self.store):
            raise self.store.why_closed()
        found: Global = self.made_globals[index]
        if found is None:
            type: object = self.blueprint.globals[index - self.blueprint.n_imported_globals].type
            found = global_at(
                self.store,
                type,
                self,
                cython.cast(
                    cython.pointer(uint64_t),
                    self.cell(self.blueprint.global_cells + GLOBAL_CELL * cython.cast(uint64_t, index)),
                ),
            )
            if is_closed(self.store):  # by another thread, while this one ran Python: the list is empty now
                raise self.store.why_closed()
            self.made_globals[index] = found
        return found

    @property
    def globals(self) -> list:
        """The index space of globals; empty once the store is closed."""
        i: cython.Py_ssize_t
        if is_closed(self.store):
            return []
        for i in range(len(self.made_globals)):
            self.global_of(i)
        return list(self.made_globals)

    def add_imported_func(self, function):
        """The next imported function."""
        if is_closed(self.store):
            raise self.store.why_closed()
        at: cython.pp_void = cython.cast(
            cython.pp_void, self.cell(self.blueprint.imported_cells + 8 * len(self.imported_funcs))
        )
        at[0] = function.rec
        self.imported_funcs.append(function)

    def copy_active_datas(self, evaluate, covered):
        """Copy active data segments into their memories, in order; they are in no instance, as if each was dropped.

        ``evaluate(expression, instance)`` is asked for offsets that are no plain constants. The first ``covered`` are
        there already in memories that show an image. Traps at the first that does not fit; it and those behind stay.
        """
        i: uint32_t
        at: uint64_t
        memory: Memory
        how: cython.pointer(ActiveData)
        for i in range(self.seg.n_data):
            how = cython.address(self.blueprint.active[i])
            if not how.active:
                continue
            memory = self.memories[how.memory]
            if memory.shows and i < covered:
                continue
            at = how.offset if how.plain else evaluate(self.blueprint.module.datas[i].offset, self)
            if not memory.inside(at, how.whole.size):
                self.keep_datas(i)
                detail: str = f"data segment {i} at {at:#x} of {memory.d.bytes:#x} bytes"
                raise Trap("memory_out_of_bounds", detail=detail)
            memory.written = True
            memcpy(memory.d.base + at, how.whole.start, how.whole.size)
        return 0

    def keep_datas(self, first):
        """The initialisation failed before active segment ``first`` was dropped: what is in a table by then sees the
        passive ones, and the active ones from there on."""
        i: uint32_t
        kept: cython.pointer(DataSegment)
        self.charge_bytes(cython.sizeof(DataSegment) * cython.cast(uint64_t, self.seg.n_data))
        kept = cython.cast(cython.pointer(DataSegment), calloc(self.seg.n_data + 1, cython.sizeof(DataSegment)))
        if kept == cython.NULL:
            raise MemoryError("no memory for data segments")
        for i in range(self.seg.n_data):
            if self.seg.places[i] != NOWHERE:
                kept[i] = self.seg.data[self.seg.places[i]]
            elif i >= first:
                kept[i] = self.blueprint.active[i].whole
        self.all_datas = self.seg.data = kept
        self.seg.places = cython.NULL
        return 0

    def set_element(self, index, evaluate):
        """An element segment: raw references, of functions by index or of what ``evaluate(expression, instance)``
        says."""
        i: uint64_t
        how: cython.pointer(ElementPlan) = cython.address(self.blueprint.plans[index])
        segment: cython.pointer(ElementSegment) = cython.address(self.seg.elements[index])
        items: list = None
        if not how.plain:
            items = [evaluate(expression, self) for expression in self.blueprint.segments[index].exprs]
        n: uint64_t = how.count if how.plain else len(items)
        self.charge_bytes(8 * n)
        segment.items = cython.cast(cython.pointer(uint64_t), calloc(n + 1, 8))
        if segment.items == cython.NULL:
            raise MemoryError("no memory for an element segment")
        if is_closed(self.store):  # by what an expression ran: the imported functions are gone
            raise self.store.why_closed()
        for i in range(n):
            segment.items[i] = self.raw_of(self.blueprint.indices[how.first + i]) if how.plain else items[i]
        segment.size = n
        return 0

    def raw_of(self, function):
        """``func_ref`` for an index that is known to be one."""
        if function < self.n_imported_funcs:
            return cython.cast(uint64_t, cython.cast(FuncRef, self.imported_funcs[function]).rec)
        return cython.cast(uint64_t, cython.address(self.vm.func_recs[function - self.n_imported_funcs]))

    def init_tables(self, evaluate):
        """Copy active element segments into their tables, in order, and drop each. Traps at the first that does not
        fit."""
        i: uint32_t
        at: uint64_t
        table: Table
        how: cython.pointer(ElementPlan)
        segment: cython.pointer(ElementSegment)
        for i in range(self.seg.n_elements):
            how = cython.address(self.blueprint.plans[i])
            segment = cython.address(self.seg.elements[i])
            if how.active:
                table = self.tables[how.table]
                at = how.offset if how.placed else evaluate(self.blueprint.segments[i].offset, self)
                if segment.size > table.d.length or at > table.d.length - segment.size:
                    detail: str = f"element segment {i} at {at} of {table.d.length} elements"
                    raise Trap("table_out_of_bounds", detail=detail)
                table.put(at, segment.items, segment.size)
            if not how.kept:
                segment.size = 0
        if self.store.exec.occupant == 0:  # else one that is inside may be reading them
            self.free_dropped()
        return 0

    def free_dropped(self):
        """Free the element segments that were dropped at once: those that are not passive."""
        i: uint32_t
        how: cython.pointer(ElementPlan)
        bytes_freed: uint64_t = 0
        for i in range(self.seg.n_elements):
            how = cython.address(self.blueprint.plans[i])
            if not how.kept and self.seg.elements[i].items != cython.NULL:
                free(self.seg.elements[i].items)
                self.seg.elements[i].items = cython.NULL
                bytes_freed += 8 * (
                    cython.cast(uint64_t, how.count) if how.plain else len(self.blueprint.segments[i].exprs)
                )
        self.charged -= bytes_freed
        give_back(self.store.quota, bytes_freed)

    # ---- code, for tiers ----

    def runs(self, func: int, address: int) -> bool:
        """Whether function ``func`` is ours and its code lies at ``address``."""
        own: object = func - self.n_imported_funcs
        return 0 <= own < self.n_defined and self.slot(own) == address

    @property
    def vmctx(self) -> int:
        """Address of the VMContext."""
        return cython.cast(uint64_t, self.vm)

    def slot(self, defined_index: int) -> int:
        """The code address in a slot; 0 where its code comes from no table."""
        if not 0 <= defined_index < self.n_defined:
            raise IndexError(f"function {defined_index} of {self.n_defined}")
        if self.vm.slots == cython.NULL:
            return 0
        return cython.cast(uint64_t, self.vm.slots[cython.cast(uint32_t, defined_index)])

    # ---- what the host and the oracle use ----

    def callee(self, index):
        """A function by function index."""
        if is_closed(self.store):  # looked at last: it empties the lists, which would be read beyond their ends
            raise self.store.why_closed()
        if 0 <= index < self.n_imported_funcs:
            return self.imported_funcs[index]
        address: uint64_t = self.checked_ref(index)
        functions: dict = self.store.functions
        if functions is None:
            functions = {}
            if is_closed(self.store):  # by the collector: nothing is kept for a store that is gone
                raise self.store.why_closed()
            self.store.functions = functions
        found: FuncRef = functions.get(address)
        if found is None:
            functions[address] = found = self.function_of(address)
        return found

    def func_ref(self, index: int) -> int:
        """The raw funcref of a function by function index."""
        return self.checked_ref(index)

    def checked_ref(self, index):
        """``func_ref`` for compiled callers."""
        if not 0 <= index < self.n_imported_funcs + self.n_defined:
            raise IndexError(f"function {index} of {self.n_imported_funcs + self.n_defined}")
        return self.raw_of(index)

    def records(self) -> tuple:
        """Where our FuncRecs lie, and how many."""
        if self.vm == cython.NULL:
            raise TypeError("this instance was never initialised")
        return cython.cast(uint64_t, self.vm.func_recs), self.n_defined

    def function_of(self, address):
        """The FuncRef for one of our FuncRecs; made once per function by ``Store.function_at``."""
        first: uint64_t = self.records()[0]  # TypeError where it was never initialised
        if address - first >= self.n_defined * cython.sizeof(FuncRec) or (address - first) % cython.sizeof(FuncRec):
            raise ValueError(f"{address:#x} is no function of this instance")
        function: FuncRef = FuncRef.__new__(FuncRef)
        rec: cython.pointer(FuncRec) = cython.cast(cython.pointer(FuncRec), address)
        shape: Shape = self.blueprint.shape_of(rec.func - self.n_imported_funcs, self.store.template.stubs)
        function.rec = rec
        function.store = self.store
        function.instance = self
        function.shape = shape
        function.type = shape.type
        function.params = shape.params
        function.results = shape.results
        if rec.code != cython.NULL:
            rec.array_entry = shape.array_entry
        return function

    def resolve_func(self, raw: int) -> FuncRef:
        """The function that a raw reference names."""
        return self.store.function_at(raw)

    def export(self, kind: str, index: int) -> object:
        """The runtime object for an entry of an index space: ``func``, ``table``, ``memory`` or ``global``."""
        if kind == "func":
            return self.callee(index)
        if kind == "global":
            if not is_closed(self.store) and not 0 <= index < len(self.made_globals):
                raise IndexError(f"global {index} of {len(self.made_globals)}")
            return self.global_of(index)
        return {"table": self.tables, "memory": self.memories}[kind][index]

    def data_segment(self, index: int) -> bytes:
        """The bytes of a data segment; empty once dropped."""
        number: uint32_t = self.segment(index, self.seg.n_data)
        segment: cython.pointer(DataSegment) = data_segment_at(cython.address(self.seg), number)
        if segment == cython.NULL or segment.size == 0:
            return b""
        return cython.cast(cython.p_char, segment.start)[: segment.size]

    def drop_data(self, index: int) -> None:
        """Empty a data segment."""
        number: uint32_t = self.segment(index, self.seg.n_data)
        segment: cython.pointer(DataSegment) = data_segment_at(cython.address(self.seg), number)
        if segment != cython.NULL:
            segment.size = 0

    def elem_segment(self, index: int) -> list:
        """The raw references of an element segment; empty once dropped."""
        segment: cython.pointer(ElementSegment) = cython.address(
            self.seg.elements[self.segment(index, self.seg.n_elements)]
        )
        return [segment.items[i] for i in range(segment.size)]

    def drop_elem(self, index: int) -> None:
        """Empty an element segment."""
        self.seg.elements[self.segment(index, self.seg.n_elements)].size = 0

    def segment(self, index, count):
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
        """Refuse further calls: they raise ``Closed``. What other guests hold of it stays usable for them.

        Raises:
            StoreBusy: a call is inside the store.
        """
        if self.store.busy:
            raise StoreBusy("an instance cannot be closed while a call is inside its store")
        was_open: cython.bint = not self.closed
        self.closed = True
        self.vm.unusable = 1
        if was_open and self.store.source is not None and self.store.source.hears(InstanceClosed):
            self.store.source.emit(InstanceClosed(self.number, self.blueprint.name))

    def let_go(self):
        """The store is closed: give memories back now, and end the cycles through host functions that know us."""
        memory: Memory
        for memory in self.memories:
            memory.let_go()
        if self.imported_funcs:
            self.imported_funcs.clear()
        if self.made_globals:
            self.made_globals.clear()  # each has its cell in us
        self.oracle = None
        self.compiler = None
        return 0

    def __repr__(self) -> str:
        if self.blueprint is None:
            return "<Instance that was never initialised>"
        return f"<Instance of {printable(self.name) or 'a module'}>"


@cython.cfunc
@cython.exceptval(-1, check=False)
def let_instance_go(instance: object) -> cython.int:
    """What a store does with each of its instances when it closes."""
    return cython.cast(Instance, instance).let_go()


instances_go_by(let_instance_go)
