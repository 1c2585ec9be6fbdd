"""``Store.close_async``: what a store has is let go of beside the loop."""

import asyncio
import threading

import pytest

from stratavm import Closed, Engine, Linker, MemorySlots, Module, Store, StoreBusy
from stratavm.runtime.events import StoreClosed

GUEST = """(module (import "h" "f" (func $f (result i32))) (memory (export "memory") 2)
  (func (export "wait") (result i32) (call $f)) (func (export "one") (result i32) (i32.const 1)))"""


def made(f=lambda: 1, **options):
    """A store with an instance of the guest, and its exports."""
    engine = Engine(tier="jit0")
    store = Store(engine, **options)
    linker = Linker(engine)
    linker.define("h", "f", f)
    return store, linker.instantiate(store, Module(GUEST, engine)).exports


def test_a_store_is_closed_in_another_thread():
    """Listeners hear of it there; twice is once."""
    threads = []

    async def main():
        store, exports = made()
        store.bus.subscribe(StoreClosed, lambda _: threads.append(threading.get_ident()))
        await store.close_async()
        assert store.closed
        with pytest.raises(Closed):
            exports.one()
        await store.close_async()

    asyncio.run(main(), debug=True)
    assert len(threads) == 1 and threads[0] != threading.get_ident()


def test_a_guest_that_waits_ends():
    """As by ``close``."""
    gate = asyncio.Event()

    async def never():
        await gate.wait()

    async def main():
        store, exports = made(never)
        task = asyncio.create_task(exports.wait.call_async())
        await asyncio.sleep(0)
        await store.close_async()
        with pytest.raises(Closed, match="while the guest waited"):
            await task

    asyncio.run(main(), debug=True)


def test_a_store_that_is_busy_is_refused():
    """A call is inside, on another thread; it goes on."""
    entered, leave = threading.Event(), threading.Event()

    def holds():
        entered.set()
        leave.wait(60)
        return 1

    async def main():
        store, exports = made(holds)
        call = asyncio.create_task(asyncio.to_thread(exports.wait))
        while not entered.is_set():
            await asyncio.sleep(0.001)
        with pytest.raises(StoreBusy):
            await store.close_async()
        leave.set()
        assert await call == 1 and not store.closed

    asyncio.run(main(), debug=True)


def test_many_pages_are_given_back():
    """Memory of its own, and a slot of a pool, which is clean afterwards."""
    source = """(module (memory (export "memory") 1024)
      (func (export "f") (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x3f00000))))"""
    for engine in (
        Engine(tier="jit0"),
        Engine(tier="jit0", memory_slots=MemorySlots(memories=1, max_memory_bytes=64 << 20)),
    ):
        store = Store(engine)
        exports = Linker(engine).instantiate(store, Module(source, engine)).exports
        exports.f()
        store.close()
        assert Linker(engine).instantiate(Store(engine), Module(source, engine)).exports.memory.read(4096, 8) == bytes(
            8
        )


def test_a_store_of_one_thread_is_closed_there():
    """No other may touch it."""

    async def main():
        store, _ = made(thread_bound=True)
        await store.close_async()
        assert store.closed

    asyncio.run(main(), debug=True)


def test_cancelling_waits_for_the_end():
    """A store is closed whole, or not at all."""
    begun, go = threading.Event(), threading.Event()

    def hears(_):
        begun.set()
        go.wait(60)

    async def main():
        store, _ = made()
        store.bus.subscribe(StoreClosed, hears)
        task = asyncio.create_task(store.close_async())
        while not begun.is_set():
            await asyncio.sleep(0.001)
        task.cancel()
        for _ in range(5):
            await asyncio.sleep(0.001)
        assert not task.done()
        go.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert store.closed

    asyncio.run(main(), debug=True)
