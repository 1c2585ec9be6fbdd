"""Instances: the VMContext and FuncRecs of one module in one store, and the slots that instances share. Who fills in
what is decided by ``link``."""

# strata: hot
import cython
from cython.cimports.cpython.buffer import PyBUF_READ
from cython.cimports.cpython.memoryview import PyMemoryView_FromMemory
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t, uintptr_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.contract._gen_layout import (
    GLOBAL_CELL,
    MEM_CELL,
    TABLE_CELL,
    TAG_CELL,
    FuncRec,
    VMContext,
)
from cython.cimports.stratavm.contract.records import NO_RECORD
from cython.cimports.stratavm.heap.mark import mark_range
from cython.cimports.stratavm.heap.state import HeapState
from cython.cimports.stratavm.module.reader import have_huge_pages
from cython.cimports.stratavm.module.sections import DATA_PASSIVE, DATA_PLAIN, DataRecord
from cython.cimports.stratavm.runtime.blueprint import (
    NOWHERE,
    DataSegment,
    ElementPlan,
    ElementSegment,
    RootRun,
    data_segment_at,
    whole_segment,
)
from cython.cimports.stratavm.runtime.codetable import CodeTable
from cython.cimports.stratavm.runtime.common import CommonRecs
from cython.cimports.stratavm.runtime.exceptions import Tag, caught_by, exnref_of, made_exception, thrown_again
from cython.cimports.stratavm.runtime.func import FuncRef, LoneFunc, Shape
from cython.cimports.stratavm.runtime.globals import Global, global_at
from cython.cimports.stratavm.runtime.handles import Handles, Marks, are_marked_by
from cython.cimports.stratavm.runtime.kinds import KIND_INSTANCE_POISONED
from cython.cimports.stratavm.runtime.memory import Memory
from cython.cimports.stratavm.runtime.native import load_ptr
from cython.cimports.stratavm.runtime.objects import Objects, are_visited_by, is_reference
from cython.cimports.stratavm.runtime.occupancy import is_closed
from cython.cimports.stratavm.runtime.quota import give_back
from cython.cimports.stratavm.runtime.region import Region
from cython.cimports.stratavm.runtime.residents import instances_go_by
from cython.cimports.stratavm.runtime.table import Table

from stratavm.base.errors import StoreBusy, Trap
from stratavm.base.importing import begin_import, end_import
from stratavm.base.text import printable
from stratavm.runtime.events import InstanceClosed
from stratavm.runtime.held import Unfinished
from stratavm.spec.types import holds_handles, resolved

LONE_BYTES = cython.declare(uint64_t, 512)  # what a LoneFunc takes of the budget: itself, and its place in three tables
MUCH_DATA = cython.declare(uint64_t, 4 << 20)  # bytes that are worth large pages
NOTHING: list = []  # an index space without entries; never added to


