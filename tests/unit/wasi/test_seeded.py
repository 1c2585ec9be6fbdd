"""WASI in a seeded loop: many orders of the same guests, and time that jumps."""

import asyncio
import os
from functools import partial

import pytest

from stratavm import (
    Closed,
    DeadlineExceeded,
    Engine,
    InstancePoisoned,
    Interrupted,
    Linker,
    Module,
    Store,
    run_async,
)
from stratavm.runtime.fibers import count_polls
from stratavm.testing.loop import SeededLoop, run_seeded
from stratavm.wasi import Wasi
from stratavm.wasi.errno import Errno
from tests.unit.wasi.guest import DATA, OUT
from tests.unit.wasi.loops import LoopGuest

SEEDS = 40


class Line:
    """What one guest writes and another reads: no descriptor, only the loop."""

    def __init__(self) -> None:
        self.data = b""
        self.change = asyncio.Event()
        self.is_ended = False

    async def take(self, most):
        """The input of a guest."""
        while not self.data and not self.is_ended:
            self.change.clear()
            await self.change.wait()
        taken, self.data = self.data[:most], self.data[most:]
        self.change.set()
        return taken

    async def put(self, data):
        """The output of another."""
        while len(self.data) > 64:
            self.change.clear()
            await self.change.wait()
        self.data += data
        self.change.set()


async def pipeline(log):
    """One guest writes, two pass on, one reads; what comes out is what went in, whatever the order."""
    lines = [Line() for _ in range(3)]
    worlds = [
        Wasi(stdin=None if i == 0 else lines[i - 1].take, stdout=lines[i].put if i < 3 else None) for i in range(4)
    ]
    guests = [LoopGuest(world) for world in worlds]

    async def writes():
        for i in range(20):
            log.append(("write", i))
            assert await guests[0].write(1, bytes([65 + i]) * 7) == 7
        lines[0].is_ended = True
        lines[0].change.set()

    async def passes(number):
        while data := await guests[number].read(0, 5):
            log.append((number, data))
            await guests[number].write(1, data)
        lines[number].is_ended = True
        lines[number].change.set()

    async def reads():
        found = b""
        while data := await guests[3].read(0, 9):
            found += data
        return found

    async with asyncio.TaskGroup() as group:
        group.create_task(writes())
        for number in (1, 2):
            group.create_task(passes(number))
        found = group.create_task(reads())
    for world in worlds:
        world.close()
    return found.result()


def test_what_is_passed_on_arrives_in_every_order():
    """In many different ones."""
    orders = set()
    for seed in range(SEEDS):
        log = []
        assert run_seeded(partial(pipeline, log), seed) == b"".join(bytes([65 + i]) * 7 for i in range(20))
        orders.add(tuple(log))
    assert len(orders) > 1


@pytest.mark.parametrize("what", ["cancel", "close world", "close store", "interrupt", "deadline", "fd_close"])
def test_what_ends_a_wait_ends_it_at_every_moment(what):
    """Beside input that comes, in each order: the guest has all of it, or an end, and nothing is left."""

    async def main():
        line = Line()
        ends = []

        async def work():
            with Wasi(stdin=line.take) as wasi:
                guest = LoopGuest(wasi)

                async def call():
                    number = await guest.reading(0)
                    return Errno(number), bytes(guest.memory.read(DATA, guest.u32(OUT)))

                task = asyncio.create_task(call())

                async def end():
                    await asyncio.sleep(0)
                    if what == "cancel":
                        task.cancel()
                    elif what == "close world":
                        wasi.close()
                    elif what == "close store":
                        if not task.done():
                            guest.store.close()
                    elif what == "interrupt":
                        guest.store.interrupt()
                    elif what == "deadline":
                        guest.store.set_deadline(0.0)
                    elif 0 in wasi._context.table:
                        wasi._context.remove(0)

                async with asyncio.TaskGroup() as group:
                    group.create_task(line.put(b"data"))
                    group.create_task(end())
                try:
                    ends.append(await task)
                except (asyncio.CancelledError, Closed, Interrupted, DeadlineExceeded, InstancePoisoned) as error:
                    ends.append(type(error).__name__)
                assert wasi._context.waking == {} and guest.store.parked is None

        await work()
        assert ends[0] in ((Errno.SUCCESS, b"data"), (Errno.BADF, b"")) or isinstance(ends[0], str), ends
        return str(ends[0])

    assert len({run_seeded(main, seed) for seed in range(SEEDS)}) > 1


COMPUTES = """(module (import "h" "done" (func $done (param i32 i32)))
  (func (export "work") (param $me i32) (param $turns i32) (local $i i32) (local $round i32)
    (loop $rounds
      (local.set $i (local.get $turns))
      (loop (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
      (call $done (local.get $me) (local.get $round))
      (br_if $rounds (i32.lt_u (local.tee $round (i32.add (local.get $round) (i32.const 1))) (i32.const 3))))))"""


