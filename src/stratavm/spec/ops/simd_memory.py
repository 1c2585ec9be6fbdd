"""Vector loads, stores, constants and lanes.

A load or store that is not of all bytes says what it is made of: ``part`` is a narrower access, ``via`` the row that
makes the vector of what was loaded, or of the vector what is stored. No access has a meaning of its own.
Source: WebAssembly 3.0, sections 4.6.7 (memory instructions) and 5.4.8 (vector instructions) of the binary format.
"""

from __future__ import annotations

from stratavm.base.forms import Any
from stratavm.spec import lanes
from stratavm.spec.declare import TYPES, op, plain
from stratavm.spec.lanes import LANES
from stratavm.spec.record import Access, Effects, Imm

SIMD: dict[str, Any] = {"prefix": 0xFD, "feature": "simd"}
ACCESS: dict[str, Any] = {**SIMD, "walk": "vector_access", "traps": ("memory_out_of_bounds",)}
READ = Effects(reads=frozenset({"memory"}))
WRITE = Effects(writes=frozenset({"memory"}))


def _load(code: int, name: str, size: int, *, lane: bool = False, part: str = "", via: str = "") -> None:
    """One vector load; ``size`` is what it reads."""
    facts: dict[str, Any] = {"effects": READ, "access": Access(size), "part": part, "via": via}
    imms: tuple[Imm, ...] = ("memarg", "lane") if lane else ("memarg",)
    doc = f"Load {size} bytes, little-endian{', ' + via if via else ''}."
    plain(code, f"v128.{name}", "av->v" if lane else "a->v", imms=imms, doc=doc, **facts, **ACCESS)


def _store(code: int, name: str, size: int, *, lane: bool = False, part: str = "", via: str = "") -> None:
    """One vector store."""
    facts: dict[str, Any] = {"effects": WRITE, "access": Access(size, store=True)}
    imms: tuple[Imm, ...] = ("memarg", "lane") if lane else ("memarg",)
    facts |= {"part": part, "via": via, "reload": "" if lane else "v128.load"}
    doc = f"Store {size} bytes{' of a lane' if lane else ''}, little-endian."
    plain(code, f"v128.{name}", "av->", imms=imms, doc=doc, **facts, **ACCESS)


_load(0, "load", 16)
for _i, (_cut, _wide) in enumerate((("8x8", "i16x8"), ("16x4", "i32x4"), ("32x2", "i64x2"))):
    _narrow = {"8x8": "i8x16", "16x4": "i16x8", "32x2": "i32x4"}[_cut]
    for _j, _sign in enumerate("su"):
        _extend = f"{_wide}.extend_low_{_narrow}_{_sign}"
        _load(1 + 2 * _i + _j, f"load{_cut}_{_sign}", 8, part="v128.load64_zero", via=_extend)
_store(11, "store", 16)
for _i, (_bits, _shape, _read, _write, _extract) in enumerate(
    (
        (8, "i8x16", "i32.load8_u", "i32.store8", "i8x16.extract_lane_u"),
        (16, "i16x8", "i32.load16_u", "i32.store16", "i16x8.extract_lane_u"),
        (32, "i32x4", "i32.load", "i32.store", "i32x4.extract_lane"),
        (64, "i64x2", "i64.load", "i64.store", "i64x2.extract_lane"),
    )
):
    _load(7 + _i, f"load{_bits}_splat", _bits // 8, part=_read, via=f"{_shape}.splat")
    _load(84 + _i, f"load{_bits}_lane", _bits // 8, lane=True, part=_read, via=f"{_shape}.replace_lane")
    _store(88 + _i, f"store{_bits}_lane", _bits // 8, lane=True, part=_write, via=_extract)
_load(92, "load32_zero", 4)
_load(93, "load64_zero", 8)

plain(12, "v128.const", "->v", walk="v128", imms=("v128",), doc="A constant.", **SIMD)
op(13, "i8x16.shuffle", "vv->v", walk="lanes", imms=("lanes16",), shape="i8x16", **SIMD)(lanes.shuffle)

_SCALARS = {"i8x16": "i32", "i16x8": "i32", "i32x4": "i32", "i64x2": "i64", "f32x4": "f32", "f64x2": "f64"}
"""The type of a lane outside of its vector."""

for _i, (_shape, _t) in enumerate(_SCALARS.items()):
    _splat = lanes.splat(LANES[_shape], _t)
    op(15 + _i, f"{_shape}.splat", f"{TYPES[_t]}->v", shape=_shape, **SIMD)(_splat)
for _code, _shape, _suffix in (
    (21, "i8x16", "_s"),
    (22, "i8x16", "_u"),
    (24, "i16x8", "_s"),
    (25, "i16x8", "_u"),
    (27, "i32x4", ""),
    (29, "i64x2", ""),
    (31, "f32x4", ""),
    (33, "f64x2", ""),
):
    _t = _SCALARS[_shape]
    _facts: dict[str, Any] = {"shape": _shape, "imms": ("lane",), "walk": "lane"}
    if _suffix:
        _facts["extends" if _suffix == "_s" else "bits"] = 8 if _shape == "i8x16" else 16
    op(_code, f"{_shape}.extract_lane{_suffix}", f"v->{TYPES[_t]}", **_facts, **SIMD)(
        lanes.extract(LANES[_shape], _t, _suffix == "_s")
    )
for _code, _shape in ((23, "i8x16"), (26, "i16x8"), (28, "i32x4"), (30, "i64x2"), (32, "f32x4"), (34, "f64x2")):
    _t = _SCALARS[_shape]
    op(_code, f"{_shape}.replace_lane", f"v{TYPES[_t]}->v", walk="lane", imms=("lane",), shape=_shape, **SIMD)(
        lanes.replace(LANES[_shape], _t)
    )
