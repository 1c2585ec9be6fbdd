"""Asynchronous calls: guests on stacks of their own, suspended where host functions are awaited, cancelled anywhere."""

import asyncio
import contextvars
import gc
import weakref

import pytest

import stratavm
from stratavm import (
    CannotSuspend,
    Closed,
    DeadlineExceeded,
    Engine,
    InstancePoisoned,
    Interrupted,
    OutOfFuel,
    Store,
    StoreBusy,
    StoreLimits,
    Trap,
    load,
)
from stratavm.base.errors import StackOverflow, StrataError
from stratavm.runtime.stacks import stack_status, use_light_guards
from tests.unit.engine.async_guests import SOURCE, TIERS, World, clean, nap, run, stacks_given_back


@pytest.fixture(autouse=True)
def stacks_come_back():
    """Every test gives back the stacks that it took."""
    yield from stacks_given_back()


@pytest.fixture(params=TIERS)
def tier(request):
    return request.param


# ---- values and control ----


def test_a_call_that_never_waits_gives_its_result(tier):
    """As the synchronous call does; and that goes on to work, as fast as before."""

    async def main():
        world = World(tier=tier)
        assert [await world.exports.add.call_async(i, 2) for i in range(5)] == [2, 3, 4, 5, 6]
        assert await world.exports.call.call_async(41) == 42
        assert world.exports.call(1) == 2 and not world.store.busy

    run(main())


def test_a_guest_waits_for_an_async_host_function(tier):
    """And goes on with its result, again and again, its locals intact."""

    async def main():
        world = World(nap, tier)
        assert await world.exports.call.call_async(41) == 42
        assert await world.exports.steps.call_async(100) == 5050
        assert int.from_bytes(world.exports.memory.read(0, 4), "little") == 100

    run(main())


def test_any_awaitable_of_a_plain_function_is_awaited(tier):
    """A future, a task, an object with ``__await__``; a number is the result at once."""

    class Ready:
        def __await__(self):
            return (yield from asyncio.sleep(0, 7).__await__())

    async def main():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        loop.call_soon(future.set_result, 5)
        given = [future, asyncio.ensure_future(nap(6)), Ready(), 8]
        world = World(lambda _: given.pop(0), tier)
        assert [await world.exports.call.call_async(0) for _ in range(4)] == [6, 7, 8, 9]

    run(main())


def test_a_call_runs_inline_until_it_waits():
    """Nothing else runs before; and nothing of it runs before it is awaited."""
    seen = []

    async def f(x):
        seen.append("host")
        await asyncio.sleep(0)
        seen.append("again")
        return x

    async def main():
        asyncio.get_running_loop().call_soon(seen.append, "other")
        call = World(f).exports.call.call_async(1)
        assert seen == []
        assert await call == 2

    run(main())
    assert seen == ["host", "other", "again"]


def test_the_context_is_that_of_the_task():
    """Variables that the host function sets are seen behind the call, and the other way round."""
    variable = contextvars.ContextVar("variable", default=0)

    async def f(x):
        await asyncio.sleep(0)
        found = variable.get()
        variable.set(found + 1)
        return found

    async def main():
        variable.set(10)
        assert await World(f).exports.steps.call_async(3) == 10 + 11 + 12
        assert variable.get() == 13

    run(main())


REFS = """(module
  (import "h" "r" (func $r (param externref) (result externref)))
  (import "h" "p" (func $p (param i32) (result i64 f64 i32)))
  (import "h" "v" (func $v))
  (func (export "ref") (param externref) (result externref) (call $r (local.get 0)))
  (func (export "parts") (param i32) (result i64 f64 i32) (call $p (local.get 0)))
  (func (export "void") (call $v))
  (func (export "many") (param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 f64) (result f64)
    (call $v) (f64.add (local.get 18) (f64.convert_i32_s (local.get 17)))))"""


def test_values_of_every_kind_pass(tier):
    """References, several results, none, more parameters than fit registers and the quick path."""
    thing = object()

    async def r(x):
        await asyncio.sleep(0)
        gc.collect()
        return x

    async def p(x):
        await asyncio.sleep(0)
        return x, 0.5, -1

    async def v():
        await asyncio.sleep(0)

    async def main():
        store = Store(Engine(tier=tier))
        exports = load(REFS, {"h": {"r": r, "p": p, "v": v}}, store=store).exports
        assert await exports.ref.call_async(thing) is thing
        assert await exports.ref.call_async(None) is None
        assert await exports.parts.call_async(-3) == (-3, 0.5, -1)
        assert await exports.void.call_async() is None
        assert await exports.many.call_async(*range(18), 0.25) == 17.25

    run(main())