@cython.freelist(8)
@cython.nonecheck(True)  # of an object that no initialiser has seen: an AttributeError, no crash
@cython.cclass
class Instance:
    """A module's code with its own state. Index spaces list imports first."""

    def __init__(self, *arguments: object, **options: object):
        raise TypeError("instances are made by load(), Linker.instantiate() and InstancePre.instantiate()")

    def begin(self, store, blueprint, common):
        """Become an instance in a store: a copy of the blueprint's bytes, linked with itself; without FuncRecs of its
        own where it has ``common`` ones."""
        i: uint32_t
        base: cython.p_char
        size: uint64_t = blueprint.size if common is None else blueprint.func_recs
        if self.store is not None:
            raise TypeError("an instance is initialised once")
        store.count_instance()
        self.store = store
        self.charge_bytes(size)
        base = cython.cast(cython.p_char, malloc(size))
        if base == cython.NULL:
            raise MemoryError("no memory for an instance")
        memcpy(base, blueprint.template, size)
        self.vm = cython.cast(cython.pointer(VMContext), base)
        self.blueprint = blueprint
        self.n_imported_funcs = blueprint.n_imported_funcs
        self.n_defined = blueprint.n_defined
        self.seg = blueprint.counts
        self.seg.data = cython.cast(cython.pointer(DataSegment), base + blueprint.data_segments)
        self.seg.elements = cython.cast(cython.pointer(ElementSegment), base + blueprint.element_segments)
        self.vm.exec = store.exec
        self.vm.instance = cython.cast(cython.p_void, self)
        self.vm.type_ids = blueprint.type_ids
        self.vm.segments = cython.address(self.seg)
        if common is not None:
            self.vm.func_recs = common.recs
            Py_INCREF(common)  # as the table of code: what may still run needs them
            self.common = cython.cast(cython.p_void, common)
        else:
            self.vm.func_recs = cython.cast(cython.pointer(FuncRec), base + blueprint.func_recs)
            for i in range(blueprint.n_recorded):
                self.vm.func_recs[i].vmctx = self.vm
        self.memories = [] if self.seg.n_memories else NOTHING
        self.tables = [] if self.seg.n_tables else NOTHING
        self.tags = [] if blueprint.n_tags else NOTHING
        self.made_globals = [None] * blueprint.n_globals if blueprint.n_globals else NOTHING
        self.imported_funcs = [] if self.n_imported_funcs else NOTHING
        if blueprint.n_root_runs:
            store.add_root(self, blueprint.root_exceptions)
        # Making an object may run the collector, and that anything: from here on the store's end is ours as well.
        if is_closed(store):
            raise store.why_closed()
        if store.objects is not None:
            cython.cast(Objects, store.objects).keep(blueprint)
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
            self.call_nothing()
            Py_DECREF(cython.cast(CodeTable, self.table))
        if self.common != cython.NULL:
            Py_DECREF(cython.cast(CommonRecs, self.common))
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
        at[1] = memory.d
        if not self.memories:
            self.vm.mem0_base = memory.d.base
            self.vm.mem0_def = memory.d
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

    def add_tag(self, tag):
        """The next tag."""
        at: cython.pp_void = cython.cast(
            cython.pp_void, self.cell(self.blueprint.tag_cells + TAG_CELL * cython.cast(uint64_t, len(self.tags)))
        )
        at[0] = cython.address(tag.d)
        self.tags.append(tag)
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
        how: cython.pointer(DataRecord)
        segment: DataSegment
        if is_closed(self.store):  # by a listener; here and below also by another thread
            raise self.store.why_closed()
        if covered == 0:
            self.have_pages()
        for i in range(covered if self.all_show() else 0, self.seg.n_data):
            how = cython.address(self.blueprint.datas.records[i])
            if how.kind == DATA_PASSIVE:
                continue
            memory = self.memories[how.memory]
            if memory.shows and i < covered:
                continue
            at = how.place if how.kind == DATA_PLAIN else evaluate(self.blueprint.datas[i].offset, self)
            if is_closed(self.store):
                raise self.store.why_closed()
            segment = whole_segment(self.blueprint, i)
            if not memory.inside(at, segment.size):
                self.keep_datas(i)
                detail: str = f"data segment {i} at {at:#x} of {memory.d.bytes:#x} bytes"
                raise Trap("memory_out_of_bounds", detail=detail)
            self.blueprint.need_data(i)  # other threads run, where it has to be read; from here on none does
            if is_closed(self.store):
                raise self.store.why_closed()
            memory.written = True
            memcpy(memory.d.base + at, segment.start, segment.size)
        return 0

    def have_pages(self):
        """Have large pages where plain data fill half of some megabytes of a memory that is nobody else's and shows
        nothing: the faults at the first touch of small ones take longer than the copying. (What several segments write
        counts as often.) Other threads run meanwhile, and may close the store.

        Raises:
            Closed: they did.
        """
        i: uint32_t
        number: uint32_t
        low: uint64_t
        high: uint64_t
        total: uint64_t
        memory: Memory
        region: Region
        how: cython.pointer(DataRecord)
        for number in range(self.seg.n_memories - len(self.blueprint.memories), self.seg.n_memories):
            memory = self.memories[number]
            region = memory.region  # stays mapped as long as it is named here
            if region is None or memory.d.bytes < MUCH_DATA or not region.mapped or region.image:
                continue
            low, high, total = memory.d.bytes, 0, 0
            for i in range(self.seg.n_data):
                how = cython.address(self.blueprint.datas.records[i])
                if how.kind == DATA_PLAIN and how.memory == number and how.end > how.start:
                    low = min(low, how.place)
                    high = max(high, cython.cast(uint64_t, how.place) + how.end - how.start)
                    total += how.end - how.start
            if total >= MUCH_DATA and high <= memory.d.bytes and 2 * total >= high - low:
                base: uintptr_t = cython.cast(uintptr_t, memory.d.base)
                have_huge_pages(base + low, base + high)
                if is_closed(self.store):
                    raise self.store.why_closed()
        return 0

    def all_show(self):
        """Whether all memories that are its own show an image: nothing is left to do for the segments in them then."""
        i: uint32_t
        for i in range(self.seg.n_memories - len(self.blueprint.memories), self.seg.n_memories):
            if not cython.cast(Memory, self.memories[i]).shows:
                return False
        return True

    def keep_datas(self, first):
        """The initialisation failed before active segment ``first`` was dropped: what is in a table by then sees the
        passive ones, and the active ones from there on."""
        i: uint32_t
        kept: cython.pointer(DataSegment)
        for i in range(first, self.seg.n_data):
            if self.seg.places[i] == NOWHERE:
                self.blueprint.need_data(i)  # before anything is made: this may raise
        self.charge_bytes(cython.sizeof(DataSegment) * cython.cast(uint64_t, self.seg.n_data))
        kept = cython.cast(cython.pointer(DataSegment), calloc(self.seg.n_data + 1, cython.sizeof(DataSegment)))
        if kept == cython.NULL:
            raise MemoryError("no memory for data segments")
        for i in range(self.seg.n_data):
            if self.seg.places[i] != NOWHERE:
                kept[i] = self.seg.data[self.seg.places[i]]
            elif i >= first:
                kept[i] = whole_segment(self.blueprint, i)
        self.all_datas = self.seg.data = kept
        self.seg.places = cython.NULL
        return 0

    def set_element(self, index, evaluate):
        """An element segment: raw references, of functions by index or of what ``evaluate(expression, instance)``
        says. One that goes to a table at once, and is nothing but functions, has no copy of its own."""
        how: cython.pointer(ElementPlan) = cython.address(self.blueprint.plans[index])
        if how.active and how.plain:
            return 0
        if how.plain:
            return self.make_element(index, None)
        segment: object = self.blueprint.segments[index]
        if not holds_handles(resolved(segment.type, self.blueprint.ids)):
            return self.make_element(index, [evaluate(expression, self) for expression in segment.exprs])
        run: object = Unfinished(self.store.all_handles()).begin()
        try:
            items: list = [evaluate(expression, self) for expression in segment.exprs]
            self.store.add_root(self, True)
            self.make_element(index, items)
        finally:
            run.end()
        return 0

    def make_element(self, index, items):
        """Give an element segment its references: ``items``, or functions where that is None."""
        i: uint64_t
        how: cython.pointer(ElementPlan) = cython.address(self.blueprint.plans[index])
        segment: cython.pointer(ElementSegment) = cython.address(self.seg.elements[index])
        n: uint64_t = how.count if items is None else len(items)
        self.charge_bytes(8 * n)
        segment.items = cython.cast(cython.pointer(uint64_t), calloc(n + 1, 8))
        if segment.items == cython.NULL:
            raise MemoryError("no memory for an element segment")
        if is_closed(self.store):  # by what an expression ran: the imported functions are gone
            raise self.store.why_closed()
        if items is None:
            self.write_functions(how, segment.items)
        else:
            for i in range(n):
                segment.items[i] = items[i]
        segment.size = n
        return 0

    def write_functions(self, how, to):
        """The raw references of the functions of an element segment. The store is open."""
        i: uint32_t
        place: uint32_t
        mine: cython.pointer(FuncRec) = self.vm.func_recs
        indices: cython.pointer(uint32_t) = self.blueprint.indices + how.first
        for i in range(how.count):
            place = indices[i]
            if place < self.n_imported_funcs:
                to[i] = cython.cast(uint64_t, cython.cast(FuncRef, self.imported_funcs[place]).rec)
            else:
                to[i] = cython.cast(uint64_t, mine + (place - self.n_imported_funcs))
        return 0

    def keep_elements(self, first):
        """The initialisation failed before active segment ``first`` was dropped: those from there on that have no copy
        get one, for what is in a table by then."""
        i: uint32_t
        for i in range(first, self.seg.n_elements):
            if self.blueprint.plans[i].active and self.blueprint.plans[i].plain:
                self.make_element(i, None)
        return 0

    def listed(self, place):
        """The raw funcref of the function that has this place among the imported ones and our FuncRecs."""
        if place < self.n_imported_funcs:
            return cython.cast(uint64_t, cython.cast(FuncRef, self.imported_funcs[place]).rec)
        return cython.cast(uint64_t, cython.address(self.vm.func_recs[place - self.n_imported_funcs]))

    def init_tables(self, evaluate):
        """Copy active element segments into their tables, in order, and drop each. Traps at the first that does not
        fit."""
        i: uint32_t
        at: uint64_t
        size: uint64_t
        table: Table
        how: cython.pointer(ElementPlan)
        segment: cython.pointer(ElementSegment)
        for i in range(self.seg.n_elements):
            how = cython.address(self.blueprint.plans[i])
            segment = cython.address(self.seg.elements[i])
            if how.active:
                table = self.tables[how.table]
                at = how.offset if how.placed else evaluate(self.blueprint.segments[i].offset, self)
                size = how.count if how.plain else segment.size
                if size > table.d.length or at > table.d.length - size:
                    self.keep_elements(i)
                    detail: str = f"element segment {i} at {at} of {table.d.length} elements"
                    raise Trap("table_out_of_bounds", detail=detail)
                if how.plain:
                    self.store.check_access()
                    self.write_functions(how, table.d.base + at)
                else:
                    table.put(at, segment.items, size)
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

    def runs(self, owner: int, func: int) -> bool:
        """Whether code of function ``func`` that the owner with that serial holds is ours."""
        return (
            self.table != cython.NULL
            and (cython.cast(CodeTable, self.table).owner == owner or owner in [v.owner for v in self.retired or ()])
            and self.n_imported_funcs <= func < self.n_imported_funcs + self.n_defined
        )

    def blueprint_of(self, owner: int) -> object:
        """That of the program whose code the owner with that serial holds, which an update may have replaced; None: it
        is none of ours."""
        if self.table != cython.NULL and cython.cast(CodeTable, self.table).owner == owner:
            return self.blueprint
        for version in self.retired or ():
            if version.owner == owner:
                return version.module.blueprint
        return None

    def program(self):
        """What the oracle runs of us; made when the first function is met that has no machine code."""
        if self.oracle is None and self.table != cython.NULL:
            fallback: object = cython.cast(CodeTable, self.table).fallback
            if fallback is not None:
                fallback(self)
        return self.oracle

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
        place: uint32_t = self.place_of(index)
        if place == NO_RECORD or self.common != cython.NULL:
            return self.lone_func(index)
        address: uint64_t = self.listed(place)
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
        place: uint32_t = self.place_of(index)
        if is_closed(self.store):  # its list of imported functions is empty
            raise self.store.why_closed()
        return cython.cast(uint64_t, self.lone_func(index).rec) if place == NO_RECORD else self.listed(place)

    def place_of(self, index):
        """Where a function has its FuncRec, as ``listed`` counts; NO_RECORD where nothing can refer to it."""
        if not 0 <= index < self.n_imported_funcs + self.n_defined:
            raise IndexError(f"function {index} of {self.n_imported_funcs + self.n_defined}")
        return self.blueprint.listed(index)

    def lone_func(self, index):
        """A function that nothing refers to, or which shares its FuncRec with others, for the host or the oracle; made
        once, and charged then."""
        found: LoneFunc = None if self.lone is None else self.lone.get(index)
        if found is None:
            found = LoneFunc.__new__(LoneFunc)
            found.own_rec.vmctx = self.vm
            found.own_rec.type_id = self.blueprint.type_id(index)
            found.own_rec.func = index
            self.introduce(found, cython.address(found.own_rec))
            if self.lone is None:
                self.lone = {}
            self.charge_bytes(LONE_BYTES)
            self.store.keep(found)
            self.place_of(index)  # an update may have come meanwhile: from here on they know of it
            found = self.lone.setdefault(index, found)
            if self.vm.slots != cython.NULL:
                found.own_rec.code = load_ptr(cython.address(self.vm.slots[index - self.n_imported_funcs]))
        return found

    def records(self) -> tuple:
        """Where our FuncRecs lie, and how many; common ones are nobody's."""
        if self.vm == cython.NULL:
            raise TypeError("this instance was never initialised")
        if self.common != cython.NULL:
            return 0, 0
        return cython.cast(uint64_t, self.vm.func_recs), self.blueprint.n_recorded

    def function_of(self, address):
        """The FuncRef for one of our FuncRecs; made once per function by ``Store.function_at``."""
        start, count = self.records()  # TypeError where it was never initialised
        first: uint64_t = start
        size: uint64_t = cython.sizeof(FuncRec) * cython.cast(uint64_t, count)
        if address - first >= size or (address - first) % cython.sizeof(FuncRec):
            raise ValueError(f"{address:#x} is no function of this instance")
        function: FuncRef = FuncRef.__new__(FuncRef)
        self.introduce(function, cython.cast(cython.pointer(FuncRec), address))
        return function

    def introduce(self, function, rec):
        """Let a new FuncRef be the function of one of our FuncRecs."""
        blueprint: Blueprint = self.blueprint  # held: it may run Python, and another thread may update us meanwhile
        shape: Shape = blueprint.shape_of(rec.func - self.n_imported_funcs, self.store.template.stubs)
        function.rec = rec
        function.store = self.store
        function.instance = self
        function.shape = shape
        function.type = shape.type
        function.params = shape.params
        function.results = shape.results
        return 0

    def has_type(self, function: FuncRef, type_index: int) -> bool:
        """Whether a function has the type at a type index of this module, or one below it."""
        return self.store.runtime.types.matches(function.type_id, self.blueprint.ids[type_index])

    def resolve_func(self, raw: int) -> FuncRef:
        """The function that a raw reference names, which a guest of ours has."""
        if self.common != cython.NULL and cython.cast(CommonRecs, self.common).has(raw):
            return self.callee(cython.cast(cython.pointer(FuncRec), cython.cast(uint64_t, raw)).func)
        return self.store.function_at(raw)

    # ---- exceptions, for the oracle ----

    def tag_key(self, index: int) -> int:
        """What tells a tag from all others."""
        return cython.cast(Tag, self.tags[index]).definition

    def exception(self, tag_index: int, raws: list) -> BaseException:
        """An exception to raise."""
        return made_exception(self.tags[tag_index], raws, True).error()

    def caught(self, error: BaseException) -> object:
        """The tag's key and the raw values of an exception that guests may catch; None for any other."""
        return caught_by(self.store, error)

    def exn_ref(self, error: BaseException, run: object) -> int:
        """An exnref to an exception that guests may catch. Once it is made, ``run`` alone has it."""
        waited: object = run.waits
        run.waits = True
        try:
            return exnref_of(self.store, error)
        finally:
            run.waits = waited

    # ---- objects, for the oracle ----

    def type_id(self, type_index: int) -> int:
        """The canonical id of the type at an index of this module."""
        return self.blueprint.ids[type_index]

    def is_below(self, type_id: int, type_index: int) -> bool:
        """Whether a canonical id is that of the type at an index of this module, or of one below it."""
        return self.store.runtime.types.matches(type_id, self.blueprint.ids[type_index])

    def object_layout(self, type_index: int) -> object:
        """How objects of the type at an index lie. TypeError: it is one of functions."""
        return self.blueprint.layout_at(type_index)

    def new_object(self, type_index: int, count: int = 0) -> int:
        """A reference to a new struct, or to an array of so many elements: zeros and nulls. For guests that run without
        machine code: the frames of the innermost one hold all that it has.

        Raises:
            ResourceLimit: the store's limits do not allow it.
            TypeError: the type is one of functions.
        """
        if not 0 <= count <= 0xFFFFFFFF:
            raise OverflowError(f"an array of {count} elements")
        return self.make_object(type_index, count, True)

    def make_object(self, type_index, count, step):
        """``new_object`` for compiled callers; ``step``: of a guest that runs without machine code."""
        layout: object = self.object_layout(type_index)
        length: uint64_t = count if layout.element else 0
        what: str = "an array" if layout.element else "a struct"
        return self.store.new_object(self.blueprint.ids[type_index], layout, length, step, what)

    def type_of_object(self, raw: int) -> int:
        """The canonical id of the type of the object that a reference means; 0 where it means none of a guest's."""
        if not 0 <= raw < 1 << 64 or self.store.objects is None or not is_reference(raw):
            return 0
        objects: Objects = self.store.objects
        objects.place(raw, 0, 8)
        return cython.cast(cython.pointer(uint32_t), cython.cast(uint64_t, raw))[0]

    def failed_cast(self, raw: int, heap: int, nullable: bool) -> str:
        """What is said where a reference is not of a heap type, as the binary has that."""
        begin_import()
        try:
            from stratavm.runtime import castwords
        finally:
            end_import()
        return castwords.failed_cast(self, self.blueprint, raw, None, heap, nullable)

    def failed_cast_at(self, raw: int, id: int, owner: int, frames: tuple) -> str:
        """The same of a trap in machine code, which the owner with that serial holds. ``id``: of the type of the object
        that the reference meant, which may be gone; 0: it meant none."""
        begin_import()
        try:
            from stratavm.runtime import castwords
        finally:
            end_import()
        blueprint: object = self.blueprint_of(owner)
        return "" if blueprint is None else castwords.failed_cast_at(self, blueprint, raw, id, frames)

    def length_of(self, raw: int) -> int:
        """How many elements an array has."""
        objects: Objects = self.store.all_objects()
        return objects.load(raw, 4, 4)

    def load(self, raw: int, offset: int, size: int) -> int:
        """So many bytes of an object, 1, 2, 4, 8 or 16, as a number. ValueError: they are in none."""
        objects: Objects = self.store.all_objects()
        return objects.load(raw, offset, size)

    def fill(self, raw: int, offset: int, size: int, count: int, bits: int) -> None:
        """Write so many bytes of an object so many times, one behind the other. ValueError as ``load``."""
        objects: Objects = self.store.all_objects()
        objects.fill(raw, offset, size, count, bits)

    def write(self, raw: int, offset: int, data: bytes) -> None:
        """Write bytes of an object, which are whole values. ValueError as ``load``."""
        objects: Objects = self.store.all_objects()
        objects.write(raw, offset, data)

    def move(self, raw: int, offset: int, source: int, start: int, size: int) -> None:
        """Copy so many bytes from one object to another one, or within it. ValueError as ``load``."""
        objects: Objects = self.store.all_objects()
        objects.move(raw, offset, source, start, size)

    def begin_run(self, run: object) -> None:
        """A guest begins that runs without machine code."""
        self.store.entries += 1
        self.store.all_handles().runs.append(run)

    def end_run(self, run: object) -> None:
        """It has ended. Objects that its results refer to are the host's from here on, for a while, as those of raw
        results: until the run has gone nothing is collected."""
        handles: Handles = self.store.handles
        try:
            if self.store.objects is not None and run.results:
                self.store.show(run.results, None)
        finally:
            # Else it was closed.
            if handles is not None and handles.runs and handles.runs[len(handles.runs) - 1] is run:
                if len(handles.runs) == 1:
                    handles.runs.clear()  # a list that shrinks wants memory
                else:
                    handles.runs.pop()

    def exception_of(self, raw: int) -> BaseException:
        """The exception to raise for an exnref that is not null."""
        return thrown_again(self.store, raw)

    def export(self, kind: str, index: int) -> object:
        """The runtime object for an entry of an index space: ``func``, ``table``, ``memory``, ``global``, ``tag``."""
        if kind == "func":
            return self.callee(index)
        if kind == "global":
            if not is_closed(self.store) and not 0 <= index < len(self.made_globals):
                raise IndexError(f"global {index} of {len(self.made_globals)}")
            return self.global_of(index)
        return {"table": self.tables, "memory": self.memories, "tag": self.tags}[kind][index]

    def index_of(self, kind: str, item: object) -> int:
        """Where a ``global`` or a ``table`` is in its index space, or -1."""
        i: cython.Py_ssize_t
        items: list = self.made_globals if kind == "global" else self.tables
        for i in range(len(items)):
            if items[i] is item:
                return i
        return -1

    def data_segment(self, index: int) -> memoryview:
        """The bytes of a data segment where they lie, as long as we live; empty once dropped, which changes nothing of
        what was had before."""
        number: uint32_t = self.segment(index, self.seg.n_data)
        segment: cython.pointer(DataSegment) = data_segment_at(cython.address(self.seg), number)
        if segment == cython.NULL or segment.size == 0:
            return memoryview(b"")
        return PyMemoryView_FromMemory(cython.cast(cython.p_char, segment.start), segment.size, PyBUF_READ)

    def drop_data(self, index: int) -> None:
        """Empty a data segment."""
        number: uint32_t = self.segment(index, self.seg.n_data)
        segment: cython.pointer(DataSegment) = data_segment_at(cython.address(self.seg), number)
        if segment != cython.NULL:
            segment.size = 0

    def elem_segment(self, index: int) -> memoryview:
        """The raw references of an element segment where they lie, as those of ``data_segment``."""
        segment: cython.pointer(ElementSegment) = cython.address(
            self.seg.elements[self.segment(index, self.seg.n_elements)]
        )
        if segment.size == 0:
            return memoryview(b"").cast("Q")
        items: object = PyMemoryView_FromMemory(cython.cast(cython.p_char, segment.items), 8 * segment.size, PyBUF_READ)
        return items.cast("Q")

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
        self.lifter = self.loop_lifter = None
        self.lone = None
        self.retired = self.before = None
        self.call_nothing()
        return 0

    @cython.nonecheck(True)
    def take_code(self, table, compiler):
        """Its functions are those of a table from now on. ``compiler`` answers lazy stubs.

        Raises:
            ValueError: it has another number of functions, or a table already.
        """
        i: uint32_t
        rec: cython.pointer(FuncRec)
        if table.count != self.n_defined or self.table != cython.NULL:
            raise ValueError(f"code of {table.count} functions for an instance of {self.n_defined}")
        self.compiler = compiler
        if self.common != cython.NULL:
            cython.cast(CommonRecs, self.common).take_code(table.codes, self.n_imported_funcs)
        else:
            for i in range(self.blueprint.n_recorded):
                rec = cython.address(self.vm.func_recs[i])
                rec.code = table.codes[rec.func - self.n_imported_funcs]
        self.vm.slots = table.codes
        # Not an attribute: the collector would take the slots away from code that may still run.
        Py_INCREF(table)
        self.table = cython.cast(cython.p_void, table)
        self.calls = True
        table.attached += 1
        return 0

    def call_nothing(self):
        """It calls no function from now on."""
        if self.calls:
            self.calls = False
            cython.cast(CodeTable, self.table).detach()
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


