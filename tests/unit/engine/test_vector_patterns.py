"""Claims about what several vector instructions become together: what an operand is known to be saves instructions, and
constants stay in registers through loops; the results are the oracle's.
"""

from __future__ import annotations

import random
from dataclasses import replace

import capstone
import pytest

from stratavm import load
from stratavm.ir.pipeline import PASSES
from stratavm.module.decode import decode
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, compile_function
from tests.unit.engine.test_vector_operands import NEW, OLD

SPECIAL = (bytes(16), b"\xff" * 16, bytes(range(16)), b"\x80\x7f" * 8, b"\x00\x80\xff\x7f" * 4)
WAYS = [{"tier": "jit0"}, {"tier": "jit1"}, {"tier": "jit1", "cpu": "v2"}, {"tier": "jit1", "allocator": "naive"}]
"""How each is run, beside the oracle."""


def listed(text: str, features: frozenset[str], level: int = 0) -> list[tuple[str, str]]:
    """The machine code of a module's last function up to where it returns: names and operands."""
    valid = validate(decode(parse_module(text).binary))
    options = Options(features=features, machine=MACHINE_LEVELS[level], level=level)
    if level:
        options = replace(options, passes=tuple(PASSES), allocator="splitting")
    code = compile_function(valid, len(valid.bodies) - 1, options=options).code
    found = []
    for _, _, name, operands in capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm_lite(code, 0):
        found.append((name, operands))
        if name == "ret":
            break
    return found


def count_of(name: str, text: str, level: int = 0) -> int:
    """How often an instruction stands in code without AVX."""
    return sum(found == name for found, _ in listed(text, OLD, level))


def agree(text: str, *arguments: tuple) -> None:
    """Every way gives what the oracle does."""
    wanted = [load(text, tier="oracle").exports.f(*given) for given in arguments]
    for way in WAYS:
        exports = load(text, **way).exports
        assert [exports.f(*given) for given in arguments] == wanted, way


def pairs(seed: int, count: int = 12) -> list[tuple[bytes, bytes]]:
    """Two vectors, special and random."""
    made = random.Random(seed)
    found = [(a, b) for a in SPECIAL for b in SPECIAL]
    return found + [(made.randbytes(16), made.randbytes(16)) for _ in range(count)]


def splat(byte: int) -> str:
    """A constant of sixteen equal bytes."""
    return f"(v128.const i8x16 {' '.join([str(byte)] * 16)})"


@pytest.mark.parametrize(
    ("index", "needs"),
    [
        (f"(v128.or (i8x16.shr_u (local.get 1) (i32.const 5)) (v128.and (local.get 0) {splat(8)}))", False),
        (f"(i8x16.sub_sat_u (v128.and (local.get 1) {splat(63)}) {splat(51)})", False),
        (f"(i8x16.sub_sat_u (v128.and (local.get 1) {splat(63)}) {splat(47)})", True),
        (f"(i8x16.sub_sat_u (local.get 1) {splat(240)})", False),
        (f"(i8x16.sub_sat_u (local.get 1) {splat(239)})", True),
        (f"(i8x16.min_u (local.get 1) {splat(15)})", False),
        (f"(i8x16.min_u {splat(16)} (local.get 1))", True),
        (f"(v128.xor (i8x16.min_u (local.get 1) {splat(9)}) (i8x16.min_u (local.get 0) {splat(6)}))", False),
        (f"(v128.or (i8x16.min_u (local.get 1) {splat(9)}) {splat(16)})", True),
        (f"(v128.andnot (i8x16.min_u (local.get 1) {splat(10)}) (local.get 0))", False),
        (f"(v128.bitselect {splat(13)} {splat(2)} (i8x16.lt_s (local.get 0) (local.get 1)))", False),
        (f"(v128.bitselect {splat(13)} (local.get 0) (local.get 1))", True),
        (f"(v128.andnot (local.get 0) {splat(15)})", True),
    ],
)
def test_an_index_is_known_by_what_makes_it(index, needs):
    """A swizzle needs to look at its indices where one may be from 16 to 127, and only there."""
    text = f'(module (func (export "f") (param v128 v128) (result v128) (i8x16.swizzle (local.get 0) {index})))'
    assert count_of("paddusb", text) == needs
    agree(text, *pairs(1))


