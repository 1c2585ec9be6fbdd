"""What is said of a cast that failed: what was wanted, and what was found, by the names that modules give types."""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.runtime import typenames
from stratavm.spec import types as T

if TYPE_CHECKING:
    from stratavm.base.errors import GuestFrame

PREFIX: Final = 0xFB
CASTS: Final = {22: False, 23: True}
"""Instructions behind the prefix: whether null is of their type."""
NOT_TOLD: Final = (1 << 64) - 1
"""Stands for a reference that nobody knows; none has these bits."""
HANDLES: Final = 1 << 32
"""Smaller references are objects of the host."""
OF_FUNCTIONS: Final = (T.FUNC, T.NOFUNC)


def failed_cast(instance: Any, blueprint: Any, word: int, id: int | None, heap: int, nullable: bool) -> str:
    """A cast of a guest's reference to a heap type of a program, which is an index or a negative number. ``id``: of the
    type of the object that the reference meant; None: that is there, and can be asked."""
    abstract = T.CONCRETE + heap if heap >= 0 else heap & 0x7F
    wanted = T.resolved(T.ref(abstract, nullable), blueprint.ids)
    said = f"expected {_named(instance, blueprint, T.type_name(wanted))}"
    if word == NOT_TOLD:
        return said
    return f"{said}, found {_found(instance, blueprint, word, id, T.abstract_of(T.heap(wanted)))}"


def failed_cast_at(instance: Any, blueprint: Any, word: int, id: int, frames: tuple[GuestFrame, ...]) -> str:
    """The same of a trap in machine code of a program, in whose binary the innermost frame has the place of the cast.

    After an update it may be the program of before: its frames go on in its code."""
    if not frames:
        return ""
    at = frames[0].offset
    try:
        code = bytes(blueprint.module.binary[at : at + 16])
    except OSError:  # it is read when it is asked for, and the file has changed
        return ""
    if len(code) < 3 or code[0] != PREFIX or code[1] not in CASTS:
        return ""
    return failed_cast(instance, blueprint, word, id, _signed(code, 2), CASTS[code[1]])


def _signed(code: bytes, at: int) -> int:
    """A number in signed LEB128."""
    value, shift = 0, 0
    for byte in code[at:]:
        value |= (byte & 0x7F) << shift
        shift += 7
        if not byte & 0x80:
            return value - (1 << shift) if byte & 0x40 else value
    return value


def _found(instance: Any, blueprint: Any, word: int, id: int | None, wanted: int) -> str:
    """What a reference is, of those that a cast to a kind of heap type may find."""
    if word == 0:
        return "null"
    if wanted in OF_FUNCTIONS:
        return f"a function {_named(instance, blueprint, str(instance.resolve_func(word).type))}"
    if wanted in (T.EXN, T.NOEXN):
        return "an exception"
    if word & T.I31_TAG:
        number = word & T.I31_BITS
        return f"i31 {number - (1 << 31) if number >> 30 else number}"
    if word < HANDLES:
        return "an object of the host"
    if id is None:
        id = instance.type_of_object(word)
    name = _named(instance, blueprint, f"{T.UNNAMED}{id}")
    return f"{'array' if id & T.ARRAY_ID else 'struct'} {name if name.startswith('$') else f'type {name}'}"


def _named(instance: Any, blueprint: Any, text: str) -> str:
    return typenames.named(text, instance.store, blueprint)
