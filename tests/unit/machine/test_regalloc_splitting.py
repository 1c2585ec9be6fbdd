"""Claims about the allocator of level 1: where it splits, stores and loads values, and what it leaves to level 0."""

from functools import partial
from pathlib import Path

import pytest

from stratavm.ir.pipeline import LEVELS
from stratavm.machine import mfunc
from stratavm.machine.mfunc import LOC_SLOT
from stratavm.machine.regalloc.allocator import Allocator
from stratavm.machine.regalloc.checker import check
from stratavm.machine.target import mask
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.targets.x64.target import X64
from tests.unit.machine.mgen import Machine, generate

ALL, FEW = X64.allocatable, mask(X64.starved)
parse = partial(mfunc.parse, target=X64)
KERNELS = sorted((Path(__file__).parents[2] / "bench/kernels").glob("*.wat"))


def run(text, registers=ALL):
    """Allocate a text, prove and execute it; the result, which level 0's allocator had no part in."""
    a = Allocator(X64, "splitting", registers)
    done = a.on(parse(text))
    check(done, registers)
    for seed in range(6):
        Machine(done, seed).run()
    assert (a.simpler, a.fallbacks) == (0, 0)
    return done


def moves_in(f, *blocks):
    """Moves before the instructions of some blocks."""
    spans = [(f.blocks[b].first, f.blocks[b].first + len(f.blocks[b].insts)) for b in blocks]
    return [m for m in f.moves if any(first <= m[0] < stop for first, stop in spans)]


def loads(moves):
    """Those that read a slot."""
    return [m for m in moves if m[1] & LOC_SLOT]


def stores(moves):
    """Those that write a slot."""
    return [m for m in moves if m[2] & LOC_SLOT]


@pytest.mark.parametrize("registers", [ALL, FEW], ids=["all", "starved"])
def test_it_does_every_generated_function_itself(registers):
    """No shape of operand makes it give up, also with few registers."""
    a = Allocator(X64, "splitting", registers)
    for seed in range(250):
        a.on(generate(X64, seed, size=10 + seed % 120))
        assert (a.simpler, a.fallbacks) == (0, 0), f"seed {seed}"


def test_a_value_is_in_a_register_up_to_a_call_and_loaded_once_behind():
    """One store and one load for three uses behind the call."""
    done = run("""
        vregs g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1100.8 [] use v0 reg
          1100.8 [call] def v1 =rax
          1100.8 [] use v0 reg, use v1 reg
          1100.8 [] use v0 reg
          1100.8 [] use v0 any
          1027.8 [term exit]
    """)
    assert len(stores(done.moves)) == len(loads(done.moves)) == 1
    assert all(o.loc < 32 for i in done.blocks[0].insts for o in i.operands)


RARE_CALL = """
    vregs g8 g8 g8
    block 0 depth 0 flags 0 ()
      1100.8 [] def v0 reg
      1100.8 [] def v1 reg
      1025.8 [term]
      edge 1 (v1)
    block 1 depth 1 flags 1 (v2)
      1100.8 [] use v0 reg, use v2 reg
      1026.8 [term]
      edge 2 ()
      edge 3 ()
    block 2 depth 1 flags 0 ()
      1100.8 [call]
      1025.8 [term]
      edge 4 ()
    block 3 depth 1 flags 0 ()
      1025.8 [term]
      edge 4 ()
    block 4 depth 1 flags 0 ()
      1100.8 [] use v0 reg, use v2 reg
      1026.8 [term]
      edge 5 ()
      edge 6 ()
    block 5 depth 1 flags 0 ()
      1025.8 [term]
      edge 1 (v2)
    block 6 depth 0 flags 0 ()
      1027.8 [term exit] use v0 =rax
"""


def test_a_call_that_is_seldom_made_pays_for_itself():
    """In a loop, only the block with the call loads; the way around it touches no slot."""
    done = run(RARE_CALL)
    assert len(loads(moves_in(done, 2))) == 2
    assert moves_in(done, 1, 3, 4, 5) == []


