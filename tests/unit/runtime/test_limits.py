"""Claims about what a store may hold and how deep its guests may go."""

import sys
import threading

import pytest

from stratavm import Engine, Linker, Memory, Module, ResourceLimit, StackOverflow, Store, StoreLimits
from stratavm.runtime.limits import MIN_STACK

DEEP = """(module
  (import "env" "f" (func $f (param i32)))
  (memory (export "memory") 1)
  (global $depth (export "depth") (mut i32) (i32.const 0))
  (func $deep (export "deep") (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $deep) (call $deep))
  (func (export "ping") (param i32)
    (global.set $depth (i32.add (global.get $depth) (i32.const 1))) (call $f (local.get 0))))
"""


def instance_of(limits=None, function=lambda x: None, **options):
    """An instance in a store with limits; "f" is a host function."""
    engine = Engine(**options)
    linker = Linker(engine)
    linker.define("env", "f", function)
    return linker.instantiate(Store(engine, limits=limits), Module(DEEP, engine=engine))


def depth_of(instance):
    """How deep the guest went."""
    instance.exports.depth.value = 0
    with pytest.raises(StackOverflow):
        instance.exports.deep()
    return instance.exports.depth.value


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_the_stack_budget_bounds_the_depth(tier):
    """In proportion; without one the thread's stack is the limit."""
    small, large, all_ = (
        depth_of(instance_of(StoreLimits(stack_bytes=n), tier=tier)) for n in (64 << 10, 256 << 10, None)
    )
    assert 100 < small < 64 << 10
    assert 3 < large / small < 5
    assert all_ > large


def test_the_budget_begins_anew_with_every_outermost_call():
    """Wherever on the stack that is."""
    instance = instance_of(StoreLimits(stack_bytes=64 << 10))

    def below(levels):
        return below(levels - 1) if levels else depth_of(instance)

    assert abs(below(0) - below(50)) < 64


def test_nested_calls_share_the_budget():
    """A guest cannot get around it through a host function."""
    depths = []

    def f(again):
        depths.append(1)
        instance.exports.ping(again)

    instance = instance_of(StoreLimits(stack_bytes=128 << 10), f)
    with pytest.raises(StackOverflow):
        instance.exports.ping(1)
    assert 2 < len(depths) < 500


def test_a_budget_beyond_the_threads_stack_is_cut():
    """The real limit still holds."""
    assert depth_of(instance_of(StoreLimits(stack_bytes=1 << 40))) > 1000


def test_a_budget_too_small_for_anything_is_refused():
    """With the least that is allowed something runs."""
    with pytest.raises(ValueError, match="stack_bytes"):
        StoreLimits(stack_bytes=MIN_STACK - 1)
    assert depth_of(instance_of(StoreLimits(stack_bytes=MIN_STACK))) > 10


@pytest.mark.parametrize("limit", [200, 20_000, 1_000_000])
@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1"])
def test_ping_pong_always_ends_in_an_exception(tier, limit):
    """Guest to Python to guest for ever: whatever Python's recursion limit is, and on small stacks, too."""
    before = sys.getrecursionlimit()
    outcomes = []

    def f(again):
        instance.exports.ping(again)

    def run():
        try:
            instance.exports.ping(1)
        except (StackOverflow, RecursionError) as error:
            outcomes.append(type(error))

    instance = instance_of(None, f, tier=tier)
    sys.setrecursionlimit(limit)
    size = threading.stack_size()
    try:
        run()
        threading.stack_size(1 << 20)
        thread = threading.Thread(target=run)
        thread.start()
        thread.join(60)
        assert not thread.is_alive()
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(before)
    assert len(outcomes) == 2
    instance.exports.depth.value = 0
    with pytest.raises((StackOverflow, RecursionError)):
        instance.exports.ping(1)
    assert instance.exports.depth.value > 3


def test_admit_decides_about_every_new_thing():
    """It sees the kind and the number there are; what it raises comes out."""
    asked = []

    def admit(kind, now):
        asked.append((kind, now))
        return kind != "instances" or now < 2

    engine = Engine()
    store = Store(engine, limits=StoreLimits(admit=admit))
    linker = Linker(engine)
    linker.define("env", "f", lambda x: None)
    module = Module(DEEP, engine=engine)
    linker.instantiate(store, module)
    linker.instantiate(store, module)
    with pytest.raises(ResourceLimit, match="not admitted") as caught:
        linker.instantiate(store, module)
    assert caught.value.limit == "instances"
    assert ("memories", 0) in asked
    assert ("instances", 2) in asked

    def fail(kind, now):
        raise LookupError(kind)

    with pytest.raises(LookupError, match="memories"):
        Memory.new(Store(engine, limits=StoreLimits(admit=fail)), 1)
