"""Integer arithmetic and comparisons. Source: WebAssembly 3.0, section 4.3.2 (integer operations)."""

from __future__ import annotations

from stratavm.base.forms import Any
from stratavm.spec.declare import family, op, plain
from stratavm.spec.domain import Domain, V

plain(0x41, "i32.const", "->i", walk="const", imms=("i32",), doc="A constant.")
plain(0x42, "i64.const", "->I", walk="const", imms=("i64",), doc="A constant.")


@family({"i32": 0x45, "i64": 0x50}, "eqz", "t->i", kind="compare")
def eqz(d: Domain, a: V) -> V:
    """1 if a is zero (ieqz)."""
    return d.bool_(d.eq(a, d.const(0)))


@family({"i32": 0x46, "i64": 0x51}, "eq", "tt->i", kind="compare", reflexive=True, negation="ne", commutes=True)
def eq(d: Domain, a: V, b: V) -> V:
    """1 if equal (ieq)."""
    return d.bool_(d.eq(a, b))


@family({"i32": 0x47, "i64": 0x52}, "ne", "tt->i", kind="compare", negation="eq", commutes=True)
def ne(d: Domain, a: V, b: V) -> V:
    """1 if not equal (ine)."""
    return d.bool_(d.not_(d.eq(a, b)))


@family({"i32": 0x48, "i64": 0x53}, "lt_s", "tt->i", kind="compare", negation="ge_s", mirror="gt_s")
def lt_s(d: Domain, a: V, b: V) -> V:
    """1 if less, signed (ilt)."""
    return d.bool_(d.lt_s(a, b))


@family({"i32": 0x49, "i64": 0x54}, "lt_u", "tt->i", kind="compare", negation="ge_u", mirror="gt_u")
def lt_u(d: Domain, a: V, b: V) -> V:
    """1 if less, unsigned (ilt)."""
    return d.bool_(d.lt_u(a, b))


@family({"i32": 0x4A, "i64": 0x55}, "gt_s", "tt->i", kind="compare", negation="le_s", mirror="lt_s")
def gt_s(d: Domain, a: V, b: V) -> V:
    """1 if greater, signed (igt)."""
    return d.bool_(d.lt_s(b, a))


@family({"i32": 0x4B, "i64": 0x56}, "gt_u", "tt->i", kind="compare", negation="le_u", mirror="lt_u")
def gt_u(d: Domain, a: V, b: V) -> V:
    """1 if greater, unsigned (igt)."""
    return d.bool_(d.lt_u(b, a))


@family({"i32": 0x4C, "i64": 0x57}, "le_s", "tt->i", kind="compare", reflexive=True, negation="gt_s", mirror="ge_s")
def le_s(d: Domain, a: V, b: V) -> V:
    """1 if less or equal, signed (ile)."""
    return d.bool_(d.not_(d.lt_s(b, a)))


@family({"i32": 0x4D, "i64": 0x58}, "le_u", "tt->i", kind="compare", reflexive=True, negation="gt_u", mirror="ge_u")
def le_u(d: Domain, a: V, b: V) -> V:
    """1 if less or equal, unsigned (ile)."""
    return d.bool_(d.not_(d.lt_u(b, a)))


@family({"i32": 0x4E, "i64": 0x59}, "ge_s", "tt->i", kind="compare", reflexive=True, negation="lt_s", mirror="le_s")
def ge_s(d: Domain, a: V, b: V) -> V:
    """1 if greater or equal, signed (ige)."""
    return d.bool_(d.not_(d.lt_s(a, b)))


@family({"i32": 0x4F, "i64": 0x5A}, "ge_u", "tt->i", kind="compare", reflexive=True, negation="lt_u", mirror="le_u")
def ge_u(d: Domain, a: V, b: V) -> V:
    """1 if greater or equal, unsigned (ige)."""
    return d.bool_(d.not_(d.lt_u(a, b)))


@family({"i32": 0x67, "i64": 0x79}, "clz", "t->t", bits=7)
def clz(d: Domain, a: V) -> V:
    """Leading zeros; the width if a is zero (iclz)."""
    return d.clz(a)


@family({"i32": 0x68, "i64": 0x7A}, "ctz", "t->t", bits=7)
def ctz(d: Domain, a: V) -> V:
    """Trailing zeros; the width if a is zero (ictz)."""
    return d.ctz(a)


@family({"i32": 0x69, "i64": 0x7B}, "popcnt", "t->t", bits=7)
def popcnt(d: Domain, a: V) -> V:
    """Bits that are one (ipopcnt)."""
    return d.popcnt(a)


@family({"i32": 0x6A, "i64": 0x7C}, "add", "tt->t", kind="quick", commutes=True)
def add(d: Domain, a: V, b: V) -> V:
    """Sum modulo 2**N (iadd)."""
    return d.add(a, b)


@family({"i32": 0x6B, "i64": 0x7D}, "sub", "tt->t", kind="quick")
def sub(d: Domain, a: V, b: V) -> V:
    """Difference modulo 2**N (isub)."""
    return d.sub(a, b)


@family({"i32": 0x6C, "i64": 0x7E}, "mul", "tt->t", commutes=True)
def mul(d: Domain, a: V, b: V) -> V:
    """Product modulo 2**N (imul)."""
    return d.mul(a, b)


