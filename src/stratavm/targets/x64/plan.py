"""The target as selection sees it: the processor's extensions, and a module's types and context offsets as C arrays."""

# strata: hot

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.stratavm.ir.ssa import T_F32, T_F64, T_I32, T_I64, T_REF, T_V128

from stratavm.base.budget import paced
from stratavm.base.errors import ResourceLimit, Unsupported
from stratavm.base.importing import begin_import, cache, end_import
from stratavm.contract.layout import GLOBAL_CELL, MEM_CELL, PLAN_GUARD, TABLE_CELL, VMCTX, vm_layout
from stratavm.spec import types
from stratavm.targets.x64 import abi
from stratavm.targets.x64.regs import CPU_FEATURES

VALUE_TYPES = {types.I32: T_I32, types.I64: T_I64, types.F32: T_F32, types.F64: T_F64, types.V128: T_V128}
"""ValueType by packed type; every reference is ``T_REF``."""
REQUIRED = frozenset({"sse42", "popcnt"})
"""Extensions (x86-64-v2) without which there is no native tier."""
_FIXED_REACH = 1 << 30
_MEM0 = VMCTX.offset("mem0_base")


@cache  # a virtual machine stops for every question to the processor
def host_features() -> frozenset[str]:
    """Names of the processor extensions of this machine that the compiler can use."""
    bits: cython.uint = strata_cpu()
    return frozenset(name for i, name in enumerate(CPU_FEATURES) if i and bits >> i & 1)


def check_target(module, features) -> frozenset[str]:
    """The ``features`` that code of a module may use, None: this machine's.

    Raises:
        Unsupported: there are too few for any code.
        ResourceLimit: the module has more of something than code reaches.
    """
    found: frozenset[str] = host_features() if features is None else frozenset(features)
    missing = REQUIRED - found
    if missing:
        raise Unsupported(f"the native tier needs {', '.join(sorted(missing))} (x86-64-v2)", feature="x86-64-v2")
    size: int = vm_layout(module).size
    if size > _FIXED_REACH:
        raise ResourceLimit(f"a context of {size} bytes", limit="context_bytes")
    return found


def value_type(t: int) -> int:
    """ValueType (``ir/ssa.pxd``) of a packed type."""
    return VALUE_TYPES.get(t, T_REF)


def fields_of(module, index: int) -> tuple[int, list]:
    """Bytes of a type's objects, without elements, and type, bytes, offset of each field, or of the elements, and
    whether it is traced: their places have bytes where those of a function have a register. None of a type of
    functions."""
    composite = module.types[index].composite
    if isinstance(composite, types.FuncType):
        return 0, []
    begin_import()
    try:
        from stratavm.contract.objects import layout
        from stratavm.heap.layout import storage_size
    finally:
        end_import()
    storages = [f.storage for f in types.fields_of(composite)]
    found = layout(module, index)
    traced = [offset in found.traced for offset in found.offsets]
    return found.size, list(zip(storages, map(storage_size, storages), found.offsets, traced, strict=True))


@cython.cfunc
def _zeros(count: cython.size_t, size: cython.size_t) -> cython.p_void:
    """Zeroed memory for an array that is never empty."""
    memory: cython.p_void = calloc(count + 1, size)
    if memory == cython.NULL:
        raise MemoryError("out of memory in a module plan")
    return memory


