"""Types of WebAssembly as values: packed integers for value types, frozen objects for the rest.

A value type is one unsigned integer, so that the decoder, the validator and the compiler compare types with
``==`` and hold them in C arrays. The low eight bits are the *kind* (the byte of the binary format); a reference
carries its heap type in the bits above: a byte-coded abstract heap type, or ``CONCRETE + type index``.

Source: WebAssembly 3.0, sections 2.3 (types) and 5.3 (binary types).
"""

from __future__ import annotations

from _collections_abc import Callable, Sequence

from stratavm.base.forms import TYPE_CHECKING, Final, Protocol, TypeAlias, dataclass, field

ValType: TypeAlias = int
"""A packed value type: ``I32`` … ``V128``, or ``ref(heap, nullable)``."""

HeapType: TypeAlias = int
"""An abstract heap type's byte (``FUNC``, ``EXTERN`` …) or ``CONCRETE + type index``."""

I32: Final = 0x7F
I64: Final = 0x7E
F32: Final = 0x7D
F64: Final = 0x7C
V128: Final = 0x7B
I8: Final = 0x78  # storage types of fields only
I16: Final = 0x77
REF: Final = 0x64  # kind of a non-nullable reference
REF_NULL: Final = 0x63  # kind of a nullable reference
BOTTOM: Final = 0  # the type of an unreachable operand: matches everything

NOEXN: Final = 0x74
NOFUNC: Final = 0x73
NOEXTERN: Final = 0x72
NONE: Final = 0x71
FUNC: Final = 0x70
EXTERN: Final = 0x6F
ANY: Final = 0x6E
EQ: Final = 0x6D
I31: Final = 0x6C
STRUCT: Final = 0x6B
ARRAY: Final = 0x6A
EXN: Final = 0x69
BOTTOM_HEAP: Final = 0  # of an unreachable reference: below every heap type
CONCRETE: Final = 0x100
"""Heap types from here on are type indices."""
FIRST_CONCRETE: Final = CONCRETE << 8
"""Value types from here on name one."""
RESOLVED: Final = 1 << 32
"""Heap types from here on are canonical type ids of an engine: what type indices mean outside of their module. Only
Python's integers hold them."""
FIRST_RESOLVED: Final = RESOLVED << 8
"""Value types from here on name one."""

MAX_TYPES: Final = 1_000_000
"""Limit on type definitions of a module; the packing holds 2**24 - 256."""


def ref(heap: HeapType, nullable: bool = True) -> ValType:
    """The reference type to ``heap``."""
    return (REF_NULL if nullable else REF) | heap << 8


def kind(t: ValType) -> int:
    """The kind byte of a value type: ``I32`` … ``V128``, ``REF`` or ``REF_NULL``."""
    return t & 0xFF


def heap(t: ValType) -> HeapType:
    """The heap type of a reference type."""
    return t >> 8


def is_ref(t: ValType) -> bool:
    """Whether the type is a reference type."""
    return t & 0xFE == 0x62 or t & 0xFF == REF


def is_value_type(t: ValType) -> bool:
    """Whether a number is the type of some value: of a number, a vector or a reference, whatever that names."""
    if t in (I32, I64, F32, F64, V128):
        return True
    return t & 0xFF in (REF, REF_NULL) and (heap(t) in HEAP_NAMES or heap(t) >= CONCRETE)


def may_hold_funcs(t: ValType) -> bool:
    """Whether a value of the type may be, or may have in it, a reference to a function."""
    return is_ref(t) and heap(t) not in (EXTERN, NOEXTERN, EXN, NOEXN)


FUNCREF: Final = REF_NULL | FUNC << 8
EXTERNREF: Final = REF_NULL | EXTERN << 8

