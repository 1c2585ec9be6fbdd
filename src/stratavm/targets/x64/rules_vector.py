"""Selection rules of vectors: most rows are one or two instructions, the others sequences that ``select_vec`` has.

A row here ends in ``_rr`` or ``_rri``; selection adds the forms with constants and memory. Accesses are in
``rules_mem``: those of lanes are made of two nodes before they come here.
"""

from __future__ import annotations

from collections.abc import Iterator

from stratavm.base.forms import Final
from stratavm.targets.x64.rules import Rule

_INTEGERS: Final = (("i8x16", "b", 8), ("i16x8", "w", 16), ("i32x4", "d", 32), ("i64x2", "q", 64))
_FLOATS: Final = (("f32x4", "ps", 32), ("f64x2", "pd", 64))

_TWO: Final = """
i8x16 add paddb sub psubb add_sat_s paddsb add_sat_u paddusb sub_sat_s psubsb sub_sat_u psubusb avgr_u pavgb
i8x16 min_s pminsb min_u pminub max_s pmaxsb max_u pmaxub narrow_i16x8_s packsswb narrow_i16x8_u packuswb eq pcmpeqb
i8x16 gt_s pcmpgtb relaxed_swizzle pshufb
i16x8 add paddw sub psubw add_sat_s paddsw add_sat_u paddusw sub_sat_s psubsw sub_sat_u psubusw avgr_u pavgw mul pmullw
i16x8 min_s pminsw min_u pminuw max_s pmaxsw max_u pmaxuw narrow_i32x4_s packssdw narrow_i32x4_u packusdw eq pcmpeqw
i16x8 gt_s pcmpgtw relaxed_q15mulr_s pmulhrsw
i32x4 add paddd sub psubd mul pmulld min_s pminsd min_u pminud max_s pmaxsd max_u pmaxud eq pcmpeqd gt_s pcmpgtd
i32x4 dot_i16x8_s pmaddwd
i64x2 add paddq sub psubq eq pcmpeqq gt_s pcmpgtq
f32x4 add addps sub subps mul mulps div divps
f64x2 add addpd sub subpd mul mulpd div divpd
v128 and pand or por xor pxor
"""
"""One instruction with the operands as they are."""
_TURNED: Final = """
i8x16 lt_s pcmpgtb
i16x8 lt_s pcmpgtw relaxed_dot_i8x16_i7x16_s pmaddubsw
i32x4 lt_s pcmpgtd
i64x2 lt_s pcmpgtq
v128 andnot pandn
f32x4 pmin minps pmax maxps relaxed_min minps relaxed_max maxps
f64x2 pmin minpd pmax maxpd relaxed_min minpd relaxed_max maxpd
"""
"""One instruction whose first operand is the row's second."""
_ONE: Final = """
i8x16 abs pabsb
i16x8 abs pabsw extend_low_i8x16_s pmovsxbw extend_low_i8x16_u pmovzxbw
i32x4 abs pabsd extend_low_i16x8_s pmovsxwd extend_low_i16x8_u pmovzxwd
i32x4 relaxed_trunc_f32x4_s cvttps2dq relaxed_trunc_f64x2_s_zero cvttpd2dq
i64x2 extend_low_i32x4_s pmovsxdq extend_low_i32x4_u pmovzxdq
f32x4 sqrt sqrtps convert_i32x4_s cvtdq2ps demote_f64x2_zero cvtpd2ps
f64x2 sqrt sqrtpd convert_low_i32x4_s cvtdq2pd promote_low_f32x4 cvtps2pd
"""
"""One instruction with one input."""
_HALVES: Final = frozenset((
    "pmovsxbw", "pmovzxbw", "pmovsxwd", "pmovzxwd", "pmovsxdq", "pmovzxdq", "cvtdq2pd", "cvtps2pd",
))  # fmt: skip
"""Those that read eight bytes."""
_ROUNDING: Final = {"nearest": 8, "floor": 9, "ceil": 10, "trunc": 11}  # bit 3: no precision exception
_PREDICATES: Final = {"eq": 0, "lt": 1, "le": 2, "ne": 4, "gt": 1, "ge": 2}
_EXTENSIONS: Final = (
    ("i16x8", "i8x16", "pmovsxbw", "punpckhbw"), ("i32x4", "i16x8", "pmovsxwd", "punpckhwd"),
    ("i64x2", "i32x4", "pmovsxdq", "punpckhdq"),
)  # fmt: skip
SWAPPED, INVERTED = 1, 2
"""Bits of ``extra``: the operands change places; the result is inverted."""


def _pairs(table: str) -> Iterator[tuple[str, str]]:
    """Rows of WebAssembly with their instructions."""
    for line in table.strip().split("\n"):
        shape, *words = line.split()
        for name, asm in zip(words[::2], words[1::2], strict=True):
            yield f"{shape}.{name}", asm


