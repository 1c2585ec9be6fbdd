"""Floating-point arithmetic and comparisons. Source: WebAssembly 3.0, section 4.3.3 (floating-point operations)."""

from __future__ import annotations

from stratavm.spec.declare import family, plain
from stratavm.spec.domain import Domain, V

plain(0x43, "f32.const", "->f", walk="const", imms=("f32",), doc="A constant.")
plain(0x44, "f64.const", "->F", walk="const", imms=("f64",), doc="A constant.")


@family({"f32": 0x5B, "f64": 0x61}, "eq", "tt->i", kind="compare")
def eq(d: Domain, a: V, b: V) -> V:
    """1 if equal; zeros are equal, NaN is not (feq)."""
    return d.bool_(d.feq(a, b))


@family({"f32": 0x5C, "f64": 0x62}, "ne", "tt->i", kind="compare")
def ne(d: Domain, a: V, b: V) -> V:
    """1 if not equal; NaN differs from everything (fne)."""
    return d.bool_(d.not_(d.feq(a, b)))


@family({"f32": 0x5D, "f64": 0x63}, "lt", "tt->i", kind="compare")
def lt(d: Domain, a: V, b: V) -> V:
    """1 if less (flt)."""
    return d.bool_(d.flt(a, b))


@family({"f32": 0x5E, "f64": 0x64}, "gt", "tt->i", kind="compare")
def gt(d: Domain, a: V, b: V) -> V:
    """1 if greater (fgt)."""
    return d.bool_(d.flt(b, a))


@family({"f32": 0x5F, "f64": 0x65}, "le", "tt->i", kind="compare")
def le(d: Domain, a: V, b: V) -> V:
    """1 if less or equal; not the negation of ``gt``, because of NaN (fle)."""
    return d.bool_(d.fle(a, b))


@family({"f32": 0x60, "f64": 0x66}, "ge", "tt->i", kind="compare")
def ge(d: Domain, a: V, b: V) -> V:
    """1 if greater or equal (fge)."""
    return d.bool_(d.fle(b, a))


@family({"f32": 0x8B, "f64": 0x99}, "abs", "t->t")
def abs_(d: Domain, a: V) -> V:
    """Sign bit cleared, NaN or not (fabs)."""
    return d.fabs(a)


@family({"f32": 0x8C, "f64": 0x9A}, "neg", "t->t")
def neg(d: Domain, a: V) -> V:
    """Sign bit flipped, NaN or not (fneg)."""
    return d.fneg(a)


@family({"f32": 0x8D, "f64": 0x9B}, "ceil", "t->t")
def ceil(d: Domain, a: V) -> V:
    """Rounded up to an integer; the sign of zero is kept (fceil)."""
    return d.fceil(a)


@family({"f32": 0x8E, "f64": 0x9C}, "floor", "t->t")
def floor(d: Domain, a: V) -> V:
    """Rounded down to an integer (ffloor)."""
    return d.ffloor(a)


@family({"f32": 0x8F, "f64": 0x9D}, "trunc", "t->t")
def trunc(d: Domain, a: V) -> V:
    """Rounded toward zero to an integer (ftrunc)."""
    return d.ftrunc(a)


@family({"f32": 0x90, "f64": 0x9E}, "nearest", "t->t")
def nearest(d: Domain, a: V) -> V:
    """Rounded to an integer, ties to even (fnearest)."""
    return d.fnearest(a)


@family({"f32": 0x91, "f64": 0x9F}, "sqrt", "t->t")
def sqrt(d: Domain, a: V) -> V:
    """Square root; NaN below zero (fsqrt)."""
    return d.fsqrt(a)


@family({"f32": 0x92, "f64": 0xA0}, "add", "tt->t")
def add(d: Domain, a: V, b: V) -> V:
    """Sum, ties to even (fadd)."""
    return d.fadd(a, b)


@family({"f32": 0x93, "f64": 0xA1}, "sub", "tt->t")
def sub(d: Domain, a: V, b: V) -> V:
    """Difference (fsub)."""
    return d.fsub(a, b)


@family({"f32": 0x94, "f64": 0xA2}, "mul", "tt->t")
def mul(d: Domain, a: V, b: V) -> V:
    """Product (fmul)."""
    return d.fmul(a, b)


@family({"f32": 0x95, "f64": 0xA3}, "div", "tt->t")
def div(d: Domain, a: V, b: V) -> V:
    """Quotient; never traps (fdiv)."""
    return d.fdiv(a, b)


@family({"f32": 0x96, "f64": 0xA4}, "min", "tt->t")
def min_(d: Domain, a: V, b: V) -> V:
    """Minimum; NaN if either is, -0 below +0 (fmin)."""
    return d.fmin(a, b)


@family({"f32": 0x97, "f64": 0xA5}, "max", "tt->t")
def max_(d: Domain, a: V, b: V) -> V:
    """Maximum; NaN if either is, +0 above -0 (fmax)."""
    return d.fmax(a, b)


@family({"f32": 0x98, "f64": 0xA6}, "copysign", "tt->t")
def copysign(d: Domain, a: V, b: V) -> V:
    """The first with the sign bit of the second, NaN or not (fcopysign)."""
    return d.fcopysign(a, b)
