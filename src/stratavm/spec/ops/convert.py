"""Conversions between number types. Source: WebAssembly 3.0, section 4.3.4 (conversions)."""

from __future__ import annotations

from stratavm.spec.declare import TYPES, op
from stratavm.spec.domain import WIDTHS, Domain, V


@op(0xA7, "i32.wrap_i64", "I->i", kind="quick")
def wrap(d: Domain, a: V) -> V:
    """The low 32 bits (wrap)."""
    return d.wrap(a)


@op(0xAC, "i64.extend_i32_s", "i->I", kind="quick", extends=32)
def extend_s(d: Domain, a: V) -> V:
    """Sign extension (extend_s)."""
    return d.widen_s(a)


@op(0xAD, "i64.extend_i32_u", "i->I", kind="quick", bits=32)
def extend_u(d: Domain, a: V) -> V:
    """Zero extension (extend_u)."""
    return d.widen_u(a)


@op(0xB6, "f32.demote_f64", "F->f")
def demote(d: Domain, a: V) -> V:
    """Rounded to f32, ties to even (demote)."""
    return d.demote(a, "f32")


@op(0xBB, "f64.promote_f32", "f->F")
def promote(d: Domain, a: V) -> V:
    """The same value as f64 (promote)."""
    return d.promote(a, "f64")


def _bounds(to: str, signed: bool) -> tuple[int, int]:
    """The least integer of a type, and the first one above its greatest."""
    bits = WIDTHS[to]
    return (-(1 << bits - 1), 1 << bits - 1) if signed else (0, 1 << bits)


def _truncate(code: int, to: str, source: str, signed: bool) -> None:
    """One row ``i32.trunc_f32_s`` …"""
    least, beyond = _bounds(to, signed)
    suffix = "s" if signed else "u"

    def trunc(d: Domain, a: V) -> V:
        d.trap_if(d.not_(d.feq(a, a)), "invalid_conversion")
        whole = d.ftrunc(a)
        # Both bounds are powers of two, exact in f32: comparing the truncated value is exact for every pair of types.
        d.trap_if(d.flt(whole, d.fconst(float(least))), "int_overflow")
        d.trap_if(d.not_(d.flt(whole, d.fconst(float(beyond)))), "int_overflow")
        return d.to_int_s(whole, to) if signed else d.to_int_u(whole, to)

    trunc.__doc__ = f"Toward zero; traps on NaN and outside of {to} (trunc_{suffix})."
    traps = ("invalid_conversion", "int_overflow")
    op(code, f"{to}.trunc_{source}_{suffix}", f"{TYPES[source]}->{TYPES[to]}", traps=traps)(trunc)


def _saturate(code: int, to: str, source: str, signed: bool) -> None:
    """One row ``i32.trunc_sat_f32_s`` …"""
    least, beyond = _bounds(to, signed)
    suffix = "s" if signed else "u"

    def trunc_sat(d: Domain, a: V) -> V:
        whole = d.ftrunc(a)
        inside = d.to_int_s(whole, to) if signed else d.to_int_u(whole, to)
        above = d.not_(d.flt(whole, d.fconst(float(beyond))))
        below = d.flt(whole, d.fconst(float(least)))
        clamped = d.select(above, d.const(beyond - 1, to), d.select(below, d.const(least, to), inside))
        return d.select(d.feq(a, a), clamped, d.const(0, to))

    trunc_sat.__doc__ = f"Toward zero; clamped to {to}, 0 for NaN (trunc_sat_{suffix})."
    op(
        code,
        f"{to}.trunc_sat_{source}_{suffix}",
        f"{TYPES[source]}->{TYPES[to]}",
        prefix=0xFC,
        feature="saturating-float-to-int",
    )(trunc_sat)


def _convert(code: int, to: str, source: str, signed: bool) -> None:
    """One row ``f32.convert_i32_s`` …"""
    suffix = "s" if signed else "u"

    def convert(d: Domain, a: V) -> V:
        return d.from_int_s(a, to) if signed else d.from_int_u(a, to)

    convert.__doc__ = f"An integer as a float, rounded once (convert_{suffix})."
    op(code, f"{to}.convert_{source}_{suffix}", f"{TYPES[source]}->{TYPES[to]}")(convert)


def _reinterpret(code: int, to: str, source: str) -> None:
    """One row ``i32.reinterpret_f32`` …"""

    def reinterpret(d: Domain, a: V) -> V:
        return d.reinterpret(a, to)

    reinterpret.__doc__ = "The same bits (reinterpret)."
    op(code, f"{to}.reinterpret_{source}", f"{TYPES[source]}->{TYPES[to]}")(reinterpret)


_SIGNS = (True, False)
for _i, (_to, _source, _signed) in enumerate((t, s, z) for t in ("i32", "i64") for s in ("f32", "f64") for z in _SIGNS):
    _truncate((0xA8 if _to == "i32" else 0xAE - 4) + _i, _to, _source, _signed)
    _saturate(_i, _to, _source, _signed)
for _base, _to in ((0xB2, "f32"), (0xB7, "f64")):
    for _i, (_source, _signed) in enumerate((s, z) for s in ("i32", "i64") for z in _SIGNS):
        _convert(_base + _i, _to, _source, _signed)
for _code, _to, _source in ((0xBC, "i32", "f32"), (0xBD, "i64", "f64"), (0xBE, "f32", "i32"), (0xBF, "f64", "i64")):
    _reinterpret(_code, _to, _source)