def test_wrong_answers_and_arguments_are_errors():
    """In the words of synchronous calls, when the call is awaited; the instance stays usable."""

    async def f(x):
        await asyncio.sleep(0)
        return "text"

    async def main():
        world = World(f)
        with pytest.raises(TypeError, match="expected i32, got str"):
            await world.exports.call.call_async(1)
        with pytest.raises(TypeError, match="takes 1 argument"):
            await world.exports.call.call_async()
        with pytest.raises(OverflowError):
            await world.exports.call.call_async(1 << 40)
        assert world.exports.add(1, 1) == 2

    run(main())


# ---- ends ----


def test_an_exception_of_the_host_comes_out_unchanged(tier):
    """With the guest's frames noted; a Python exception abandons nothing midway."""
    error = LookupError("here")

    async def f(x):
        await asyncio.sleep(0)
        raise error

    async def main():
        world = World(f, tier)
        with pytest.raises(LookupError) as caught:
            await world.exports.call.call_async(1)
        assert caught.value is error and "call" in error.__notes__[0]
        assert any(entry.name == "f" for entry in caught.traceback)
        assert world.exports.add(1, 2) == 3

    run(main())


def test_a_trap_behind_an_await_has_the_guests_frames(tier):
    """The fault is met on the fiber."""

    async def main():
        world = World(nap, tier)
        with pytest.raises(Trap, match="out of bounds") as caught:
            await world.exports.read.call_async(1 << 20)
        assert [frame.name for frame in caught.value.frames] == ["read"]
        assert await world.exports.read.call_async(0) == 0

    run(main())


@pytest.mark.parametrize("light", [True, False])
def test_a_stack_that_is_used_up_is_a_trap(tier, light):
    """The store's budget counts, also one above the usual; what lies below is guarded in either way."""
    use_light_guards(light)

    async def main():
        world = World(nap, tier)
        with pytest.raises(StackOverflow):
            await world.exports.deep.call_async(1_000_000)
        assert await world.exports.deep.call_async(1000) == 1000
        tight, wide = (World(nap, tier, limits=StoreLimits(stack_bytes=n)) for n in (16384, 4 << 20))
        assert await wide.exports.deep.call_async(30_000) == 30_000
        with pytest.raises(StackOverflow):
            await tight.exports.deep.call_async(1000)
        with pytest.raises(stratavm.ResourceLimit, match=r"128 MiB were wanted \(StoreLimits.stack_bytes\)"):
            await World(nap, tier, limits=StoreLimits(stack_bytes=128 << 20)).exports.add.call_async(1, 1)

    run(main())
    use_light_guards(True)


def test_fuel_is_counted_over_a_call(tier):
    """The same as in a synchronous call; what runs out ends it."""

    async def main():
        engine = Engine(tier=tier, fuel=True)
        used = []
        for f in (lambda x: x, nap):
            store = Store(engine, fuel=1000)
            exports = load(SOURCE, {"h": {"f": f}}, store=store).exports
            assert await exports.steps.call_async(5) == 15
            used.append(store.fuel_used)
            with pytest.raises(OutOfFuel):
                await exports.steps.call_async(1000)
        assert used[0] == used[1] > 0

    run(main())


# ---- cancelling ----

POINTS = 12


@pytest.mark.parametrize("point", range(POINTS + 1))
def test_a_task_can_be_cancelled_at_every_await(tier, point):
    """Each await of a scripted guest: the call ends there, the instance is poisoned, the store is free."""
    reached = asyncio.Event()
    count = 0

    async def f(x):
        nonlocal count
        count += 1
        if count > point:
            reached.set()
            await asyncio.sleep(3600)
        await asyncio.sleep(0)
        return 1

    async def main():
        world = World(f, tier)
        task = asyncio.create_task(world.exports.steps.call_async(POINTS))
        if point == POINTS:
            assert await task == POINTS
            return clean(world)
        await reached.wait()
        assert world.store.busy
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert int.from_bytes(world.exports.memory.read(0, 4), "little") == point + 1
        with pytest.raises(InstancePoisoned):
            world.exports.add(1, 1)
        return clean(world)

    run(main())


