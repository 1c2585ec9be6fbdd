"""Instances of a pool that hold much memory are closed beside its event loop."""

import asyncio
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import pytest

from stratavm import Engine, Linker, MemorySlots, Module, Policy, Pool, StoreLimits, Tenant
from stratavm.engine.ports import GrowthLimiter
from stratavm.pool import closing, nursery
from stratavm.pool.closing import Closing
from stratavm.runtime.events import StoreClosed
from tests.unit.pool.test_fork import in_child


class Beside:
    """What a pool's source returns beside an instance."""

    def __init__(self, store, log):
        self.store, self.log = store, log

    def close(self):
        self.log.append(("beside", threading.get_ident(), self.store.closed))


def source_of(pages, log, **options):
    """What makes instances with so much memory."""
    engine = Engine(tier="jit0", **options)
    module = Module(f'(module (memory {pages}) (func (export "f")) (func (export "trap") unreachable))', engine)
    engine.bus.subscribe(StoreClosed, lambda event: log.append(("store", threading.get_ident())))

    def make(store):
        return Linker(engine).instantiate(store, module), Beside(store, log)

    return make, engine


@pytest.mark.parametrize("pages", [16, 1024])
@pytest.mark.parametrize("how", ["call", "trap", "drain", "close"])
def test_a_large_store_is_closed_in_a_thread(pages, how):
    """What came beside it is closed by the loop; the end of the pool waits for the thread."""
    log, is_large = [], pages > 512

    async def main():
        make, engine = source_of(pages, log)
        async with Pool(make, engine=engine) as pool:
            if how == "call":
                await pool.call("f")
            else:
                async with pool.instance() as guest:
                    if how == "trap":
                        with pytest.raises(Exception, match="unreachable"):
                            await guest.call("trap")
            if how == "drain":
                assert await pool.drain(timeout=60)
            elif how == "close":
                pool.close()
                assert await pool.drain()
            if how in ("drain", "close"):
                assert len(log) % 2 == 0 and len(log) >= 2
        assert pool.metrics().ready == 0

    asyncio.run(main(), debug=True)
    here = threading.get_ident()
    closed = [entry for entry in log if entry[0] == "store"]
    assert len(closed) == len(log) / 2 >= 1
    assert all((thread != here) == is_large for _, thread in closed)
    assert [entry[1:] for entry in log if entry[0] == "beside"] == [(here, not is_large)] * len(closed)


def test_a_store_is_closed_though_nobody_waits_for_that():
    """The loop ends; pools that are closed outside of one wait."""
    log = []

    async def main():
        make, engine = source_of(1024, log)
        pool = Pool(make, engine=engine)
        await pool.call("f")
        pool.close()
        return pool

    asyncio.run(main()).close()
    assert len([entry for entry in log if entry[0] == "store"]) == len(log) / 2 >= 1


def closed_in(log):
    """The threads in which stores were closed."""
    return [entry[1] for entry in log if entry[0] == "store"]


@pytest.fixture
def gate(monkeypatch):
    """Holds threads up before they close their stores."""
    is_open, run = threading.Event(), Closing.run
    monkeypatch.setattr(Closing, "run", lambda closing: run(closing) if is_open.wait(60) else None)
    yield is_open
    is_open.set()


class BusyExecutor:
    """The default executor of the loop has no thread to spare, in a ``with`` statement."""

    def __enter__(self):
        self._end, executor = threading.Event(), ThreadPoolExecutor(1)
        asyncio.get_running_loop().set_default_executor(executor)
        executor.submit(self._end.wait, 60)

    def __exit__(self, *given):
        self._end.set()


@pytest.mark.parametrize("timeout", [None, 0.0, 60.0])
def test_the_embedders_executor_is_not_waited_for(timeout):
    """It may be busy as long as it likes: calls do not heap memory up, and draining ends."""
    log = []

    async def main():
        with BusyExecutor():
            make, engine = source_of(1024, log)
            pool = Pool(make, engine=engine)
            for i in range(8):
                await pool.call("f")
                assert i + 1 - len(closed_in(log)) <= closing.MOST
            assert await asyncio.wait_for(pool.drain(timeout=timeout), 30)
            assert len(closed_in(log)) == pool.metrics().discarded >= 8 - closing.MOST
            await asyncio.wait_for(pool.__aexit__(None, None, None), 30)

    asyncio.run(main())


