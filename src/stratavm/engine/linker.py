"""The linker: names for what modules import, and instantiation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from stratavm.base.errors import LinkError
from stratavm.engine.engine import Engine, default_engine
from stratavm.engine.events import ImportDefined, InstanceCreated, InstantiationFailed, describe, report_failure
from stratavm.engine.func import Func
from stratavm.engine.host import Caller, HostSpec, raw_spec
from stratavm.engine.hostcall import TypedHost
from stratavm.engine.instance import Instance
from stratavm.engine.memory import Memory
from stratavm.engine.module import Module
from stratavm.engine.objects import Global, Table
from stratavm.engine.store import Store
from stratavm.engine.types import describe_extern
from stratavm.engine.values import signature
from stratavm.module.model import Import
from stratavm.runtime.host import HostFunction
from stratavm.runtime.link import instantiate
from stratavm.spec.types import FuncType

Importable: TypeAlias = "Func | Memory | Table | Global | HostSpec | Callable[..., Any]"
Namespaces: TypeAlias = Mapping[str, Mapping[str, Any]]


class Linker:
    """Defines what modules can import, by module name and name.

    Values may be objects of a store (``Func``, ``Memory``, ``Table``, ``Global``), Python callables, or ``HostSpec``.
    """

    def __init__(self, engine: Engine | None = None) -> None:
        self.engine = engine or default_engine()
        self._items: dict[tuple[str, str], Any] = {}

    def define(self, module: str, name: str, item: Importable) -> None:
        """Offer ``item`` as ``module.name``; a later definition replaces an earlier one."""
        self._items[module, name] = item
        source = self.engine.source
        if source.hears(ImportDefined):
            source.emit(ImportDefined(module, name, type(item).__name__))

    def define_namespaces(self, namespaces: Namespaces) -> None:
        """Offer everything in ``{module: {name: item}}``; an ``Instance`` may stand for its exports."""
        for module, items in namespaces.items():
            exports = items.exports if isinstance(items, Instance) else items
            for name, item in exports.items():
                self.define(module, name, item)

    def define_instance(self, module: str, instance: Instance) -> None:
        """Offer an instance's exports under a module name."""
        self.define_namespaces({module: instance.exports})

    def instantiate(self, store: Store, module: Module) -> Instance:
        """Link and instantiate: resolve imports, run initialisers, then the start function.

        Raises:
            LinkError: an import is missing or of another type.
            Trap: an initialiser or the start function trapped.
            ResourceLimit: the store's limits do not allow it.
        """
        try:
            instance = self._instantiate(store, module)
        except BaseException as error:
            if store.source.hears(InstantiationFailed):
                store.source.emit(InstantiationFailed(module.name, describe(error)))
            report_failure(store.source, f"{module.name} (start)", error)
            raise
        if store.source.hears(InstanceCreated):
            store.source.emit(InstanceCreated(instance.native.number, module.name))
        else:
            store.bus.drain()
        return instance

    def _instantiate(self, store: Store, module: Module) -> Instance:
        if module.engine is not store.engine:
            # Its code relies on the memory plan, type ids and stubs of its engine: with others it leaves the sandbox.
            raise LinkError(f"module {module.name} and the store belong to different engines")
        caller = Caller()
        imports = [self._resolve(store, wanted, caller) for wanted in module.model.imports]

        def created(native: Any) -> None:
            caller.bind(Instance(store, module, native))

        native = instantiate(
            store.native,
            module.valid,
            module.code,
            imports,
            name=module.name,
            memory_plan=store.engine.config.memory_plan,
            created=created,
        )
        instance = caller.instance
        assert instance.native is native
        return instance

    def _resolve(self, store: Store, wanted: Import, caller: Caller) -> Any:
        """The runtime object for one import."""
        try:
            item = self._items[wanted.module, wanted.name]
        except KeyError:
            raise LinkError(
                f"unknown import {wanted.module}.{wanted.name}: "
                f"{wanted.kind} {describe_extern(wanted.type)} is not defined"
            ) from None
        if isinstance(item, (Func, Memory, Table, Global)):
            if item.store is not store:
                raise LinkError(f"{wanted.module}.{wanted.name} belongs to another store")
            return item.native
        if not isinstance(item, HostSpec) and not callable(item):
            raise LinkError(
                f"{wanted.module}.{wanted.name} is defined as a {type(item).__name__}, which cannot be imported"
            )
        if not isinstance(wanted.type, FuncType):
            raise LinkError(
                f"incompatible import type for {wanted.module}.{wanted.name}: "
                f"expected {describe_extern(wanted.type)}, found a function"
            )
        return _host(item, f"{wanted.module}.{wanted.name}", wanted.type, store, caller)


def _host(item: Any, name: str, wanted: FuncType, store: Store, caller: Caller) -> HostFunction:
    """A host function for an import."""
    if not isinstance(item, HostSpec):
        return TypedHost(store, wanted, item, name, caller)
    if wanted != item.type:
        raise LinkError(
            f"incompatible import type for {name}: expected {signature('', wanted)}, found {signature('', item.type)}"
        )
    return HostFunction(store.native, item.type, raw_spec(item, caller), name)
