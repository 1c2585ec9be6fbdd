"""Claims about machine code with vectors: loops that go on at level 1, inlined callees, constants, images, frames."""

import functools
import operator
import random
import re

import capstone
import pytest

from stratavm import Linker, Module, Store
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds
from tests.vectors import FEATURES, v, vector_engine

N = 12
"""Vectors that a loop carries: some are in registers, some in slots of the frame."""


def lanes(a, b, n=16):
    """``i8x16.add``."""
    return bytes((x + y) & 0xFF for x, y in zip(a, b, strict=True))


def const(value):
    """A vector in text."""
    return "(v128.const i8x16 " + " ".join(map(str, value)) + ")"


# ---- loops that go on at level 1 ----

STEPS = "\n".join(
    f"(local.set ${i} (i8x16.add (local.get ${i}) (local.get ${(i + 1) % N})))"
    f"(local.set $f{i} (f64.add (local.get $f{i}) (local.get $f{(i + 1) % N})))"
    for i in range(N)
)
LOOP = f"""(module
  (func (export "f") {" ".join(f"(param ${i} v128) (param $f{i} f64)" for i in range(N))} (param $n i32)
    (result {"v128 f64 " * N}) (local $zero v128) (local $kept v128)
    (local.set $kept {const(v(99))})
    (loop $l {STEPS}
      (local.set $0 (v128.xor (local.get $0) (v128.xor (local.get $zero) (local.get $kept))))
      (local.set $1 (v128.xor (local.get $1) {const(v(98))}))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    {" ".join(f"(local.get ${i}) (local.get $f{i})" for i in range(N))}))"""


def rounds(vectors, numbers, n):
    """What the loop gives."""
    vectors, numbers = list(vectors), list(numbers)
    for _ in range(n):
        for i in range(N):
            vectors[i] = lanes(vectors[i], vectors[(i + 1) % N])
            numbers[i] += numbers[(i + 1) % N]
        vectors[0] = bytes(x ^ y for x, y in zip(vectors[0], v(99), strict=True))
        vectors[1] = bytes(x ^ y for x, y in zip(vectors[1], v(98), strict=True))
    return tuple(x for pair in zip(vectors, numbers, strict=True) for x in pair)


@pytest.mark.parametrize("starved", [False, True])
@pytest.mark.parametrize("polls", [1, 2, 3])
def test_a_loop_goes_on_with_all_of_its_vectors(polls, starved, monkeypatch):
    """Out of registers and slots of level 0 into those of level 1."""
    if starved:
        monkeypatch.setenv("STRATA_REGS", "4")
        monkeypatch.setenv("STRATA_POISON", "1")
    engine = vector_engine("auto", services={Policy: Thresholds(MOST_CALLS, ticks=False, polls=polls)})
    module = Module(LOOP, engine)
    f = Linker(engine).instantiate(Store(engine), module).exports.f
    vectors, numbers = [v(i) for i in range(N)], [i + 0.5 for i in range(N)]
    given = [x for pair in zip(vectors, numbers, strict=True) for x in pair]
    for n in (1, 2, 7, 5):
        assert f(*given, n) == rounds(vectors, numbers, n)
    assert [loop.reason for loop in module.code.loops() if not loop.code] == []
    assert sum(polls for _, _, polls in module.code.lazy.table.entries_made) > 0


# ---- callees ----

CALLEES = f"""(module
  (func $c0 (param v128) (result v128) (i8x16.add (local.get 0) {const(v(1))}))
  (func $c1 (param v128 i32) (result v128)
    (if (result v128) (local.get 1) (then (i8x16.add (local.get 0) {const(v(2))}))
      (else (i8x16.shuffle 15 14 13 12 11 10 9 8 7 6 5 4 3 2 1 16 (local.get 0) {const(v(3))}))))
  (func $c2 (param v128) (result v128 v128) (call $c0 (local.get 0)) (i8x16.add (local.get 0) {const(v(4))}))
  (func (export "f") (param v128 i32) (result v128) (local v128)
    (local.set 0 (i8x16.add (local.get 0) {const(v(5))}))
    (loop $l
      (local.set 0 (call $c1 (call $c0 (local.get 0)) (i32.and (local.get 1) (i32.const 1))))
      (call $c2 (local.get 0))
      (local.set 2)
      (local.set 0 (i8x16.add (local.get 2)))
      (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1)))))
    (local.get 0)))"""


def called(a, n):
    """The same."""
    a = lanes(a, v(5))
    while n:
        a = lanes(a, v(1))
        a = lanes(a, v(2)) if n & 1 else a[:0:-1] + v(3)[:1]
        a = lanes(lanes(a, v(1)), lanes(a, v(4)))
        n -= 1
    return a


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto"])
def test_inlined_functions_bring_their_constants(tier):
    """And the patterns of their shuffles, which stand in the same table."""
    engine = vector_engine(tier)
    module = Module(CALLEES, engine)
    f = Linker(engine).instantiate(Store(engine), module).exports.f
    for n in (1, 2, 9):
        assert f(v(n), n) == called(v(n), n)


# ---- constants ----


