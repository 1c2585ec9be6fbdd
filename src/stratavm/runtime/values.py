"""Python values ↔ raw bits, one function each way. The rules of the boundary live here and nowhere else.

Integers: signed and unsigned ranges are accepted (−2³¹ … 2³²−1 for i32), results are signed. Floats: anything
with ``__float__``; f32 is rounded to nearest. v128: 16 bytes, little-endian, or an integer of 128 bits; results are
bytes. funcref: a ``Func`` or None.
externref: any object; None is null. Typed function references: a ``Func`` of that type, or None where null is one.
References to objects of guests: a ``GuestObject`` of the type, or None; ``i31`` is a number, and comes out as an
``I31``, which is an ``int``; as ``anyref`` and ``eqref`` only a signed one goes. As ``anyref`` any other object goes
too. Fields of 8 and 16 bits are numbers.
"""

from __future__ import annotations

import _operator as operator
import _struct as struct

from stratavm.base.errors import ResourceLimit
from stratavm.base.forms import TYPE_CHECKING, Any, Final, Protocol
from stratavm.base.importing import importing, math
from stratavm.base.numbers import shown
from stratavm.base.text import printable
from stratavm.base.words import did_you_mean
from stratavm.runtime.objects import ObjectRef
from stratavm.spec.types import (
    ANY,
    ARRAY,
    EQ,
    EXTERN,
    EXTERNREF,
    F32,
    F64,
    FIRST_CONCRETE,
    FIRST_RESOLVED,
    FUNC,
    FUNCREF,
    I8,
    I16,
    I31,
    I31_BITS,
    I31_TAG,
    I32,
    I64,
    REF,
    REF_NULL,
    RESOLVED,
    STRUCT,
    V128,
    FuncType,
    ValType,
    abstract_of,
    heap,
    holds_objects,
    is_ref,
    kind,
    names_types,
    ref,
    type_name,
)

I31_SIGN: Final = 1 << 30
_F32_INFINITY = 0x7F80_0000
_F32 = struct.Struct("<f")
_F64 = struct.Struct("<d")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


OF_OBJECTS: Final = tuple([ref(h) for h in (ANY, EQ, I31, STRUCT, ARRAY)])
BY_NAME: Final[dict[str, ValType]] = {
    type_name(t): t for t in (I32, I64, F32, F64, V128, FUNCREF, EXTERNREF, *OF_OBJECTS)
}
"""Types of values that Python can give."""


TYPED: Final = (
    "that of a typed reference is taken from what has it: table.type.element, global.type.value, "
    "function.type.params[0], module.imports[0].type, module.object_type('name').ref()"
)


def value_type(given: Any, refs: References, *, reference: bool = False) -> ValType:
    """A value type by its constant or its name, or as a type of guests' objects, which stands for references to them
    or null; only reference types where ``reference`` is wanted.

    A typed reference is taken as what an instance, or an import of a ``Module``, shows: whether its engine has the type
    that it names is for ``Store.keep_type`` to see.

    Raises:
        ValueError: there is no such type, or Python cannot give its values.
        TypeError: a type of objects is another engine's than the store.
    """
    if (of_objects := getattr(type(given), "value_type_in", None)) is not None:
        return int(of_objects(given, refs))
    allowed = {name: t for name, t in BY_NAME.items() if not reference or is_ref(t)}
    found = allowed.get(given) if isinstance(given, str) else given
    if found is not None and found in allowed.values():
        return found
    if isinstance(given, int) and given >= FIRST_CONCRETE and kind(given) in (REF, REF_NULL):
        return outside(given)
    if isinstance(given, int) and kind(given) == REF and ref(heap(given)) in allowed.values():
        return given
    if isinstance(given, str) and given.startswith("(ref"):
        raise ValueError(f"{given!r} is no type here; {TYPED}")
    near = did_you_mean(given, allowed) if isinstance(given, str) else ""
    raise ValueError(f"{given!r} is no type here; {near or 'types: ' + ', '.join(allowed)}")


def value_types(given: tuple[Any, ...], refs: References) -> tuple[ValType, ...]:
    """Those of a function type, with types of objects as ``value_type`` takes them; the rest is as it is."""
    found = [value_type(t, refs) if hasattr(type(t), "value_type_in") else t for t in given]
    return tuple(found)


def outside(type_: ValType) -> ValType:
    """A value type as it is outside of modules.

    Raises:
        ValueError: it names a type by its index in a module.
    """
    if FIRST_CONCRETE <= type_ < FIRST_RESOLVED:
        raise ValueError(f"{type_name(type_)} is no type here: it names one by its index in a module; {TYPED}")
    return type_


MISFITS: Final = (TypeError, OverflowError)
"""What ``to_raw`` raises of a value. Of a class below these it is what the value's own code raised."""
THROUGH_MEMORY: Final = "; text and bytes go through the guest's memory: Memory.write, then the address"