@pytest.mark.parametrize("by", ["count", "bytes"])
def test_few_are_closed_in_threads_at_once(by, monkeypatch, gate):
    """The rest by the loop, so that no more memory is held than callers asked for, and a little."""
    log = []
    if by == "bytes":
        monkeypatch.setattr(closing, "MOST_BYTES", 1 << 20)
    most = 1 if by == "bytes" else closing.MOST

    async def main():
        make, engine = source_of(1024, log)
        pools = [Pool(make, engine=engine) for _ in range(3)]
        for _ in range(2):
            for pool in pools:  # the bound is one of the process
                await pool.call("f")
        assert sum(len(pool._nursery._closings) for pool in pools) == most
        assert len(closed_in(log)) == sum(pool.metrics().discarded for pool in pools) - most >= 6 - most
        drained = [asyncio.create_task(pool.drain()) for pool in pools]
        await asyncio.sleep(0.01)
        assert not all(task.done() for task in drained)
        gate.set()
        assert await asyncio.gather(*drained) == [True] * 3
        assert not closing._under_way

    asyncio.run(main())


def test_a_drain_that_is_given_up_leaves_the_closing_alone(gate):
    """The thread goes on, also when the loop is closed."""
    log = []

    async def main():
        make, engine = source_of(1024, log)
        pool = Pool(make, engine=engine)
        await pool.call("f")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(pool.drain(), 0.01)
        return pool

    pool = asyncio.run(main())
    gate.set()
    pool.close()
    assert len(pool._nursery._closings) == 0 and len(closed_in(log)) == pool.metrics().discarded


@pytest.mark.parametrize("what", ["slots", "limiter", "admit", "tenant", "service", "address space", "no thread"])
def test_what_counts_what_lives_sees_no_closing_in_threads(what, monkeypatch):
    """The next call may want the room: it is there when the one before has ended."""
    log, options, given = [], {}, {}
    if what == "slots":
        options["memory_slots"] = MemorySlots(memories=2, max_memory_bytes=64 << 20)
    elif what == "service":
        options["services"] = {GrowthLimiter: SimpleNamespace(allows=lambda kind, now, wanted: True)}
    elif what == "limiter":
        given["limits"] = StoreLimits(limiter=lambda kind, now, wanted: True)
    elif what == "admit":
        given["limits"] = StoreLimits(admit=lambda kind, now: True)
    elif what == "tenant":
        given["tenants"] = [Tenant("default", limits=StoreLimits(admit=lambda kind, now: True))]
    elif what == "address space":
        limited = SimpleNamespace(RLIMIT_AS=0, RLIM_INFINITY=-1, getrlimit=lambda which: (1 << 46, -1))
        monkeypatch.setattr(nursery, "resource", limited)
    else:
        monkeypatch.setattr(Closing, "start", no_thread)

    async def main():
        make, engine = source_of(1024, log, **options)
        with BusyExecutor():
            async with Pool(make, engine=engine, policy=Policy(min_ready=0), **given) as pool:
                for _ in range(6):
                    await pool.call("f")
        assert len(closed_in(log)) == pool.metrics().discarded >= 6
        assert len(log) == 2 * len(closed_in(log))

    asyncio.run(main())
    assert set(closed_in(log)) == {threading.get_ident()}


def no_thread(closing):
    """Instead of ``Thread.start``."""
    raise RuntimeError("can't start new thread")


def test_an_error_of_what_came_beside_leaves_no_store_open(monkeypatch):
    """It comes out; the store is closed all the same."""
    log = []

    def fail(beside):
        raise ValueError("beside")

    async def main():
        make, engine = source_of(1024, log)
        pool = Pool(make, engine=engine)
        with pytest.raises(ValueError, match="beside"):
            await pool.call("f")
        await pool._nursery.closed()
        assert len(closed_in(log)) == 1

    monkeypatch.setattr(Beside, "close", fail)
    asyncio.run(main())


def test_a_child_waits_for_no_thread_of_its_parent(gate):
    """It has none of them."""
    log = []

    async def main():
        make, engine = source_of(1024, log)
        pool = Pool(make, engine=engine)
        await pool.call("f")
        assert len(pool._nursery._closings) == 1

        def child():
            assert len(pool._nursery._closings) == 0 and pool._nursery._closings.has_room
            pool.close()

        said = in_child(child)
        gate.set()
        assert not said, said
        await pool.drain()

    asyncio.run(main())


EXIT = """
import asyncio, threading
from stratavm import Engine, Linker, Module, Pool
from stratavm.runtime.events import StoreClosed

async def main():
    engine = Engine(tier="jit0")
    module = Module('(module (memory 1024) (func (export "f")))', engine)
    engine.bus.subscribe(StoreClosed, lambda event: threading.main_thread().join() or print("closed"))
    await Pool(Linker(engine).instantiate_pre(module)).call("f")

loop = asyncio.new_event_loop()
loop.run_until_complete(main())
loop.close()
print("the loop is closed")
"""


def test_the_interpreter_waits_at_its_exit():
    """What threads close is closed whole, and nothing is said about it."""
    done = subprocess.run([sys.executable, "-c", EXIT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (0, "the loop is closed\nclosed\n", "")