@cython.final
@cython.cclass
class ModulePlan:
    """A module's types, functions and context offsets. Immutable once made."""

    def __init__(
        self,
        module,
        plans=(),
        features=None,
        poison: bool = False,
        level: int = 0,
        counting: bool = False,
        polling: bool = False,
        leaves: bool = False,
    ) -> None:
        """``plans``: PLAN_GUARD or PLAN_BOUNDED per memory (or guard); ``features``: None = this machine's; ``level``:
        what code made by it is marked with; ``counting``: functions count their calls as they are entered;
        ``polling``: loops take the slow path of their polls each time; ``leaves``: functions may return with the
        context of another instance, by a tail call."""
        self.features = check_target(module, features)
        self.cpu = sum(1 << i for i, name in enumerate(CPU_FEATURES) if name in self.features)
        self.poison = poison
        self.level = level
        self.counting = counting
        self.polling = polling
        self.leaves = leaves
        layout = vm_layout(module)
        self._types(module)
        self._functions(module, layout)
        self._globals(module, layout)
        self._memories(module, layout, plans)
        self._tables(module, layout)

    def __dealloc__(self):
        free(self.types)
        free(self.places)
        free(self.func_types)
        free(self.recorded)
        free(self.global_types)
        free(self.memories)
        free(self.table_lengths)

    def _types(self, module) -> None:
        count: uint32_t = len(module.types)
        signatures = [self._signature(t.composite) for t in paced(module.types)]
        fields = [fields_of(module, i) for i in paced(range(count))]
        own_ids = [types.own_id(group.types) for group in paced(module.rec_groups) for _ in group.types]
        total = sum(len(s.params) + len(s.results) for s in signatures if s is not None) + sum(
            [len(found) for _, found in fields]
        )
        self.types = cython.cast(cython.pointer(TypePlan), _zeros(count, cython.sizeof(TypePlan)))
        self.places = cython.cast(cython.pointer(ValuePlace), _zeros(total, cython.sizeof(ValuePlace)))
        self.n_types = count
        at: uint32_t = 0
        i: uint32_t
        for i in range(count):
            s = signatures[i]
            plan: cython.pointer(TypePlan) = cython.address(self.types[i])
            plan.first = at
            plan.open = not module.types[i].final
            plan.size = fields[i][0]
            if s is None:
                for storage, size, offset, traced in fields[i][1]:
                    self.places[at].type = value_type(types.I32 if storage in (types.I8, types.I16) else storage)
                    self.places[at].reg = size
                    self.places[at].traced = traced
                    self.places[at].sure = storage & 0xFF == types.REF
                    self.places[at].offset = offset
                    at += 1
                continue
            plan.usable = 1
            plan.own_id = own_ids[i]
            plan.n_params = len(s.params)
            plan.n_results = len(s.results)
            plan.stack_bytes = s.stack_bytes
            plan.result_bytes = s.result_bytes
            for place in (*s.params, *s.results):
                self.places[at].type = value_type(place.type)
                self.places[at].reg = IN_STACK if place.register is None else place.register
                self.places[at].sure = place.type & 0xFF == types.REF
                self.places[at].offset = place.offset
                at += 1

    @staticmethod
    def _signature(composite):
        """The assigned signature, or None where no call can be compiled."""
        if not isinstance(composite, types.FuncType):
            return None
        return abi.assign(composite)

    def _functions(self, module, layout) -> None:
        indices = module.func_type_indices
        self.n_funcs = len(indices)
        self.n_imported_funcs = layout.n_imported_funcs
        self.imported_funcs = layout.imported_funcs
        self.tags = layout.tags
        self.func_types = cython.cast(cython.pointer(uint32_t), _zeros(self.n_funcs, cython.sizeof(uint32_t)))
        i: uint32_t
        for i in range(self.n_funcs):
            if not 0 <= indices[i] < self.n_types:
                raise Unsupported(f"function {i} has type index {indices[i]}")
            self.func_types[i] = indices[i]
        recorded = module.recorded_funcs
        self.n_recorded = len(recorded)
        self.recorded = cython.cast(cython.pointer(uint32_t), _zeros(self.n_recorded, cython.sizeof(uint32_t)))
        for i in range(self.n_recorded):
            self.recorded[i] = recorded[i]
        self.confined = bool(module.confines_funcs)

    def _globals(self, module, layout) -> None:
        self.n_globals = len(module.global_types)
        self.n_imported_globals = layout.n_imported_globals
        self.globals = layout.globals
        self.global_types = cython.cast(cython.pointer(uint8_t), _zeros(self.n_globals, 1))
        for i, g in enumerate(module.global_types):
            self.global_types[cython.cast(uint32_t, i)] = value_type(g.value)
        if VMCTX.offset("mem0_def") != _MEM0 + 8 or GLOBAL_CELL != 16 or TABLE_CELL != 16 or MEM_CELL != 16:
            raise AssertionError("selection multiplies cell numbers by 16")

    def _memories(self, module, layout, plans) -> None:
        self.n_memories = len(module.memory_types)
        self.memories = cython.cast(cython.pointer(MemoryPlan), _zeros(self.n_memories, cython.sizeof(MemoryPlan)))
        for i, m in enumerate(module.memory_types):
            at: cython.pointer(MemoryPlan) = cython.address(self.memories[cython.cast(uint32_t, i)])
            # The head has a copy of memory 0's cell: a short displacement.
            at.cell = layout.memories + MEM_CELL * i if i else _MEM0
            at.plan = plans[i] if i < len(plans) else PLAN_GUARD
            at.page_shift = m.page_shift
            at.is64 = m.limits.is64
            at.min_bytes = cython.cast(uint64_t, m.limits.minimum) << m.page_shift

    def _tables(self, module, layout) -> None:
        self.n_tables = len(module.table_types)
        self.tables = layout.tables
        self.table_lengths = cython.cast(cython.pointer(uint32_t), _zeros(self.n_tables, cython.sizeof(uint32_t)))
        for i, t in enumerate(module.table_types):
            # An imported one is no shorter than the least and may not become longer than the most.
            fixed = t.limits.minimum == t.limits.maximum and t.limits.maximum <= MOST_FIXED
            self.table_lengths[cython.cast(uint32_t, i)] = t.limits.minimum if fixed else ANY_LENGTH