def test_a_value_whose_stores_would_be_in_a_loop_is_stored_at_its_definition():
    """v0 comes from outside the loop: one store there, none where the call is."""
    done = run(RARE_CALL)
    v0 = [m for m in stores(done.moves) if m[3] == 0]
    assert len(v0) == 1
    assert v0 == stores(m for m in moves_in(done, 0) if m[3] == 0)


@pytest.mark.parametrize("steps", [1, 2])
def test_what_a_loop_carries_on_is_made_where_it_was(steps):
    """Both inputs of the sum die there: the one that is made of the loop's value takes the result, so that no round has
    a move."""
    made = "\n".join(f"1100.8 [] def v{4 + k} reg, use v{3 + k} any" for k in range(steps))
    done = run(f"""
        vregs {"g8 " * (5 + steps)}
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1100.8 [] def v1 reg
          1025.8 [term]
          edge 1 (v1)
        block 1 depth 1 flags 1 (v3)
          1100.8 [] def v2 reg, use v0 any
          {made}
          1100.8 [] def v{4 + steps} same1~, use v2 reg, use v{3 + steps} any
          1026.8 [term]
          edge 2 ()
          edge 3 ()
        block 2 depth 1 flags 0 ()
          1025.8 [term]
          edge 1 (v{4 + steps})
        block 3 depth 0 flags 0 ()
          1027.8 [term exit] use v{4 + steps} =rax
    """)
    assert moves_in(done, 1, 2) == []


def loop_with(body, values, registers, used=()):
    """A loop over ``body``; ``values`` are defined before it and used behind it."""
    lines = ["vregs " + "g8 " * (values + 1), "block 0 depth 0 flags 0 ()"]
    lines += [f"1100.8 [] def v{v} reg" for v in range(values)]
    lines += [
        "1025.8 [term]",
        "edge 1 ()",
        "block 1 depth 1 flags 1 ()",
        *body,
        "1026.8 [term]",
        "edge 2 ()",
        "edge 3 ()",
    ]
    lines += ["block 2 depth 1 flags 0 ()", "1025.8 [term]", "edge 1 ()", "block 3 depth 0 flags 0 ()"]
    lines += [f"1100.8 [] use v{v} reg" for v in (*used, *range(values))]
    return run("\n".join([*lines, "1027.8 [term exit]"]), registers)


def test_a_value_that_a_loop_with_a_call_does_not_use_goes_to_its_slot_before_it():
    """And comes back behind it."""
    done = loop_with(["1100.8 [call]"], 3, ALL)
    assert moves_in(done, 1, 2) == []
    assert len(loads(moves_in(done, 3))) == 3


def test_where_registers_run_out_the_loop_keeps_what_it_uses():
    """Six values, four registers: the loop's three stay, the others are in slots before it begins."""
    done = loop_with([f"1100.8 [] use v{v} reg" for v in (0, 1, 2)] * 3, 6, FEW)
    assert moves_in(done, 1, 2) == []


def test_a_counted_loop_needs_no_moves():
    """The parameter, the result tied to it, and the argument share a register."""
    done = run("""
        vregs g8 g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1025.8 [term]
          edge 1 (v0)
        block 1 depth 1 flags 1 (v1)
          1100.8 [] def v2 same1, use v1 reg
          1026.8 [term]
          edge 2 ()
          edge 3 ()
        block 2 depth 1 flags 0 ()
          1025.8 [term]
          edge 1 (v2)
        block 3 depth 0 flags 0 ()
          1027.8 [term exit] use v2 any
    """)
    assert done.moves == []
    assert done.slots == 0


