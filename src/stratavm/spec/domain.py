"""The protocol of a domain: what a semantic function sees as ``d``.

One function, many readings: numbers (``concrete.py``), Z3 terms, recorded templates, a code builder. A semantic
function may not branch on a value; it asks for ``select`` or ``trap_if``. ``prims.py`` says what each primitive means.
"""

from __future__ import annotations

from collections.abc import Callable

from stratavm.base.forms import Any, Protocol, TypeAlias
from stratavm.spec.record import Row

V: TypeAlias = Any
"""A value of the domain: an int, a term, a node …"""

LETTER_TYPES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128"}
WIDTHS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64}


def bound_type(row: Row) -> str:
    """The type that a domain is bound to for a row: that of its first operand."""
    return LETTER_TYPES[row.operands[0]]


class Domain(Protocol):
    """Primitives over one reading of WebAssembly's values, bound to a type: those of ``prims.PRIMS``, by name."""

    type: str
    bits: int

    def __getattr__(self, primitive: str) -> Callable[..., V]:
        """A primitive. Its operands are values; what it calls static are Python's."""