if TYPE_CHECKING:
    from stratavm.runtime.blueprint import Blueprint
    # for annotations alone

    class References(Protocol):
        """What the boundary needs of a store: references as raw bits and back."""

        def func_to_raw(self, value: Any, nullable: bool = True) -> int:
            """Raw bits of a function reference; None is 0. TypeError for others says whether None will do."""

        def func_from_raw(self, raw: int) -> Any:
            """The function behind raw bits; 0 is None."""

        def is_of_type(self, raw: int, type_id: int) -> bool:
            """Whether the function behind raw bits, which are not 0, has a type or one below it."""

        def extern_to_raw(self, value: Any) -> int:
            """A handle for any object; None is 0."""

        def free_handles(self, error: ResourceLimit, pins: int) -> None:
            """Let go of what no guest holds; raises the error where nothing goes."""

        def extern_from_raw(self, raw: int) -> Any:
            """The object behind a handle; 0 is None."""

        def is_object(self, wanted: int, bits: int) -> bool:
            """Whether a reference that is not 0 is to what is of a heap type."""


def to_raw(type_: ValType, value: Any, refs: References) -> int:
    """Raw bits of a Python value.

    Raises:
        TypeError: the value is of another kind.
        OverflowError: an integer does not fit the type.
    """
    if type_ == I32:
        return _integer(value, 32, "i32")
    if type_ == I64:
        return _integer(value, 64, "i64")
    if type_ == F64:
        return int(_U64.unpack(_F64.pack(_number(value, "f64")))[0])
    if type_ == F32:
        return f32_bits(_number(value, "f32"))
    if type_ == V128:
        return _vector(value)
    if kind(type_) == REF and value is None:
        raise TypeError(f"expected {spelled(type_, refs)}, got None")
    if heap(type_) == EXTERN:
        return refs.extern_to_raw(value)
    if heap(type_) == FUNC:
        return refs.func_to_raw(value, kind(type_) != REF)
    if heap(type_) >= RESOLVED and abstract_of(heap(type_)) == FUNC:
        return _typed_function(type_, value, refs)
    if holds_objects(type_):
        return _object(type_, value, refs)
    if type_ in (I8, I16):
        return _integer(value, 8 if type_ == I8 else 16, type_name(type_))
    raise TypeError(f"a value of type {type_name(type_)} cannot cross from Python")


def to_raw_alone(type_: ValType, value: Any, refs: References) -> int:
    """``to_raw`` of a value that comes alone: no other one has a handle that lies nowhere yet, so that what no guest
    holds may be let go where there may be no further one. The caller has pinned the store for it, once."""
    try:
        return to_raw(type_, value, refs)
    except ResourceLimit as error:
        refs.free_handles(error, 1)
        return to_raw(type_, value, refs)


def from_raw(type_: ValType, raw: int, refs: References) -> Any:
    """The Python value of raw bits; integers come out signed."""
    if type_ == I32:
        return raw - 0x1_0000_0000 if raw & 0x8000_0000 else raw
    if type_ == I64:
        return raw - (1 << 64) if raw >> 63 else raw
    if type_ == F64:
        return _F64.unpack(_U64.pack(raw))[0]
    if type_ == F32:
        return _F32.unpack(_U32.pack(raw & 0xFFFF_FFFF))[0]
    if type_ == V128:
        return raw.to_bytes(16, "little")
    if heap(type_) == EXTERN or holds_objects(type_):
        return refs.extern_from_raw(raw)
    if abstract_of(heap(type_)) == FUNC:
        return refs.func_from_raw(raw)
    raise TypeError(f"a value of type {type_name(type_)} cannot cross to Python")


def _typed_function(type_: ValType, value: Any, refs: References) -> int:
    raw = refs.func_to_raw(value, kind(type_) != REF)
    if raw and not refs.is_of_type(raw, heap(type_) - RESOLVED):
        raise TypeError(f"expected {spelled(type_, refs)}, got {value!r}")
    return raw


def _object(type_: ValType, value: Any, refs: References) -> int:
    """An object of a guest, a number of 31 bits, and where anything may be, any other object."""
    wanted = heap(type_)
    if value is None:
        return 0
    numeric = isinstance(value, int) or (wanted != ANY and hasattr(type(value), "__index__"))  # as for an i32
    if numeric and wanted in (ANY, EQ, I31):
        return I31_TAG | (_integer(value, 31, "i31") if wanted == I31 else _signed(value, type_, refs))
    if wanted == ANY or isinstance(value, ObjectRef):
        raw = refs.extern_to_raw(value)
        if wanted == ANY or refs.is_object(wanted, raw):
            return raw
    found = repr(value) if isinstance(value, ObjectRef) else f"{_kind_of(value)}{_made(wanted)}"
    raise TypeError(f"expected {spelled(type_, refs)}, got {found}")


