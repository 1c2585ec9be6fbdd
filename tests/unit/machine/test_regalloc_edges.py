"""Claims about what an allocator does when it is asked for something odd, and about the switches that tests use."""

from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from stratavm.machine import mfunc
from stratavm.machine.regalloc import allocator as module
from stratavm.machine.regalloc.allocator import Allocator, allocate_function, register_mask
from stratavm.machine.regalloc.checker import AllocationError, check
from stratavm.machine.target import mask
from stratavm.targets.x64.target import X64
from tests.unit.machine.mgen import Machine, generate

ALL, FEW = X64.allocatable, mask(X64.starved)
parse = partial(mfunc.parse, target=X64)


def run(text, kind="linear", registers=ALL):
    """Allocate a text, prove and execute it; returns the result and how often another allocator took over."""
    a = Allocator(X64, kind, registers)
    done = a.on(parse(text))
    check(done, registers)
    Machine(done, 1).run()
    return done, a.simpler + a.fallbacks


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**40), st.integers(1, 200), st.sampled_from([ALL, FEW]), st.sampled_from(["linear", "naive"]))
def test_any_generated_function_is_allocated_rightly(seed, size, registers, kind):
    """As in test_regalloc, with seeds that shrink."""
    done = allocate_function(generate(X64, seed, size), kind, registers)
    check(done, registers)
    Machine(done, seed).run()


def test_a_value_used_once_stays_in_its_register():
    """Nothing is stored, loaded or moved where a chain fits registers."""
    done, _ = run("""
        vregs g8 g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 =rax
          1100.8 [] def v1 same1, use v0 reg
          1100.8 [] def v2 same1, use v1 reg
          1027.8 [term exit] use v2 =rax
    """)
    assert done.moves == []
    assert done.slots == 0


def test_a_spilled_value_survives_a_call():
    """A value live across a call is stored once, and read from its own slot behind."""
    done, _ = run("""
        vregs g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 =rax
          1100.8 [call] use v0 =rax, def v1 =rax
          1100.8 [call] use v0 =rcx
          1027.8 [term exit] use v0 =rax
    """)
    stores = [m for m in done.moves if m[2] & mfunc.LOC_SLOT]
    assert len(stores) == 1
    assert len(done.moves) == 3


def test_a_loaded_value_is_not_loaded_again_on_either_way():
    """The copy that a branch's both ways bring along is used where they meet."""
    done, _ = run("""
        vregs g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1100.8 [call]
          1100.8 [] use v0 reg
          1026.8 [term]
          edge 1 ()
          edge 2 ()
        block 1 depth 0 flags 0 ()
          1100.8 [] use v0 reg
          1025.8 [term]
          edge 3 ()
        block 2 depth 0 flags 0 ()
          1025.8 [term]
          edge 3 ()
        block 3 depth 0 flags 0 ()
          1100.8 [] use v0 reg
          1027.8 [term exit]
    """)
    assert len([m for m in done.moves if m[1] & mfunc.LOC_SLOT]) == 1


@pytest.mark.parametrize("kind", ["linear", "splitting"])
def test_a_commutative_operation_reuses_the_input_that_ends(kind):
    """v0 lives on, v1 does not: the sum is made in v1's register, without a move."""
    done, given_up = run(
        """
        vregs g8 g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1100.8 [] def v1 reg
          1100.8 [] def v2 same1~, use v0 reg, use v1 any
          1100.8 [] use v0 reg, use v2 reg
          1027.8 [term exit]
    """,
        kind,
    )
    assert (done.moves, given_up) == ([], 0)


def test_when_registers_run_out_the_value_used_least_goes():
    """In a loop with more values than registers, those from outside that the loop does not use are in slots."""
    names = [f"v{n}" for n in range(8)]
    lines = ["vregs " + "g8 " * 9, "block 0 depth 0 flags 0 ()"]
    lines += [f"1100.8 [] def {v} reg" for v in names]
    lines += ["1025.8 [term]", "edge 1 ()", "block 1 depth 1 flags 0 ()"]
    lines += [f"1100.8 [] use {v} reg" for v in names[:3]] * 4
    lines += ["1026.8 [term]", "edge 2 ()", "edge 3 ()", "block 2 depth 1 flags 0 ()", "1025.8 [term]", "edge 1 ()"]
    lines += ["block 3 depth 0 flags 0 ()", *(f"1100.8 [] use {v} any" for v in names), "1027.8 [term exit]"]
    done, _ = run("\n".join(lines), registers=FEW)
    inside = done.blocks[1]
    loads = [m for m in done.moves if inside.first <= m[0] < inside.first + len(inside.insts)]
    assert loads == []


def test_an_order_that_does_not_follow_dominance_is_left_to_the_naive_allocator():
    """The use stands before the definition; both allocators still do it right."""
    text = """
        vregs g8
        block 0 depth 0 flags 0 ()
          1025.8 [term]
          edge 2 ()
        block 1 depth 0 flags 0 ()
          1100.8 [] use v0 reg
          1027.8 [term exit]
        block 2 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1025.8 [term]
          edge 1 ()
    """
    _, fallbacks = run(text)
    assert fallbacks == 1


def test_a_terminator_with_operands_and_arguments_is_left_to_the_naive_allocator():
    """One parallel move brings both."""
    text = """
        vregs g8 g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 reg
          1100.8 [] def v1 reg
          1025.8 [term] use v0 reg
          edge 1 (v1)
        block 1 depth 0 flags 0 (v2)
          1027.8 [term exit] use v2 =rax
    """
    _, fallbacks = run(text)
    assert fallbacks == 1


