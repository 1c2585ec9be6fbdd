# strata: hot
"""Instantiation in the specification's order: check imports, allocate, initialise, attach code, run segments and start.

Source: WebAssembly 3.0, section 4.7.3. Owns which import fits which type; resolving names is the caller's business.
"""

from collections.abc import Callable, Sequence
from typing import Any

import cython

from stratavm.base.errors import LinkError, Trap
from stratavm.module.model import ConstExpr, Element, Import, Module
from stratavm.runtime.constexpr import evaluate
from stratavm.runtime.func import FuncRef
from stratavm.runtime.globals import Global
from stratavm.runtime.image import NO_IMAGES, Images
from stratavm.runtime.instance import Instance
from stratavm.runtime.memory import Memory, plan_of
from stratavm.runtime.store import Store
from stratavm.runtime.table import Table
from stratavm.spec.matching import describe, extern_matches

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")

_CLASSES = {"func": FuncRef, "memory": Memory, "table": Table, "global": Global}


def instantiate(
    store: Store,
    valid: Any,
    code: Any,
    imports: Sequence[Any],
    *,
    name: str = "",
    memory_plan: str = "guard",
    images: Images = NO_IMAGES,
    layout: Any = None,
    created: Callable[[Instance], None] | None = None,
) -> Instance:
    """Make an instance of a valid module.

    Args:
        valid: the valid module (``.module`` is its model).
        code: the tier's module; ``code.attach(instance)`` fills the slots.
        imports: one runtime object per import, in the module's order.
        memory_plan: the plan that the module's code was compiled for: ``guard`` or ``bounded``.
        images: what its memories begin with, where they can show it; data segments are copied otherwise.
        layout: ``vm_layout(valid.module)``, where the caller keeps it.
        created: called with the instance before any guest code runs.

    Raises:
        LinkError: an import has another type.
        ResourceLimit: the store's limits or the process's budgets do not allow it.
        Trap: a segment does not fit, or the start function trapped. Effects until then remain.
    """
    module: Module = valid.module
    if len(imports) != len(module.imports):
        raise LinkError(f"unknown import: expected {len(module.imports)} imports, found {len(imports)}")
    ids = store.runtime.types.of_module(module)
    if imports:
        for wanted, given in zip(module.imports, imports, strict=True):
            _check_import(store, ids, wanted, given, memory_plan)
    instance = Instance(store, module, code, name, layout, ids)
    try:
        _allocate(instance, module, imports, memory_plan, images)
        code.attach(instance)
    except BaseException:
        store.forget(instance)  # nothing refers to it yet, and it would take a place for ever
        raise
    if created is not None:
        created(instance)
    _run_segments(instance, module, images)
    if module.start is not None:
        instance.callee(module.start).call_raw([])
    return instance


# ---- imports ----


def check_import(store: Store, module: Module, wanted: Import, given: Any, plan: str) -> None:
    """Whether an object fits an import of a module in a store.

    Raises:
        LinkError: it does not.
    """
    _check_import(store, store.runtime.types.of_module(module), wanted, given, plan)


def _check_import(store: Store, ids: tuple[int, ...], wanted: Import, given: Any, plan: str) -> None:
    """Raise LinkError unless the object fits."""
    where = f"{wanted.module}.{wanted.name}"
    if wanted.kind not in _CLASSES:
        raise LinkError(f"incompatible import type for {where}: a {wanted.kind} cannot be imported yet")
    if not isinstance(given, _CLASSES[wanted.kind]):
        raise LinkError(f"incompatible import type for {where}: expected a {wanted.kind}, found {_describe(given)}")
    if given.store is not store:
        raise LinkError(f"incompatible import type for {where}: it belongs to another store")
    if wanted.kind == "func":
        assert wanted.type_index is not None
        fits = store.runtime.types.matches(given.type_id, ids[wanted.type_index])
    elif wanted.kind == "memory":
        fits = extern_matches(given.type, wanted.type)
        if fits and plan_of(wanted.type, plan) == "guard" and given.plan != "guard":
            found = f"the code relies on guard pages, the memory has plan {given.plan}"
            raise LinkError(f"incompatible import type for {where}: {found}")
    else:
        fits = extern_matches(given.type, wanted.type)
    if not fits:
        raise LinkError(
            f"incompatible import type for {where}: expected {describe(wanted.type)}, found {describe(given.type)}"
        )


def _describe(given: Any) -> str:
    found = next((kind for kind, cls in _CLASSES.items() if isinstance(given, cls)), None)
    return f"a {found}" if found else type(given).__name__


# ---- allocation ----


def _allocate(instance: Instance, module: Module, imports: Sequence[Any], plan: str, images: Images) -> None:
    """Fill the index spaces: imports first, then what the module defines."""
    for wanted, given in zip(module.imports, imports, strict=True):
        if wanted.kind == "func":
            instance.add_imported_func(given)
        elif wanted.kind == "memory":
            instance.add_memory(given)
        elif wanted.kind == "table":
            instance.add_table(given)
        else:
            instance.add_imported_global(given)
    for memory in module.memories:
        instance.add_memory(Memory(instance.store, memory, plan, images.by_memory.get(len(instance.memories))))
    for variable in module.globals:
        instance.add_global(variable.type, evaluate(variable.init, instance))
    for table in module.tables:
        raw = 0 if table.init is None else evaluate(table.init, instance)
        instance.add_table(Table(instance.store, table.type, raw))
    instance.set_datas()
    for i, element in enumerate(module.elements):
        instance.set_element(i, _items(element, instance))


def _items(element: Element, instance: Instance) -> list[int]:
    if element.exprs is None:
        return [instance.func_ref(f) for f in element.funcs]
    return [evaluate(e, instance) for e in element.exprs]


# ---- initialisation ----


def _run_segments(instance: Instance, module: Module, images: Images) -> None:
    """Active segments in order, element segments first; each is dropped once it is in place."""
    if not module.elements:
        instance.copy_active_datas(evaluate, images.covered)
        return
    try:
        for i, element in enumerate(module.elements):
            if element.mode == "active":
                _init_table(instance, i, element)
            if element.mode != "passive":
                instance.drop_elem(i)
    except BaseException:
        # Functions that are in an imported table already must not see data segments: those come later.
        for memory in images.by_memory:
            instance.memories[memory].withdraw()
        raise
    instance.copy_active_datas(evaluate, images.covered)


def _init_table(instance: Instance, index: int, element: Element) -> None:
    table = instance.tables[element.table]
    at = _offset(element.offset, instance)
    items = instance.elem_segment(index)
    if at + len(items) > len(table):
        raise Trap("table_out_of_bounds", detail=f"element segment {index} at {at} of {len(table)} elements")
    table.fill_from(at, items)


def _offset(expression: ConstExpr | None, instance: Instance) -> int:
    assert expression is not None
    return evaluate(expression, instance)
