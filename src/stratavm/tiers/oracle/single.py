"""One row of objects, or of many bytes or elements, by itself, for guests that run as machine code: what it takes and
gives, and what does it."""

from __future__ import annotations

from stratavm.base.forms import Final, NamedTuple
from stratavm.contract.objects import field_of
from stratavm.spec import types as T
from stratavm.spec.index import BY_ID
from stratavm.tiers.oracle.bind import bind
from stratavm.tiers.oracle.flatten import Op
from stratavm.tiers.oracle.protocols import InstanceLike, Step

REFERENCE: Final = T.EXTERNREF
"""Stands for any reference: its bits are not looked at."""
_INDICES: Final = {
    "array.new_data": 2, "array.new_elem": 2, "array.init_data": 3, "array.init_elem": 3,
}  # fmt: skip


class Single(NamedTuple):
    """What does a row: types of the operands, and of the result where it has one."""

    step: Step
    operands: tuple[T.ValType, ...]
    results: tuple[T.ValType, ...]


def single(instance: InstanceLike, number: int, x: int, y: int) -> Single:
    """A row by its id, with its immediates."""
    row = BY_ID[number]
    op = Op(row.mnemonic, row, (x, y)[: len(row.imms)], 0)
    return Single(bind(op, instance), *_types(instance, row.mnemonic, x, y))


def _value(instance: InstanceLike, index: int, field: int) -> T.ValType:
    """The type of a field's value as an operand."""
    storage = field_of(instance.model, index, field).storage
    return T.I32 if storage in (T.I8, T.I16) else storage


def _types(instance: InstanceLike, name: str, x: int, y: int) -> tuple[tuple[T.ValType, ...], tuple[T.ValType, ...]]:
    """What it takes, the deepest first, and what it gives."""
    made = (REFERENCE,)
    if name.startswith(("memory.", "table.")):  # of all 64 bits, whatever a memory or a table has
        return (T.I64,) * 3, ()
    if name == "struct.new":
        composite = instance.model.types[x].composite
        assert isinstance(composite, T.StructType)
        return tuple(_value(instance, x, i) for i in range(len(composite.fields))), made
    if name == "struct.new_default":
        return (), made
    if name.startswith("struct.get"):
        return made, (_value(instance, x, y),)
    if name == "struct.set":
        return (REFERENCE, _value(instance, x, y)), ()
    if name == "array.len":
        return made, (T.I32,)
    if name in ("any.convert_extern", "extern.convert_any"):
        return made, made
    if name == "array.copy":
        return (REFERENCE, T.I32, REFERENCE, T.I32, T.I32), ()
    if name == "array.new_fixed":
        return (_value(instance, x, 0),) * y, made
    if name in _INDICES:
        indices = (T.I32,) * _INDICES[name]
        return (indices, made) if name.startswith("array.new") else ((REFERENCE, *indices), ())
    element = _value(instance, x, 0)
    if name == "array.new":
        return (element, T.I32), made
    if name == "array.new_default":
        return (T.I32,), made
    if name.startswith("array.get"):
        return (REFERENCE, T.I32), (element,)
    return ((REFERENCE, T.I32, element) if name == "array.set" else (REFERENCE, T.I32, element, T.I32)), ()