@pytest.mark.parametrize("tier", ["jit0", "jit1", "starved"])
def test_many_constants_among_numbers(tier, monkeypatch):
    """Of 16 bytes beside those of 8, equal ones and halves, zero and all ones, across a call that empties registers."""
    if tier == "starved":
        monkeypatch.setenv("STRATA_REGS", "4")
        monkeypatch.setenv("STRATA_POISON", "1")
        tier = "jit1"
    rng = random.Random(7)
    values = [bytes(16), b"\xff" * 16, v(1), v(1)[:8] * 2, v(1)[8:] + v(1)[:8], *(rng.randbytes(16) for _ in range(40))]
    floats = [rng.uniform(-9, 9) for _ in values]
    sums = "(v128.const i64x2 0 0)"
    total = "(f64.const 0)"
    for value, number in zip(values, floats, strict=True):
        sums = f"(call $id (i8x16.add {sums} {const(value)}))"
        total = f"(f64.add {total} (f64.const {number!r}))"
    text = f"""(module (func $id (param v128) (result v128) (local.get 0) (call $nothing))
      (func $nothing)
      (func (export "f") (param i32) (result v128 f64)
        (if (result v128) (local.get 0) (then {sums}) (else {const(v(3))})) {total}))"""
    engine = vector_engine(tier)
    f = Linker(engine).instantiate(Store(engine), Module(text, engine)).exports.f
    expected = bytes(16)
    for value in values:
        expected = lanes(expected, value)
    one_by_one = functools.reduce(operator.add, floats)  # `sum` keeps what rounding loses, from 3.12 on
    assert f(1) == (expected, one_by_one)
    assert f(0) == (v(3), one_by_one)


# ---- lanes as numbers ----


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_extensions_of_lanes_are_of_the_lane(tier):
    """What extends a lane once more sees the lane's bits, not the vector's; masks and shifts too."""
    engine = vector_engine(tier)
    ops = [
        f"({outer} ({shape}.extract_lane_{sign} {lane} (local.get 0)))"
        for outer in ("i32.extend8_s", "i32.extend16_s", "i32.and (i32.const 255)", "i32.shr_s (i32.const -1)")
        for shape, lane in (("i8x16", 3), ("i8x16", 0), ("i16x8", 5), ("i16x8", 0))
        for sign in "su"
    ]
    text = "".join(f'(func (export "f{i}") (param v128) (result i32) {op})' for i, op in enumerate(ops))
    exports = Linker(engine).instantiate(Store(engine), Module(f"(module {text})", engine)).exports
    oracle = vector_engine("oracle")
    expected = Linker(oracle).instantiate(Store(oracle), Module(f"(module {text})", oracle)).exports
    for i in range(len(ops)):
        for value in (v(1), bytes(range(120, 136)), b"\xff" * 16):
            assert exports[f"f{i}"](value) == expected[f"f{i}"](value), ops[i]


# ---- images ----


def test_an_image_has_vectors(tmp_path):
    """Globals that are vectors, constants and code; nothing is compiled where it is loaded."""
    engine = vector_engine("jit1")
    text = CALLEES[: CALLEES.rindex(")")] + f'(global (export "g") v128 {const(v(6))}))'
    Module(text, engine).serialize_file(tmp_path / "m", key=b"k" * 16)
    other = vector_engine("jit1")
    module = Module.deserialize_file(tmp_path / "m", other, key=b"k" * 16)
    exports = Linker(other).instantiate(Store(other), module).exports
    assert exports.f(v(8), 5) == called(v(8), 5)
    assert exports.g.value == v(6)


# ---- frames ----


def frame_text(seed):
    """A function whose values of all widths live across calls, so that they are in slots."""
    rng = random.Random(seed)
    types = [rng.choice(["v128", "v128", "i32", "f64", "i64"]) for _ in range(rng.randrange(1, 14))]
    gets = " ".join(f"local.get {i}" for i in rng.sample(range(len(types)), len(types)))
    shuffled = [int(word) for word in gets.split()[1::2]]
    return (
        types,
        shuffled,
        f"""(module (import "m" "h" (func $h))
      (func (export "f") (param {" ".join(types)}) (result {" ".join(types[i] for i in shuffled)})
        (call $h) (call $h) {gets}))""",
    )


@pytest.mark.parametrize("allocator", ["linear", "splitting", "naive"])
@pytest.mark.parametrize("level", [0, 1])
def test_slots_of_vectors_are_aligned(allocator, level):
    """Every access of 16 bytes relative to the frame is at a multiple of 16, wherever numbers are among them."""
    engine = vector_engine(f"jit{level}", allocator=allocator)
    wide = 0
    for seed in range(30):
        types, shuffled, text = frame_text(seed)
        linker = Linker(engine)
        linker.define("m", "h", lambda: None)
        f = linker.instantiate(Store(engine), Module(text, engine)).exports.f
        given = [v(i) if t == "v128" else i + 0.25 if t == "f64" else i for i, t in enumerate(types)]
        got = f(*given)
        assert list(got if len(types) > 1 else (got,)) == [given[i] for i in shuffled]
        options = Options(allocator=allocator, machine=MACHINE_LEVELS[level], level=level)
        code = bytes(wasm_compiler(validate(parse_module(text, features=FEATURES), FEATURES), options).compile(0).code)
        for line in capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64).disasm(code, 0):
            if line.mnemonic.lstrip("v") in ("movaps", "movups") and (
                place := re.search(r"\[rbp - (\w+)\]", line.op_str)
            ):
                assert int(place[1], 0) % 16 == 0
                wide += 1
    assert wide > 30
