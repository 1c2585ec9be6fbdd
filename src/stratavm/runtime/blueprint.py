# strata: hot
"""Blueprints: what all instances of a module in an engine have in common, worked out once.

An instance begins as a copy of the blueprint's bytes; what is left to do then is to link what differs.
"""

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.stratavm.contract._gen_layout import MAGIC_VMCTX, VMCTX_SIZE, FuncRec, VMContext
from cython.cimports.stratavm.contract.records import NO_RECORD, ordinal_of
from cython.cimports.stratavm.module.sections import DATA_PASSIVE
from cython.cimports.stratavm.runtime.common import CommonRecs
from cython.cimports.stratavm.runtime.func import Shape
from cython.cimports.stratavm.runtime.memory import MemorySpec
from cython.cimports.stratavm.runtime.table import TableSpec

from stratavm.base.importing import begin_import, end_import
from stratavm.base.text import printable
from stratavm.contract.layout import vm_layout
from stratavm.runtime.func import cell_widths
from stratavm.spec import types as T
from stratavm.spec.types import heap, holds_handles, holds_objects, resolved_extern, resolved_func

OF_OBJECTS = cython.declare(uint32_t, T.STRUCT_ID | T.ARRAY_ID)
OWN_ID = cython.declare(uint32_t, T.OWN_ID)
BATCH = cython.declare(uint32_t, 64)  # function types whose entries are published together

BEFORE_IDS = cython.declare(uint64_t, 2)  # numbers of 32 bits that a pointer takes

assert cython.sizeof(VMContext) == VMCTX_SIZE


@cython.cfunc
def import_of(wanted: object, ids: tuple) -> object:
    """An import of a module as an engine sees it."""
    type: object = resolved_extern(wanted.type, ids)
    if type is wanted.type:
        return wanted
    return wanted.__class__(wanted.module, wanted.name, wanted.kind, type, wanted.type_index)


@cython.cfunc
def global_of(variable: object, ids: tuple) -> object:
    """A global of a module as an engine sees it."""
    type: object = resolved_extern(variable.type, ids)
    return variable if type is variable.type else variable.__class__(type, variable.init)


@cython.cfunc
def is_plain(init: object) -> cython.bint:
    """Whether an instance's bytes have the value of a constant expression from the beginning."""
    return init.lone_i32 is not None or init.is_null


@cython.cfunc
@cython.exceptval(check=False)
def is_of_objects(number: uint32_t) -> cython.bint:
    """Whether an id is that of a type of structs or of arrays; in an own id all other bits may be set."""
    return number & OWN_ID == 0 and number & OF_OBJECTS != 0


