"""Claims about values that level 1's allocator computes again instead of storing them."""

import copy
import re

import pytest

from stratavm.engine import Config, Engine
from stratavm.engine.load import load
from stratavm.engine.store import Store
from stratavm.machine import mfunc
from stratavm.machine.mfunc import LOC_REMAT, LOC_SLOT
from stratavm.machine.regalloc.checker import AllocationError, check
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, disassemble, wasm_compiler
from stratavm.native.worker import Worker
from tests.unit.machine.test_regalloc_splitting import ALL, FEW, moves_in, run, stores

PASSES = ("remat", "pointers")


def again(moves):
    """Moves that compute a value."""
    return [m for m in moves if m[1] & LOC_REMAT and not m[1] & LOC_SLOT]


def test_a_number_is_computed_again_behind_a_call():
    """Before and behind the call by an instruction of its own; no slot is used."""
    done = run("""
        vregs g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [remat] def v0 reg
          1100.8 [] use v0 reg
          1100.8 [call] def v1 =rax
          1100.8 [] use v0 reg, use v1 reg
          1027.8 [term exit]
    """)
    assert done.slots == 0
    assert [m[:2] for m in done.moves] == [(3, LOC_REMAT)]
    assert done.blocks[0].insts[0].operands[0].loc < 32, "its first use is near: it is computed where it stands"


def test_what_is_used_later_is_not_computed_at_its_definition():
    """The definition is left out; the loop that uses the value finds it in a register, computed on the way in."""
    done = run("""
        vregs g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [remat] def v0 reg
          1100.8 [call]
          1025.8 [term]
          edge 1 ()
        block 1 depth 1 flags 1 ()
          1100.8 [] use v0 reg
          1026.8 [term]
          edge 2 ()
          edge 3 ()
        block 2 depth 1 flags 0 ()
          1025.8 [term]
          edge 1 ()
        block 3 depth 0 flags 0 ()
          1027.8 [term exit]
    """)
    assert done.blocks[0].insts[0].operands[0].loc == LOC_REMAT
    assert len(again(moves_in(done, 0))) == 1
    assert moves_in(done, 1, 2, 3) == []


def test_a_value_with_a_home_is_read_there_by_its_only_user():
    """An operand that may be in memory reads what the load would read: neither a load nor a register is left."""
    done = run("""
        vregs g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1100.8 [remat home] def v1 reg, use - =r14
          1100.8 [] use v0 reg, use v1 any
          1027.8 [term exit]
    """)
    assert done.moves == []
    assert [o.loc for o in done.blocks[0].insts[2].operands][1] == LOC_REMAT + 1
    assert done.blocks[0].insts[1].operands[0].loc == LOC_REMAT + 1


def test_fixed_operands_and_arguments_are_computed_in_place():
    """A number goes to its fixed register, to the result it is tied to, and to a parameter, by one move each."""
    done = run("""
        vregs g8 g8 g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [remat] def v0 reg
          1100.8 [call] use v0 =rdi
          1100.8 [] def v1 same1, use v0 reg
          1100.8 [] use v1 reg
          1025.8 [term]
          edge 1 (v0)
        block 1 depth 0 flags 0 (v2)
          1100.8 [] use v2 reg
          1027.8 [term exit]
    """)
    assert [m[:2] for m in done.moves] == [(1, LOC_REMAT), (2, LOC_REMAT), (4, LOC_REMAT)]
    assert done.blocks[0].insts[0].operands[0].loc == LOC_REMAT


def test_a_value_that_must_be_in_its_slot_is_stored_as_others_are():
    """A slot operand takes the right to be computed again from its value."""
    done = run("""
        vregs g8
        block 0 depth 0 flags 0 ()
          1100.8 [remat] def v0 reg
          1100.8 [call] use v0 =rdi
          1100.8 [] use v0 slot
          1027.8 [term exit]
    """)
    assert len(stores(done.moves)) == 1 and not again(done.moves)


# ---- the checker -------------------------------------------------------------------------------

TWO = """
    vregs g8 g8 g8
    block 0 depth 0 flags 0 ()
      1100.8 [remat] def v0 reg
      1100.8 [remat home] def v1 reg, use - =r14
      1100.8 [call] def v2 =rax
      1100.8 [] use v0 reg, use v1 reg, use v2 any
      1027.8 [term exit]
"""


