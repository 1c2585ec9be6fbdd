"""The protocol of a domain: what a semantic function sees as ``d``.

One function, many readings: numbers (``concrete.py``), Z3 terms, recorded templates, a code builder. A semantic
function may not branch on a value; it asks for ``select`` or ``trap_if``. ``prims.py`` says what each primitive means.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from stratavm.base.forms import Any, Protocol, TypeAlias
from stratavm.spec.record import Row

V: TypeAlias = Any
"""A value of the domain: an int, a term, a node …"""

LETTER_TYPES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128"}
WIDTHS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64, "i8": 8, "i16": 16, "v128": 128}
"""Bits of the types that a domain can be bound to: ``i8`` and ``i16`` are types of lanes only."""


def bound_type(row: Row) -> str:
    """The type that a domain is bound to for a row: that of its first operand, or v128 where a vector is in it."""
    return "v128" if "v" in row.signature else LETTER_TYPES[row.operands[0]]


class Domain(Protocol):
    """Primitives over one reading of WebAssembly's values, bound to a type: those of ``prims.PRIMS``, by name."""

    type: str
    bits: int

    def at(self, type_: str) -> Domain:
        """The same reading, bound to another type."""

    def split(self, a: V, width: int) -> Sequence[V]:
        """Of v128: its lanes of a width, the lowest first. They are values of any type of that width."""

    def join(self, lanes: Sequence[V], width: int) -> V:
        """Of v128: the vector with these lanes."""

    def __getattr__(self, primitive: str) -> Callable[..., V]:
        """A primitive. Its operands are values; what it calls static are Python's."""
