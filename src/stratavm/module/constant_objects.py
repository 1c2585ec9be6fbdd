"""Typing of constant expressions that make objects: structs, arrays, i31 and conversions.

Source: WebAssembly 3.0, section 3.4.13 (expressions).
"""

from __future__ import annotations

from stratavm.base.errors import ValidationError
from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.leb import read_uleb
from stratavm.module.model import Module
from stratavm.module.valid import Context
from stratavm.spec import types as T

if TYPE_CHECKING:
    from stratavm.spec.record import Row

KINDS: Final[dict[str, type[T.StructType] | type[T.ArrayType]]] = {"struct": T.StructType, "array": T.ArrayType}
SIMPLE: Final = {
    "ref.i31": (T.I32, T.ref(T.I31, False)),
    "any.convert_extern": (T.EXTERNREF, T.ref(T.ANY)),
    "extern.convert_any": (T.ref(T.ANY), T.EXTERNREF),
}
"""Operand and result; that of a conversion is null only if the operand may be."""
CONSTANT: Final = frozenset(
    {"struct.new", "struct.new_default", "array.new", "array.new_default", "array.new_fixed", *SIMPLE}
)


def object_step(
    module: Module, context: Context, row: Row, code: bytes, at: int, stack: list[T.ValType], offset: int
) -> int:
    """One instruction of an expression: change the stack of types, return the position behind it."""

    def take(wanted: T.ValType) -> T.ValType:
        found = stack.pop() if stack else None
        if found is None or not context.is_subtype(found, wanted):
            given = "nothing" if found is None else T.type_name(found)
            raise ValidationError(
                "type mismatch", offset=offset, op=row.mnemonic, expected=T.type_name(wanted), found=given
            )
        return found

    if row.mnemonic in SIMPLE:
        wanted, result = SIMPLE[row.mnemonic]
        found = take(wanted)
        stack.append(T.ref(T.heap(result), False) if T.kind(found) == T.REF else result)
        return at
    index, at = read_uleb(code, at)
    fields = _fields(module, row, index, offset)
    if row.mnemonic == "array.new_fixed":
        count, at = read_uleb(code, at)
        if count > len(stack):
            raise ValidationError(
                "type mismatch", offset=offset, op=row.mnemonic, expected=f"{count} elements", found=f"{len(stack)}"
            )
        fields = fields * count
    if row.mnemonic.startswith("array.new") and row.mnemonic != "array.new_fixed":
        take(T.I32)
    if row.mnemonic.endswith("_default"):
        if not context.has_default(index):
            raise ValidationError("type mismatch", offset=offset, op=row.mnemonic, expected="fields with a default")
    else:
        for field in reversed(fields):
            take(T.I32 if field.storage in (T.I8, T.I16) else field.storage)
    stack.append(T.ref(T.CONCRETE + index, False))
    return at


def _fields(module: Module, row: Row, index: int, offset: int) -> tuple[T.FieldType, ...]:
    """The fields of the struct, or the array's element, that an instruction makes."""
    kind = row.mnemonic.partition(".")[0]
    composite = module.types[index].composite if index < len(module.types) else None
    if not isinstance(composite, KINDS[kind]):
        expected = f"below {len(module.types)}" if composite is None else f"a type of a {kind}"
        raise ValidationError(f"unknown type {index}", offset=offset, op=row.mnemonic, expected=expected)
    return T.fields_of(composite)