@pytest.mark.parametrize(
    ("operand", "needs"),
    [
        ("(local.get 0)", True),
        ("(i16x8.extadd_pairwise_i8x16_u (local.get 0))", False),
        ("(i16x8.extadd_pairwise_i8x16_s (local.get 0))", True),
        ("(i16x8.extend_low_i8x16_u (local.get 0))", False),
        ("(i16x8.extend_high_i8x16_u (local.get 0))", False),
        ("(i16x8.shr_u (local.get 0) (i32.const 1))", False),
        ("(i16x8.shr_u (local.get 0) (i32.const 16))", True),
        ("(i16x8.shr_s (local.get 0) (i32.const 1))", True),
    ],
)
def test_sums_of_pairs_that_are_small_are_one_instruction(operand, needs):
    """Words below 2**15 are the same with a sign."""
    text = f"""(module (func (export "f") (param v128 v128) (result v128)
      (i32x4.extadd_pairwise_i16x8_u {operand})))"""
    assert count_of("paddd", text) == needs
    agree(text, *pairs(2))


COMPARED = {
    "i8x16": ("eq", "ne", "lt_s", "gt_u", "le_s", "ge_u"),
    "i16x8": ("eq", "lt_u", "ge_s"),
    "i32x4": ("ne", "gt_s", "le_u"),
    "i64x2": ("eq", "lt_s", "ge_s"),
    "f32x4": ("eq", "lt", "ge"),
    "f64x2": ("ne", "gt", "le"),
}


@pytest.mark.parametrize(
    "lanes", ["i16x8", *(pytest.param(t, marks=pytest.mark.trace_slow) for t in ("i8x16", "i32x4", "i64x2"))]
)
def test_whether_all_of_a_comparison_are_true_is_asked_of_its_bits(lanes):
    """One instruction with a constant, where the lanes that were compared are at least as wide as those asked about."""
    for compared, names in COMPARED.items():
        known = int(lanes.split("x")[0][1:]) <= int(compared.split("x")[0][1:])
        for name in names:
            a = f"({compared}.{name} (local.get 0) (local.get 1))"
            more = (f"(v128.not {a})", f"(v128.or {a} ({compared}.eq (local.get 1) (local.get 0)))")
            for mask in (a, *(more if name == names[0] else ())):
                text = f"""(module (func (export "f") (param v128 v128) (result i32 i32)
                  ({lanes}.all_true {mask})
                  (if (result i32) ({lanes}.all_true {mask}) (then (i32.const 7)) (else (i32.const 9)))))"""
                zeros = [words for name, words in listed(text, OLD) if "xor" in name and len({*words.split(", ")}) == 1]
                assert (not zeros) is known, (mask, lanes)
                agree(text, *pairs(3, 4))


def test_a_mask_of_narrow_lanes_does_not_tell_about_wide_ones():
    """One byte that is set makes a lane of four that is not zero."""
    text = """(module (func (export "f") (param v128 v128) (result i32)
      (i32x4.all_true (i8x16.eq (local.get 0) (local.get 1)))))"""
    assert load(text, tier="jit1").exports.f(bytes(range(16)), bytes([0, 9, 9, 9] * 4)) == 0
    assert load(text, tier="jit1").exports.f(bytes(16), bytes([0, 9, 9, 9] * 4)) == 1


LOOP = """(module (memory 1) (global $g (mut v128) (v128.const i64x2 0 0))
  {extra}
  (func (export "f") (param $v v128) (param $n i32) (result v128) (local $s v128) (local $k i32)
    (loop $outer
      (local.set $k (i32.const 5))
      (loop $l
        {body}
        (local.set $k (i32.sub (local.get $k) (i32.const 1)))
        (br_if $l (local.get $k)))
      (local.set $n (i32.sub (local.get $n) (i32.const 1)))
      (br_if $outer (local.get $n)))
    (local.get $s)))"""


def step(number: int) -> str:
    """Something with a constant that has to be in a register: it is compared with, or looked up in."""
    words = f"{number * 0x0123456789ABCDEF % 2**64:#x} {number * 0xFEDCBA987654321 % 2**64:#x}"
    constant = f"(v128.const i64x2 {words})"
    return f"""(local.set $s (i8x16.add (local.get $s) (i8x16.gt_s {constant} (local.get $v))))
      (local.set $v (i8x16.add (i8x16.swizzle {constant} (local.get $v)) (local.get $s)))"""