@pytest.mark.parametrize("turns", range(8))
def test_a_task_can_be_cancelled_at_every_turn_of_the_loop(tier, turns):
    """Also before it began (nothing is poisoned then) and at a tick."""

    async def main():
        world = World(nap, tier)
        world.store.request_tick()
        task = asyncio.create_task(world.exports.steps.call_async(1 << 30))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        clean(world)
        if turns:
            with pytest.raises(InstancePoisoned):
                world.exports.add(1, 1)
        else:
            assert world.exports.add(1, 1) == 2

    run(main())


def test_a_store_that_keeps_its_instances_keeps_them():
    """``on_abort="keep"``."""

    async def main():
        world = World(nap, on_abort="keep")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await world.exports.steps.call_async(1 << 30)
        assert world.exports.add(1, 1) == 2

    run(main())


def test_the_host_function_may_clean_up_and_may_refuse_to_end():
    """A cancelled coroutine of the host runs its ``finally``; one that swallows it lets the guest go on."""
    seen = []

    async def careful(x):
        try:
            await asyncio.sleep(3600)
        finally:
            seen.append("finally")

    async def stubborn(x):
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            return 5

    async def main():
        for f in (careful, stubborn):
            world = World(f)
            task = asyncio.create_task(world.exports.call.call_async(1))
            await asyncio.sleep(0)
            task.cancel()
            seen.append((await asyncio.gather(task, return_exceptions=True))[0])

    run(main())
    assert seen[0] == "finally" and isinstance(seen[1], asyncio.CancelledError) and seen[2] == 6


def test_timeouts_and_groups_of_tasks_work():
    """A sibling's failure cancels the guest; a timeout is a TimeoutError."""

    async def main():
        world = World(nap)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await world.exports.forever.call_async()
        clean(world)

        async def failing():
            raise LookupError

        world = World(nap)
        with pytest.raises(ExceptionGroup):
            async with asyncio.TaskGroup() as group:
                group.create_task(world.exports.steps.call_async(1 << 30))
                group.create_task(failing())
        clean(world)

    run(main())


def test_a_coroutine_that_is_closed_or_forgotten_leaves_nothing():
    """At its first await, never awaited, or dropped with everything that it knows."""

    def part(f=nap):
        world = World(f)
        call = world.exports.call.call_async(1)
        return world, call

    world, call = part()
    call.close()
    assert world.exports.add(1, 1) == 2
    world, call = part()
    call.send(None)
    assert world.store.busy
    call.close()
    clean(world)
    world, call = part()
    call.send(None)
    gone = weakref.ref(world.instance)
    del call, world
    gc.collect()
    assert gone() is None


def test_a_cycle_through_what_is_awaited_is_collected():
    """The object that a guest waits for knows the call."""

    class Waits:
        def __await__(self):
            yield

    def cycle():
        box = Waits()
        world = World(lambda _: box)
        box.call = world.exports.call.call_async(1)
        box.call.send(None)
        return weakref.ref(box), weakref.ref(world.instance)

    found = cycle()
    gc.collect()
    assert [ref() for ref in found] == [None, None]


# ---- ends from elsewhere ----


def test_a_deadline_ends_a_call_while_it_waits_and_while_it_runs(tier):
    """With the guest's frames; set before or in the meantime; and no request to cancel is left with the task."""

    async def long(x):
        await asyncio.sleep(3600)

    async def main():
        task = asyncio.current_task()
        for name, arguments in (("call", (1,)), ("forever", ())):
            frames = []
            for seconds in (0.02, 0.1, 0.5, 2.5):  # on a busy machine less is over before the guest has begun
                world = World(long, tier)
                with world.store.deadline(seconds), pytest.raises(DeadlineExceeded) as caught:
                    await world.exports[name].call_async(*arguments)
                frames = [frame.name for frame in caught.value.frames]
                assert task.cancelling() == 0
                clean(world)
                if frames:
                    break
            assert frames == [name]
        world = World(long, tier)
        waiting = asyncio.create_task(world.exports.call.call_async(1))
        await asyncio.sleep(0)
        world.store.set_deadline(3600)
        world.store.set_deadline(0.01)
        with pytest.raises(DeadlineExceeded):
            await waiting
        assert await World(nap, tier).exports.call.call_async(1) == 2

    run(main())


