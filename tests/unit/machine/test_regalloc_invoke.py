"""Claims about calls that may end with an exception: what is read there was in its slot when the call was made."""

from functools import partial

import pytest

from stratavm.machine import mfunc
from stratavm.machine.regalloc.allocator import Allocator
from stratavm.machine.regalloc.checker import AllocationError, check
from stratavm.machine.target import mask
from stratavm.targets.x64.target import X64
from tests.unit.machine.mgen import Machine, generate

ALL, FEW = X64.allocatable, mask(X64.starved)
KINDS = ("naive", "linear", "splitting")
parse = partial(mfunc.parse, target=X64)

LANDS = """
    vregs g8 g8 g8
    block 0 depth 0 flags 0 ()
      1100.8 [] def v0 =rax
      1100.8 [call] use v0 =rax, def v1 =rax
      1101.8 [term invoke]
      edge 1 ()
      edge 2 ()
    block 1 depth 0 flags 0 ()
      1027.8 [term exit] use v1 =rax
    block 2 depth 0 flags 8 ()
      1100.8 [effect]
      1027.8 [term exit] use v0 =rax
"""


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("registers", [ALL, FEW], ids=["all", "few"])
def test_generated_functions_with_landings_are_allocated_rightly(kind, registers):
    """Proved by the checker, and run on random ways; the splitting scan leaves none of them to the simpler one."""
    a = Allocator(X64, kind, registers)
    for seed in range(60):
        done = a.on(generate(X64, seed, 60, throws="yes" if kind == "splitting" else "busily"))
        check(done, registers)
        for way in range(4):
            Machine(done, way).run()
    assert a.fallbacks + a.simpler == 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_result_stays_in_its_register_where_its_call_returns(kind):
    """What lands reads a slot; the way that does not throw has nothing more than the store before the call."""
    done = Allocator(X64, kind).on(parse(LANDS))
    check(done, ALL)
    if kind != "naive":
        [[at, src, dst, _], [late, *_]] = done.moves
        assert (at, src, dst & mfunc.LOC_SLOT, late) == (1, 0, mfunc.LOC_SLOT, 5)


@pytest.mark.parametrize(
    "text",
    [
        LANDS.replace("use v0 =rax\n", "use v1 =rax\n").replace("use v0 =rax, def", "def"),
        LANDS.replace("      edge 2 ()\n", ""),
        LANDS.replace("[call]", "[]"),
    ],
    ids=["a result is read where there is none", "one way only", "no call"],
)
def test_the_checker_refuses_what_lands_wrongly(text):
    """Whatever an allocator makes of it."""
    with pytest.raises(AllocationError):
        check(Allocator(X64, "naive").on(parse(text)), ALL)


def test_the_checker_knows_that_registers_are_lost_where_a_call_lands():
    """Though the same register is right where it returns."""
    f = Allocator(X64, "linear").on(parse(LANDS))
    rax = f.blocks[0].insts[0].operands[0].loc
    f.moves = [m if m[0] < 4 else (m[0], rax, rax, m[3]) for m in f.moves]
    with pytest.raises(AllocationError, match="holds"):
        check(f, ALL)


def test_the_checker_knows_that_what_is_moved_behind_a_call_was_not_where_it_lands():
    """The store of a value that is alive there must stand before the call."""
    f = Allocator(X64, "linear").on(parse(LANDS))
    f.moves = [(2, *m[1:]) if m[0] == 1 else m for m in f.moves]
    with pytest.raises(AllocationError, match="holds"):
        check(f, ALL)
