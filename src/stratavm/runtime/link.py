# strata: hot
"""Instantiation in the specification's order: check imports, allocate, initialise, attach code, run segments and start.

Source: WebAssembly 3.0, section 4.7.3. Owns which import fits which type; resolving names is the caller's business.
"""

from _collections_abc import Callable, Sequence

import cython
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.stratavm.runtime.blueprint import Blueprint
from cython.cimports.stratavm.runtime.codetable import CodeTable
from cython.cimports.stratavm.runtime.exceptions import Tag, instance_tag
from cython.cimports.stratavm.runtime.func import FuncRef
from cython.cimports.stratavm.runtime.globals import Global
from cython.cimports.stratavm.runtime.instance import Instance
from cython.cimports.stratavm.runtime.memory import SHARED, Memory, MemorySpec
from cython.cimports.stratavm.runtime.quota import give_back
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.runtime.table import Table, TableSpec

from stratavm.base.errors import LinkError
from stratavm.base.forms import Any
from stratavm.base.importing import begin_import, end_import
from stratavm.contract.layout import plan_of
from stratavm.module.model import Import
from stratavm.runtime.constexpr import evaluate
from stratavm.runtime.held import Unfinished
from stratavm.runtime.image import NO_IMAGES, Images
from stratavm.runtime.values import named
from stratavm.spec.matching import describe, extern_matches

NOTHING_SHOWN: dict = {}
_CLASSES = {"func": FuncRef, "memory": Memory, "table": Table, "global": Global, "tag": Tag}


def instantiate(
    store: Store,
    blueprint: Blueprint,
    imports: Sequence[Any] = (),
    *,
    images: Images = NO_IMAGES,
    created: Callable[[Instance], None] | None = None,
) -> Instance:
    """Make an instance of a valid module.

    Args:
        blueprint: of the module, for the runtime of the store.
        imports: one runtime object per import, in the module's order.
        images: what its memories begin with, where they can show it; data segments are copied otherwise.
        created: called with the instance before any guest code runs.

    Raises:
        LinkError: an import has another type.
        ResourceLimit: the store's limits or the process's budgets do not allow it.
        Trap: a segment does not fit, or the start function trapped. Effects until then remain.
    """
    return build(Instance.__new__(Instance), store, blueprint, imports, images, created)


def build(instance, store, blueprint, imports, images, created):
    """``instantiate`` for compiled callers, who bring the object that becomes the instance."""
    assemble(instance, store, blueprint, imports, images, created)
    if blueprint.start is not None:
        instance.callee(blueprint.start).call_raw([])
    return instance


def assemble(instance, store, blueprint, imports, images, created):
    """All of ``build`` but the start function."""
    check_imports(store, blueprint, imports)
    try:
        instance.begin(store, blueprint, None)
        _allocate(instance, blueprint, imports, images)
        attach(instance, blueprint)
    except BaseException:
        take_back(instance, store)
        raise
    if created is not None:
        created(instance)
    if blueprint.counts.n_elements:
        _init_tables(instance, images)
    if blueprint.counts.n_data:
        instance.copy_active_datas(evaluate, images.covered)
    return instance


@cython.auto_pickle(False)
@cython.cclass
class Beginning:
    """What the instances of a blueprint hold from the beginning. Frozen; ``snapshot`` has the one that there is, which
    few programs load."""

    def restore(self, instance, store, imports):
        """Make an instance hold it; nothing of the guest runs."""
        raise TypeError("this is the beginning of nothing")


def resume(instance, store, blueprint, imports, beginning, created):
    """``build`` for an instance that has a beginning of its own."""
    what: Beginning = beginning
    if what.blueprint is not blueprint:
        raise ValueError("a state belongs to another module")
    check_imports(store, blueprint, imports)
    what.restore(instance, store, imports)
    if created is not None:
        created(instance)
    return instance


def take_back(instance, store):
    """An instance could not be made: nothing refers to it yet, and it would take a place for ever."""
    store.forget(instance)
    give_back(store.quota, instance.charged)
    return 0


# ---- imports ----