@pytest.mark.parametrize("ends", ["deadline", "interrupt"])
@pytest.mark.parametrize("kind", ["coroutine", "future"])
def test_who_is_ended_where_nothing_was_awaited_is_not_cancelled_behind_the_call(ends, kind, tier):
    """What the host function gives is over without a turn of the loop; the task goes on and waits for other things."""

    def h(x):
        if ends == "deadline":
            world.store.set_deadline(0.0)
        else:
            world.store.interrupt()
        if kind == "coroutine":
            return at_once(x)
        future = asyncio.get_running_loop().create_future()
        future.set_result(x)
        return future

    async def at_once(x):
        return x

    async def main():
        task = asyncio.current_task()
        with pytest.raises((DeadlineExceeded, Interrupted)):
            await world.exports.call.call_async(1)
        assert task.cancelling() == 0
        await asyncio.sleep(0)
        await asyncio.sleep(0.001)
        world.store.set_deadline(None)
        clean(world)

    world = World(h, tier)
    run(main())


def test_a_deadline_that_does_not_come_leaves_nothing():
    """Neither a timer nor a cancelled task."""

    async def main():
        world = World(nap)
        with world.store.deadline(3600):
            assert await world.exports.steps.call_async(10) == 55
        world.store.set_deadline(3600)
        assert await world.exports.steps.call_async(10) == 55
        assert [h for h in asyncio.get_running_loop()._scheduled if not h.cancelled()] == []

    run(main())


async def waiting():
    """A world, and the task of a call in it that waits for the host for as long as it may."""

    async def long(x):
        await asyncio.sleep(3600)

    world = World(long)
    task = asyncio.create_task(world.exports.call.call_async(1))
    await asyncio.sleep(0)
    return world, task


@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_interrupt_ends_a_call_that_waits(elsewhere):
    """From the loop and from another thread."""

    async def main():
        world, task = await waiting()
        if elsewhere:
            assert await asyncio.to_thread(world.store.interrupt)
        else:
            assert world.store.interrupt()
        with pytest.raises(Interrupted):
            await task
        clean(world)
        assert not world.store.interrupt()

    run(main())


def test_two_interrupts_leave_no_request_to_cancel_the_task():
    """Nor do two that come one behind the other, where the host function goes on after the first."""

    async def stubborn(x):
        for _ in range(2):
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                world.store.interrupt()
        await asyncio.sleep(3600)

    async def call():
        with pytest.raises(Interrupted):
            await world.exports.call.call_async(1)
        return asyncio.current_task().cancelling()

    async def main():
        task = asyncio.create_task(call())
        await asyncio.sleep(0)
        world.store.interrupt()
        world.store.interrupt()
        assert await asyncio.wait_for(task, 60) == 0
        clean(world)

    for host in (None, stubborn):
        world = World(host or (lambda x: asyncio.get_running_loop().create_future()))
        run(main())


def test_a_cancel_beside_an_interrupt_is_a_cancel():
    """Who asked for the task to end gets that."""

    async def main():
        world, task = await waiting()
        world.store.interrupt()
        asyncio.get_running_loop().call_soon(task.cancel)
        with pytest.raises(asyncio.CancelledError):
            await task
        clean(world)

    run(main())


def test_closing_the_store_ends_a_call_that_waits():
    """With ``Closed``, for who awaits it."""

    async def main():
        world, task = await waiting()
        world.store.close()
        with pytest.raises(Closed, match="while the guest waited"):
            await task
        with pytest.raises(Closed):
            await world.exports.call.call_async(1)
        assert asyncio.current_task().cancelling() == 0

    run(main())


def test_a_host_function_may_close_the_store_that_it_is_called_in():
    """It has its own way to the end, and then the call is over."""

    async def f(x):
        await asyncio.sleep(0)
        world.store.close()
        await asyncio.sleep(0)
        return 1

    async def main():
        with pytest.raises(Closed):
            await world.exports.call.call_async(1)

    world = World(f)
    run(main())


# ---- what is refused ----


def test_an_awaitable_in_a_synchronous_call_is_refused():
    """With what to do; the coroutine is closed, and nothing complains that nobody awaited it."""
    world = World(nap)
    for call in (world.exports.call, world.exports.steps):
        with pytest.raises(CannotSuspend, match=r"h\.f returned an awaitable \(coroutine\).*await f\.call_async"):
            call(3)
    assert world.exports.add(1, 1) == 2


def test_a_synchronous_call_in_between_is_refused():
    """The guest below could wait, but not the Python code above it."""

    def f(x):
        return nap(x) if x == 0 else world.exports.call(0)

    world = World(f)
    with pytest.raises(CannotSuspend, match="a synchronous call lies between"):
        run(main(world.exports.call.call_async(1)))
    assert world.exports.add(1, 1) == 2