def test_a_register_is_used_in_the_hole_of_another_value():
    """v0 is not alive on the first way: with all registers full on both, nothing needs a slot."""
    first = "\n".join(f"1100.8 [] def v{v} reg" for v in (4, 5, 6, 7))
    done = run(
        f"""
        vregs g8 g8 g8 g8 g8 g8 g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1100.8 [] def v1 reg
          1100.8 [] def v2 reg
          1100.8 [] def v3 reg
          1026.8 [term]
          edge 1 ()
          edge 2 ()
        block 1 depth 0 flags 0 ()
          {first}
          1100.8 [] use v4 reg, use v5 reg, use v6 reg, use v7 reg
          1027.8 [term exit]
        block 2 depth 0 flags 0 ()
          1100.8 [] use v0 reg, use v1 reg, use v2 reg, use v3 reg
          1027.8 [term exit]
        """,
        FEW,
    )
    assert done.moves == []
    assert done.slots == 0


def test_values_of_disjoint_lives_share_a_slot():
    """Each is alive across one call."""
    body = "\n".join(f"1100.8 [] def v{v} reg\n1100.8 [call]\n1100.8 [] use v{v} reg" for v in range(5))
    done = run("vregs " + "g8 " * 5 + f"\nblock 0 depth 0 flags 0 ()\n{body}\n1027.8 [term exit]")
    assert done.slots == 2  # one, and frames have an even number


def test_a_value_read_late_is_not_cut_between_reading_and_writing():
    """The result takes rax when the instruction writes; v0, read to the end, has to be elsewhere from its beginning."""
    done = run("""
        vregs g8 g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 =rax
          1100.8 [] def v1 =rax, late v0 reg
          1100.8 [] def v2 =rax, use v1 reg, late v0 reg
          1027.8 [term exit] use v0 =rax, use v2 =rcx
    """)
    assert len(done.moves) >= 2


def test_an_edge_from_a_branch_to_a_join_is_left_to_level_0():
    """Nothing could be moved on it. Selection makes no such edge for this allocator."""
    a = Allocator(X64, "splitting", ALL)
    done = a.on(parse("""
        vregs g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1026.8 [term]
          edge 1 ()
          edge 2 ()
        block 1 depth 0 flags 0 ()
          1025.8 [term]
          edge 2 ()
        block 2 depth 0 flags 0 ()
          1100.8 [] use v0 reg
          1027.8 [term exit]
    """))  # fmt: skip
    check(done, ALL)
    assert (a.simpler, a.fallbacks) == (1, 0)


def test_too_much_liveness_is_left_to_level_0():
    """The sets over blocks and values are bounded, and so is the work on them."""
    n = 9000
    lines = ["vregs " + "g8 " * n, "block 0 depth 0 flags 0 ()", *(f"1100.8 [] def v{v} reg" for v in range(n))]
    lines += ["1025.8 [term]", "edge 1 ()"]
    for v in range(n):
        lines += [f"block {v + 1} depth 0 flags 0 ()", f"1100.8 [] use v{v} any"]
        lines += ["1025.8 [term]", f"edge {v + 2} ()"]
    lines += [f"block {n + 1} depth 0 flags 0 ()", "1027.8 [term exit]"]
    a = Allocator(X64, "splitting", ALL)
    a.on(parse("\n".join(lines)))
    assert (a.simpler, a.fallbacks) == (1, 0)


@pytest.mark.parametrize("path", KERNELS, ids=lambda p: p.stem)
def test_selection_gives_it_nothing_that_it_refuses(path):
    """Every function of the kernels; the edges from branches to joins have blocks."""
    valid = validate(parse_module(path.read_text()))
    options = Options(allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1])
    compiler = wasm_compiler(valid, options)
    with compiler.worker() as worker:
        for index in range(len(valid.bodies)):
            worker.compile(compiler.front, index)
        assert worker.retreats == (0, 0)


def test_an_operation_on_one_value_twice_reads_one_register():
    """v0 + v0, its last use, needs no copy; v1 lives on, and is copied once."""
    done = run("""
        vregs g8 g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1100.8 [] def v1 same1~, use v0 reg, use v0 any
          1100.8 [] def v2 same1~, use v1 reg, use v1 reg
          1027.8 [term exit] use v1 any, use v2 any
    """)
    assert len(done.moves) == 1