@cython.cfunc
@cython.exceptval(-1, check=False)
def check_imports(store: Store, blueprint: Blueprint, imports: object) -> cython.int:
    """Raise unless this thread may make an instance in a store, with these imports."""
    store.check_entry()
    if len(imports) != len(blueprint.imports):
        raise LinkError(f"unknown import: expected {len(blueprint.imports)} imports, found {len(imports)}")
    for i in range(len(blueprint.imports)):
        if not _is_function(store, imports[i], blueprint.import_ids[i]):
            _check_import(store, blueprint, blueprint.imports[i], imports[i])
    return 0


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def _is_function(store: Store, given: object, type_id: uint64_t) -> cython.bint:
    """Whether an object is a function of the store and of exactly this type; 0 is the id of none."""
    return (
        isinstance(given, FuncRef)
        and cython.cast(FuncRef, given).store is store
        and cython.cast(FuncRef, given).rec.type_id == type_id
    )


def check_import(store: Store, blueprint: Blueprint, wanted: Import, given: Any) -> None:
    """Whether an object fits an import of a module in a store.

    Raises:
        LinkError: it does not.
    """
    _check_import(store, blueprint, wanted, given)


def check_shared(runtime: object, blueprint: Blueprint, wanted: Import, given: Any) -> None:
    """``check_import`` for a shared memory, which needs no store for that.

    Raises:
        LinkError: it does not fit.
    """
    where = wanted.label
    if wanted.kind != "memory":
        expected: object = named(describe(wanted.type), None, blueprint)
        raise LinkError(f"incompatible import type for {where}: expected {expected}, found a shared memory")
    if given.runtime is not runtime:
        raise LinkError(f"incompatible import type for {where}: it belongs to another engine")
    _check_memory(where, wanted, given, blueprint.plan)


def _check_memory(where: str, wanted: Import, given: Any, plan: str) -> None:
    """Raise LinkError unless a memory fits."""
    if not extern_matches(given.type, wanted.type):
        expected, found = describe(wanted.type), describe(given.type)
        raise LinkError(f"incompatible import type for {where}: expected {expected}, found {found}")
    if plan_of(wanted.type, plan) == "guard" and given.plan != "guard":
        found = f"the code relies on guard pages, the memory has plan {given.plan}"
        raise LinkError(f"incompatible import type for {where}: {found}")


def _check_import(store: Store, blueprint: Blueprint, wanted: Import, given: Any) -> None:
    """Raise LinkError unless the object fits."""
    where = wanted.label
    if wanted.kind == "memory" and is_shared(given):
        if given.runtime is not store.runtime:
            raise LinkError(f"incompatible import type for {where}: it belongs to another engine")
        return _check_memory(where, wanted, given, blueprint.plan)
    if not isinstance(given, _CLASSES[wanted.kind]):
        expected: object = named(describe(wanted.type), store, blueprint)
        raise LinkError(f"incompatible import type for {where}: expected {expected}, found {_describe(given)}")
    if given.store is not store:
        raise LinkError(f"incompatible import type for {where}: it belongs to another store")
    if wanted.kind == "memory":
        return _check_memory(where, wanted, given, blueprint.plan)
    if wanted.kind == "func":
        assert wanted.type_index is not None
        fits = store.runtime.types.matches(given.type_id, blueprint.ids[wanted.type_index])
    elif wanted.kind == "tag":
        assert wanted.type_index is not None
        fits = given.type_id == blueprint.ids[wanted.type_index]
    else:
        fits = extern_matches(given.type, wanted.type, store.runtime.types.matches)
    if not fits:
        begin_import()
        try:
            from stratavm.runtime.differing import told
        finally:
            end_import()
        raise LinkError(f"incompatible import type for {where}: {told(store, blueprint, wanted, given)}")
    return None


def _describe(given: Any) -> str:
    if isinstance(given, tuple(_CLASSES.values())):
        return named(describe(given.type), given.store)
    return "None" if given is None else type(given).__name__


