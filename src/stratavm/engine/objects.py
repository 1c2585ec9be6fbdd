"""Tables and globals as Python sees them: thin covers over the runtime's objects that convert values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stratavm.base.keywords import checks_keywords
from stratavm.engine.events import GlobalCreated, GlobalSet, TableElementSet, reporting
from stratavm.engine.func import Func
from stratavm.engine.memory import Memory
from stratavm.engine.types import value_type
from stratavm.engine.values import from_raw, to_raw
from stratavm.runtime.func import FuncRef
from stratavm.runtime.globals import Global as NativeGlobal
from stratavm.runtime.memory import Memory as NativeMemory
from stratavm.runtime.table import Table as NativeTable
from stratavm.spec.types import GlobalType, Limits, TableType, type_name

if TYPE_CHECKING:
    from stratavm.engine.store import Store


class Table:
    """A table of references: a sequence of ``Func``, any objects (externref), or None."""

    __slots__ = ("__weakref__", "native", "store")

    def __init__(self, store: Store, native: Any) -> None:
        self.store = store
        self.native = native

    @classmethod
    @checks_keywords
    def new(cls, store: Store, element: int | str, minimum: int, maximum: int | None = None) -> Table:
        """A table of ``minimum`` null elements of a reference type: ``"funcref"`` or ``"externref"``."""
        type_ = TableType(value_type(element, reference=True), Limits(minimum, maximum))
        with reporting(store, "table"):
            return cls(store, NativeTable(store.native, type_))

    @property
    def type(self) -> TableType:
        """Its type."""
        type_: TableType = self.native.type
        return type_

    def __len__(self) -> int:
        return len(self.native)

    def __getitem__(self, index: int) -> Any:
        return from_raw(self.type.element, self.native.get(self._index(index)), self.store)

    def __setitem__(self, index: int, value: Any) -> None:
        self.native.set(self._index(index), to_raw(self.type.element, value, self.store))
        source = self.store.source
        if source.hears(TableElementSet):
            source.emit(TableElementSet(self.native.number, index))

    def grow(self, delta: int, value: Any = None) -> int:
        """Grow by ``delta`` elements of ``value``; returns the old length, or -1 if it cannot grow so far."""
        with reporting(self.store, "table.grow"):
            return int(self.native.grow(delta, to_raw(self.type.element, value, self.store)))

    def _index(self, index: int) -> int:
        if not 0 <= index < len(self):
            raise IndexError(f"table index {index} out of range 0..{len(self) - 1}")
        return index

    def __repr__(self) -> str:
        maximum = self.type.limits.maximum
        return f"<Table {len(self)}..{'' if maximum is None else maximum} {type_name(self.type.element)}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Table) and other.native is self.native

    def __hash__(self) -> int:
        return hash(self.native)


class Global:
    """A global variable; ``value`` reads and, if it is mutable, writes it."""

    __slots__ = ("__weakref__", "native", "store")

    def __init__(self, store: Store, native: Any) -> None:
        self.store = store
        self.native = native

    @classmethod
    @checks_keywords
    def new(cls, store: Store, type_: int | str, value: Any, *, mutable: bool = False) -> Global:
        """A global of a value type: ``"i32"``, ``"i64"``, ``"f32"``, ``"f64"``, ``"v128"`` (16 bytes), ``"funcref"``,
        ``"externref"``.
        """
        type_ = value_type(type_)
        made = cls(store, NativeGlobal(store.native, GlobalType(type_, mutable), to_raw(type_, value, store)))
        if store.source.hears(GlobalCreated):
            store.source.emit(GlobalCreated(type_name(type_), mutable, made.bits))
        return made

    @property
    def type(self) -> GlobalType:
        """Its type."""
        type_: GlobalType = self.native.type
        return type_

    @property
    def value(self) -> Any:
        """The present value."""
        return from_raw(self.type.value, self.native.bits, self.store)

    @value.setter
    def value(self, value: Any) -> None:
        if not self.type.mutable:
            raise AttributeError("an immutable global cannot be set")
        self.native.bits = to_raw(self.type.value, value, self.store)
        source = self.store.source
        if source.hears(GlobalSet):
            source.emit(GlobalSet(type_name(self.type.value), self.bits))

    @property
    def bits(self) -> int:
        """The raw bits; for tools and tests."""
        return int(self.native.bits)

    def __repr__(self) -> str:
        value = "?" if self.store.native.closed else repr(self.value)
        return f"<Global {'mut ' if self.type.mutable else ''}{type_name(self.type.value)} = {value}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Global) and other.native is self.native

    def __hash__(self) -> int:
        return hash(self.native)


def wrap(store: Store, native: Any) -> Func | Memory | Table | Global:
    """The public object for a runtime object."""
    if isinstance(native, FuncRef):
        return Func(store, native)
    if isinstance(native, NativeMemory):
        return Memory(store, native)
    if isinstance(native, NativeTable):
        return Table(store, native)
    return Global(store, native)