def test_a_call_inside_a_synchronous_call_of_its_store_is_refused():
    """It would have to be suspended over frames of Python."""

    def f(x):
        return asyncio.run(world.exports.add.call_async(x, 1))

    world = World(f)
    with pytest.raises(CannotSuspend, match="wait inside it"):
        world.exports.call(1)
    other = World(lambda x: asyncio.run(inner.exports.call.call_async(x)))
    inner = World(nap)
    assert other.exports.call(1) == 3


def test_the_oracle_is_refused():
    """By name."""

    async def main():
        store = Store(Engine(tier="oracle"))
        exports = load(SOURCE, {"h": {"f": nap}}, store=store).exports
        with pytest.raises(CannotSuspend, match="runs on the oracle"):
            await exports.add.call_async(1, 2)
        with pytest.raises(CannotSuspend, match="called synchronously"):
            exports.call(1)

    run(main())


def test_a_store_whose_guest_waits_is_busy():
    """For other tasks and threads. The host may look at its memories, in the thread that ran the guest."""

    async def main():
        gate = asyncio.Event()

        async def wait(x):
            await gate.wait()
            return x

        world = World(wait)
        task = asyncio.create_task(world.exports.steps.call_async(4))
        await asyncio.sleep(0)
        for _ in range(2):
            assert world.store.busy
            with pytest.raises(StoreBusy, match="waits in an asynchronous call"):
                world.exports.add(1, 1)
            with pytest.raises(StoreBusy, match="waits in an asynchronous call"):
                await world.exports.add.call_async(1, 1)
            with pytest.raises(StoreBusy):
                await asyncio.to_thread(world.exports.add, 1, 1)
            with pytest.raises(StoreBusy):
                await asyncio.to_thread(world.exports.memory.read, 0, 4)
            with pytest.raises(StoreBusy):
                world.store.gc()
            with pytest.raises(StoreBusy):
                world.instance.close()
            world.exports.memory.read(0, 4)
        gate.set()
        assert await task == 10

    run(main())


def test_a_host_function_uses_the_memory_around_its_awaits(tier):
    """Growing it there is seen by the guest."""

    async def f(x):
        world.exports.memory.write(100, b"\x2a")
        await asyncio.sleep(0)
        if world.exports.memory.size_pages < 4:
            world.exports.memory.grow(3)
        return x

    async def main():
        assert await world.exports.read.call_async(100) == 42
        assert await world.exports.size.call_async() == 4

    world = World(f, tier)
    run(main())


def test_a_host_function_may_call_guests_synchronously_while_the_guest_runs(tier):
    """Of this store and of another one; those run on the thread's stack."""

    def f(x):
        return world.exports.add(x, 1) + other.exports.call(x)

    other = World(tier=tier)
    world = World(f, tier)
    assert run(main(world.exports.steps.call_async(3))) == sum(x + 1 + x + 1 for x in (1, 2, 3))


async def main(coroutine):
    """Await it."""
    return await coroutine


# ---- calls by the host function that a guest waits for ----


def test_the_host_function_that_a_guest_waits_for_may_call_it(tier):
    """Synchronously and asynchronously, before and after its own awaits; the store stays closed to other tasks."""

    async def f(x):
        if x == 0:
            return await nap(1)
        first = world.exports.add(x, 1)
        await asyncio.sleep(0)
        second = await world.exports.call.call_async(0)
        refused.append(await asyncio.gather(other(), return_exceptions=True))
        return first + second + world.exports.add(x, 1)

    async def other():
        world.exports.add(1, 1)

    async def main():
        assert await world.exports.steps.call_async(3) == sum(2 * (x + 1) + 2 for x in (1, 2, 3))
        clean(world)
        assert world.exports.call.path != "slow" and world.exports.add(1, 1) == 2

    refused = []
    world = World(f, tier)
    run(main())
    assert [type(error) for (error,) in refused] == [StoreBusy] * 3


def test_errors_of_such_calls_pass_through_the_guest_that_waits(tier):
    """A trap of the inner call is an exception of the host function; caught, the outer guest goes on."""

    async def f(x):
        await asyncio.sleep(0)
        if x == 0:
            raise LookupError
        for call in (world.exports.deep, world.exports.read):
            with pytest.raises((StackOverflow, CannotSuspend)):
                call(1 << 20)
        with pytest.raises(LookupError):
            await world.exports.call.call_async(0)
        if x == 1:
            await world.exports.call.call_async(0)
        return x

    async def main():
        assert await world.exports.call.call_async(2) == 3
        with pytest.raises(LookupError):
            await world.exports.call.call_async(1)
        clean(world)
        assert world.exports.add(1, 1) == 2

    world = World(f, tier)
    run(main())


