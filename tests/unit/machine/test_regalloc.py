"""Claims about every allocator: constraints hold, each use reads its value on every path, results are deterministic."""

import copy
import random

import pytest

from stratavm.machine import mfunc
from stratavm.machine.minst import build, snapshot
from stratavm.machine.regalloc.allocator import KINDS, allocate_function
from stratavm.machine.regalloc.checker import AllocationError, check
from stratavm.machine.target import mask
from stratavm.targets.x64.target import X64
from tests.unit.machine.mgen import Machine, WrongValue, generate
from tests.unit.machine.null import NULL


@pytest.fixture(params=[X64, NULL], ids=lambda target: target.name)
def target(request):
    """A processor, and what is none."""
    return request.param


@pytest.fixture(params=["all", "starved"])
def registers(request, target):
    """The mask of allocatable registers."""
    return target.allocatable if request.param == "all" else mask(target.starved)


@pytest.fixture(params=sorted(KINDS))
def kind(request):
    """The allocator."""
    return request.param


def verify(f, kind, registers, walks=4):
    """Allocate, prove with the checker, run on poisoned machines."""
    done = allocate_function(f, kind, registers)
    check(done, registers)
    for seed in range(walks):
        Machine(done, seed).run()
    return done


@pytest.mark.parametrize("chunk", range(10))
def test_random_functions_are_allocated_rightly(kind, target, registers, chunk):
    """Every shape of operand, over branches and loops with parameters, proved and executed."""
    for seed in range(chunk * 40, chunk * 40 + 40):
        f = generate(target, seed, size=10 + seed % 120)
        try:
            verify(f, kind, registers)
        except AssertionError as error:
            raise AssertionError(f"seed {seed}: {error}\n{f}") from error


def test_the_result_does_not_depend_on_what_was_allocated_before(kind, target, registers):
    """The same function gives the same places and moves, whatever the order."""
    functions = [generate(target, seed, size=60) for seed in range(12)]
    first = [str(allocate_function(f, kind, registers)) for f in functions]
    random.Random(1).shuffle(functions)
    again = sorted(str(allocate_function(f, kind, registers)) for f in functions)
    assert again == sorted(first)


def test_text_reads_back(target):
    """The text form of unallocated machine IR is complete."""
    for seed in range(20):
        f = generate(target, seed)
        assert str(mfunc.parse(str(f), target)) == str(f)
        assert str(snapshot(build(f))) == str(f)


def corrupt(f, rng):
    """Break one thing in an allocation."""
    bad = copy.deepcopy(f, {id(f.target): f.target})
    operands = [o for b in bad.blocks for i in b.insts for o in i.operands if o.vreg != mfunc.NO_VREG]
    if bad.moves and rng.random() < 0.6:
        n = rng.randrange(len(bad.moves))
        at, _, dst, vreg = bad.moves[n]
        if rng.random() < 0.5:
            del bad.moves[n]
        else:
            bad.moves[n] = (at, rng.choice([m[1] for m in bad.moves]), dst, vreg)
        return bad
    rng.choice(operands).loc = rng.choice(operands).loc
    return bad


@pytest.mark.parametrize("kind", ["naive", "splitting"])
def test_the_checker_sees_what_execution_sees(kind, target):
    """Whenever a broken allocation reads a wrong value on some path, the checker had refused it."""
    rng = random.Random(7)
    wrong = 0
    for seed in range(300):
        good = allocate_function(generate(target, seed % 40, size=50, wide=False), kind, target.allocatable)
        bad = corrupt(good, rng)
        try:
            for walk in range(8):
                Machine(bad, walk).run()
        except WrongValue:
            wrong += 1
            with pytest.raises(AllocationError):
                check(bad, target.allocatable)
    assert wrong > 60, "too few corruptions matter for this test to mean anything"