@cython.cfunc
@cython.exceptval(check=False)
def tell_of(holder: object, state: cython.pointer(HeapState)) -> cython.void:
    """The references in an instance's globals and element segments, for a collection of objects. These do not change
    once they are known; who has some says so again (``add_root``)."""
    i: uint32_t
    instance: Instance = holder
    look_at_roots(instance, state, cython.NULL, 0)
    if state.only_new and not cython.cast(Objects, instance.store.objects).listed_anew:
        return
    for i in range(instance.seg.n_elements):
        mark_range(state, instance.seg.elements[i].items, instance.seg.elements[i].size)


are_visited_by(Instance, tell_of, True)


@cython.cfunc
@cython.exceptval(check=False)
def mark_handles(holder: object, marks: Marks) -> cython.void:
    """The handles in its globals and element segments."""
    i: uint32_t
    instance: Instance = holder
    look_at_roots(instance, cython.NULL, marks.bytes, marks.n)
    for i in range(instance.seg.n_elements):
        marks.add_words(instance.seg.elements[i].items, instance.seg.elements[i].size)


are_marked_by(Instance, mark_handles)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def look_at_roots(
    instance: Instance, state: cython.pointer(HeapState), handles: cython.pointer(uint8_t), n: uint64_t
) -> cython.void:
    """The references in its globals: for a collection of objects, or where there is no ``state`` to mark the first
    ``n`` handles. Each caller says which by a constant, and so has a loop of its own."""
    i: uint32_t
    at: uint32_t
    cells: cython.pointer(uint64_t)
    runs: cython.pointer(RootRun) = instance.blueprint.root_runs
    lie: cython.p_char = instance.cell(instance.blueprint.global_cells)
    for i in range(instance.blueprint.n_root_runs):
        cells = cython.cast(cython.pointer(uint64_t), lie + GLOBAL_CELL * cython.cast(uint64_t, runs[i].first))
        for at in range(runs[i].count):
            if state == cython.NULL:
                if cells[2 * at] <= n:
                    handles[cells[2 * at]] = 1
            elif cells[2 * at] != 0:
                mark_range(state, cells + 2 * at, 1)
