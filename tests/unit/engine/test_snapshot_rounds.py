"""Claims about snapshots of generated modules: the short form of ``make snapshots``."""

import pytest

from stratavm import Engine
from stratavm.wasi import frozen
from tests import snapshots, worlds


@pytest.mark.trace_slow
def test_clones_are_what_the_instance_that_went_on_is():
    """Some dozens of rounds; ten thousand behind `make snapshots`."""
    assert snapshots.rounds(1, 56, seconds=20) >= 7


@pytest.mark.parametrize("what", ["memory", "table", "global"])
def test_the_rounds_notice_a_clone_that_is_another(what, monkeypatch):
    """Else they would prove nothing."""
    whole = snapshots.cloned

    def spoiled(*arguments):
        clone = whole(*arguments)
        if what == "memory":
            clone.exports.m0[len(clone.exports.m0) - 1] ^= 1
        elif what == "table":
            clone.exports.t[0] = None if clone.exports.t[0] is not None else clone.exports.t[1]
        else:
            clone.exports.g0.bits ^= 1
        return clone

    monkeypatch.setattr(snapshots, "cloned", spoiled)
    with pytest.raises(AssertionError):
        snapshots.rounds(1, 6)


def test_clones_with_worlds_are_what_the_instance_that_went_on_is():
    """Some rounds; more behind `make snapshots`. Snapshots are refused where files are open, and taken elsewhere."""
    told = [worlds.check(seed, Engine(tier=tier)) for seed, tier in enumerate(("auto", "jit0", "oracle") * 2)]
    assert sum(one["taken"] for one in told) > 20 and sum(one["refused"] for one in told) > 5


@pytest.mark.parametrize("what", ["rights", "closed", "clock", "refused"])
def test_the_rounds_notice_a_world_that_is_another(what, monkeypatch):
    """Else they would prove nothing."""
    freeze, resume = frozen.freeze, frozen.resume

    def careless(ctx, state):
        resume(ctx, state)
        for number, descriptor in ctx.given.items():
            if what == "rights":
                descriptor.rights = descriptor.inheriting = worlds.ALL_RIGHTS
            elif what == "closed":
                ctx.table.setdefault(number, descriptor)
        if what == "clock":
            ctx.clock = worlds.FixedClock()
            ctx.monotonic_ns = 0

    def frozen_all_the_same(ctx):
        ctx.table = {number: ctx.table[number] for number in ctx.given if number in ctx.table}
        return freeze(ctx)

    monkeypatch.setattr(frozen, "resume", careless)
    if what == "refused":
        monkeypatch.setattr(frozen, "freeze", frozen_all_the_same)
    with pytest.raises((AssertionError, pytest.fail.Exception, KeyError)):
        for seed in range(40):
            worlds.check(seed, Engine(tier="jit0"))
