"""Claims about the testing package: schedules that find races and deadlocks, the recorder, the builder."""

import asyncio

import pytest

import stratavm
from stratavm.base.events import Bus, Event, event
from stratavm.testing import EventRecorder, ModuleBuilder, Schedule, SeededLoop, Stuck, explore, run_seeded


@event
class Ticked(Event):
    """A test event."""

    number: int


@event
class Tocked(Event):
    """Another."""

    number: int


def racy(schedule):
    """Two threads increment without a lock."""
    state = {"n": 0}

    def increment():
        seen = state["n"]
        schedule.pause()
        state["n"] = seen + 1

    schedule.spawn(increment)
    schedule.spawn(increment)

    def check(results):
        assert state["n"] == 2

    return check


def test_a_race_is_found_and_its_seed_named():
    """Some schedule loses an increment; the same seed always does."""
    with pytest.raises(AssertionError) as caught:
        explore(racy, 100)
    (note,) = caught.value.__notes__
    seed = int(note.split()[-1])
    for _ in range(3):
        with pytest.raises(AssertionError):
            explore(racy, 1, first_seed=seed)


def test_the_same_seed_is_the_same_order():
    """And other seeds give other orders."""

    def order(seed):
        schedule, log = Schedule(seed), []

        def work(who):
            for _ in range(4):
                log.append(who)
                schedule.pause()

        for who in range(3):
            schedule.spawn(work, who)
        schedule.run()
        return tuple(log)

    assert order(5) == order(5)
    assert len({order(seed) for seed in range(20)}) > 10


def test_a_deadlock_is_told_instead_of_hanging():
    """Every thread is woken with an error."""
    schedule = Schedule(1)
    first, second = schedule.event(), schedule.event()

    def work(mine, other):
        other.wait()
        mine.set()

    schedule.spawn(work, first, second)
    schedule.spawn(work, second, first)
    with pytest.raises(Stuck, match="seed 1"):
        schedule.run()


def test_events_of_a_schedule_work_outside_of_it_too():
    """Setting one from the test's own thread lets the scheduled ones go on."""
    schedule = Schedule(3)
    gate = schedule.event()
    assert not gate.is_set()
    gate.set()
    schedule.spawn(gate.wait)
    assert schedule.run() == [True]


def test_an_error_of_a_thread_comes_out():
    """With its thread's name and the seed."""
    schedule = Schedule(2)
    schedule.spawn(lambda: 1 // 0, name="divider")
    with pytest.raises(ZeroDivisionError) as caught:
        schedule.run()
    assert caught.value.__notes__ == ["in divider, with seed 2"]


def test_time_jumps_in_a_seeded_loop():
    """Sleeping a day takes no time; timers run in order of their time."""

    async def main():
        log = []

        async def sleeper(seconds):
            await asyncio.sleep(seconds)
            log.append(seconds)

        await asyncio.gather(*(sleeper(s) for s in (86400, 1, 3600)))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                await asyncio.sleep(11)
        return log, asyncio.get_running_loop().time()

    assert run_seeded(main, 1) == ([1, 3600, 86400], 86410)


def test_tasks_interleave_by_seed():
    """The same seed, the same order."""

    def order(seed):
        async def main():
            log = []

            async def work(who):
                for _ in range(3):
                    log.append(who)
                    await asyncio.sleep(0)

            await asyncio.gather(*(work(i) for i in range(3)))
            return tuple(log)

        return run_seeded(main, seed)

    assert order(1) == order(1)
    assert len({order(seed) for seed in range(20)}) > 10


def test_a_loop_that_is_stuck_or_endless_says_so():
    """Instead of hanging."""

    async def waits():
        await asyncio.get_running_loop().create_future()

    async def spins():
        while True:
            await asyncio.sleep(0)

    with pytest.raises(Stuck, match="no timer"):
        run_seeded(waits, 4)
    with pytest.raises(Stuck, match="more steps"):
        endless = SeededLoop(1, most_steps=100)
        endless.run_until_complete(spins())
    endless.close()


def test_what_is_no_coroutine_function_or_no_seed_is_refused():
    """By the name of the argument."""

    async def main():
        return 3

    for wrong in (main(), 3, lambda: 3):
        with pytest.raises(TypeError, match="main must be a coroutine function"):
            run_seeded(wrong, 1)
    for seed in ("a", None, 1.5, True):
        with pytest.raises(TypeError, match="seed must be a whole number"):
            run_seeded(main, seed)
    assert run_seeded(main, 1) == 3


def test_a_function_of_an_executor_may_raise_anything():
    """Also what no future can have: as with threads in later versions of Python."""

    def ends():
        raise StopIteration("over")

    async def main():
        with pytest.raises(RuntimeError, match="StopIteration") as caught:
            await asyncio.to_thread(ends)
        return caught.value.__cause__.value

    assert run_seeded(main, 1) == "over"


def test_an_error_in_a_callback_fails_the_run():
    """It is not lost."""

    async def main():
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    with pytest.raises(AssertionError, match="ZeroDivisionError"):
        run_seeded(main, 1)


def test_the_recorder_answers_questions():
    """By class and fields."""
    bus = Bus()
    with EventRecorder(bus) as recorder:
        bus.emit(Ticked(1))
        bus.emit(Tocked(2))
        bus.emit(Ticked(3))
    bus.emit(Ticked(4))
    assert recorder.names == ["Ticked", "Tocked", "Ticked"]
    assert recorder.of(Ticked) == [Ticked(1), Ticked(3)] and recorder.one(Ticked, number=3) == Ticked(3)
    for fields in ({}, {"number": 9}):
        with pytest.raises(AssertionError, match="expected one Ticked"):
            recorder.one(Ticked, **fields)
    recorder.clear()
    assert recorder.events == []


def test_the_builder_makes_modules_that_run():
    """Functions, imports, memory, table, global."""
    built = (
        ModuleBuilder()
        .func("add", "i32 i32 -> i32", "local.get 0 local.get 1 i32.add")
        .func("twice", "i32 -> i32", "local.get 0 call $ask local.tee 1 local.get 1 i32.add", locals_="i32")
        .func("hidden", export=False)
        .imported("env", "ask", "i32 -> i32")
        .memory(1, 2, data=b"hi\0")
        .table(2, functions=("add",))
        .global_("level", "i64", 7)
        .build()
    )
    instance = stratavm.load(built, imports={"env": {"ask": lambda x: x + 1}}, config=stratavm.Config(tier="oracle"))
    exports = instance.exports
    assert exports.add(2, 3) == 5 and exports.twice(20) == 42 and exports.level.value == 7
    assert bytes(exports.memory.read(0, 3)) == b"hi\0"
    with pytest.raises(ValueError, match="expected a type"):
        ModuleBuilder().func("x", "i32")