HEAP_NAMES: Final[dict[HeapType, str]] = {
    NOEXN: "noexn", NOFUNC: "nofunc", NOEXTERN: "noextern", NONE: "none", FUNC: "func", EXTERN: "extern",
    ANY: "any", EQ: "eq", I31: "i31", STRUCT: "struct", ARRAY: "array", EXN: "exn",
}  # fmt: skip
NUMBER_NAMES: Final[dict[ValType, str]] = {
    I32: "i32", I64: "i64", F32: "f32", F64: "f64", V128: "v128", I8: "i8", I16: "i16", BOTTOM: "bot",
}  # fmt: skip
SHORT_REFS: Final[dict[HeapType, str]] = {
    FUNC: "funcref", EXTERN: "externref", ANY: "anyref", EQ: "eqref", I31: "i31ref", STRUCT: "structref",
    ARRAY: "arrayref", EXN: "exnref", NONE: "nullref", NOFUNC: "nullfuncref", NOEXTERN: "nullexternref",
    NOEXN: "nullexnref",
}  # fmt: skip


def type_name(t: ValType) -> str:
    """The type in the text format's spelling: ``i32``, ``funcref``, ``(ref null 3)``; or as it says itself."""
    if type(t) is not int and hasattr(t, "say"):
        return str(t)
    name = NUMBER_NAMES.get(t)
    if name is not None:
        return name
    h = heap(t)
    if kind(t) == REF_NULL and h in SHORT_REFS:
        return SHORT_REFS[h]
    return f"(ref {'null ' if kind(t) == REF_NULL else ''}{heap_name(h)})"


def _told(t: object) -> str:
    """A type in a function type, which may be one of objects as a host has it, before a store takes it."""
    return type_name(t) if isinstance(t, int) else str(t)


def _told_all(types: object) -> str:
    """Those of a function type, which may be no sequence before a store takes it."""
    return f"[{' '.join(map(_told, types))}]" if isinstance(types, (tuple, list)) else f"{types!r:.60}"


UNNAMED: Final = "type#"
"""What stands before a canonical id, which is known to an engine alone."""


def heap_name(h: HeapType) -> str:
    """The heap type for people: ``func``, a type index, or the signature that a canonical id stands for."""
    if h >= RESOLVED:
        plain = type_of_id(h - RESOLVED)
        return f"{UNNAMED}{h - RESOLVED}" if plain is None else str(plain)
    return HEAP_NAMES.get(h) or (str(h - CONCRETE) if h >= CONCRETE else f"{h:#x}" if h else "bot")


if TYPE_CHECKING:

    class TypeOfObjects(Protocol):
        """What a host has for a type of guests' objects (``GuestType``): references to them, or null, to a store."""

        def ref(self, *, nullable: bool = True) -> ValType:
            """The value type of references to them."""


@dataclass(frozen=True, slots=True)
class FuncType:
    """``params -> results``."""

    params: tuple[ValType, ...] = ()
    results: tuple[ValType, ...] = ()

    if TYPE_CHECKING:

        def __init__(
            self, params: tuple[ValType | TypeOfObjects, ...] = (), results: tuple[ValType | TypeOfObjects, ...] = ()
        ) -> None:
            """A store makes value types of what is none yet."""

    def __repr__(self) -> str:
        return f"FuncType({self})"

    def __str__(self) -> str:
        return f"{_told_all(self.params)} -> {_told_all(self.results)}"


@dataclass(frozen=True, slots=True)
class FieldType:
    """A field of a struct or the element of an array; ``storage`` may be ``I8`` or ``I16``."""

    storage: ValType
    mutable: bool = False


@dataclass(frozen=True, slots=True)
class StructType:
    """A struct's fields, in order."""

    fields: tuple[FieldType, ...] = ()


@dataclass(frozen=True, slots=True)
class ArrayType:
    """An array's element."""

    element: FieldType


CompositeType: TypeAlias = FuncType | StructType | ArrayType


def fields_of(composite: StructType | ArrayType) -> tuple[FieldType, ...]:
    """The fields of a struct, or an array's one element."""
    return composite.fields if isinstance(composite, StructType) else (composite.element,)


