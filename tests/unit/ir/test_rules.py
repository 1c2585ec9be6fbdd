"""Every rewrite rule by its name: proved by Z3 for all operands, or, where the solver would not come back, held against
the function before on operands where it could go wrong.
"""

from __future__ import annotations

import pytest

from stratavm.ir.evaluate import evaluate
from stratavm.ir.passes._gen_rule_names import RULES
from stratavm.ir.pipeline import Pipeline
from stratavm.ir.ssa import Ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from tests import needed
from tests.unit.ir.forms import build
from tests.unit.ir.terms import terms

z3 = needed.module("z3")

PASSES = ("fold", "share", "strength")
X, Y, W, V = (f"(local.get {i})" for i in range(4))
"""The parameters: two i32, two i64."""
XV = f"(i32x4.replace_lane 1 (i32x4.replace_lane 2 (i64x2.splat {W}) {X}) {Y})"
YV = f"(i64x2.replace_lane 1 (i64x2.splat {W}) {V})"
"""Two vectors of which each bit depends on a parameter."""
NONE_SET, ALL_SET = "(v128.const i64x2 0 0)", "(v128.const i64x2 -1 -1)"
BYTE, WORD = f"(i32.load8_u {X})", f"(i64.extend_i32_u {X})"


def upper_half(product: str) -> str:
    """The second result of a row that has two."""
    return f"(block (result i64) {product} (local.set 2) (drop) (local.get 2))"


def halves(vector: str) -> tuple[str, str]:
    """Both halves of a vector."""
    return tuple(f"(i64x2.extract_lane {i} {vector})" for i in range(2))  # type: ignore[return-value]


def of_floats(name: str, *operands: str) -> str:
    """An operation of floats on the bits of integers; its result as an integer."""
    return f"(i{name[1:3]}.reinterpret_{name[:3]} ({name} {' '.join(operands)}))"


F, G = f"(f64.reinterpret_i64 {W})", f"(f32.reinterpret_i32 {X})"
"""Two floats."""

