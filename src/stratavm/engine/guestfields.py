"""Fields of guests' structs, and elements of their arrays, as Python reads them."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Any, dataclass
from stratavm.base.text import printable
from stratavm.runtime.typenames import spelled_in
from stratavm.spec.types import FuncType, fields_of

if TYPE_CHECKING:
    from stratavm.engine.guestobjects import GuestType
    from stratavm.module.model import Module


@dataclass(frozen=True, slots=True)
class GuestField:
    """A field of a struct, or the element of an array.

    Attributes:
        name: what the module's name section calls it; empty where it does not.
        type: of its values, as the text format spells it; types of the module by name, if they have one: ``i8``,
            ``f64``, ``(ref null $node)``.
        mutable: whether it can be assigned to.
    """

    name: str
    type: str
    mutable: bool

    def brief(self) -> str:
        """For a line: ``mut i32 x``."""
        return (
            f"{'mut ' if self.mutable else ''}{printable(self.type)}{' ' + printable(self.name) if self.name else ''}"
        )


def field_of(module: Module, type_index: int, field: int) -> GuestField:
    """A field of the struct type at an index, or its array type's element."""
    composite = module.types[type_index].composite
    assert not isinstance(composite, FuncType)
    found = fields_of(composite)[field]
    name = module.names.fields.get(type_index, {}).get(field, "")
    return GuestField(name, spelled_in(found.storage, module), found.mutable)


def is_row(values: Any) -> bool:
    """Whether what has dimensions has items one by one: not where it has none, nor in a view of several."""
    return bool(values.ndim == 1 if isinstance(values, memoryview) else values.ndim != 0)


def no_attribute(type_: GuestType | None, name: str) -> AttributeError:
    """The error for an attribute that an object of a type has not, or one that was never initialised; where it is
    called as a field, that is one step further."""
    if type_ is None:
        return AttributeError(f"a GuestObject that was never initialised has no attribute {name!r}")
    meant = not type_.is_array and any(field.name == name for field in type_.fields)
    where = f"; the field is an item, [{name!r}]" if meant else ""
    return AttributeError(f"{type_.title} of a guest has no attribute {name!r}{where}")