@family({"i32": 0x6D, "i64": 0x7F}, "div_s", "tt->t", traps=("div_by_zero", "int_overflow"))
def div_s(d: Domain, a: V, b: V) -> V:
    """Signed quotient, truncated; traps on zero and on the one overflow (idiv_s)."""
    d.trap_if(d.eq(b, d.const(0)), "div_by_zero")
    d.trap_if(d.both(d.eq(a, d.const(1 << (d.bits - 1))), d.eq(b, d.const(-1))), "int_overflow")
    return d.div_s(a, b)


@family({"i32": 0x6E, "i64": 0x80}, "div_u", "tt->t", traps=("div_by_zero",))
def div_u(d: Domain, a: V, b: V) -> V:
    """Unsigned quotient; traps on zero (idiv_u)."""
    d.trap_if(d.eq(b, d.const(0)), "div_by_zero")
    return d.div_u(a, b)


@family({"i32": 0x6F, "i64": 0x81}, "rem_s", "tt->t", traps=("div_by_zero",))
def rem_s(d: Domain, a: V, b: V) -> V:
    """Signed remainder with the dividend's sign; traps on zero; INT_MIN by -1 leaves 0 (irem_s)."""
    d.trap_if(d.eq(b, d.const(0)), "div_by_zero")
    return d.rem_s(a, b)


@family({"i32": 0x70, "i64": 0x82}, "rem_u", "tt->t", traps=("div_by_zero",))
def rem_u(d: Domain, a: V, b: V) -> V:
    """Unsigned remainder; traps on zero (irem_u)."""
    d.trap_if(d.eq(b, d.const(0)), "div_by_zero")
    return d.rem_u(a, b)


@family({"i32": 0x71, "i64": 0x83}, "and", "tt->t", kind="quick", commutes=True)
def and_(d: Domain, a: V, b: V) -> V:
    """Bitwise conjunction (iand)."""
    return d.and_(a, b)


@family({"i32": 0x72, "i64": 0x84}, "or", "tt->t", kind="quick", commutes=True)
def or_(d: Domain, a: V, b: V) -> V:
    """Bitwise disjunction (ior)."""
    return d.or_(a, b)


@family({"i32": 0x73, "i64": 0x85}, "xor", "tt->t", kind="quick", commutes=True)
def xor(d: Domain, a: V, b: V) -> V:
    """Bitwise exclusive disjunction (ixor)."""
    return d.xor(a, b)


@family({"i32": 0x74, "i64": 0x86}, "shl", "tt->t", kind="quick")
def shl(d: Domain, a: V, b: V) -> V:
    """Left shift; the count is taken modulo N (ishl)."""
    return d.shl(a, d.and_(b, d.const(d.bits - 1)))


@family({"i32": 0x75, "i64": 0x87}, "shr_s", "tt->t", kind="quick")
def shr_s(d: Domain, a: V, b: V) -> V:
    """Arithmetic right shift; the count is taken modulo N (ishr_s)."""
    return d.shr_s(a, d.and_(b, d.const(d.bits - 1)))


@family({"i32": 0x76, "i64": 0x88}, "shr_u", "tt->t", kind="quick")
def shr_u(d: Domain, a: V, b: V) -> V:
    """Logical right shift; the count is taken modulo N (ishr_u)."""
    return d.shr_u(a, d.and_(b, d.const(d.bits - 1)))


def _rotate(d: Domain, a: V, left: V, right: V) -> V:
    """Both halves of a rotation; for a count of 0 they are equal, so that no count reaches N."""
    mask = d.const(d.bits - 1)
    return d.or_(d.shl(a, d.and_(left, mask)), d.shr_u(a, d.and_(right, mask)))


@family({"i32": 0x77, "i64": 0x89}, "rotl", "tt->t", kind="quick")
def rotl(d: Domain, a: V, b: V) -> V:
    """Left rotation; the count is taken modulo N (irotl)."""
    return _rotate(d, a, b, d.sub(d.const(0), b))


@family({"i32": 0x78, "i64": 0x8A}, "rotr", "tt->t", kind="quick")
def rotr(d: Domain, a: V, b: V) -> V:
    """Right rotation; the count is taken modulo N (irotr)."""
    return _rotate(d, a, d.sub(d.const(0), b), b)


def _sign_extend(code: int, type_: str, width: int) -> None:
    """One row ``extend8_s`` …: the low bits, sign-extended (iextend_s)."""

    def extend(d: Domain, a: V) -> V:
        return d.sext(a, width)

    extend.__doc__ = f"The low {width} bits, sign-extended (iextend{width}_s)."
    letter = "i" if type_ == "i32" else "I"
    facts: dict[str, Any] = {"feature": "sign-extension", "kind": "quick", "extends": width}
    op(code, f"{type_}.extend{width}_s", f"{letter}->{letter}", **facts)(extend)


_sign_extend(0xC0, "i32", 8)
_sign_extend(0xC1, "i32", 16)
_sign_extend(0xC2, "i64", 8)
_sign_extend(0xC3, "i64", 16)
_sign_extend(0xC4, "i64", 32)
