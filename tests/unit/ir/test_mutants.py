"""Mutated bodies: most are refused with a typed error; those that are still valid mean the same in SSA form."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

from stratavm.base.errors import ModuleError, ResourceLimit, StrataError, Trap
from stratavm.ir.evaluate import OutOfSteps, evaluate
from stratavm.ir.ssa import Ssa
from stratavm.ir.verify import verify
from stratavm.module.model import Module
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from tests.oracle.state import OracleLimits, Store, instantiate
from tests.unit.ir.forms import build
from tests.unit.ir.programs import program

MUTANTS = 3000
LIMITS = OracleLimits(poll_every=64)
INTERESTING = bytes((0, 1, 2, 0x0B, 0x05, 0x0C, 0x0D, 0x0E, 0x0F, 0x20, 0x21, 0x22, 0x40, 0x41, 0x6A, 0x7F, 0x80, 0xFF))


class Stopped(StrataError):
    """The oracle ran long enough."""


def patience() -> Callable[[], None]:
    """A poll hook that ends a run behind some thousands of calls and loops; preparing bodies polls a few times, too."""
    polls = itertools.count()

    def poll() -> None:
        if next(polls) == 64:
            raise Stopped("enough")

    return poll


def mutate(rng: random.Random, module: Module) -> Module:
    """One to three bytes of the first body replaced, inserted, removed or moved."""
    function = module.functions[0]
    body = bytearray(module.binary[function.start : function.end])
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(body))
        match rng.randrange(4):
            case 0:
                body[at] = rng.choice(INTERESTING)
            case 1:
                body[at] = body[at] ^ 1 << rng.randrange(8)
            case 2:
                body[at:at] = body[rng.randrange(len(body)) :][: rng.randint(1, 4)]
            case _:
                del body[at : at + rng.randint(1, 2)]
    head = module.binary[: function.start]
    mutant = replace(function, end=len(head) + len(body))
    return replace(module, binary=head + bytes(body), functions=(mutant,), customs=())


def outcome(action):  # type: ignore[no-untyped-def]
    """A result, the kind of a trap, or None for a run without end."""
    try:
        return action()
    except Trap as trap:
        return trap.kind
    except (OutOfSteps, Stopped):
        return None


def check(mutant: Module) -> str:
    """What became of a mutant; raises where the SSA form means something else."""
    try:
        valid = validate(mutant)
    except ModuleError as error:
        return type(error).__name__
    ssa = Ssa()
    try:
        build(valid, 0, ssa)
    except ResourceLimit:
        return "too complex"
    verify(ssa)
    args = [3, 1]
    oracle = outcome(lambda: instantiate(Store(LIMITS, patience()), mutant).functions[0].call_raw(list(args)))
    found = outcome(lambda: evaluate(ssa, instantiate(Store(), mutant), list(args), steps=300_000))
    if oracle is None or found is None:
        return "endless"
    assert found == oracle, mutant.binary[mutant.functions[0].start :].hex()
    return "same"


@pytest.mark.trace_slow
def test_mutants_are_refused_or_mean_the_same() -> None:
    """Bytes of a body changed at random, thousands of times: no crash, no wrong result."""
    rng = random.Random(20)
    counts: Counter[str] = Counter()
    for seed in range(MUTANTS // 10):
        module = parse_module(program(seed))
        for _ in range(10):
            counts[check(mutate(rng, module))] += 1
    assert counts["same"] > MUTANTS // 20, counts
    assert counts["ValidationError"] + counts["DecodeError"] > MUTANTS // 4, counts