def test_a_call_that_a_host_function_begins_and_leaves_ends_with_it():
    """The guest cannot go on below it: both are abandoned, whichever is let go first, and the store is free."""

    async def f(x):
        if x == 0:
            return await asyncio.sleep(3600)
        left.append(world.exports.call.call_async(0))
        left[-1].send(None)
        return x

    async def main():
        with pytest.raises(StoreBusy, match="is not over"):
            await world.exports.call.call_async(1)
        clean(world)
        with pytest.raises(StrataError, match="abandoned"):
            left[-1].throw(LookupError)
        world.instance = load(SOURCE, {"h": {"f": f}}, store=world.store)
        world.exports = world.instance.exports
        outer = world.exports.call.call_async(1)
        with pytest.raises(StoreBusy, match="is not over"):
            await outer
        left[-1].close()
        clean(world)

    left = []
    world = World(f)
    run(main())


@pytest.mark.parametrize("how", ["cancel", "close", "interrupt", "deadline", "timeout"])
@pytest.mark.parametrize("depth", range(4))
def test_a_nest_of_calls_that_wait_ends_together(how, depth):
    """Each in the host function of the one before; whoever ends it, all stacks come back and no cancel is left."""

    async def f(x):
        if x == 0:
            reached.set()
            await asyncio.sleep(3600)
        return await world.exports.call.call_async(x - 1)

    async def calls():
        try:
            async with asyncio.timeout(None) as limit:
                limits.append(limit)
                await world.exports.call.call_async(depth)
        finally:
            left.append(asyncio.current_task().cancelling())

    async def main():
        nonlocal reached
        reached = asyncio.Event()
        task = asyncio.create_task(calls())
        await reached.wait()
        if how == "cancel":
            task.cancel()
        elif how == "close":
            world.store.close()
        elif how == "interrupt":
            world.store.interrupt()
        elif how == "deadline":
            world.store.set_deadline(0)
        else:
            limits[0].reschedule(0)
        (ended,) = await asyncio.gather(task, return_exceptions=True)
        wanted = {
            "cancel": asyncio.CancelledError,
            "close": Closed,
            "interrupt": Interrupted,
            "deadline": DeadlineExceeded,
            "timeout": TimeoutError,
        }
        assert type(ended) is wanted[how]
        assert left == [how == "cancel"]
        if how != "close":
            world.store.set_deadline(None)
            clean(world)
            with pytest.raises(InstancePoisoned):
                world.exports.add(1, 1)

    reached, left, limits = None, [], []
    world = World(f)
    run(main())


# ---- ticks ----


def test_a_guest_that_computes_lets_the_loop_run(tier):
    """At a tick it is suspended; what was ready runs first."""

    async def main():
        seen = []
        world = World(tier=tier)
        world.store.request_tick()
        asyncio.get_running_loop().call_soon(seen.append, "other")
        await world.exports.spin.call_async(5)
        seen.append("guest")
        assert seen == ["other", "guest"]
        world.store.request_tick()
        await world.exports.fill.call_async()
        stop = asyncio.create_task(asyncio.sleep(0.05))
        task = asyncio.create_task(world.exports.forever.call_async())
        await stop
        assert not task.done()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    run(main())


def test_a_sample_suspends_nobody(tier):
    """A tick, which may come by itself on a busy machine, does."""

    async def main():
        world = World(tier=tier)
        await world.exports.spin.call_async(5)
        told = []
        for turn in range(20):
            asyncio.get_running_loop().call_soon(told.append, turn)
            world.store.request_sample()
            await world.exports.spin.call_async(5)
            told.append("guest")
            await asyncio.sleep(0)
        pairs = [told[i : i + 2] for i in range(0, len(told), 2)]
        assert any(pair == ["guest", turn] for turn, pair in enumerate(pairs))

    run(main())


def test_many_guests_share_a_loop(tier):
    """A thousand wait at the same time."""

    async def main():
        gate = asyncio.Event()
        arrived = 0

        async def f(x):
            nonlocal arrived
            arrived += 1
            await gate.wait()
            return x

        worlds = [World(f, tier) for _ in range(1000)]
        tasks = [asyncio.create_task(w.exports.call.call_async(i)) for i, w in enumerate(worlds)]
        while arrived < len(worlds):
            await asyncio.sleep(0)
        assert stack_status()["taken"] >= 1000
        gate.set()
        assert await asyncio.gather(*tasks) == list(range(1, 1001))

    run(main())