PROVED: dict[str, tuple[str, ...]] = {
    "fold_constants": (
        "(i32.add (i32.const 7) (i32.const -9))",
        "(i64.extend32_s (i64.const 0x80000000))",
        "(i32.div_s (i32.const -7) (i32.const 2))",
    ),
    "fold_vectors": (
        "(i32x4.extract_lane 2 (v128.const i32x4 1 2 3 4))",
        "(i16x8.extract_lane_s 7 (i8x16.splat (i32.const 0x181)))",
        "(i8x16.extract_lane_u 9 (i8x16.replace_lane 9 (v128.const i64x2 1 2) (i32.const 0xfff)))",
        "(i64x2.extract_lane 1 (v128.xor (v128.const i64x2 1 2) (v128.const i64x2 3 -1)))",
        "(i8x16.extract_lane_s 3 (i8x16.shr_s (v128.const i64x2 0x80818283 0) (i32.const 9)))",
        "(i16x8.extract_lane_u 0 (i16x8.lt_s (v128.const i16x8 -1 0 0 0 0 0 0 0) (v128.const i64x2 0 0)))",
    ),
    "select_between_equals": (f"(select {W} {W} {X})",),
    "select_by_constant": (f"(select {W} {V} (i32.const 0))", f"(select {X} {Y} (i32.const 6))"),
    "select_by_negation": (f"(select {W} {V} (i32.eqz {X}))",),
    "select_by_nonzero": (f"(select {W} {V} (i32.ne {X} (i32.const 0)))",),
    "wrap_of_extension": (f"(i32.wrap_i64 {WORD})", f"(i32.wrap_i64 (i64.extend_i32_s {X}))"),
    "extension_of_wrap": (f"(i64.extend_i32_u (i32.wrap_i64 (i64.shr_u {W} (i64.const 32))))",),
    "sign_of_narrow": (f"(i64.extend_i32_s {BYTE})",),
    "negated_comparison": tuple(
        f"(i32.eqz (i{bits}.{name} {a} {b}))"
        for bits, a, b in ((32, X, Y), (64, W, V))
        for name in ("eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u")
    ),
    "double_negation_of_bit": (f"(i32.eqz (i32.eqz (i32.and {X} (i32.const 1))))",),
    "double_negation": (f"(i32.eqz (i32.eqz {X}))", f"(i32.eqz (i64.eqz {W}))"),
    "zero_extension": (f"(i64.eqz {WORD})", f"(i64.eqz (i64.extend_i32_s {X}))"),
    "zero_difference": (f"(i32.eqz (i32.sub {X} {Y}))", f"(i64.eqz (i64.xor {W} {V}))"),
    "extension_of_extended": (f"(i32.extend16_s (i32.extend8_s {X}))", f"(i64.extend8_s (i64.load8_s {X}))"),
    "extension_of_narrow": (f"(i32.extend16_s {BYTE})", f"(i64.extend32_s (i64.load16_u {X}))"),
    "extension_of_extension": (f"(i32.extend8_s (i32.extend16_s {X}))", f"(i64.extend16_s (i64.extend32_s {W}))"),
    "extension_of_mask": (f"(i32.extend8_s (i32.and {X} (i32.const 0xfff)))",),
    "equality_of_extensions": (
        f"(i64.eq {WORD} (i64.extend_i32_u {Y}))",
        f"(i64.ne {WORD} (i64.extend_i32_u {Y}))",
    ),
    "difference_with_itself": (f"(i32.sub {X} {X})", f"(i64.xor {W} {W})"),
    "meet_with_itself": (f"(i32.and {X} {X})", f"(i64.or {W} {W})"),
    "sum_with_itself": (f"(i32.add {X} {X})", f"(i64.add {W} {W})"),
    "comparison_with_itself": tuple(
        f"(i{bits}.{name} {a} {a})"
        for bits, a in ((32, X), (64, W))
        for name in ("eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u")
    ),
    "order_operands": (f"(i32.add (i32.const 5) {X})", f"(i64.mul {V} {W})", f"(i32.eq {Y} {X})"),
    "upper_half_by_power": tuple(
        upper_half(f"(i64.mul_wide_{sign} {W} (i64.const {c}))")
        for sign, powers in (("u", (0, 1, 2, 1 << 40, -1 << 63)), ("s", (0, 1, 2, 1 << 40, 1 << 62)))
        for c in powers
    ),
    "upper_half_of_narrow": tuple(upper_half(f"(i64.mul_wide_{sign} {WORD} (i64.extend_i32_u {Y}))") for sign in "us"),
    "add_zero": (f"(i32.add {X} (i32.const 0))", f"(i64.sub {W} (i64.const 0))"),
    "subtract_constant": (f"(i32.sub {X} (i32.const 5))", f"(i64.sub {W} (i64.const -5))"),
    "sum_of_sum": (f"(i32.add (i32.add {X} (i32.const 5)) (i32.const -7))",),
    "multiply_by_zero": (f"(i32.mul {X} (i32.const 0))", f"(i64.mul {W} (i64.const 0))"),
    "multiply_by_power": tuple(f"(i32.mul {X} (i32.const {1 << k}))" for k in (0, 1, 5, 31))
    + tuple(f"(i64.mul {W} (i64.const {1 << k}))" for k in (0, 1, 40, 63)),
    "multiply_by_minus_one": (f"(i32.mul {X} (i32.const -1))", f"(i64.mul {W} (i64.const -1))"),
    "multiply_by_address": tuple(
        f"(i{bits}.mul {a} (i{bits}.const {c}))" for bits, a in ((32, X), (64, W)) for c in (3, 5, 9)
    ),
    "product_of_product": (f"(i32.mul (i32.mul {X} (i32.const 7)) (i32.const 11))",),
    "mask_of_nothing": (f"(i32.and {X} (i32.const 0))", f"(i32.and {BYTE} (i32.const 0xff00))"),
    "mask_of_everything": (f"(i32.and {BYTE} (i32.const 0xff))", f"(i64.and {W} (i64.const -1))"),
    "mask_of_word": (f"(i64.and {W} (i64.const 0xffffffff))",),
    "mask_of_mask": (f"(i32.and (i32.and {X} (i32.const 0xff0)) (i32.const 0x3fc))",),
    "or_zero": (f"(i32.or {X} (i32.const 0))", f"(i64.xor {W} (i64.const 0))"),
    "or_ones": (f"(i32.or {X} (i32.const -1))", f"(i64.or {W} (i64.const -1))"),
    "or_of_or": (
        f"(i32.or (i32.or {X} (i32.const 6)) (i32.const 3))",
        f"(i64.xor (i64.xor {W} (i64.const 6)) (i64.const 3))",
    ),
    "shift_by_zero": (
        f"(i32.shl {X} (i32.const 32))",
        f"(i64.rotl {W} (i64.const 64))",
        f"(i32.rotr {X} (i32.const 0))",
    ),
    "shift_to_nothing": (f"(i32.shr_u {BYTE} (i32.const 8))", f"(i64.shr_u {WORD} (i64.const 32))"),
    "shift_of_shift": tuple(
        f"(i{bits}.{name} (i{bits}.{name} {a} (i{bits}.const {b})) (i{bits}.const {c}))"
        for bits, a in ((32, X), (64, W))
        for name in ("shl", "shr_s", "shr_u")
        for b, c in ((3, 4), (bits // 2, bits // 2), (bits + 2, 3))
        if name != "shr_u" or b + c < bits
    ),
    "shifts_that_extend": tuple(
        f"(i{bits}.shr_s (i{bits}.shl {a} (i{bits}.const {c})) (i{bits}.const {c}))"
        for bits, a, counts in ((32, X, (24, 16)), (64, W, (56, 48, 32)))
        for c in counts
    ),
    "shifts_that_mask": (
        f"(i32.shr_u (i32.shl {X} (i32.const 5)) (i32.const 5))",
        f"(i32.shl (i32.shr_u {X} (i32.const 5)) (i32.const 5))",
        f"(i64.shr_u (i64.shl {W} (i64.const 40)) (i64.const 40))",
        f"(i64.shl (i64.shr_u {W} (i64.const 31)) (i64.const 31))",
    ),
    "compare_beyond_width": tuple(
        f"(i32.{name} {BYTE} (i32.const 0x100))" for name in ("eq", "ne", "lt_u", "gt_u", "le_u", "ge_u")
    ),
    "compare_bit": (
        f"(i32.ne (i32.lt_s {X} {Y}) (i32.const 0))",
        f"(i32.eq (i32.and {X} (i32.const 1)) (i32.const 1))",
    ),
    "compare_equal_to_zero": (f"(i32.eq {X} (i32.const 0))", f"(i64.lt_u {W} (i64.const 1))"),
    "compare_unlike_zero": (f"(i32.gt_u {X} (i32.const 0))", f"(i64.ge_u {W} (i64.const 1))"),
    "compare_extension": tuple(
        f"(i64.{name} {WORD} (i64.const 0xfffffff0))" for name in ("eq", "ne", "lt_u", "gt_u", "le_u", "ge_u")
    ),
    "divide_by_one": tuple(
        f"(i{bits}.{name} {a} (i{bits}.const 1))"
        for bits, a in ((32, X), (64, W))
        for name in ("div_s", "div_u", "rem_s", "rem_u")
    ),
    "divide_by_power": (f"(i32.div_u {X} (i32.const 8))", f"(i64.div_u {W} (i64.const 0x8000000000000000))"),
    "remainder_by_power": (f"(i32.rem_u {X} (i32.const 8))", f"(i64.rem_u {W} (i64.const 0x8000000000000000))"),
    "remainder_by_minus_one": (f"(i32.rem_s {X} (i32.const -1))", f"(i64.rem_s {W} (i64.const -1))"),
    "and_of_lanes": (*halves(f"(v128.and {XV} {NONE_SET})"), *halves(f"(v128.and {ALL_SET} {YV})")),
    "meet_of_complement": (
        *halves(f"(v128.and {XV} (v128.not {YV}))"),
        *halves(f"(v128.and (v128.not {XV}) {YV})"),
    ),
    "or_of_lanes": (*halves(f"(v128.or {XV} {NONE_SET})"), *halves(f"(v128.or {ALL_SET} {YV})")),
    "xor_of_lanes": (*halves(f"(v128.xor {NONE_SET} {XV})"), *halves(f"(v128.xor {YV} {ALL_SET})")),
    "andnot_of_lanes": tuple(
        half
        for a, b in (
            (XV, NONE_SET),
            (NONE_SET, YV),
            (XV, ALL_SET),
            (ALL_SET, YV),
            (XV, f"(v128.not {YV})"),
        )
        for half in halves(f"(v128.andnot {a} {b})")
    ),
    "complement_of_complement": halves(f"(v128.not (v128.not {XV}))"),
    "lanes_with_themselves": tuple(
        half
        for name in (
            "v128.and",
            "v128.or",
            "v128.xor",
            "v128.andnot",
            "i8x16.sub",
            "i16x8.sub",
            "i32x4.sub",
            "i64x2.sub",
        )
        for half in halves(f"({name} {XV} {XV})")
    ),
    "sum_of_lanes": tuple(
        half
        for shape in ("i8x16", "i16x8", "i32x4", "i64x2")
        for name, a, b in (("add", XV, NONE_SET), ("add", NONE_SET, YV), ("sub", XV, NONE_SET))
        for half in halves(f"({shape}.{name} {a} {b})")
    ),
    "bitselect_of_equals": halves(f"(v128.bitselect {XV} {XV} {YV})"),
    "bitselect_by_constant": tuple(
        half
        for operands in (
            (XV, YV, NONE_SET),
            (XV, YV, ALL_SET),
            (XV, NONE_SET, YV),
            (NONE_SET, XV, YV),
        )
        for half in halves(f"(v128.bitselect {' '.join(operands)})")
    ),
    "extract_of_splat": (
        *(f"(i8x16.extract_lane_{sign} 9 (i8x16.splat {X}))" for sign in "su"),
        *(f"(i16x8.extract_lane_{sign} 7 (i16x8.splat {X}))" for sign in "su"),
        f"(i32x4.extract_lane 3 (i32x4.splat {X}))",
        f"(i64x2.extract_lane 1 (i64x2.splat {W}))",
    ),
    "extract_of_replace": (
        *(f"(i8x16.extract_lane_{sign} 9 (i8x16.replace_lane 9 {YV} {X}))" for sign in "su"),
        *(f"(i8x16.extract_lane_{sign} 8 (i8x16.replace_lane 9 {YV} {X}))" for sign in "su"),
        *(f"(i16x8.extract_lane_{sign} 7 (i16x8.replace_lane 7 {YV} {X}))" for sign in "su"),
        f"(i32x4.extract_lane 3 (i32x4.replace_lane 3 {YV} {X}))",
        f"(i32x4.extract_lane 2 (i32x4.replace_lane 3 {YV} {X}))",
        f"(i64x2.extract_lane 1 (i64x2.replace_lane 1 {XV} {V}))",
    ),
    "replace_of_extract": (
        *halves(f"(i8x16.replace_lane 5 {XV} (i8x16.extract_lane_s 5 {XV}))"),
        *halves(f"(i16x8.replace_lane 5 {XV} (i16x8.extract_lane_u 5 {XV}))"),
        *halves(f"(i32x4.replace_lane 2 {YV} (i32x4.extract_lane 2 {YV}))"),
    ),
}
"""Rules and functions in which they apply, for Z3."""

TESTED: dict[str, tuple[str, ...]] = {
    "shuffle_of_nothing": (
        *halves(f"(i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 {XV} {YV})"),
        *halves(f"(i8x16.shuffle 16 17 18 19 20 21 22 23 24 25 26 27 28 29 30 31 {XV} {YV})"),
        *halves(f"(i8x16.shuffle 0 17 2 3 4 5 6 23 8 9 10 11 12 13 30 15 {XV} {XV})"),
    ),
    "swizzle_by_constant": halves(f"(i8x16.swizzle {XV} (v128.const i8x16 15 3 3 0 8 7 1 2 4 5 6 11 12 13 14 9))"),
    "bitselect_by_words": halves(f"(v128.bitselect {XV} {YV} (v128.const i16x8 0 -1 -1 0 -1 0 0 -1))"),
    "order_float_operands": (
        of_floats("f64.mul", "(f64.const 1.1)", F),
        of_floats("f64.add", "(f64.const -inf)", F),
        of_floats("f32.mul", "(f32.const 1.1)", G),
        of_floats("f32.add", "(f32.const -0)", G),
    ),
    "double_of_float": (of_floats("f64.mul", F, "(f64.const 2)"), of_floats("f32.mul", "(f32.const 2)", G)),
    "divide_by_float_power": tuple(
        of_floats(f"{name}.div", operand, f"({name}.const {c})")
        for name, operand, powers in (
            ("f64", F, ("1", "-8", "0x1p-1022", "0x1p+1022", "0.5")),
            ("f32", G, ("1", "-8", "0x1p-126", "0x1p+126", "0.5")),
        )
        for c in powers
    ),
    "branch_by_negation": (f"(if (result i32) (i32.eqz {X}) (then (i32.const 3)) (else {Y}))",),
    "branch_by_nonzero": (f"(if (result i32) (i32.ne {X} (i32.const 0)) (then (i32.const 3)) (else {Y}))",),
    "divide_by_constant": tuple(
        f"(i{bits}.{name} {a} (i{bits}.const {c}))"
        for bits, a in ((32, X), (64, W))
        for name in ("div_s", "div_u")
        for c in (3, 7, 10, 641)
    ),
    "remainder_by_constant": tuple(
        f"(i{bits}.{name} {a} (i{bits}.const {c}))"
        for bits, a in ((32, X), (64, W))
        for name in ("rem_s", "rem_u")
        for c in (3, 7, 10, 641)
    ),
    "divide_by_negative": tuple(
        f"(i{bits}.{name} {a} (i{bits}.const {c}))"
        for bits, a in ((32, X), (64, W))
        for name in ("div_s", "rem_s")
        for c in (-2, -7, -641)
    ),
}
"""Rules that need several blocks, or products twice as wide, or shuffles, or floats. That factors of divisions are
exact for all operands is a theorem, which ``test_factors_satisfy_the_theorem`` of test_identities and test_strength
hold them to.
"""


def result_of(expression: str) -> str:
    """The type that an expression gives."""
    name = expression[1:].split()[0]
    if name == "select":
        return "i64" if expression.startswith((f"(select {W}", f"(select {V}")) else "i32"
    if name == "block" or name.startswith("i64x2"):
        return "i64"
    compares = name.partition(".")[2].partition("_")[0] in ("eq", "eqz", "ne", "lt", "gt", "le", "ge")
    return "i32" if name == "if" or compares or "_lane" in name else name[:3]


def forms(expression: str) -> tuple[Ssa, Ssa, set[str]]:
    """A function of one expression, before and after the passes, and what the passes say they did."""
    head = f"(param i32 i32 i64 i64) (result {result_of(expression)})"
    valid = validate(parse_module(f"(module (memory 1) (func {head} {expression}))"))
    before, after = Ssa(), Ssa()
    build(valid, 0, before)
    pipeline = Pipeline(PASSES)
    pipeline.run(before, after)
    verify(after)
    return before, after, {name for name, _, _ in pipeline.explain(before)}


@pytest.mark.parametrize("name", RULES)
def test_rule(name):
    """It applies to its examples, and the function means the same afterwards, traps included."""
    for expression in (*PROVED.get(name, ()), *TESTED.get(name, ())):
        before, after, applied = forms(expression)
        assert name in applied, (expression, applied)
        if name in TESTED:
            hold(before, after, expression)
        else:
            prove(before, after, expression)
    assert (name in PROVED) != (name in TESTED), f"{name} needs an example here, and so a proof"


def prove(before: Ssa, after: Ssa, expression: str) -> None:
    """Both forms are equal for all operands."""
    ([old], old_trap), ([new], new_trap) = terms(before.dump()), terms(after.dump())
    solver = z3.Solver()
    solver.set("timeout", 20_000)
    solver.add(z3.Or(old_trap != new_trap, z3.And(z3.Not(old_trap), old != new)))
    assert solver.check() == z3.unsat, (expression, solver)


def hold(before: Ssa, after: Ssa, expression: str) -> None:
    """Both forms give the same around multiples of small numbers, at both ends, and on floats of all kinds."""
    small = [k * c + d for c in (0, 3, 7, 641) for k in (1, 2, 1000) for d in (-1, 0, 1)]
    floats = [k << 52 | k >> 3 << 23 | f for k in (0, 1, 2, 1023, 1024, 2045, 2046, 2047) for f in (0, 1, 3, 0x7F_FFFF)]
    floats += [n ^ (1 << 63 | 1 << 31) for n in floats]
    for n in [*small, *(-n for n in small), *floats, 0x7FFF_FFFF, 1 << 31, (1 << 63) - 1, 1 << 63]:
        operands = [n & 0xFFFF_FFFF, 5, n & (1 << 64) - 1, 0]
        assert evaluate(before.dump(), None, operands) == evaluate(after.dump(), None, operands), (expression, n)


def test_every_rule_has_a_proof_and_every_proof_a_rule():
    """A rule that somebody adds fails here until it is proved."""
    assert PROVED.keys() | TESTED.keys() == RULES.keys()
    assert len(RULES) > 50


def test_what_was_done_is_told_with_its_place():
    """The rule, the byte offset in the module, and the node as it was; sharing is a pass without rules."""
    product = f"(i32.mul {X} (i32.const 8))"
    text = f"(module (func (param i32 i32) (result i32) (i32.mul {product} {product})))"
    valid = validate(parse_module(text))
    ssa = Ssa()
    build(valid, 0, ssa)
    steps = list(Pipeline(PASSES).explain(ssa))
    body = valid.bodies[0]
    assert [name for name, _, _ in steps] == ["multiply_by_power", "multiply_by_power", "share"][: len(steps)]
    assert all("i32.mul" in node for _, _, node in steps)
    offsets = [offset for _, (func, offset), _ in steps if func == body.func]
    assert offsets == sorted(offsets)
    assert len(offsets) == len(steps) and 0 < offsets[0] < body.end - body.start


@pytest.mark.parametrize(
    "expression",
    [
        of_floats("f64.div", F, "(f64.const 0x1p-1023)"),  # the reciprocal would be too large
        of_floats("f64.div", F, "(f64.const 0x1p+1023)"),  # and here not normal
        of_floats("f64.div", F, "(f64.const 3)"),
        of_floats("f64.div", F, "(f64.const inf)"),
        of_floats("f64.div", "(f64.const 2)", F),
        of_floats("f64.mul", "(f64.const nan)", F),
        of_floats("f64.sub", "(f64.const 2)", F),
        of_floats("f32.div", G, "(f32.const 0x1p+127)"),
        of_floats("f32.add", "(f32.const nan:0x400001)", G),
        f"(i32x4.extract_lane 1 (f32x4.splat (f32.reinterpret_i32 {X})))",  # the lane has another type
        f"(i32x4.extract_lane 1 (i8x16.splat {X}))",
        f"(i64x2.extract_lane 0 (i8x16.swizzle {XV} (v128.const i8x16 16 3 3 0 8 7 1 2 4 5 6 11 12 13 14 9)))",
        f"(i64x2.extract_lane 0 (v128.bitselect {XV} {YV} (v128.const i16x8 1 -1 -1 0 -1 0 0 -1)))",
        f"(i64x2.extract_lane 0 (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 14 {XV} {YV}))",
        f"(i64x2.extract_lane 0 (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 31 {XV} {YV}))",
    ],
)
def test_where_a_rule_of_floats_or_lanes_would_be_wrong_it_does_not_apply(expression):
    """Of the rules that build vectors here, only those of other lanes may."""
    before, after, applied = forms(expression)
    assert not applied - {"extract_of_replace", "share"}, applied
    hold(before, after, expression)
