"""Claims about a target that is no processor: what the machine makes of a function runs there and does what it says."""

import random
from dataclasses import replace

import pytest

from stratavm.machine.mfunc import parse
from stratavm.machine.minst import build, snapshot
from stratavm.machine.regalloc.allocator import KINDS, Allocator
from stratavm.machine.regalloc.checker import AllocationError, check
from stratavm.machine.schedule import Scheduler
from stratavm.machine.target import MAX_REGISTERS, mask
from tests.unit.machine.mgen import generate
from tests.unit.machine.null import NULL, Processor, encode, evaluate


def numbered(f):
    """Instructions that know which one they are, wherever the scheduler puts them."""
    for number, inst in enumerate(inst for block in f.blocks for inst in block.insts):
        inst.imm = number
    return f


@pytest.mark.parametrize("scheduled", [False, True], ids=["plain", "scheduled"])
@pytest.mark.parametrize("registers", [NULL.allocatable, mask(NULL.starved)], ids=["all", "starved"])
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_functions_run_on_it(kind, registers, scheduled):
    """Scheduled, allocated, proved, encoded and run: what effects read is what the unallocated function says."""
    scheduler, allocator = Scheduler(), Allocator(NULL, kind, registers)
    for seed in range(60):
        f = numbered(generate(NULL, seed, size=10 + seed))
        m = build(f)
        if scheduled:
            scheduler.schedule(m)
        allocator.run(m)
        done = snapshot(m)
        check(done, registers)
        code = encode(done)
        for walk in range(4):
            ways = [random.Random(100 * seed + walk).randrange(6) for _ in range(60)]
            assert Processor(list(ways)).run(code) == evaluate(f, list(ways)), f"seed {seed}, walk {walk}\n{done}"


def test_its_registers_have_their_own_names():
    """Text speaks of registers and operations as the target does, and refuses those of another."""
    text = "vregs g8\nblock 0 depth 0 flags 0 ()\n  number.8 []  def v0 =r3\n  return.8 [term exit]  use v0 =r3\n"
    assert str(parse(text, NULL)) == text
    with pytest.raises(KeyError, match="rax"):
        parse(text.replace("r3", "rax"), NULL)
    with pytest.raises(ValueError, match="x"):
        parse(text.replace("g8", "x8"), NULL)


def test_the_checker_knows_its_registers():
    """A value in the context's register, or in a register that it does not have, is refused."""
    text = "vregs g8\nblock 0 depth 0 flags 0 ()\n  number.8 []  def v0 reg\n  return.8 [term exit]  use v0 reg\n"
    done = Allocator(NULL).on(parse(text, NULL))
    check(done, NULL.allocatable)
    for register, reason in ((8, "not allocatable"), (10, "wrong register class")):
        for inst in done.blocks[0].insts:
            inst.operands[0].loc = register
        with pytest.raises(AllocationError, match=reason):
            check(done, NULL.allocatable)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"classes": (replace(NULL.classes[0], registers=(*range(8), MAX_REGISTERS)),)}, "register 64, expected"),
        ({"classes": (replace(NULL.classes[0], scratch=5),)}, "a scratch register among"),
        ({"classes": NULL.classes * 3}, "3 classes"),
        ({"timings": replace(NULL.timings, busy=b"")}, "timings of different length"),
        ({"timings": replace(NULL.timings, port_count=7)}, "more than 6 ports"),
        ({"padding": ()}, "padding of 0 sizes"),
        ({"padding": (b"", b"ab")}, "padding of 2 sizes"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_the_machine_cannot_work_with_is_no_target(change, reason):
    """Masks have 64 bits, the scheduler six ports; a value in a scratch register would be lost."""
    with pytest.raises(ValueError, match=rf"target null: .*{reason}"):
        replace(NULL, **change)
