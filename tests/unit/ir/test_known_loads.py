"""Loads that level 0 leaves out, for it knows what is there: which, how long, and that memory is read where it must."""

from __future__ import annotations

import random

import pytest

from stratavm.engine import Config, Engine, Module, Store
from stratavm.engine.linker import Linker
from stratavm.ir.ssa import Ssa
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from tests.unit.ir.forms import build

HEAD = "(param $a i32) (param $b i32) (result i32) (local $s i32)"
READ = "(local.set $s (i32.add (local.get $s) (i32.load offset=8 (local.get $a))))"
WRITE = "(i32.store offset=8 (local.get $a) (local.get $b))"
BESIDE = "(i32.store offset=12 (local.get $a) (local.get $b))"
ELSEWHERE = "(i32.store (local.get $b) (local.get $a))"


def loads(body: str) -> int:
    """How many loads are left of a function."""
    text = f"(module (memory 1) (global $g (mut i32) (i32.const 1)) (func $f) (func {HEAD} {body} (local.get $s)))"
    ssa = Ssa()
    ssa.sharing = True
    build(validate(parse_module(text)), 1, ssa)
    verify(ssa)  # the counts of uses too
    return sum(".load" in line for line in print_ssa(ssa).splitlines())


@pytest.mark.parametrize(
    ("body", "left"),
    [
        (READ + READ, 1),
        (WRITE + READ + READ, 0),
        (WRITE + BESIDE + READ, 0),
        (READ + BESIDE + READ, 1),
        # who has another base may have written anything; what was known of that is known no more either
        (WRITE + ELSEWHERE + READ, 1),
        (READ + ELSEWHERE + READ, 2),
        (WRITE + ELSEWHERE + BESIDE + READ, 1),
        (ELSEWHERE + WRITE + BESIDE + READ, 0),
        # parts of the bytes, more than these, and such that are not in one entry
        ("(i32.store8 offset=9 (local.get $a) (local.get $b))" + READ, 1),
        (WRITE + "(i32.store8 offset=11 (local.get $a) (local.get $b))" + READ, 1),
        (WRITE + "(i32.store8 offset=12 (local.get $a) (local.get $b))" + READ, 0),
        (WRITE + "(i32.store offset=10 (local.get $a) (local.get $b))" + READ, 1),
        (WRITE + "(i64.store offset=8 (local.get $a) (i64.const 7))" + READ, 1),
        (WRITE + "(i64.store offset=4 (local.get $a) (i64.const 7))" + READ, 1),
        (WRITE + "(i64.store (local.get $a) (i64.const 7))" + READ, 0),
        (WRITE + "(f32.store offset=8 (local.get $a) (f32.const 7))" + READ, 1),
        ("(local.set $s (i32.load8_u offset=8 (local.get $a)))" + READ, 2),
        # calls, other writes of memory; a global is not memory
        (WRITE + "(call $f)" + READ, 1),
        (WRITE + "(memory.fill (local.get $b) (i32.const 0) (i32.const 4))" + READ, 1),
        (WRITE + "(drop (memory.grow (i32.const 1)))" + READ, 1),
        (WRITE + "(global.set $g (i32.const 4))" + READ, 0),
        # on to the arm behind the branch, not to the other, and not to where both meet
        (WRITE + f"(if (local.get $b) (then {READ}) (else {READ}))", 1),
        (f"(if (local.get $b) (then {WRITE}))" + READ, 1),
        (WRITE + f"(loop $l {READ} {READ} (br_if $l (local.get $s)))", 1),
        (WRITE + "(local.set $a (i32.add (local.get $a) (i32.const 4)))" + READ, 1),
    ],
)  # fmt: skip
def test_a_load_whose_value_is_known_is_left_out(body, left):
    """From a load like it, or a store of the same bytes, with no write between that could be there."""
    assert loads(body) == left


def test_a_wide_value_is_forgotten_where_its_second_half_is_written():
    """Eight bytes are known in the entry of the first four."""
    wide = "(local.set $s (i32.wrap_i64 (i64.load offset=8 (local.get $a))))"
    assert loads(wide + wide) == 1
    assert loads("(i64.store offset=8 (local.get $a) (i64.const 7))" + wide) == 0
    for part in (WRITE, BESIDE, "(i32.store8 offset=15 (local.get $a) (local.get $b))"):
        assert loads(wide + part + wide) == 2
        assert loads("(i64.store offset=8 (local.get $a) (i64.const 7))" + part + wide) == 1
    assert loads(BESIDE + wide + "(local.set $s (i32.load offset=12 (local.get $a)))") == 1


def accesses(rng: random.Random) -> str:
    """Loads into a sum and stores from it, of all widths, from two bases that may be one."""
    out = []
    for _ in range(rng.randrange(8, 40)):
        where = f"offset={rng.randrange(16)} (local.get {rng.choice('001')})"
        width = rng.choice(("32", "32", "32", "64", "64", "8", "16"))
        kind, tail = ("i64", "") if width == "64" else ("i32", "" if width == "32" else width)
        total = "(local.get 2)" if kind == "i64" else "(i32.wrap_i64 (local.get 2))"
        if rng.random() < 0.5:
            sign = "_" + rng.choice("su") if tail else ""
            read = f"({kind}.load{tail}{sign} {where})"
            read = read if kind == "i64" else f"(i64.extend_i32_u {read})"
            out.append(f"(local.set 2 (i64.add (i64.mul (local.get 2) (i64.const 31)) {read}))")
        else:
            out.append(f"({kind}.store{tail} {where} {total})")
        if rng.random() < 0.1:
            out.append(f"(if (i32.and (i32.wrap_i64 (local.get 2)) (i32.const {rng.choice('124')})) (then ")
            out.append(f"({kind}.store{tail} {where} {total})" + "))")
    return "".join(out)


@pytest.mark.parametrize("seed", range(40))
def test_memory_holds_what_it_held_and_loads_give_what_is_there(seed):
    """Against the oracle, with bases that are equal, overlap, and lie apart."""
    body = accesses(random.Random(seed))
    text = f"""(module (memory (export "m") 1)
      (func (export "f") (param i32 i32) (result i64) (local i64)
        (local.set 2 (i64.const 0x1234_5678_9abc_def1)) {body} (local.get 2)))"""
    found = []
    for tier in ("jit0", "oracle"):
        engine = Engine(Config(tier=tier))
        with Store(engine) as store:
            exports = Linker(engine).instantiate(store, Module(text, engine=engine)).exports
            found.append([exports["f"](64, other) for other in (64, 65, 68, 72, 80, 128)])
            found[-1].append(bytes(exports["m"].read(0, 256)))
    assert found[0] == found[1]
