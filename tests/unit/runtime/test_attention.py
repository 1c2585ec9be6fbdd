"""The word that sends calls the long way: every bit of it does so, and no longer than its cause lasts."""

import asyncio
import ctypes
import threading
from collections.abc import Callable

import pytest

from stratavm import Engine, Store, StoreLimits, load
from stratavm.base.errors import Closed, Interrupted, StoreBusy, Trap
from stratavm.contract.layout import ATTENTION_BITS, EXEC
from stratavm.engine.func import FACTS

GUEST = """(module
  (import "e" "host" (func $host))
  (func $nothing)
  (func (export "f") (result i32) (call $nothing) (i32.const 7))
  (func (export "calls") (call $host))
  (func (export "trap") unreachable))"""
"""What ``f`` calls makes it poll: short functions that call nothing do not."""

FAR = 1 << 62
LASTING = {"closed", "bound", "stack"}
"""Bits that stay as long as the store."""

pytestmark = pytest.mark.skipif(FACTS is None, reason="no function has machine code of its own here")


class World:
    """A guest whose host function can be exchanged, and a look at the context of its store."""

    def __init__(self, **options: object) -> None:
        self.act: Callable[[], object] = lambda: None
        self.store = Store(Engine(tier="jit0"), **options)  # type: ignore[arg-type]
        self.exports = load(GUEST, {"e": {"host": lambda: self.act()}}, store=self.store).exports
        self.f = self.exports.f
        while self.f.path == "cold":
            self.f()
        assert self.f.path == "machine"

    def field(self, name: str) -> ctypes.c_uint64 | ctypes.c_uint32:
        """A field of the context, to be changed."""
        kind = ctypes.c_uint32 if name in ("attention", "pending") else ctypes.c_uint64
        return kind.from_address(self.store.address + EXEC.offset(name))

    @property
    def standing(self) -> set[str]:
        """The names of the bits that are set."""
        return {name for name, bit in ATTENTION_BITS.items() if self.field("attention").value & bit}

    def goes_the_long_way(self) -> bool:
        """Whether a call does: only there it ends without a deadline, and machine code leaves the one that was put
        there alone."""
        deadline = self.field("deadline_ns")
        deadline.value = FAR
        try:
            assert self.f() == 7
        except Closed:
            return True
        found, deadline.value = deadline.value, 0
        return found != FAR

    def goes_the_short_way(self) -> bool:
        """Whether calls stay in machine code: one of some, for a tick, or a ticker that rests, sends one elsewhere."""
        return not all(self.goes_the_long_way() for _ in range(100))


@pytest.mark.parametrize("name", ATTENTION_BITS)
def test_a_bit_sends_calls_the_long_way_as_long_as_it_stands(name: str) -> None:
    """Each alone, whatever it means; without it calls stay in machine code."""
    world = World()
    assert not world.standing and world.goes_the_short_way()
    world.field("attention").value = ATTENTION_BITS[name]
    assert world.goes_the_long_way()
    world.field("attention").value = 0
    assert world.goes_the_short_way()


def closed(world: World) -> set[str]:
    world.store.close()
    return world.standing


def aborted(world: World) -> set[str]:
    def overslept() -> None:
        world.store.interrupt()
        with pytest.raises(Interrupted):
            world.store.poll()

    world.act = overslept
    world.exports.calls()  # returns before its next poll
    world.field("pending").value = 0  # which would be a reason of its own
    return world.standing


def deadline(world: World) -> set[str]:
    with world.store.deadline(1000):
        assert world.goes_the_long_way() and world.goes_the_long_way()
        return world.standing


def forced(world: World) -> set[str]:
    world.store.request_tick()
    return world.standing


def reported(world: World) -> set[str]:
    seen = set()

    def act() -> None:
        with pytest.raises(Trap):
            world.exports.trap()
        seen.update(world.standing)

    world.act = act
    world.exports.calls()
    assert not world.standing  # the end of the outermost call went the long way
    return seen


def crowded(world: World) -> set[str]:
    for thing in [object() for _ in range(3000)]:
        world.store.extern_to_raw(thing)
    return world.standing


def fiber(world: World) -> set[str]:
    seen = set()

    class Ready:
        def __await__(self):  # type: ignore[no-untyped-def]
            seen.add(frozenset(world.standing))
            return iter(())

    def act() -> Ready:
        seen.add(frozenset(world.standing))
        return Ready()

    world.act = act
    world.exports.f()
    asyncio.run(world.exports.calls.call_async())
    during, waiting = seen
    return set(during | waiting)


def thrown(world: World) -> set[str]:
    seen = set()
    text = """(module (tag $t) (func $throw (throw $t))
      (func (export "throws") (block $b (try_table (catch $t $b) (call $throw)))))"""
    throws = load(text, store=world.store).exports.throws

    def act() -> None:
        throws()
        seen.update(world.standing)

    world.act = act
    world.exports.calls()
    assert not world.standing  # what was thrown last is gone with the outermost call
    return seen


CAUSES: dict[str, tuple[dict[str, object], Callable[[World], set[str]]]] = {
    "closed": ({}, closed),
    "aborted": ({}, aborted),
    "bound": ({"thread_bound": True}, lambda world: world.standing),
    "deadline": ({}, deadline),
    "stack": ({"limits": StoreLimits(stack_bytes=1 << 20)}, lambda world: world.standing),
    "forced": ({}, forced),
    "reported": ({}, reported),
    "crowded": ({}, crowded),
    "fiber": ({}, fiber),
    "thrown": ({}, thrown),
}


@pytest.mark.parametrize("name", ATTENTION_BITS)
def test_what_needs_the_long_way_sets_its_bit_and_takes_it_away(name: str) -> None:
    """And no other. What one call has to look at is over with that call."""
    options, provoke = CAUSES[name]
    world = World(**options)
    assert provoke(world) == {name}
    if name in LASTING:
        assert world.goes_the_long_way() and world.goes_the_long_way() and world.standing == {name}
    else:
        if world.standing:
            assert world.goes_the_long_way()
        assert not world.standing and world.goes_the_short_way()


def test_a_store_that_is_bound_or_closed_looks_at_every_call() -> None:
    """Machine code would not see the thread, nor that code may be gone."""
    world, refused = World(thread_bound=True), []

    def elsewhere() -> None:
        with pytest.raises(StoreBusy):
            refused.append(world.f())

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert refused == [] and world.f() == 7
    world.store.close()
    with pytest.raises(Closed):
        world.f()


def test_a_store_without_its_initialiser_is_closed() -> None:
    """Its context says so before anything else does."""
    store = Store.__new__(Store)
    assert store.closed
    with pytest.raises(Closed, match="never initialised"):
        print(store.runtime)