@pytest.mark.parametrize("count", [1, 4, 9, 20])
@pytest.mark.parametrize("calls", [False, True])
def test_constants_stay_in_registers_through_loops(count, calls):
    """As many as there is room for, more than that, and around calls, which leave none."""
    call = "(call $c (local.get $k))" if calls else ""
    extra = "(func $c (param i32) (global.set $g (i32x4.splat (local.get 0))) (br_if 0 (local.get 0)))"
    body = call + "".join(step(n + 1) for n in range(count))
    text = LOOP.format(extra=extra if calls else "", body=body)
    agree(text, *((value, n) for value in SPECIAL for n in (1, 3)))


def test_a_loop_reads_no_constant_that_has_to_be_in_a_register():
    """With AVX the loads stand in front of the loop; a constant that memory can be the operand of stays there."""
    body = step(1) + f"(local.set $v (v128.and (local.get $v) {splat(99)}))"
    text = LOOP.format(extra="", body=body)
    lines = [" ".join(words) for words in listed(text, NEW, level=1)]
    heads = [i for i, line in enumerate(lines) if line.startswith("cmp rsp")]
    inner = lines[heads[-1] :]
    inner = inner[: 1 + next(i for i, line in enumerate(inner) if line.startswith("j") and not line.startswith("jb"))]
    assert {line.split()[0] for line in inner if "rip" in line} == {"vpaddusb", "vpand"}


def test_constants_of_a_loop_are_loaded_again_behind_it():
    """What stands in front of two loops, one of which may be passed by, is known on every way."""
    constant = "(v128.const i64x2 0x0123456789abcdef 0x1122334455667788)"
    loop = """(loop $l{0} (local.set $s (i8x16.add (local.get $s) (i8x16.gt_s (local.get $c) (local.get $v))))
        (local.set $k (i32.sub (local.get $k) (i32.const 1))) (br_if $l{0} (local.get $k)))"""
    text = f"""(module (func (export "f") (param $v v128) (param $n i32) (result v128)
      (local $c v128) (local $s v128) (local $k i32)
      (local.set $c {constant})
      (if (i32.and (local.get $n) (i32.const 1)) (then (local.set $k (i32.const 3)) {loop.format(1)}))
      (local.set $s (i8x16.swizzle (local.get $c) (local.get $s)))
      (if (i32.and (local.get $n) (i32.const 2)) (then (local.set $k (i32.const 2)) {loop.format(2)})
        (else (local.set $s (i8x16.swizzle (local.get $c) (local.get $v)))))
      (i8x16.add (local.get $s) (i8x16.gt_s (local.get $c) (local.get $s)))))"""
    agree(text, *((value, n) for value in SPECIAL for n in range(4)))


@pytest.mark.parametrize("level", [0, 1])
def test_a_small_loop_has_its_constant_in_a_register(level):
    """A look for a byte: nothing is loaded in it but the bytes, and zero is not made anew."""
    text = """(module (memory 1) (func (export "f") (param $a i32) (result i32)
      (loop $l
        (local.set $a (i32.add (local.get $a) (i32.const 16)))
        (br_if $l (i32.eqz (v128.any_true
          (i8x16.eq (v128.load (local.get $a)) (v128.const i64x2 0 0))))))
      (local.get $a)))"""
    names = [name for name, _ in listed(text, NEW, level)]
    assert "vpcmpeqb" in names
    poll = max(i for i in range(names.index("vpcmpeqb")) if names[i] == "cmp")
    assert names.index("vpxor") < poll
    assert sum(name in ("vpxor", "vxorps") for name in names) == 1


def test_equal_constants_make_equal_values():
    """What is computed from them is computed once at level 1."""
    one = "(i16x8.mul (local.get 0) (v128.const i16x8 3 5 7 9 3 5 7 9))"
    text = f'(module (func (export "f") (param v128 v128) (result v128) (i8x16.add_sat_u {one} {one})))'
    assert count_of("pmullw", text, 1) == 1
    other = one.replace("9)", "8)")
    text = f'(module (func (export "f") (param v128 v128) (result v128) (i8x16.add_sat_u {one} {other})))'
    assert count_of("pmullw", text, 1) == 2
    agree(text, *pairs(5))
