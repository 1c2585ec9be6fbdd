"""Vector arithmetic, comparisons and conversions: known by name, code and type, without meaning yet.

Each line of the table is a shape, the first code, and names for consecutive codes; ``-`` skips a code.
Source: WebAssembly 3.0, section 5.4.8 (vector instructions) of the binary format.
"""

from __future__ import annotations

from stratavm.spec.declare import plain

_TABLE = """
i8x16   14 swizzle
i8x16   35 eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
i16x8   45 eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
i32x4   55 eq ne lt_s lt_u gt_s gt_u le_s le_u ge_s ge_u
f32x4   65 eq ne lt gt le ge
f64x2   71 eq ne lt gt le ge
v128    77 not and andnot or xor bitselect any_true
f32x4   94 demote_f64x2_zero
f64x2   95 promote_low_f32x4
i8x16   96 abs neg popcnt all_true bitmask narrow_i16x8_s narrow_i16x8_u
f32x4  103 ceil floor trunc nearest
i8x16  107 shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u
f64x2  116 ceil floor
i8x16  118 min_s min_u max_s max_u
f64x2  122 trunc
i8x16  123 avgr_u
i16x8  124 extadd_pairwise_i8x16_s extadd_pairwise_i8x16_u
i32x4  126 extadd_pairwise_i16x8_s extadd_pairwise_i16x8_u
i16x8  128 abs neg q15mulr_sat_s all_true bitmask narrow_i32x4_s narrow_i32x4_u
i16x8  135 extend_low_i8x16_s extend_high_i8x16_s extend_low_i8x16_u extend_high_i8x16_u
i16x8  139 shl shr_s shr_u add add_sat_s add_sat_u sub sub_sat_s sub_sat_u
f64x2  148 nearest
i16x8  149 mul min_s min_u max_s max_u - avgr_u
i16x8  156 extmul_low_i8x16_s extmul_high_i8x16_s extmul_low_i8x16_u extmul_high_i8x16_u
i32x4  160 abs neg - all_true bitmask
i32x4  167 extend_low_i16x8_s extend_high_i16x8_s extend_low_i16x8_u extend_high_i16x8_u
i32x4  171 shl shr_s shr_u add - - sub - - - mul min_s min_u max_s max_u dot_i16x8_s
i32x4  188 extmul_low_i16x8_s extmul_high_i16x8_s extmul_low_i16x8_u extmul_high_i16x8_u
i64x2  192 abs neg - all_true bitmask
i64x2  199 extend_low_i32x4_s extend_high_i32x4_s extend_low_i32x4_u extend_high_i32x4_u
i64x2  203 shl shr_s shr_u add - - sub - - - mul eq ne lt_s gt_s le_s ge_s
i64x2  220 extmul_low_i32x4_s extmul_high_i32x4_s extmul_low_i32x4_u extmul_high_i32x4_u
f32x4  224 abs neg - sqrt add sub mul div min max pmin pmax
f64x2  236 abs neg - sqrt add sub mul div min max pmin pmax
i32x4  248 trunc_sat_f32x4_s trunc_sat_f32x4_u
f32x4  250 convert_i32x4_s convert_i32x4_u
i32x4  252 trunc_sat_f64x2_s_zero trunc_sat_f64x2_u_zero
f64x2  254 convert_low_i32x4_s convert_low_i32x4_u
i8x16  256 relaxed_swizzle
i32x4  257 relaxed_trunc_f32x4_s relaxed_trunc_f32x4_u relaxed_trunc_f64x2_s_zero relaxed_trunc_f64x2_u_zero
f32x4  261 relaxed_madd relaxed_nmadd
f64x2  263 relaxed_madd relaxed_nmadd
i8x16  265 relaxed_laneselect
i16x8  266 relaxed_laneselect
i32x4  267 relaxed_laneselect
i64x2  268 relaxed_laneselect
f32x4  269 relaxed_min relaxed_max
f64x2  271 relaxed_min relaxed_max
i16x8  273 relaxed_q15mulr_s relaxed_dot_i8x16_i7x16_s
i32x4  275 relaxed_dot_i8x16_i7x16_add_s
"""

_UNARY = (
    *("not", "abs", "neg", "popcnt", "sqrt", "ceil", "floor", "trunc", "nearest"),
    *("promote_low_f32x4", "demote_f64x2_zero"),
)
_UNARY_STARTS = ("extend_", "extadd_", "trunc_sat", "convert_", "relaxed_trunc")
_TERNARY = ("bitselect", "relaxed_madd", "relaxed_nmadd", "relaxed_laneselect", "relaxed_dot_i8x16_i7x16_add_s")


def _signature(name: str) -> str:
    """Operands and results by the operation's name."""
    if name in ("any_true", "all_true", "bitmask"):
        return "v->i"
    if name in ("shl", "shr_s", "shr_u"):
        return "vi->v"
    if name in _TERNARY:
        return "vvv->v"
    return "v->v" if name in _UNARY or name.startswith(_UNARY_STARTS) else "vv->v"


for _line in _TABLE.split("\n")[1:-1]:
    _shape, _first, *_names = _line.split()
    for _i, _name in enumerate(_names):
        if _name != "-":
            _feature = "relaxed-simd" if _name.startswith("relaxed_") else "simd"
            plain(int(_first) + _i, f"{_shape}.{_name}", _signature(_name), prefix=0xFD, feature=_feature)
