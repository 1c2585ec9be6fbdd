"""Objects of guests as guests see them that run without machine code, and constant expressions: what makes structs and
arrays, and what reads and writes their values, of the bytes that somebody has them in.

How they lie says ``heap/layout.py``; a reference is one word, which is in an object as it is anywhere else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from stratavm.base.forms import Final, Protocol
from stratavm.base.words import counted
from stratavm.heap.layout import Layout, layout_of, storage_size
from stratavm.spec import types as T

I31_TAG: Final = T.I31_TAG
"""Of a raw reference that is a number."""
I31_BITS: Final = T.I31_BITS
MASK32: Final = 0xFFFF_FFFF
PACKED: Final = {T.I8: 8, T.I16: 16}


class Typed(Protocol):
    """A module."""

    @property
    def types(self) -> Sequence[T.SubType]:
        """Its type definitions."""


class Home(Protocol):
    """What objects are made in, and looked at from: an instance. Offsets count from an object's first byte."""

    @property
    def model(self) -> Typed:
        """The module."""

    def object_layout(self, type_index: int) -> Layout:
        """How objects of the type at an index lie."""

    def new_object(self, type_index: int, count: int = 0) -> int:
        """A reference to a new struct, or to an array of so many elements: zeros and nulls. What the guest has besides
        lies in its frames."""

    def length_of(self, raw: int) -> int:
        """How many elements an array has."""

    def load(self, raw: int, offset: int, size: int) -> int:
        """So many bytes of an object as a number."""

    def fill(self, raw: int, offset: int, size: int, count: int, bits: int) -> None:
        """Write so many bytes of an object so many times, one behind the other."""


def outside(count: int, index: int, length: int, where: str = "the array") -> str:
    """What is said where so many elements from an index on do not lie in an array, or a segment, of a length."""
    return f"{counted(count, 'element')} at {index}, {where} has {length}"


def is_traced(module: Typed, storage: T.ValType) -> bool:
    """Whether values of a module's type are references to objects or handles: all references but those to functions."""
    if not T.is_ref(storage):
        return False
    heap = T.heap(storage)
    if heap >= T.CONCRETE:
        return not isinstance(module.types[heap - T.CONCRETE].composite, T.FuncType)
    return heap not in (T.FUNC, T.NOFUNC)


def keeps_handles(module: Typed, type_index: int) -> bool:
    """Whether objects of a module's type may have handles: of all references only those to anything, to anything of a
    host's and to exceptions may be some."""
    composite = module.types[type_index].composite
    storages = [] if isinstance(composite, T.FuncType) else [field.storage for field in T.fields_of(composite)]
    return any(T.is_ref(storage) and T.heap(storage) in (T.ANY, T.EXTERN, T.EXN) for storage in storages)


def layout(module: Typed, type_index: int) -> Layout:
    """How objects of a module's type lie. TypeError: it is one of functions."""
    composite = module.types[type_index].composite
    if isinstance(composite, T.FuncType):
        raise TypeError(f"type {type_index} is one of functions")
    return layout_of(composite, lambda storage: is_traced(module, storage))


def field_of(module: Typed, type_index: int, field: int) -> T.FieldType:
    """A field of the struct type at an index, or its array type's element."""
    composite = module.types[type_index].composite
    assert not isinstance(composite, T.FuncType)
    return T.fields_of(composite)[field]


def getter(home: Home, type_index: int, field: int, signed: bool) -> Callable[[int, int], int]:
    """What reads a value of an object as raw bits, extended where it is packed: a field, or the element at a place."""
    storage = field_of(home.model, type_index, field).storage
    offset, size = home.object_layout(type_index).offsets[field], storage_size(storage)
    sign = 1 << (PACKED[storage] - 1) if signed else 0

    def get(raw: int, at: int) -> int:
        return ((home.load(raw, offset + at * size, size) ^ sign) - sign) & MASK32

    return get if signed else lambda raw, at: home.load(raw, offset + at * size, size)


def setter(home: Home, type_index: int, field: int) -> Callable[[int, int, int, int], None]:
    """What writes raw bits into an object: a field, or so many elements from a place on."""
    storage = field_of(home.model, type_index, field).storage
    offset, size = home.object_layout(type_index).offsets[field], storage_size(storage)

    def put(raw: int, at: int, count: int, bits: int) -> None:
        home.fill(raw, offset + at * size, size, count, bits)

    return put


def new_struct(home: Home, type_index: int, raws: Sequence[int]) -> int:
    """A reference to a new struct with these fields; without any, with their defaults."""
    made = home.new_object(type_index)
    for field, raw in enumerate(raws):
        setter(home, type_index, field)(made, 0, 1, raw)
    return made


def new_array(home: Home, type_index: int, count: int, raws: Iterable[int]) -> int:
    """A reference to a new array of ``count`` elements: these, or so many times the only one."""
    made, put = home.new_object(type_index, count), setter(home, type_index, 0)
    values = list(raws)
    if len(values) == 1:
        put(made, 0, count, values[0])
    else:
        for at, raw in enumerate(values):
            put(made, at, 1, raw)
    return made
