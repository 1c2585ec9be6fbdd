"""A module whose imports are resolved: what is left to do for each instance, and nothing else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from stratavm.base.errors import LinkError
from stratavm.engine.events import InstanceCreated, InstantiationFailed, describe, report_failure
from stratavm.engine.host import Caller
from stratavm.engine.instance import Instance
from stratavm.runtime.layout import vm_layout
from stratavm.runtime.link import instantiate

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.engine.store import Store


class Binder(Protocol):
    """An import that was resolved: gives the runtime's object for it in a store.

    Attributes:
        makes: whether ``bind`` makes a new object, for one instance alone.
    """

    makes: ClassVar[bool]

    def bind(self, store: Store, caller: Caller) -> Any:
        """The object. LinkError where it belongs to another store."""


class InstancePre:
    """A module with its imports resolved and checked: ``linker.instantiate_pre(module)`` makes it.

    It serves any number of stores of its engine, from any thread. Host functions are made anew in each store; imports
    that are objects of a store (``Func``, ``Memory``, ``Table``, ``Global``) can be used in that store only.

    Attributes:
        module: what it instantiates.
    """

    __slots__ = ("_binders", "_layout", "module")

    def __init__(self, module: Module, binders: Sequence[Binder]) -> None:
        self.module = module
        self._binders = tuple(binders)
        self._layout = vm_layout(module.model)

    def instantiate(self, store: Store) -> Instance:
        """Make an instance: allocate, run initialisers, then the start function.

        Raises:
            LinkError: the store is of another engine, or an import belongs to another store.
            Trap: an initialiser or the start function trapped.
            ResourceLimit: a limit does not allow it; ``PoolExhausted`` where the engine's pool has no slot.
        """
        try:
            return self.start(store)
        except BaseException as error:
            report_start(store, self.module, error)
            raise

    def start(self, store: Store) -> Instance:
        """``instantiate`` without a report of failures."""
        module = self.module
        if module.engine is not store.engine:
            # Its code relies on the memory plan, type ids and stubs of its engine: with others it leaves the sandbox.
            raise LinkError(f"module {module.name} and the store belong to different engines")
        caller = Caller() if self._binders else None
        imports: list[Any] = []
        try:
            for binder in self._binders:
                assert caller is not None
                imports.append(binder.bind(store, caller))
            native = instantiate(
                store.native,
                module.valid,
                module.code,
                imports,
                name=module.name,
                memory_plan=store.engine.config.memory_plan,
                images=module.images(),
                layout=self._layout,
                created=None if caller is None else lambda native: caller.bind(Instance(store, module, native)),
            )
        except BaseException:
            if caller is not None and not caller.bound:  # no guest has seen what was made for it
                for binder, made in zip(self._binders, imports, strict=False):
                    if binder.makes:
                        store.native.forget(made)
            raise
        instance = Instance(store, module, native) if caller is None else caller.instance
        if store.source.hears(InstanceCreated):
            store.source.emit(InstanceCreated(native.number, module.name))
        else:
            store.bus.drain()
        return instance

    def __repr__(self) -> str:
        return f"<InstancePre of {self.module.name}>"


def report_start(store: Store, module: Module, error: BaseException) -> None:
    """Tell of an instantiation that failed."""
    if store.source.hears(InstantiationFailed):
        store.source.emit(InstantiationFailed(module.name, describe(error)))
    report_failure(store.source, f"{module.name} (start)", error)