def _made(wanted: int) -> str:
    """How to have an object of a heap type, for a value of Python's that is none."""
    return "; GuestType.new makes one" if abstract_of(wanted) in (STRUCT, ARRAY) else ""


def arguments_to_raw(name: str, type_: FuncType, values: tuple[Any, ...], refs: References) -> list[int]:
    """Raw bits of a call's arguments; errors name the function, its signature, and which of several it was."""
    if len(values) != len(type_.params):
        wanted, given = len(type_.params), len(values)
        whose = signature_in(refs, name, type_)
        raise TypeError(f"{whose} takes {wanted} argument{'s' * (wanted != 1)}, got {given}")
    raws: list[int] = []
    try:
        for wants, value in zip(type_.params, values, strict=True):
            raws.append(to_raw(wants, value, refs))
    except (TypeError, OverflowError) as error:
        if type(error) not in MISFITS:
            raise
        which = f", argument {len(raws) + 1}" if len(values) > 1 else ""
        raise type(error)(f"{signature_in(refs, name, type_)}{which}: {error}") from None
    return raws


def results_from_raw(type_: FuncType, raws: list[int], refs: References) -> Any:
    """A call's results: None, one value, or a tuple."""
    if not raws:
        return None
    if len(raws) == 1:
        return from_raw(type_.results[0], raws[0], refs)
    return tuple(from_raw(t, r, refs) for t, r in zip(type_.results, raws, strict=True))


def results_to_raw(name: str, type_: FuncType, value: Any, refs: References) -> list[int]:
    """Raw bits of what a host function returned: None, one value, or a sequence of the right length."""
    wanted = len(type_.results)
    if wanted == 0:
        if value is not None:
            raise TypeError(f"host function {signature_in(refs, name, type_)} returned {value!r:.60}, expected None")
        return []
    values = (value,) if wanted == 1 else value
    if wanted > 1 and (not isinstance(value, (tuple, list)) or len(value) != wanted):
        whose = signature_in(refs, name, type_)
        raise TypeError(f"host function {whose} must return {wanted} values, returned {value!r:.60}")
    try:
        return [to_raw(t, v, refs) for t, v in zip(type_.results, values, strict=True)]
    except (TypeError, OverflowError) as error:
        if type(error) not in MISFITS:
            raise
        whose = signature_in(refs, name, type_)
        raise type(error)(f"host function {whose} returned {value!r:.60}: {error}") from None


def misfit(error: Exception, where: str, as_told: str, wanted: str) -> Exception:
    """The error for a value that does not fit, with its place; what the value's own code raised is as it was.

    Args:
        error: what ``to_raw`` raised.
        where: the field or the element.
        as_told: its type in that error.
        wanted: its type as the module calls it.
    """
    if type(error) not in MISFITS:
        return error
    return type(error)(f"{where}: {str(error).partition(THROUGH_MEMORY)[0].replace(as_told, wanted)}")


def spelled(type_: ValType, refs: References) -> str:
    """A type by the name that modules give it (``typenames``, which is there when a message is made)."""
    with importing:
        from stratavm.runtime import typenames

    return typenames.spelled(type_, refs)


def called(kind: Any, item: Any, owner: Any = None) -> str:
    """What a global or a table is called in a message."""
    with importing:
        from stratavm.runtime import typenames

    return typenames.called(kind, item, owner)


def why_immutable(variable: Any, owner: Any) -> str:
    """Why a global cannot be set."""
    with importing:
        from stratavm.runtime import typenames

    return typenames.immutable(variable, owner)


_typenames: Any = None


def told(type_: Any, refs: Any) -> Any:
    """The type of what a store or a module shows, whose value types say what they are called there."""
    global _typenames
    if not names_types(type_):
        return type_
    if _typenames is None:  # a module may have thousands of such globals
        with importing:
            from stratavm.runtime import typenames
        _typenames = typenames
    return _typenames.told(type_, refs)


def named(text: str, refs: References | None, blueprint: Blueprint | None = None) -> str:
    """A text with types by these names; ``refs``: a store, where there is one."""
    with importing:
        from stratavm.runtime import typenames

    return typenames.named(text, refs, blueprint)


def signature(name: str, type_: FuncType) -> str:
    """``name(i32, i32) -> i64``; the name is a module's and is escaped."""
    results = ", ".join(map(type_name, type_.results))
    arrow = f" -> {results if len(type_.results) < 2 else f'({results})'}" if results else ""
    return f"{printable(name)}({', '.join(map(type_name, type_.params))}){arrow}"


def signature_in(refs: References, name: str, type_: FuncType) -> str:
    """``signature`` with types by the names that modules of the store's engine give them."""
    return named(signature(name, type_), refs)


