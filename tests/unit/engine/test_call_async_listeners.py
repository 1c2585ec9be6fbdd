"""Listeners that raise, close, cancel, interrupt or call at every await point of a guest on an event loop: as the guest
comes to the host function, and while it waits there."""

import asyncio

import pytest

from stratavm import (
    Closed,
    DeadlineExceeded,
    Engine,
    InstancePoisoned,
    Interrupted,
    Linker,
    Module,
    Pool,
    Store,
    StoreBusy,
)
from stratavm.base.events.declare import ListenerFailed
from stratavm.runtime.events import MemoryGrown
from tests.unit.engine.async_guests import TIERS, run, stacks_given_back

POINTS = 5
SOURCE = f"""(module
  (import "h" "f" (func $f (param i32)))
  (memory (export "memory") 1 100)
  (func (export "one") (result i32) (i32.const 1))
  (func (export "script") (param $grow i32) (result i32) (local $n i32)
    (loop
      (if (local.get $grow) (then (drop (memory.grow (i32.const 1)))))
      (call $f (local.get $n))
      (br_if 0 (i32.lt_u (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const {POINTS}))))
    (memory.size)))"""
WHERE = ("comes", "waits")


@pytest.fixture(autouse=True)
def stacks_come_back():
    """Every test gives back the stacks that it took."""
    yield from stacks_given_back()


class Enough(BaseException):
    """What a listener raises that is no Exception."""


class Script:
    """A guest whose memory grows once at each await point, by itself or by the host that it waits for; a listener hears
    of it, and acts at one of them."""

    def __init__(self, tier, where, point, act):
        engine = Engine(tier=tier)
        self.store = Store(engine)
        self.where, self.point, self.act = where, point, act
        self.task = None
        self.heard = self.asked = 0
        self.failures = []
        self.beside = []
        linker = Linker(engine)
        linker.define("h", "f", self.f)
        self.exports = linker.instantiate(self.store, Module(SOURCE, engine)).exports
        engine.bus.subscribe(MemoryGrown, self.hear)
        engine.bus.subscribe(ListenerFailed, self.failures.append)

    async def f(self, number):
        """The host function."""
        self.asked += 1
        await asyncio.sleep(0)
        if self.where == "waits":
            self.exports.memory.grow(1)
        await asyncio.sleep(0)

    def hear(self, event):
        """The listener."""
        self.heard += 1
        if self.heard == self.point + 1:
            ACTS[self.act](self)

    def fail(self):
        raise ValueError(self.point)

    def end(self):
        raise Enough

    def cancel(self):
        self.task.cancel()

    def interrupt(self):
        assert self.store.interrupt()

    def hurry(self):
        self.store.set_deadline(0.0)

    def close(self):
        self.store.close()

    def call(self):
        self.beside.append(self.exports.one())

    def call_beside(self):
        self.beside.append(asyncio.ensure_future(self.exports.one.call_async()))

    async def run(self):
        """Its size, or what it ends with; and what came of calls beside it."""
        self.task = asyncio.ensure_future(self.exports.script.call_async(self.where == "comes"))
        ended = (await asyncio.gather(self.task, return_exceptions=True))[0]
        tasks = [one for one in self.beside if not isinstance(one, int)]
        return ended, await asyncio.gather(*tasks, return_exceptions=True)


ACTS = {
    "fails": Script.fail,
    "ends": Script.end,
    "cancels": Script.cancel,
    "interrupts": Script.interrupt,
    "hurries": Script.hurry,
    "closes": Script.close,
    "calls": Script.call,
    "calls beside": Script.call_beside,
}
POISONS = ("cancels", "interrupts", "hurries")


def ending(act, where):
    """Of a call whose listener acts; None: its result."""
    if act == "closes":
        return Closed if where == "waits" else None
    others = {
        "ends": Enough,
        "cancels": asyncio.CancelledError,
        "interrupts": Interrupted,
        "hurries": DeadlineExceeded,
    }
    return others.get(act)


@pytest.mark.trace_slow
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("where", WHERE)
@pytest.mark.parametrize("act", ACTS)
def test_a_listener_may_do_anything_at_every_await_point(tier, where, act):
    """The call goes on or ends as it says, the store is free, and nobody else notices; at no point but that one."""

    async def main(point):
        script = Script(tier, where, point, act)
        ended, beside = await script.run()
        expected = ending(act, where) if point < POINTS else None
        if expected is None:
            assert ended == 1 + POINTS and script.heard == script.asked == POINTS
        else:
            assert type(ended) is expected and script.heard == point + 1
            assert script.asked == point + (where == "waits" or act != "ends")
        fails = point < POINTS and (act == "fails" or (act == "closes" and where == "comes"))
        assert [one.error.split(":")[0] for one in script.failures] == (
            [] if not fails else ["ValueError" if act == "fails" else "StoreBusy"]
        )
        let_in = int if where == "waits" else StoreBusy  # by the host function that the guest waits for, or in between
        assert [type(one) for one in beside] == ([let_in] if act == "calls beside" and point < POINTS else [])
        assert script.beside == ([1] if point < POINTS else []) or act != "calls"
        assert script.store.closed == (expected is Closed) and not script.store.busy and script.store.parked is None
        if expected is Closed:
            return
        script.store.set_deadline(None)
        if expected is not None and act in POISONS:
            with pytest.raises(InstancePoisoned):
                script.exports.one()
        else:
            assert script.exports.one() == 1

    for point in range(POINTS + 1):
        run(main(point))


@pytest.mark.parametrize("how", ["call_async", "pool"])
def test_a_guest_that_was_interrupted_before_it_waits_does_not_wait(how):
    """By the host function that lets it wait, or by a thread meanwhile."""

    def make(store):
        linker = Linker(store.engine)
        linker.define("h", "f", lambda _: (store.interrupt(), asyncio.sleep(3600))[1])
        return linker.instantiate(store, Module(SOURCE, store.engine))

    async def main():
        engine = Engine(tier="jit0")
        with pytest.raises(Interrupted):
            if how == "pool":
                async with Pool(make, engine=engine) as pool:
                    await pool.call("script", 0)
            else:
                await make(Store(engine)).exports.script.call_async(0)

    run(asyncio.wait_for(main(), 30))
