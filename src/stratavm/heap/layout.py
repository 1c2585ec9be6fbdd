"""How structs and arrays lie in memory. Numbers alone: which types hold references to trace is the caller's to say.

An object begins with a header of eight bytes, the canonical id of its type and, of an array, its length; it lies at a
multiple of 16 and takes as many bytes as one. A struct's fields follow in their order, each at a multiple of its own
size, packed ones in one or two bytes; an array's elements follow without gaps.
"""

from __future__ import annotations

from _collections_abc import Callable

from stratavm.base.forms import Final, dataclass
from stratavm.spec import types as T

GRANULE: Final = 16
"""Where an object begins, and how much it takes, is a multiple of it."""
HEADER: Final = 8
"""Bytes before the first field or element."""
SIZES: Final = {T.I8: 1, T.I16: 2, T.I32: 4, T.F32: 4, T.I64: 8, T.F64: 8, T.V128: 16}
REFERENCE: Final = 8


@dataclass(frozen=True, slots=True)
class Layout:
    """Where the values of a type's objects are.

    Attributes:
        offsets: of each field from the object's start; of the first element of an array.
        size: bytes of the whole object, of an array those before its elements.
        element: bytes of an element, 0 of a struct.
        traced: offsets of the words that may refer to an object or be a handle; of an array the first element's, if all
            of them may.
    """

    offsets: tuple[int, ...]
    size: int
    element: int
    traced: tuple[int, ...]


def storage_size(storage: T.ValType) -> int:
    """Bytes of a value in an object."""
    return SIZES.get(storage, REFERENCE)


def layout_of(composite: T.StructType | T.ArrayType, traced: Callable[[T.ValType], bool]) -> Layout:
    """The layout of a type; ``traced`` says whether values of a reference type may be objects or handles, as those of
    all but references to functions may."""
    offsets, at = list[int](), HEADER
    fields = T.fields_of(composite)
    for field in fields:
        size = storage_size(field.storage)
        at = aligned(at, min(size, REFERENCE))
        offsets.append(at)
        at += size
    found = zip(offsets, fields, strict=True)
    words = tuple([at for at, field in found if T.is_ref(field.storage) and traced(field.storage)])
    if isinstance(composite, T.ArrayType):
        return Layout(tuple(offsets), HEADER, storage_size(composite.element.storage), words)
    return Layout(tuple(offsets), aligned(at, GRANULE), 0, words)


def aligned(size: int, unit: int) -> int:
    """The next multiple of a power of two."""
    return (size + unit - 1) & -unit