def two(op: str, asm: str, extra: int = 0) -> Rule:
    """A rule of two operands, the second of which may be in memory."""
    return Rule(op, "v_two", f"{asm}_rr", f"{asm}_rm", width=16, extra=extra)


def _plain() -> Iterator[Rule]:
    for op, asm in _pairs(_TWO):
        yield two(op, asm)
    for op, asm in _pairs(_TURNED):
        yield two(op, asm, SWAPPED)
    for op, asm in _pairs(_ONE):
        yield Rule(op, "v_one", f"{asm}_rr", f"{asm}_rm", width=16, extra=8 if asm in _HALVES else 16)
    for t, p, bits in _FLOATS:
        for name, mode in _ROUNDING.items():
            yield Rule(f"{t}.{name}", "v_round", f"round{p}_rri", width=16, extra=mode)
        for name, predicate in _PREDICATES.items():
            swapped = SWAPPED << 4 if name in ("gt", "ge") else 0
            yield Rule(f"{t}.{name}", "v_fcompare", f"cmp{p}_rri", f"cmp{p}_rmi", width=16, extra=predicate | swapped)
        yield Rule(f"{t}.abs", "v_sign", f"and{p}_rm", width=16, extra=bits)
        yield Rule(f"{t}.neg", "v_sign", f"xor{p}_rm", width=16, extra=bits)
        shift = "psrld_ri" if bits == 32 else "psrlq_ri"
        for name, merge in (("min", "or"), ("max", "and")):
            yield Rule(f"{t}.{name}", "v_minmax", f"{name}{p}_rr", f"{merge}{p}_rr", shift, width=16, extra=bits)
        yield Rule(f"{t}.relaxed_madd", "v_madd", f"mul{p}_rr", f"add{p}_rr", width=16)
        yield Rule(f"{t}.relaxed_nmadd", "v_madd", f"mul{p}_rr", f"sub{p}_rr", width=16, extra=1)


def _compares() -> Iterator[Rule]:
    for t, b, bits in _INTEGERS:
        yield Rule(f"{t}.ne", "v_two", f"pcmpeq{b}_rr", f"pcmpeq{b}_rm", width=16, extra=INVERTED)
        if bits == 64:
            yield Rule(f"{t}.le_s", "v_two", "pcmpgtq_rr", "pcmpgtq_rm", width=16, extra=INVERTED)
            yield Rule(f"{t}.ge_s", "v_two", "pcmpgtq_rr", "pcmpgtq_rm", width=16, extra=INVERTED | SWAPPED)
            continue
        for sign in "su":
            # a is at least b where it is the greater of both; u: there is no comparison but for equality.
            least, most = f"pmin{sign}{b}_rr", f"pmax{sign}{b}_rr"
            yield Rule(f"{t}.ge_{sign}", "v_order", most, f"pcmpeq{b}_rr", width=16)
            yield Rule(f"{t}.le_{sign}", "v_order", least, f"pcmpeq{b}_rr", width=16)
        yield Rule(f"{t}.lt_u", "v_order", f"pmaxu{b}_rr", f"pcmpeq{b}_rr", width=16, extra=INVERTED)
        yield Rule(f"{t}.gt_u", "v_order", f"pminu{b}_rr", f"pcmpeq{b}_rr", width=16, extra=INVERTED)


def _shifts() -> Iterator[Rule]:
    for t, b, bits in _INTEGERS[1:]:
        for name, asm in (("shl", "psll"), ("shr_u", "psrl"), ("shr_s", "psra")):
            if (name, bits) != ("shr_s", 64):
                yield Rule(f"{t}.{name}", "v_shift", f"{asm}{b}_rr", f"{asm}{b}_ri", width=16, extra=bits)
    yield Rule("i64x2.shr_s", "v_sar64", width=16)
    yield Rule("i8x16.shl", "v_shift8", "psllw_rr", "psllw_ri", width=16)
    yield Rule("i8x16.shr_u", "v_shift8", "psrlw_rr", "psrlw_ri", width=16)
    yield Rule("i8x16.shr_s", "v_sar8", width=16)


