"""Vector loads, stores, constants and lanes: known by name, code and type, without meaning yet.

Source: WebAssembly 3.0, section 5.4.8 (vector instructions) of the binary format.
"""

from __future__ import annotations

from stratavm.base.forms import Any
from stratavm.spec.declare import plain
from stratavm.spec.record import Access, Effects, Imm

SIMD: dict[str, Any] = {"prefix": 0xFD, "feature": "simd"}
OUT_OF_BOUNDS = ("memory_out_of_bounds",)
READ = Effects(reads=frozenset({"memory"}))
WRITE = Effects(writes=frozenset({"memory"}))


def _load(code: int, name: str, size: int, signature: str = "a->v", imms: tuple[Imm, ...] = ("memarg",)) -> None:
    """One vector load; ``size`` is what it reads."""
    access = Access(size, signed=name.endswith("_s"))
    plain(code, f"v128.{name}", signature, imms=imms, traps=OUT_OF_BOUNDS, effects=READ, access=access, **SIMD)


def _store(code: int, name: str, size: int, imms: tuple[Imm, ...] = ("memarg",)) -> None:
    """One vector store."""
    access = Access(size, store=True)
    plain(code, f"v128.{name}", "av->", imms=imms, traps=OUT_OF_BOUNDS, effects=WRITE, access=access, **SIMD)


_load(0, "load", 16)
for _i, _shape in enumerate(("8x8", "16x4", "32x2")):
    _load(1 + 2 * _i, f"load{_shape}_s", 8)
    _load(2 + 2 * _i, f"load{_shape}_u", 8)
_store(11, "store", 16)
for _i, _bits in enumerate((8, 16, 32, 64)):
    _load(7 + _i, f"load{_bits}_splat", _bits // 8)
    _load(84 + _i, f"load{_bits}_lane", _bits // 8, "av->v", ("memarg", "lane"))
    _store(88 + _i, f"store{_bits}_lane", _bits // 8, ("memarg", "lane"))
_load(92, "load32_zero", 4)
_load(93, "load64_zero", 8)

plain(12, "v128.const", "->v", imms=("v128",), **SIMD)
plain(13, "i8x16.shuffle", "vv->v", imms=("lanes16",), **SIMD)

for _i, (_shape, _t) in enumerate(zip(("i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2"), "iiiIfF", strict=True)):
    plain(15 + _i, f"{_shape}.splat", f"{_t}->v", **SIMD)
for _code, _name, _t in (
    (21, "i8x16.extract_lane_s", "i"),
    (22, "i8x16.extract_lane_u", "i"),
    (24, "i16x8.extract_lane_s", "i"),
    (25, "i16x8.extract_lane_u", "i"),
    (27, "i32x4.extract_lane", "i"),
    (29, "i64x2.extract_lane", "I"),
    (31, "f32x4.extract_lane", "f"),
    (33, "f64x2.extract_lane", "F"),
):
    plain(_code, _name, f"v->{_t}", imms=("lane",), **SIMD)
for _code, _shape, _t in (
    (23, "i8x16", "i"),
    (26, "i16x8", "i"),
    (28, "i32x4", "i"),
    (30, "i64x2", "I"),
    (32, "f32x4", "f"),
    (34, "f64x2", "F"),
):
    plain(_code, f"{_shape}.replace_lane", f"v{_t}->v", imms=("lane",), **SIMD)