@pytest.mark.parametrize("kind", ["linear", "naive"])
@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("vregs g8 g8 g8 g8 g8\nblock 0 depth 0 flags 0 ()\n1100.8 [] " + ", ".join(f"temp v{n} reg" for n in range(5))
         + "\n1027.8 [term exit]", "more operands than registers"),
        ("vregs g8\nblock 0 depth 0 flags 0 ()\n1027.8 [term exit] use v7 reg", "no virtual register"),
        ("vregs g8\nblock 0 depth 0 flags 0 ()\n1027.8 [term exit] use - reg", "without a value"),
        ("vregs g8 g8\nblock 0 depth 0 flags 0 ()\n1100.8 [] def v0 same3, use v1 reg\n1027.8 [term exit]", "not tied"),
        ("vregs g8\nblock 0 depth 0 flags 0 ()\n1027.8 [term exit] def v0 reg", "terminator defines"),
        ("vregs g8\nblock 0 depth 0 flags 0 ()\n1025.8 [term]\nedge 0 (v0)", "malformed edge"),
        ("vregs g8\nblock 0 depth 0 flags 0 ()\n1025.8 [term]\nedge 9 ()", "malformed edge"),
    ],
)  # fmt: skip
def test_what_no_allocation_can_give_is_refused(kind, text, reason):
    """A mistake of selection is an error that names the instruction, never code."""
    with pytest.raises(AssertionError, match=reason):
        allocate_function(parse(text), kind, FEW)


def test_an_allocator_is_usable_after_an_error():
    """Nothing of the function that failed is left in the work arrays."""
    a = Allocator(X64, "naive", FEW)
    bad = parse("vregs g8 g8\nblock 0 depth 0 flags 0 ()\n1100.8 [] def v0 reg\n1027.8 [term exit] use v7 reg")
    good = generate(X64, 3, 60)
    with pytest.raises(AssertionError):
        a.on(bad)
    assert str(a.on(good)) == str(allocate_function(good, "naive", FEW))


def test_the_environment_starves_and_checks(monkeypatch):
    """STRATA_REGS=4 leaves 4 + 3 registers; STRATA_CHECK=2 runs the checker on every result; junk is refused."""
    monkeypatch.setenv("STRATA_REGS", "4")
    monkeypatch.setenv("STRATA_CHECK", "2")
    a = Allocator(X64)
    assert a.registers == FEW
    assert a.checked
    a.on(generate(X64, 1))
    monkeypatch.setenv("STRATA_REGS", "")
    monkeypatch.setenv("STRATA_CHECK", "1")
    assert register_mask(X64) == ALL
    assert not Allocator(X64).checked
    monkeypatch.setenv("STRATA_REGS", "5")
    with pytest.raises(ValueError, match="STRATA_REGS"):
        register_mask(X64)
    with pytest.raises(ValueError, match="allocator"):
        Allocator(X64, "graph")


def test_the_checker_runs_where_it_is_asked_to(monkeypatch):
    """A function that reads an undefined value passes the naive allocator, and not the checker."""
    undefined = parse("vregs g8\nblock 0 depth 0 flags 0 ()\n1027.8 [term exit] use v0 =rax")
    monkeypatch.setenv("STRATA_CHECK", "0")
    Allocator(X64, "naive", ALL).on(undefined)
    monkeypatch.setenv("STRATA_CHECK", "2")
    with pytest.raises(AllocationError, match="not defined"):
        Allocator(X64, "naive", ALL).on(undefined)


def add_temp(f):
    """A scratch operand where an input is."""
    operands = f.blocks[0].insts[3].operands
    operands.append(mfunc.Operand(1, mfunc.TEMP, mfunc.REG, 0, operands[0].loc))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda f: setattr(f.blocks[0].insts[1].operands[0], "loc", 3), "tied"),
        (lambda f: setattr(f.blocks[0].insts[1].operands[0], "loc", 17), "class"),
        (lambda f: setattr(f.blocks[0].insts[0].operands[0], "loc", 1), "fixed register"),
        (lambda f: setattr(f.blocks[0].insts[2].operands[0], "loc", mfunc.NO_LOC), "no place"),
        (lambda f: setattr(f.blocks[0].insts[3].operands[0], "loc", mfunc.LOC_SLOT), "must be in a register"),
        (lambda f: setattr(f.blocks[0].insts[2].operands[0], "loc", mfunc.LOC_SLOT + 99), "outside the frame"),
        (lambda f: setattr(f.blocks[0].insts[3].operands[0], "loc", 11), "not allocatable"),
        (lambda f: f.moves.append((2, 11, 12, 1)), "not sorted"),
        (lambda f: f.moves.append((9, mfunc.LOC_SLOT, mfunc.LOC_SLOT + 1, 1)), None),
        (add_temp, "share"),
    ],
)
def test_the_checker_names_what_is_wrong(change, reason):
    """Each rule of the checker refuses its violation."""
    f = allocate_function(parse("""
        vregs g8 g8 g8
        block 0 depth 0 flags 0 ()
          1100.8 [] def v0 =rax
          1100.8 [] def v1 same1, use v0 reg
          1100.8 [call] use v1 any
          1100.8 [] use v1 reg
          1100.8 [] def v2 reg
          1027.8 [term exit] use v1 =rax, use v2 =rcx
    """), "linear", ALL)  # fmt: skip
    check(f, ALL)
    change(f)
    if reason is None:
        f.moves[-1] = (5, *f.moves[-1][1:])
        reason = "no such instruction"
    with pytest.raises(AllocationError, match=reason):
        check(f, ALL)


def test_kinds_are_named():
    """Configuration and command line offer exactly these."""
    assert set(module.KINDS) == {"linear", "splitting", "naive"}
