"""Whether type definitions may extend what they name: rules of the type section that only modules with subtypes need.

Source: WebAssembly 3.0, sections 3.2.9 (recursive types) and 3.3.6 (composite types).
"""

from __future__ import annotations

from _collections_abc import Sequence

from stratavm.base.budget import paced
from stratavm.base.errors import ValidationError
from stratavm.base.forms import TYPE_CHECKING
from stratavm.spec import types as T

if TYPE_CHECKING:
    from stratavm.module.valid import Context


def check_subtype(types: Sequence[T.SubType], index: int, context: Context) -> None:
    """The type at an index may extend its supertype: that is open, and a value of the one is one of the other."""
    sub = types[index]
    if len(sub.supers) > 1:
        raise ValidationError("sub type", expected="at most one supertype", found=f"{len(sub.supers)}")
    above = types[sub.supers[0]]
    if above.final:
        raise ValidationError(
            f"sub type {index} does not match super type", expected="a supertype that is not final", found=_named(sub)
        )
    if not composite_matches(sub.composite, above.composite, context):
        raise ValidationError(
            f"sub type {index} does not match super type",
            expected=f"what may stand where {_shape(above.composite)} is wanted",
            found=_shape(sub.composite),
        )


def composite_matches(found: T.CompositeType, wanted: T.CompositeType, context: Context) -> bool:
    """Whether values of a composite type are values of another one."""
    if isinstance(found, T.FuncType) and isinstance(wanted, T.FuncType):
        return _all_match(wanted.params, found.params, context) and _all_match(found.results, wanted.results, context)
    if isinstance(found, T.StructType) and isinstance(wanted, T.StructType):
        return len(found.fields) >= len(wanted.fields) and all(
            _field_matches(mine, other, context)
            for mine, other in paced(zip(found.fields, wanted.fields, strict=False))
        )
    if isinstance(found, T.ArrayType) and isinstance(wanted, T.ArrayType):
        return _field_matches(found.element, wanted.element, context)
    return False


def _all_match(found: Sequence[T.ValType], wanted: Sequence[T.ValType], context: Context) -> bool:
    """The same for lists of value types."""
    return len(found) == len(wanted) and all(map(context.is_subtype, found, wanted))


def _field_matches(found: T.FieldType, wanted: T.FieldType, context: Context) -> bool:
    """What is written through one type is read through the other: a field that varies has one type."""
    if found.mutable != wanted.mutable or not context.is_subtype(found.storage, wanted.storage):
        return False
    return not found.mutable or context.is_subtype(wanted.storage, found.storage)


def _named(sub: T.SubType) -> str:
    return f"type {sub.supers[0]}, which is final"


def _shape(composite: T.CompositeType) -> str:
    """A composite type in a few words."""
    if isinstance(composite, T.FuncType):
        return f"func {composite}"
    fields = T.fields_of(composite)[:20]
    shown = [f"(mut {T.type_name(f.storage)})" if f.mutable else T.type_name(f.storage) for f in fields]
    return f"{'struct' if isinstance(composite, T.StructType) else 'array'} {' '.join(shown)}"