def is_shared(given: Any) -> bool:
    """Whether it is a SharedMemory, of which nothing is loaded where there is none."""
    return type(given).__name__ == "SharedMemory" and isinstance(given, shared_memories().SharedMemory)


def shared_memories() -> Any:
    """The room of shared memories, which most programs never need."""
    begin_import()
    try:
        from stratavm.runtime import shared
    finally:
        end_import()

    return shared


# ---- allocation ----


def take_imports(instance, blueprint, imports):
    """Fill the index spaces with imports, that of tags: its own are made as well, anew in each instance."""
    at: cython.Py_ssize_t
    n_globals: uint32_t = 0
    for at in range(len(blueprint.imports)):
        wanted, given = blueprint.imports[at], imports[at]
        if isinstance(given, FuncRef):
            instance.add_imported_func(given)
        elif wanted.kind == "memory":
            instance.add_memory(given if isinstance(given, Memory) else given.view_in(instance.store))
        elif wanted.kind == "table":
            instance.add_table(given)
        elif wanted.kind == "tag":
            instance.add_tag(given)
        else:
            instance.import_global(n_globals, given)
            n_globals += 1
    for type, type_id in blueprint.tags:
        instance.add_tag(instance_tag(instance.store, type, type_id))
    return 0


@cython.cfunc
def _allocate(instance: Instance, blueprint: Blueprint, imports: object, images: object) -> object:
    """Fill the index spaces: imports first, then what the module defines."""
    memory: Memory
    table: Table
    shown: dict
    variable: Global
    at: cython.Py_ssize_t
    i: uint32_t
    form: TableSpec
    take_imports(instance, blueprint, imports)
    if blueprint.memories:
        shown = NOTHING_SHOWN if images is NO_IMAGES else images.by_memory
        for spec in blueprint.memories:
            if cython.cast(MemorySpec, spec).flags & SHARED:
                memory = shared_memories().define(instance.store, spec)
            else:
                memory = Memory.__new__(Memory)
                memory.begin(instance.store, spec, shown.get(len(instance.memories)) if shown else None)
            instance.add_memory(memory)
    for number in blueprint.evaluated:
        variable = instance.global_of(blueprint.n_imported_globals + number)
        init: object = blueprint.globals[number].init
        if variable.holds_handles:
            run = Unfinished(instance.store.all_handles()).begin()
            try:
                variable.bits = evaluate(init, instance)
            finally:
                run.end()
        else:
            variable.bits = evaluate(init, instance)
    for at in range(len(blueprint.tables)):
        init = blueprint.table_inits[at]
        table = Table.__new__(Table)
        form = blueprint.tables[at]
        if init is None:
            table.begin(instance.store, form, 0, form.minimum, None)
        else:
            run = Unfinished(instance.store.all_handles()).begin()
            try:
                table.begin(instance.store, form, evaluate(init, instance), form.minimum, None)
            finally:
                run.end()
        instance.add_table(table)
    for i in range(blueprint.counts.n_elements):
        instance.set_element(i, evaluate)


def attach(instance, blueprint):
    """Have the code make an instance callable; without it from the second one on where it gives them a table."""
    instance.store.check_access()  # what an expression ran, or the collector, may have closed it
    table: CodeTable = blueprint.code_table
    if table is not None:
        instance.lifter = blueprint.lifter
        instance.loop_lifter = blueprint.loop_lifter
        return instance.take_code(table, blueprint.compiler)
    blueprint.attach(instance)
    if instance.table != cython.NULL:
        blueprint.code_table = cython.cast(CodeTable, instance.table)
        blueprint.compiler = instance.compiler
        blueprint.lifter = instance.lifter
        blueprint.loop_lifter = instance.loop_lifter
    return 0


# ---- initialisation ----


@cython.cfunc
def _init_tables(instance: Instance, images: object) -> object:
    """Active element segments in order; each is dropped once it is in place."""
    try:
        instance.init_tables(evaluate)
    except BaseException:
        # Functions that are in an imported table already must not see data segments in memories: those come later.
        for memory in images.by_memory:
            instance.memories[memory].withdraw()
        instance.keep_datas(0)
        raise