async def computing(module, turns, log):
    """Three guests that compute between what they say."""
    async with asyncio.TaskGroup() as group:
        for me in range(3):
            linker = Linker(module.engine)
            linker.define("h", "done", lambda who, number: log.append((who, number)))
            work = linker.instantiate(Store(module.engine), module).exports.work
            group.create_task(work.call_async(me, turns))


@pytest.mark.trace_slow
@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_a_seed_decides_where_guests_that_compute_are_suspended(tier):
    """The same seed, the same order, whatever time a guest takes; ticks of the clock would come in between."""
    module = Module(COMPUTES, Engine(tier=tier))
    orders = []
    for seed in (1, 2, 3, 1, 2, 3):
        orders.append([])
        run_seeded(partial(computing, module, 300_000, orders[-1]), seed)
    assert orders[:3] == orders[3:]
    assert len(set(map(tuple, orders))) > 1
    in_turn = [(who, number) for who in range(3) for number in range(3)]
    assert all(sorted(order) == in_turn for order in orders) and in_turn not in orders


def test_how_often_guests_are_suspended_can_be_chosen():
    """Of a loop that is made with other numbers; and the loops and calls that come later have ticks as ever."""
    module = Module(COMPUTES, Engine(tier="jit0"))
    turns = {}
    for polls in (1_000, 10**12):
        loop, log = SeededLoop(5, polls_per_tick=polls), []
        loop.run_until_complete(computing(module, 50_000, log))
        turns[polls] = loop.steps
        assert len(log) == 9
    assert turns[10**12] < 20 < 300 < turns[1_000] < 1_000
    assert count_polls(0, 0) == 0


def test_time_jumps_for_guests_that_sleep():
    """A poll of ten seconds by the embedder's awaitable clock takes no time."""

    async def main():
        loop = asyncio.get_running_loop()

        async def later(most):
            await asyncio.sleep(3600)
            return b"late"[:most]

        with Wasi(stdin=later) as wasi:
            assert await LoopGuest(wasi).read(0) == b"late"
        return loop.time()

    assert run_seeded(main, 1) == 3600


@pytest.mark.parametrize("wrong", [0, -1, 1 << 63, 1 << 64, 0.5, None, "x", True])
def test_polls_per_tick_that_are_no_number_of_polls_are_refused(wrong):
    """Before a loop runs: 2 to the 63rd once divided by zero in the poll of a guest."""
    with pytest.raises((TypeError, ValueError), match="polls_per_tick must be"):
        SeededLoop(polls_per_tick=wrong)


# ---- what threads do elsewhere ----

COPIES = """(module
  (import "wasi_snapshot_preview1" "path_open"
    (func $open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\40\\00\\00\\00\\03\\00\\00\\00") (data (i32.const 16) "name")
  (func (export "_start")
    (drop (call $open (i32.const 3) (i32.const 0) (i32.const 16) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0)
      (i32.const 0) (i32.const 32)))
    (loop
      (drop (call $read (i32.load (i32.const 32)) (i32.const 0) (i32.const 1) (i32.const 36)))
      (i32.store (i32.const 4) (i32.load (i32.const 36)))
      (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 40)))
      (i32.store (i32.const 4) (i32.const 3))
      (br_if 0 (i32.load (i32.const 36))))))"""


def test_programs_with_files_of_the_host_run_and_repeat(tmp_path):
    """Loading, opening, closing: each in a turn of the loop that the seed draws."""
    (tmp_path / "name").write_bytes(b"what a host file says")
    module = Module(COPIES, Engine(tier="jit0"))

    async def main(order):
        async def program(number):
            result = await run_async(module, dirs=[(tmp_path, "/")])
            order.append(number)
            assert (result.code, result.stdout) == (0, b"what a host file says")

        async with asyncio.TaskGroup() as group:
            for number in range(5):
                group.create_task(program(number))

    orders = []
    for seed in (1, 2, 3, 1, 2, 3):
        orders.append([])
        run_seeded(partial(main, orders[-1]), seed)
    assert orders[:3] == orders[3:] and len(set(map(tuple, orders))) > 1


def test_a_module_is_loaded_and_threads_are_asked_in_turns():
    """Also where the task is cancelled before: then nothing is done."""
    done = []

    async def main():
        module = await Module.load_async(COMPUTES, Engine(tier="jit0"), compile=True)
        assert [e.name for e in module.exports] == ["work"]
        assert await asyncio.to_thread(lambda: 5) == 5
        with pytest.raises(KeyError):
            await asyncio.to_thread({}.__getitem__, 1)
        task = asyncio.create_task(asyncio.to_thread(done.append, 1))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    for seed in range(10):
        run_seeded(main, seed)
    assert done == []


def test_a_pipe_is_refused_by_name():
    """It would have to be watched."""
    reading, writing = os.pipe()

    async def main():
        with Wasi(stdin=stream) as wasi:
            await LoopGuest(wasi).reading(0)

    with open(reading, "rb", buffering=0) as stream, pytest.raises(NotImplementedError, match="watches no descriptors"):
        run_seeded(main, 1)
    os.close(writing)