@cython.cclass
class Blueprint:
    """A module as its instances see it.

    It is made of the model, whose binary lives as long as an instance; the tier's module (``code``); the engine-wide
    ``runtime``, for type ids; the module's ``name``, for messages; and the ``plan`` of memories, ``guard`` or
    ``bounded``.
    """

    def __cinit__(self, module: object, code: object, runtime: object, name: str = "", plan: str = "guard"):
        self.module = module
        self.code = code
        self.name = name
        self.plan = plan
        self.layout = vm_layout(module)
        self.types = runtime.types.of_module(module)
        self.ids = tuple(self.types.ids)
        self.describe(runtime)
        self.n_imported_funcs = len(module.imported_funcs)
        self.functions, self.datas = module.functions, module.datas
        self.n_defined = self.functions.n
        self.counts.n_data = self.datas.n
        self.counts.n_elements = len(module.elements)
        self.counts.n_memories = self.layout.n_memories
        self.counts.n_tables = self.layout.n_tables
        self.memories = tuple([MemorySpec(type, plan) for type in module.memories])
        self.attach = code.attach
        self.n_globals = self.layout.n_globals
        self.n_imported_globals = self.layout.n_imported_globals
        self.imports = tuple([import_of(i, self.ids) for i in module.imports])
        self.import_ids = tuple([0 if i.type_index is None else self.ids[i.type_index] for i in module.imports])
        self.globals = tuple([global_of(g, self.ids) for g in module.globals])
        self.evaluated = tuple([i for i, g in enumerate(module.globals) if not is_plain(g.init)])
        self.n_tags = self.layout.n_tags
        self.tags = tuple([(resolved_extern(t, self.ids), self.ids[t.type_index]) for t in module.tags])
        self.tables = tuple([TableSpec(resolved_extern(table.type, self.ids)) for table in module.tables])
        self.table_inits = tuple([table.init for table in module.tables])
        self.segments = tuple(module.elements)
        self.start = module.start
        self.shapes = [None] * self.n_defined
        self.list_functions()
        self.plan_datas()
        self.place()
        self.fill()
        self.plan_elements()
        self.plan_roots()

    def __dealloc__(self):
        free(self.root_runs)
        free(self.template)
        free(self.recorded)
        if self.type_ids != cython.NULL:
            free(self.type_ids - BEFORE_IDS)
        free(self.places)
        free(self.plans)
        free(self.indices)

    def describe(self, runtime):
        """Tell the engine how objects of the module's types lie, before there are any: machine code makes some as soon
        as a store has a heap. Ids mean these types as long as a blueprint has them, and a store has its instances."""
        at: cython.Py_ssize_t
        if not [number for number in self.ids if is_of_objects(number)]:
            return 0
        begin_import()
        try:
            from stratavm.contract.objects import keeps_handles, layout
            from stratavm.heap.types import Descriptors
            from stratavm.runtime.typenames import note_names
        finally:
            end_import()
        made: object = Descriptors()
        if runtime.descriptors is None:  # else another thread was faster; nothing lets one in between
            runtime.descriptors = made
        self.layouts = [layout(self.module, at) if is_of_objects(self.ids[at]) else None for at in range(len(self.ids))]
        for at in range(len(self.ids)):
            if self.layouts[at] is not None:
                runtime.keeping = runtime.keeping or keeps_handles(self.module, at)
                runtime.descriptors.describe(self.ids[at], self.layouts[at])
        note_names(runtime, self.module, self.ids)
        return 0

    def layout_at(self, type_index: int) -> object:
        """How objects of the type at an index lie. TypeError: it is one of functions."""
        found: object = None if self.layouts is None else self.layouts[type_index]
        if found is None:
            raise TypeError(f"type {type_index} is one of functions")
        return found

    def list_functions(self):
        """The functions that can be referenced, and the types by which callers know them."""
        i: uint32_t
        functions: tuple = self.module.recorded_funcs
        self.n_recorded = len(functions)
        self.recorded = cython.cast(cython.pointer(uint32_t), calloc(self.n_recorded + 1, 4))
        ids: cython.pointer(uint32_t) = cython.cast(
            cython.pointer(uint32_t), calloc(BEFORE_IDS + cython.cast(uint64_t, len(self.ids)), 4)
        )
        if self.recorded == cython.NULL or ids == cython.NULL:
            free(ids)
            raise MemoryError("no memory for a module's instances")
        cython.cast(cython.pointer(uint64_t), ids)[0] = cython.cast(uint64_t, cython.address(self.types.home.above))
        self.type_ids = ids + BEFORE_IDS
        for i in range(self.n_recorded):
            self.recorded[i] = functions[i]
        self.counts.recorded = self.recorded
        self.counts.n_recorded = self.n_recorded
        self.counts.n_imported_funcs = self.n_imported_funcs
        for i in range(len(self.ids)):
            self.type_ids[i] = self.ids[i]
        return 0

    def place(self):
        """Where everything lies: the context first, and FuncRecs last, which instances may have in common."""
        self.memory_cells = self.layout.memories
        self.table_cells = self.layout.tables
        self.global_cells = self.layout.globals
        self.imported_cells = self.layout.imported_funcs
        self.tag_cells = self.layout.tags
        self.data_segments = self.layout.size
        self.element_segments = self.data_segments + cython.sizeof(DataSegment) * cython.cast(uint64_t, self.n_passive)
        self.func_recs = self.element_segments + cython.sizeof(ElementSegment) * cython.cast(
            uint64_t, self.counts.n_elements
        )
        self.size = self.func_recs + cython.sizeof(FuncRec) * cython.cast(uint64_t, self.n_recorded)
        self.template = cython.cast(cython.p_char, calloc(1, self.size))
        if self.template == cython.NULL:
            raise MemoryError("no memory for a module's instances")
        return 0

    def plan_datas(self):
        """Which data segments instances have: the passive ones."""
        i: uint32_t
        binary: bytes = self.module.buffer
        self.rest = self.module.rest
        self.binary = cython.cast(cython.pointer(cython.const[uint8_t]), cython.cast(cython.p_char, binary))
        self.places = cython.cast(cython.pointer(uint32_t), calloc(self.counts.n_data + 1, 4))
        if self.places == cython.NULL:
            raise MemoryError("no memory for a module's instances")
        self.counts.places = self.places
        for i in range(self.counts.n_data):
            if self.datas.records[i].kind == DATA_PASSIVE:
                self.places[i] = self.n_passive
                self.n_passive += 1
                self.need_data(i)
            else:
                self.places[i] = NOWHERE
        return 0

    def need_data(self, index):
        """Have the content of a data segment there."""
        if self.rest is not None:
            self.rest.need(self.datas.records[index].start, self.datas.records[index].end)
        return 0

    def fill(self):
        """Everything that holds no address of an instance."""
        i: uint32_t
        recs: cython.pointer(FuncRec) = cython.cast(cython.pointer(FuncRec), self.template + self.func_recs)
        datas: cython.pointer(DataSegment) = cython.cast(
            cython.pointer(DataSegment), self.template + self.data_segments
        )
        cells: cython.pointer(uint64_t) = cython.cast(cython.pointer(uint64_t), self.template + self.global_cells)
        cython.cast(cython.pointer(VMContext), self.template).magic = MAGIC_VMCTX
        for i in range(self.n_recorded):
            recs[i].type_id = self.type_id(self.recorded[i])
            recs[i].func = self.recorded[i]
        for i, variable in enumerate(self.globals):
            if variable.init.lone_i32 is not None:
                cells[2 * (self.n_imported_globals + i)] = variable.init.lone_i32
        for i in range(self.counts.n_data):
            if self.places[i] != NOWHERE:
                datas[self.places[i]] = whole_segment(self, i)
        return 0

    def plan_elements(self):
        """What is known of element segments; functions are known by index, and lie elsewhere in each instance."""
        how: cython.pointer(ElementPlan)
        at: uint32_t = 0
        count: object = sum([0 if e.exprs is not None else len(e.funcs) for e in self.segments])
        self.plans = cython.cast(
            cython.pointer(ElementPlan), calloc(len(self.segments) + 1, cython.sizeof(ElementPlan))
        )
        self.indices = cython.cast(cython.pointer(uint32_t), calloc(count + 1, 4))
        if self.plans == cython.NULL or self.indices == cython.NULL:
            raise MemoryError("no memory for a module's instances")
        for i, element in enumerate(self.segments):
            how = cython.address(self.plans[i])
            how.active = element.mode == "active"
            how.kept = element.mode == "passive"
            how.plain = element.exprs is None
            how.table = element.table
            if how.active and element.offset.lone_i32 is not None:
                how.placed = True
                how.offset = element.offset.lone_i32
            if how.plain:
                how.first = at
                how.count = len(element.funcs)
                for function in element.funcs:
                    self.indices[at] = self.listed(function)
                    at += 1
        return 0

    def plan_roots(self):
        """Which of its own globals hold references to what is no function: collections find them in the instance."""
        i: uint32_t
        known: dict = {}  # by type: there may be very many globals
        run: cython.pointer(RootRun) = cython.NULL
        last: uint32_t = 0
        for i, variable in enumerate(self.globals):
            type: object = int(variable.type.value)
            holds: object = known.get(type)
            if holds is None:
                known[type] = holds = holds_handles(type)
                if holds and (heap(type) in (T.EXN, T.NOEXN) or holds_objects(type)):
                    self.root_exceptions = True
            if not holds:
                continue
            if run == cython.NULL:
                self.root_runs = cython.cast(cython.pointer(RootRun), calloc(len(self.globals), cython.sizeof(RootRun)))
                if self.root_runs == cython.NULL:
                    raise MemoryError("no memory for a module's instances")
            if run == cython.NULL or i != last + 1:
                run = cython.address(self.root_runs[self.n_root_runs])
                run.first = self.n_imported_globals + i
                self.n_root_runs += 1
            run.count += 1
            last = i
        return 0

    def listed(self, function):
        """The place of a function among the imported ones and those of which there are FuncRecs, or NO_RECORD."""
        ordinal: uint32_t
        if function < self.n_imported_funcs:
            return function
        ordinal = ordinal_of(self.recorded, self.n_recorded, function)
        return NO_RECORD if ordinal == NO_RECORD else self.n_imported_funcs + ordinal

    def type_id(self, function):
        """The canonical type id of a function with a body."""
        return self.type_ids[self.functions.records[function - self.n_imported_funcs].type_index]

    def common_recs(self):
        """The FuncRecs that clones have in common (ADR-0062), made for the first one; None in a module that does not
        keep its functions to itself."""
        if self.common is None and self.module.confines_funcs:
            made: CommonRecs = CommonRecs.__new__(CommonRecs)
            made.begin(cython.cast(cython.pointer(FuncRec), self.template + self.func_recs), self.n_recorded)
            if self.common is None:  # else the collector ran, and what that ran has made them
                self.common = made
        return self.common

    def types_from(self, defined_index):
        """Types of a function and of some behind it: who calls one from outside will soon call the next."""
        last: uint32_t = min(defined_index + BATCH, self.n_defined)
        return [self.func_type(i) for i in range(defined_index, last)]

    def func_type(self, defined_index):
        """The type of a function with a body, with canonical ids."""
        return resolved_func(self.module.func_type(self.n_imported_funcs + defined_index), self.ids)

    def shape_of(self, defined_index, stubs):
        """What calls of a function need to know of its type."""
        shape: Shape = self.shapes[defined_index]
        if shape is None:
            type: object = self.func_type(defined_index)
            shape = Shape.__new__(Shape)
            shape.type = type
            shape.params = cell_widths(type.params)
            shape.results = cell_widths(type.results)
            if stubs is not None:
                entry: object = stubs.known_entry(type)
                if entry is None:
                    entry = stubs.array_entries(self.types_from(defined_index))[0]
                shape.keeps = entry
                shape.array_entry = cython.cast(cython.p_void, cython.cast(uint64_t, entry.address))
            self.shapes[defined_index] = shape
        return shape

    def __repr__(self) -> str:
        return f"<blueprint of {printable(self.name) or 'a module'}: {self.size} bytes an instance>"
