"""The protocol of a domain: what a semantic function sees as ``d``.

One function, many readings: numbers (``concrete.py``), Z3 terms, recorded templates, a code builder. A semantic
function may not branch on a value; it asks for ``select`` or ``trap_if``. ``prims.py`` says what each primitive means.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

from stratavm.spec.record import Row

V: TypeAlias = Any
"""A value of the domain: an int, a term, a node …"""

LETTER_TYPES = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128"}
WIDTHS = {"i32": 32, "i64": 64, "f32": 32, "f64": 64}


def bound_type(row: Row) -> str:
    """The type that a domain is bound to for a row: that of its first operand."""
    return LETTER_TYPES[row.operands[0]]


class Domain(Protocol):
    """Primitives over one reading of WebAssembly's values, bound to a type."""

    type: str
    bits: int

    def const(self, value: int, to: str = "") -> V:
        """See ``prims``."""

    def fconst(self, value: float) -> V:
        """See ``prims``."""

    def add(self, a: V, b: V) -> V:
        """See ``prims``."""

    def sub(self, a: V, b: V) -> V:
        """See ``prims``."""

    def mul(self, a: V, b: V) -> V:
        """See ``prims``."""

    def mulhi_s(self, a: V, b: V) -> V:
        """See ``prims``."""

    def mulhi_u(self, a: V, b: V) -> V:
        """See ``prims``."""

    def div_s(self, a: V, b: V) -> V:
        """See ``prims``."""

    def div_u(self, a: V, b: V) -> V:
        """See ``prims``."""

    def rem_s(self, a: V, b: V) -> V:
        """See ``prims``."""

    def rem_u(self, a: V, b: V) -> V:
        """See ``prims``."""

    def and_(self, a: V, b: V) -> V:
        """See ``prims``."""

    def or_(self, a: V, b: V) -> V:
        """See ``prims``."""

    def xor(self, a: V, b: V) -> V:
        """See ``prims``."""

    def shl(self, a: V, b: V) -> V:
        """See ``prims``."""

    def shr_s(self, a: V, b: V) -> V:
        """See ``prims``."""

    def shr_u(self, a: V, b: V) -> V:
        """See ``prims``."""

    def clz(self, a: V) -> V:
        """See ``prims``."""

    def ctz(self, a: V) -> V:
        """See ``prims``."""

    def popcnt(self, a: V) -> V:
        """See ``prims``."""

    def sext(self, a: V, width: int) -> V:
        """See ``prims``."""

    def eq(self, a: V, b: V) -> V:
        """See ``prims``."""

    def lt_s(self, a: V, b: V) -> V:
        """See ``prims``."""

    def lt_u(self, a: V, b: V) -> V:
        """See ``prims``."""

    def not_(self, a: V) -> V:
        """See ``prims``."""

    def both(self, a: V, b: V) -> V:
        """See ``prims``."""

    def either(self, a: V, b: V) -> V:
        """See ``prims``."""

    def bool_(self, a: V) -> V:
        """See ``prims``."""

    def select(self, c: V, a: V, b: V) -> V:
        """See ``prims``."""

    def trap_if(self, c: V, kind: str) -> None:
        """See ``prims``."""

    def wrap(self, a: V) -> V:
        """See ``prims``."""

    def widen_s(self, a: V) -> V:
        """See ``prims``."""

    def widen_u(self, a: V) -> V:
        """See ``prims``."""

    def fadd(self, a: V, b: V) -> V:
        """See ``prims``."""

    def fsub(self, a: V, b: V) -> V:
        """See ``prims``."""

    def fmul(self, a: V, b: V) -> V:
        """See ``prims``."""

    def fdiv(self, a: V, b: V) -> V:
        """See ``prims``."""

    def fsqrt(self, a: V) -> V:
        """See ``prims``."""

    def fmin(self, a: V, b: V) -> V:
        """See ``prims``."""

    def fmax(self, a: V, b: V) -> V:
        """See ``prims``."""

    def fceil(self, a: V) -> V:
        """See ``prims``."""

    def ffloor(self, a: V) -> V:
        """See ``prims``."""

    def ftrunc(self, a: V) -> V:
        """See ``prims``."""

    def fnearest(self, a: V) -> V:
        """See ``prims``."""

    def fneg(self, a: V) -> V:
        """See ``prims``."""

    def fabs(self, a: V) -> V:
        """See ``prims``."""

    def fcopysign(self, a: V, b: V) -> V:
        """See ``prims``."""

    def feq(self, a: V, b: V) -> V:
        """See ``prims``."""

    def flt(self, a: V, b: V) -> V:
        """See ``prims``."""

    def fle(self, a: V, b: V) -> V:
        """See ``prims``."""

    def promote(self, a: V, to: str) -> V:
        """See ``prims``."""

    def demote(self, a: V, to: str) -> V:
        """See ``prims``."""

    def to_int_s(self, a: V, to: str) -> V:
        """See ``prims``."""

    def to_int_u(self, a: V, to: str) -> V:
        """See ``prims``."""

    def from_int_s(self, a: V, to: str) -> V:
        """See ``prims``."""

    def from_int_u(self, a: V, to: str) -> V:
        """See ``prims``."""

    def reinterpret(self, a: V, to: str) -> V:
        """See ``prims``."""