def parse_argument(type_: ValType, text: str) -> int | float | bytes | None:
    """A command-line argument as a value of the type: ``42``, ``0xff``, ``1.5``, ``nan``, ``null`` where it is
    a value of the type; v128 as a number.

    Raises:
        ValueError: the text is no value of the type.
        OverflowError: the number does not fit it.
    """
    try:
        if type_ in (F32, F64):
            return _parse_float(type_, text)
        if kind(type_) == REF_NULL and text == "null":
            return None
        number = int(text, 0) if type_ in (I32, I64, V128) else None
    except ValueError:
        number = None
    if number is None:
        form = " (a number, as 0x0f: its lowest byte is lane 0 of i8x16)" if type_ == V128 else ""
        if is_ref(type_):
            form = " (a command line gives null alone)" if kind(type_) == REF_NULL else " (no command line gives one)"
        raise ValueError(f"expected {type_name(type_)}{form}, got {text!r}")
    if type_ == V128:
        return _integer(number, 128, "v128").to_bytes(16, "little")
    _integer(number, 32 if type_ == I32 else 64, type_name(type_))
    return number


def _parse_float(type_: ValType, text: str) -> float:
    """A number, infinity or NaN; what is too large is no infinity here, unlike in a computation."""
    try:
        value = float.fromhex(text) if "0x" in text.lower() else float(text)
    except OverflowError:
        value = math.inf
    too_large = math.isinf(value) or (type_ == F32 and f32_bits(value) & 0x7FFF_FFFF == _F32_INFINITY)
    if too_large and "inf" not in text.lower():
        raise OverflowError(f"{text} does not fit {type_name(type_)}")
    return value


def f32_bits(value: float) -> int:
    """Bits of the f32 nearest to ``value``; too large becomes infinity, as the specification rounds."""
    try:
        packed = _F32.pack(value)
    except OverflowError:
        packed = _F32.pack(math.copysign(math.inf, value))
    return int(_U32.unpack(packed)[0])


def _kind_of(value: Any) -> str:
    """What messages call what is not what it should be."""
    return "None" if value is None else type(value).__name__


def _integer(value: Any, bits: int, name: str) -> int:
    try:
        number = operator.index(value)
    except TypeError as error:
        if type(error) is not TypeError:
            raise
        hint = THROUGH_MEMORY if isinstance(value, (str, bytes, bytearray, memoryview)) else ""
        raise TypeError(f"expected {name}, got {_kind_of(value)}{hint}") from None
    if not -(1 << (bits - 1)) <= number < 1 << bits:
        raise OverflowError(f"{shown(number)} does not fit {name}")
    return number & ((1 << bits) - 1)


def _signed(value: Any, type_: ValType, refs: References) -> int:
    """A number where other things may be: it comes out as what went in, or does not go in."""
    try:
        number = operator.index(value)
    except TypeError as error:
        if type(error) is not TypeError:
            raise
        raise TypeError(f"expected {spelled(type_, refs)}, got {_kind_of(value)}") from None
    if not -I31_SIGN <= number < I31_SIGN:
        wide = f": numbers there are from {-I31_SIGN} to {I31_SIGN - 1}; I31(…) takes those without a sign, too"
        raise OverflowError(f"{shown(number)} does not fit {spelled(type_, refs)}{wide}")
    return number & I31_BITS


def _vector(value: Any) -> int:
    """16 bytes of whatever has bytes (an array of NumPy, too), or an integer."""
    if isinstance(value, int):
        return _integer(value, 128, "v128")
    try:
        view = memoryview(value)
    except TypeError:
        raise TypeError(f"expected 16 bytes or an int (v128), got {_kind_of(value)}") from None
    if view.ndim == 0:  # a number of NumPy
        return _integer(value, 128, "v128")
    if view.nbytes != 16:
        raise TypeError(f"expected 16 bytes or an int (v128), got {view.nbytes} bytes")
    return int.from_bytes(view.tobytes(), "little")


def _is_complex(value: Any) -> bool:
    """Whether it is a number of NumPy's that has two parts. What is asked may be anything, and raise anything."""
    try:
        return bool(value.dtype.kind == "c")
    except Exception:
        return False


def _number(value: Any, name: str) -> float:
    if type(value) is not float and type(value) is not int:
        if isinstance(value, str):
            raise TypeError(f"expected {name}, got str")
        if _is_complex(value):  # it has __float__, which drops a part
            raise TypeError(f"expected {name}, got {value.dtype}: a complex number; its real part is .real")
    try:
        return float(value)
    except TypeError as error:
        if type(error) is not TypeError:
            raise
        raise TypeError(f"expected {name}, got {_kind_of(value)}") from None
    except OverflowError:
        if not isinstance(value, int):
            raise
        raise OverflowError(f"{shown(value)} does not fit {name}") from None