def reads_a_value(f):
    """A repeatable instruction that depends on another value."""
    f.blocks[0].insts[1].operands[1] = copy.copy(f.blocks[0].insts[3].operands[0])


def swap_sources(f):
    """Each move computes the other value."""
    f.moves = [(at, src ^ 1 if src & LOC_REMAT else src, dst, v) for at, src, dst, v in f.moves]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (swap_sources, "holds v"),
        (lambda f: f.moves.__setitem__(0, (3, LOC_REMAT + 2, *f.moves[0][2:])), "holds nothing known"),
        (lambda f: f.moves.__setitem__(0, (*f.moves[0][:2], LOC_REMAT, f.moves[0][3])), "no such instruction"),
        (lambda f: setattr(f.blocks[0].insts[3].operands[0], "loc", LOC_REMAT), "must be in a register"),
        (lambda f: setattr(f.blocks[0].insts[3].operands[2], "loc", LOC_REMAT + 1), "holds v1"),
        (lambda f: setattr(f.blocks[0].insts[3].operands[2], "loc", LOC_REMAT), "must be in a register"),
        (lambda f: setattr(f.blocks[0].insts[3].operands[2], "loc", LOC_REMAT + 4), "no instruction"),
        (lambda f: setattr(f.blocks[0].insts[0].operands[0], "loc", LOC_REMAT + 1), "not its own"),
        (lambda f: setattr(f.blocks[0].insts[0], "flags", mfunc.REMAT | mfunc.FLAGS["effect"]), "cannot be computed"),
        (lambda f: setattr(f.blocks[0].insts[1].operands[1], "reg", 3), "may change"),
        (reads_a_value, "may change"),
    ],
)
def test_the_checker_refuses_what_would_compute_something_else(spoil, message):
    """A wrong source, a wrong place, and an instruction that may not be repeated."""
    done = run(TWO)
    assert len(again(done.moves)) == 2
    spoil(done)
    with pytest.raises(AllocationError, match=message):
        check(done, ALL)


def test_a_value_is_not_computed_before_its_definition():
    """The place of what can be computed is filled by the definition, so a use on a way around it is refused."""
    done = run(TWO)
    done.moves.insert(0, (0, LOC_REMAT, 1, 0))
    done.blocks[0].insts[0].operands[0].loc = LOC_REMAT
    insts = done.blocks[0].insts
    insts[0], insts[3] = insts[3], insts[0]
    with pytest.raises(AllocationError):
        check(done, ALL)


def test_a_scratch_register_does_not_survive_a_value_computed_into_a_slot():
    """The emitter may pass through one, so nothing can wait there meanwhile."""
    done = run("""
        vregs g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1100.8 [remat] def v1 reg
          1100.8 [] use v0 reg, use v1 reg
          1027.8 [term exit]
    """)
    here, done.slots = done.blocks[0].insts[0].operands[0].loc, 2
    done.moves = [(2, here, 11, 0), (2, 11, here, 0)]
    check(done, ALL)
    done.moves.insert(1, (2, LOC_REMAT + 1, LOC_SLOT, 1))
    with pytest.raises(AllocationError, match="holds nothing known"):
        check(done, ALL)


# ---- machine code ------------------------------------------------------------------------------

SUM = """(module (memory 1) (func (export "f") (param $n i32) (result i32) (local $i i32) (local $s i32)
  (loop $next
    (i32.store (local.get $i) (i32.add (local.get $s) (local.get $i)))
    (local.set $s (i32.xor (i32.load (local.get $i)) (i32.const 0x5A5A5A5A)))
    (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n))))
  (local.get $s)))"""


def assembly(text, machine, registers=None):
    """The first function of a module."""
    valid = validate(parse_module(text))
    compiler = wasm_compiler(valid, Options(allocator="splitting", machine=machine))
    worker = Worker(compiler.plan, "splitting", registers, machine=machine)
    return disassemble(worker.compile(compiler.front, 0), 0, valid.module.body_start)