@dataclass(frozen=True, slots=True)
class SubType:
    """A type definition: its shape, whether it may be extended, and what it extends (type indices)."""

    composite: CompositeType
    final: bool = True
    supers: tuple[int, ...] = ()


OWN_ID: Final = 1 << 31
"""The bit of canonical ids that signatures have of their own; those that an engine gives have it not."""
I31_TAG: Final = 1 << 63
"""Of a raw reference that is a number."""
I31_BITS: Final = (1 << 31) - 1
STRUCT_ID: Final = 1 << 30
ARRAY_ID: Final = 1 << 29
"""Bits of the canonical ids of types of structs and arrays; no other id without ``OWN_ID`` has them."""
MOST_PLAIN: Final = 9
"""Parameters and results of such a signature: three bits each, and a one in front."""
_PLAIN: Final[dict[ValType, int]] = {I32: 1, I64: 2, F32: 3, F64: 4, V128: 5, FUNCREF: 6, EXTERNREF: 7}


def own_id(group: tuple[SubType, ...]) -> int:
    """The canonical id that is written in the signature of a recursion group's only type, or 0 where it has none.

    No other type has it, and this one has no other, in any engine and process: machine code has it as a constant. A
    final function type without supertypes has one if it is short and of numbers, vectors, funcref and externref alone.
    """
    if len(group) != 1:
        return 0
    type = group[0].composite
    if not isinstance(type, FuncType) or not group[0].final or group[0].supers:
        return 0
    if len(type.params) + len(type.results) > MOST_PLAIN:
        return 0
    number = 1
    for t in (*type.params, None, *type.results):  # 0 ends the parameters
        code = 0 if t is None else _PLAIN.get(t)
        if code is None:
            return 0
        number = number << 3 | code
    return OWN_ID | number


def type_of_id(id: int) -> FuncType | None:
    """The function type whose canonical id is written in its signature; None for an id that only an engine knows."""
    if not id & OWN_ID:
        return None
    number, values = id ^ OWN_ID, list[ValType]()
    codes = {code: t for t, code in _PLAIN.items()} | {0: BOTTOM}
    while number > 1:
        values.append(codes[number & 7])
        number >>= 3
    values.reverse()
    between = values.index(BOTTOM)
    return FuncType(tuple(values[:between]), tuple(values[between + 1 :]))


def is_own_id(id: int) -> bool:
    """Whether it is the canonical id that some signature has of its own."""
    try:
        plain = type_of_id(id)
    except ValueError:
        return False
    return plain is not None and own_id((SubType(plain),)) == id


def id_mark(composite: CompositeType) -> int:
    """The bits that canonical ids of such a type have, besides their number."""
    if isinstance(composite, FuncType):
        return 0
    return STRUCT_ID if isinstance(composite, StructType) else ARRAY_ID


ABOVE: Final[dict[HeapType, tuple[HeapType, ...]]] = {
    EQ: (ANY,), I31: (EQ, ANY), STRUCT: (EQ, ANY), ARRAY: (EQ, ANY), NONE: (I31, STRUCT, ARRAY, EQ, ANY),
    NOFUNC: (FUNC,), NOEXTERN: (EXTERN,), NOEXN: (EXN,),
}  # fmt: skip
"""What is above each abstract heap type."""


def abstract_of(h: HeapType) -> HeapType:
    """The abstract heap type just above a canonical id's; an abstract one itself."""
    if h < RESOLVED:
        return h
    id = h - RESOLVED
    return FUNC if id & OWN_ID else STRUCT if id & STRUCT_ID else ARRAY if id & ARRAY_ID else FUNC


def holds_objects(t: ValType) -> bool:
    """Whether values of a type, as it is outside of modules, are references to objects of guests, or i31."""
    return is_ref(t) and abstract_of(heap(t)) in (ANY, EQ, I31, STRUCT, ARRAY, NONE)


