"""Objects of guests that run without machine code: structs and arrays as Python objects with raw values.

What a field refers to is in it as a Python object, so that Python knows who holds what; a reference is the store's
handle of it, and ``i31`` none: bit 63 and 31 bits of number. Types are those of the module that makes the object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from stratavm.base.forms import Any, Final, Protocol, TypeAlias
from stratavm.spec import types as T

I31_TAG: Final = T.I31_TAG
"""Of a raw reference that is a number."""
I31_BITS: Final = T.I31_BITS
OBJECT_BYTES: Final = 160
"""What an object takes of the budget besides its values: itself, a list, its handle's tuple."""
VALUE_BYTES: Final = 40
"""What each value takes: a place in a list, and a number of Python's."""

Stored: TypeAlias = "int | tuple[Any]"
"""A value in an object: raw bits, or the one thing that a reference is a handle of."""


class Budget(Protocol):
    """What the bytes of objects are taken of."""

    def charge(self, count: int, what: str) -> None:
        """Take bytes; raises ``ResourceLimit``, and takes none, where so many are not left."""

    def refund(self, count: int) -> None:
        """Give them back."""


class Typed(Protocol):
    """A module."""

    @property
    def types(self) -> Sequence[T.SubType]:
        """Its type definitions."""


class Home(Protocol):
    """What an object is made in: an instance."""

    @property
    def model(self) -> Typed:
        """The module."""

    def type_id(self, type_index: int) -> int:
        """The canonical id of the type at an index."""

    def budget(self) -> Budget:
        """What bytes are taken of."""

    def owner(self) -> Callable[[], object]:
        """What gives the store, as long as it is there."""

    def thing_ref(self, thing: Any) -> int:
        """The raw reference to a Python object: the same one as long as anybody has it."""

    def thing_of(self, raw: int) -> Any:
        """The Python object behind one that is not null, nor a number."""

    def sent(self, raw: int) -> int:
        """The same reference, which may lie among those to any object of Python from now on."""


class I31:
    """A number that went outside as an ``externref``, or lies in an exception."""

    __slots__ = ("raw",)

    def __init__(self, raw: int) -> None:
        self.raw = raw

    def __repr__(self) -> str:
        return f"<i31 {self.raw & I31_BITS:#x} of a guest>"


class GuestObject:
    """A struct or an array; two are the same only if they are the same object."""

    __slots__ = ("__weakref__", "_budget", "_bytes", "_owner", "type_id", "values")

    def __init__(
        self, type_id: int, values: list[Stored], owner: Callable[[], object], budget: Budget, size: int
    ) -> None:
        self.type_id, self.values = type_id, values
        self._owner, self._budget, self._bytes = owner, budget, size

    def __del__(self) -> None:
        self._budget.refund(self._bytes)

    def is_of(self, store: object) -> bool:
        """Whether it is of that store: its type's number and its values mean nothing elsewhere."""
        return self._owner() is store

    @property
    def is_array(self) -> bool:
        """Whether it is an array: its id says so."""
        return self.type_id & T.ARRAY_ID != 0

    def __repr__(self) -> str:
        return f"<{'array' if self.is_array else 'struct'} of a guest, {len(self.values)} values>"


def is_traced(module: Typed, storage: T.ValType) -> bool:
    """Whether values of a module's type are references to Python objects: all but those to functions."""
    if not T.is_ref(storage):
        return False
    heap = T.heap(storage)
    if heap >= T.CONCRETE:
        return not isinstance(module.types[heap - T.CONCRETE].composite, T.FuncType)
    return heap not in (T.FUNC, T.NOFUNC)


def stored(home: Home, raw: int) -> Stored:
    """A reference as an object has it."""
    return raw if raw == 0 or raw & I31_TAG else (home.thing_of(raw),)


def raw_of(home: Home, value: Stored) -> int:
    """The raw bits of what an object has."""
    return value if isinstance(value, int) else home.thing_ref(value[0])


def storage_mask(storage: T.ValType) -> int:
    """The bits of a number that a field keeps."""
    return {T.I8: 0xFF, T.I16: 0xFFFF}.get(storage, (1 << 128) - 1)


def field_of(module: Typed, type_index: int, field: int) -> T.FieldType:
    """A field of the struct type at an index, or its array type's element."""
    composite = module.types[type_index].composite
    assert not isinstance(composite, T.FuncType)
    return T.fields_of(composite)[field]


def new_struct(home: Home, type_index: int, raws: Sequence[int]) -> int:
    """A reference to a new struct with these fields; without any, with their defaults."""
    composite = home.model.types[type_index].composite
    assert isinstance(composite, T.StructType)
    fields = composite.fields
    budget, size = _charged(home, len(fields), "a struct")
    values = [_value(home, field.storage, raw) for field, raw in zip(fields, raws or [0] * len(fields), strict=True)]
    return home.thing_ref(GuestObject(home.type_id(type_index), values, home.owner(), budget, size))


def new_array(home: Home, type_index: int, count: int, raws: Iterable[int]) -> int:
    """A reference to a new array of ``count`` elements: these, or so many times the only one."""
    budget, size = _charged(home, count, "an array")
    storage = field_of(home.model, type_index, 0).storage
    values = [_value(home, storage, raw) for raw in raws]
    if len(values) == 1:
        values *= count
    return home.thing_ref(GuestObject(home.type_id(type_index), values, home.owner(), budget, size))


def boxed(home: Home, raw: int) -> int:
    """The ``externref`` of an ``anyref``."""
    return home.thing_ref(I31(raw)) if raw & I31_TAG else home.sent(raw) if raw else 0


def unboxed(home: Home, raw: int) -> int:
    """The ``anyref`` of an ``externref``."""
    thing = home.thing_of(raw) if raw else None
    return thing.raw if isinstance(thing, I31) else raw


def _value(home: Home, storage: T.ValType, raw: int) -> Stored:
    """What an object has of a raw value."""
    return stored(home, raw) if is_traced(home.model, storage) else raw & storage_mask(storage)


def _charged(home: Home, count: int, what: str) -> tuple[Budget, int]:
    """Take the bytes of an object with so many values."""
    budget, size = home.budget(), OBJECT_BYTES + VALUE_BYTES * count
    budget.charge(size, what)
    return budget, size