def test_the_base_of_a_memory_is_loaded_once_for_a_loop():
    """Two accesses on each round go by a register; without the pass, each loop loads the pointer."""
    with_pass, without = assembly(SUM, PASSES), assembly(SUM, ("remat",))
    start = with_pass.index("cmp rsp", with_pass.index("cmp rsp") + 1)  # the poll of the loop
    assert with_pass.count("[r14 + 0x28]") == 1 and with_pass.index("[r14 + 0x28]") < start
    assert "r11, qword ptr [r14 + 0x28]" in without


NEEDY = """(module (memory 1) (func (export "f") (param $n i32) (result i32) (local $i i32)
  (local $a i32) (local $b i32)
  (loop $next
    (local.set $a (i32.add (local.get $a) (i32.load (local.get $i))))
    (local.set $b (i32.sub (i32.xor (local.get $a) (local.get $i)) (local.get $b)))
    (i32.store (local.get $b) (local.get $a))
    (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 4))) (local.get $n))))
  (i32.add (local.get $a) (local.get $b))))"""


def test_without_a_register_an_access_loads_the_base_itself():
    """Four values that each round needs, and four registers: one access has to do without, and nothing is stored. The
    register that no value is in has the base then, loaded before the loop and behind its poll."""
    few = assembly(NEEDY, PASSES, FEW)
    assert few.count("r11, qword ptr [r14 + 0x28]") == 2
    assert few.count("mov qword ptr [rbp - ") == 1, "the parameter, which is no pointer"


@pytest.mark.parametrize("value", [0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 1 << 40, (1 << 64) - 1])
@pytest.mark.parametrize("t", ["i32", "i64", "f32", "f64"])
def test_numbers_in_slots_and_registers_are_whole(t, value):
    """A block parameter that lives in its slot gets a number of each size and kind; so does one in a register."""
    bits = int(t[1:])
    value &= (1 << bits) - 1
    number, result = f"(i{bits}.const {value})", "(select (local.get $v) (local.get $w) (local.get $first))"
    if t[0] == "f":
        number, result = f"({t}.reinterpret_i{bits} {number})", f"(i{bits}.reinterpret_{t} {result})"
    text = f"""(module (func $g (param i32) (result i32) (local.get 0))
      (func (export "f") (param $n i32) (param $first i32) (result i{bits}) (local $v {t}) (local $w {t})
        (local.set $v {number})
        (if (i32.eqz (local.get $n)) (then (local.set $v ({t}.const 3)) (local.set $w {number})))
        (loop $next
          (drop (call $g (local.get $n)))
          (br_if $next (i32.gt_s (local.tee $n (i32.sub (local.get $n) (i32.const 1))) (i32.const 0))))
        {result}))"""
    for machine in ((), PASSES, (*PASSES, "zero")):
        config = Config(tier="jit1", strict=True, passes=("fold",), machine_passes=machine)
        f = load(text, store=Store(Engine(config))).exports["f"]
        assert f(5, 1) & (1 << bits) - 1 == f(0, 0) & (1 << bits) - 1 == value
        assert f(5, 0) == 0


def test_a_zero_computed_between_flags_and_their_reader_leaves_the_flags():
    """What a select takes otherwise is zeroed behind its comparison: by mov there, by xor elsewhere."""
    text = """(module (func (export "f") (param i32 i32) (result i32) (local $v i32)
      (block $out
        (loop $next
          (local.set $v (select (local.get 1) (i32.const 0) (i32.lt_s (local.get 0) (local.get 1))))
          (br_if $out (i32.lt_s (local.get 0) (local.get 1)))
          (br_if $next (i32.gt_s (local.tee 0 (i32.sub (local.get 0) (i32.const 3))) (i32.const 0)))))
      (i32.add (local.get $v) (local.get 0))))"""
    assert re.search(r"cmp .*\n.* mov \w+, 0\n", assembly(text, ("zero", *PASSES)))
    engines = [Engine(Config(tier="jit1", machine_passes=m)) for m in ((), MACHINE_LEVELS[1], ("zero", *PASSES))]
    functions = [load(text, store=Store(e)).exports["f"] for e in engines]
    for a in (-5, 0, 3, 4, 100):
        for b in (-5, 0, 3, 50):
            assert len({f(a, b) for f in functions}) == 1, (a, b)