def holds_handles(t: ValType) -> bool:
    """Whether values of a type, as it is outside of modules, may be handles: of Python objects, exceptions, objects."""
    return is_ref(t) and (heap(t) in (EXTERN, NOEXTERN, EXN, NOEXN) or holds_objects(t))


def resolved(t: ValType, ids: Sequence[int]) -> ValType:
    """A value type of a module with the canonical id of the type that it names, by index, if it names one."""
    if t < FIRST_CONCRETE or t >= FIRST_RESOLVED:
        return t
    return kind(t) | (RESOLVED + ids[heap(t) - CONCRETE]) << 8


def resolved_func(type_: FuncType, ids: Sequence[int]) -> FuncType:
    """A function type of a module with canonical ids; itself where it names no type."""
    values = (*type_.params, *type_.results)
    if max(values, default=0) < FIRST_CONCRETE:
        return type_
    n = len(type_.params)
    canonical = tuple([resolved(t, ids) for t in values])
    return FuncType(canonical[:n], canonical[n:])


@dataclass(frozen=True, slots=True)
class RecGroup:
    """Type definitions that may refer to each other."""

    types: tuple[SubType, ...]


@dataclass(frozen=True, slots=True)
class Limits:
    """Size in pages or elements; ``is64`` selects the address type, ``shared`` needs threads."""

    minimum: int
    maximum: int | None = None
    is64: bool = False
    shared: bool = False


@dataclass(frozen=True, slots=True)
class MemoryType:
    """A memory; limits are in pages of ``1 << page_shift`` bytes."""

    limits: Limits
    page_shift: int = 16


@dataclass(frozen=True, slots=True)
class TableType:
    """A table; limits are in elements."""

    element: ValType
    limits: Limits

    def __repr__(self) -> str:
        return f"TableType({type_name(self.element)}, {self.limits})"


@dataclass(frozen=True, slots=True)
class GlobalType:
    """A global variable's type."""

    value: ValType
    mutable: bool = False

    def __repr__(self) -> str:
        return f"GlobalType({type_name(self.value)}{', mutable=True' if self.mutable else ''})"


@dataclass(frozen=True, slots=True)
class TagType:
    """An exception tag: the type of its payload. ``type_index`` is where a module declared it, and not compared."""

    type: FuncType
    type_index: int = field(default=-1, compare=False)


ExternType: TypeAlias = FuncType | TableType | MemoryType | GlobalType | TagType
"""The type of an import or an export."""


def names_types(type_: ExternType) -> bool:
    """Whether the type of a function, a tag, a table or a global names another type."""
    if isinstance(type_, TagType):
        type_ = type_.type
    if isinstance(type_, FuncType):
        return max((*type_.params, *type_.results), default=0) >= FIRST_CONCRETE
    named = type_.value if isinstance(type_, GlobalType) else type_.element if isinstance(type_, TableType) else 0
    return named >= FIRST_CONCRETE


def with_values(type_: ExternType, change: Callable[[ValType], ValType]) -> ExternType:
    """The type of a function, a tag, a table or a global with each of its value types changed."""
    if isinstance(type_, FuncType):
        return FuncType(tuple(map(change, type_.params)), tuple(map(change, type_.results)))
    if isinstance(type_, GlobalType):
        return GlobalType(change(type_.value), type_.mutable)
    if isinstance(type_, TableType):
        return TableType(change(type_.element), type_.limits)
    if isinstance(type_, TagType):
        return TagType(FuncType(tuple(map(change, type_.type.params))), type_.type_index)
    return type_


def resolved_extern(type_: ExternType, ids: Sequence[int]) -> ExternType:
    """The type of an import, a table, a tag or a global of a module with canonical ids; itself where it names none."""
    return with_values(type_, lambda t: resolved(t, ids)) if names_types(type_) else type_