def _lanes() -> Iterator[Rule]:
    for t, b, bits in _INTEGERS:
        lane = f"{t}.extract_lane"
        yield Rule(f"{t}.splat", "v_splat", width=16, extra=bits)
        if bits < 32:
            yield Rule(f"{lane}_u", "v_extract", f"pextr{b}_rri", width=16, extra=bits)
            yield Rule(f"{lane}_s", "v_extract", f"pextr{b}_rri", f"movsx{bits}_rr", width=16, extra=bits)
            yield Rule(f"{t}.replace_lane", "v_replace", f"pinsr{b}_rri", f"pinsr{b}_rmi", width=16, extra=bits)
        else:
            yield Rule(lane, "v_extract", "pextrd_rri", width=bits // 8, extra=bits)
            yield Rule(f"{t}.replace_lane", "v_replace", "pinsrd_rri", "pinsrd_rmi", width=bits // 8, extra=bits)
        yield Rule(f"{t}.neg", "v_neg", f"psub{b}_rr", width=16)
        yield Rule(f"{t}.all_true", "v_test", f"pcmpeq{b}_rr", width=16, cc="e", extra=bits // 8)
    for t, _, bits in _FLOATS:
        yield Rule(f"{t}.splat", "v_fsplat", width=16, extra=bits)
        yield Rule(f"{t}.extract_lane", "v_fextract", width=16, extra=bits)
        yield Rule(f"{t}.replace_lane", "v_freplace", width=16, extra=bits)
    yield Rule("v128.any_true", "v_test", width=16, cc="ne")
    yield Rule("i8x16.bitmask", "v_bitmask", "pmovmskb_rr", width=16)
    yield Rule("i16x8.bitmask", "v_bitmask", "pmovmskb_rr", "packsswb_rr", width=16)
    yield Rule("i32x4.bitmask", "v_bitmask", "movmskps_rr", width=16)
    yield Rule("i64x2.bitmask", "v_bitmask", "movmskpd_rr", width=16)
    yield Rule("i8x16.shuffle", "v_shuffle", width=16)
    yield Rule("i8x16.swizzle", "v_swizzle", width=16)


def _widening() -> Iterator[Rule]:
    for wide, narrow, signed, unpack in _EXTENSIONS:
        yield Rule(f"{wide}.extend_high_{narrow}_s", "v_high", f"{signed}_rr", width=16)
        yield Rule(f"{wide}.extend_high_{narrow}_u", "v_high_u", f"{unpack}_rr", width=16)
    for sign in "su":
        load = "pmovsxbw_rr" if sign == "s" else "pmovzxbw_rr"
        high = "pmovsxbw_rr" if sign == "s" else "punpckhbw_rr"
        yield Rule(f"i16x8.extmul_low_i8x16_{sign}", "v_extmul16", load, width=16)
        yield Rule(f"i16x8.extmul_high_i8x16_{sign}", "v_extmul16", high, width=16, extra=1)
        upper = "pmulhw_rr" if sign == "s" else "pmulhuw_rr"
        yield Rule(f"i32x4.extmul_low_i16x8_{sign}", "v_extmul32", upper, "punpcklwd_rr", width=16)
        yield Rule(f"i32x4.extmul_high_i16x8_{sign}", "v_extmul32", upper, "punpckhwd_rr", width=16)
        multiply = "pmuldq_rr" if sign == "s" else "pmuludq_rr"
        yield Rule(f"i64x2.extmul_low_i32x4_{sign}", "v_extmul64", multiply, width=16, extra=0x50)
        yield Rule(f"i64x2.extmul_high_i32x4_{sign}", "v_extmul64", multiply, width=16, extra=0xFA)
    yield Rule("i16x8.extadd_pairwise_i8x16_s", "v_pairs8", width=16)
    yield Rule("i16x8.extadd_pairwise_i8x16_u", "v_pairs8", width=16, extra=1)
    yield Rule("i32x4.extadd_pairwise_i16x8_s", "v_pairs16", width=16)
    yield Rule("i32x4.extadd_pairwise_i16x8_u", "v_pairs16", width=16, extra=1)
    yield Rule("i32x4.relaxed_dot_i8x16_i7x16_add_s", "v_dot_add", width=16)


def _sequences() -> Iterator[Rule]:
    yield Rule("v128.not", "v_not", width=16)
    yield Rule("v128.bitselect", "v_bitselect", width=16)
    for t, _, _ in _INTEGERS:
        yield Rule(f"{t}.relaxed_laneselect", "v_bitselect", width=16)
    yield Rule("i8x16.popcnt", "v_popcnt", width=16)
    yield Rule("i16x8.q15mulr_sat_s", "v_q15", width=16)
    yield Rule("i64x2.abs", "v_abs64", width=16)
    yield Rule("i64x2.mul", "v_mul64", width=16)
    yield Rule("f32x4.convert_i32x4_u", "v_convert_u", width=16)
    yield Rule("f64x2.convert_low_i32x4_u", "v_convert_low_u", width=16)
    yield Rule("i32x4.trunc_sat_f32x4_s", "v_trunc_s", width=16)
    yield Rule("i32x4.trunc_sat_f64x2_s_zero", "v_trunc_zero_s", width=16)
    for name in ("trunc_sat", "relaxed_trunc"):
        yield Rule(f"i32x4.{name}_f32x4_u", "v_trunc_u", width=16)
        yield Rule(f"i32x4.{name}_f64x2_u_zero", "v_trunc_zero_u", width=16)


RULES: Final = (*_plain(), *_compares(), *_shifts(), *_lanes(), *_widening(), *_sequences())
"""The family's rules."""
