"""Loading and instantiating for asyncio: in a thread, and cancelling ends it."""

import asyncio
import contextvars
import os
import threading

import pytest

from stratavm import (
    DeadlineExceeded,
    Engine,
    InstancePoisoned,
    Interrupted,
    Linker,
    LinkError,
    Module,
    ResourceLimit,
    Store,
    StoreLimits,
    Trap,
    ValidationError,
)
from stratavm.engine.events import InstantiationFailed, ModuleLoaded

ADD = """(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))"""
START = """(module (import "h" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 8) "hello")
  (global (export "g") (mut i32) (i32.const 0))
  (start $start)
  (func $start (global.set 0 (call $f (i32.const 20))))
  (func (export "get") (result i32) (global.get 0)))"""


async def nap(x):
    """A host function that lets the loop run."""
    await asyncio.sleep(0)
    return x + 1


def run(coroutine):
    """``asyncio.run`` in debug mode."""
    return asyncio.run(coroutine, debug=True)


def test_a_module_is_loaded_in_another_thread():
    """It is what ``Module`` makes; the context is the task's."""
    variable = contextvars.ContextVar("variable", default=0)
    seen = []

    async def main():
        engine = Engine(tier="jit0")
        variable.set(5)
        engine.bus.subscribe(ModuleLoaded, lambda _: seen.append((threading.get_ident(), variable.get())))
        module = await Module.load_async(ADD, engine, timeout=60)
        assert Linker(engine).instantiate(Store(engine), module).exports.add(1, 2) == 3
        assert (await Module.load_async(ADD, engine)).code_bytes == 0
        assert (await Module.load_async(ADD, engine, compile=True)).code_bytes > 0
        assert (await Module.load_async(ADD)).engine is Module(ADD).engine

    run(main())
    assert len(seen) == 3 and all(ident != threading.get_ident() and value == 5 for ident, value in seen)


def test_errors_of_loading_come_out():
    """Wrong modules, wrong arguments, times that are over."""

    async def main():
        with pytest.raises(ValidationError):
            await Module.load_async("(module (func (result i32)))")
        with pytest.raises(FileNotFoundError):
            await Module.load_async("nowhere.wasm")
        with pytest.raises(DeadlineExceeded):
            await Module.load_async(ADD, timeout=0)
        with pytest.raises(TypeError, match="compile"):
            await Module.load_async(ADD, compile="yes")

    run(main())


@pytest.fixture
def pipe(tmp_path):
    """A file that never has anything to say."""
    path = tmp_path / "pipe.wasm"
    os.mkfifo(path)
    writing = os.open(path, os.O_RDWR)
    yield path
    os.close(writing)


def test_the_loop_goes_on_while_a_file_does_not_answer(pipe):
    """And cancelling ends the wait, and with it the thread's work."""

    async def main():
        task = asyncio.create_task(Module.load_async(pipe))
        for _ in range(20):
            await asyncio.sleep(0.001)
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asyncio.wait_for(task, 60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await Module.load_async(pipe)
        assert (await Module.load_async(ADD)).exports

    run(main())


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto", "oracle"])
def test_an_instance_is_made_and_its_start_function_may_wait(tier):
    """On the oracle it may not, and is refused."""

    async def main():
        engine = Engine(tier=tier)
        module = await Module.load_async(START, engine)
        linker = Linker(engine)
        linker.define("h", "f", nap)
        if tier == "oracle":
            with pytest.raises(Exception, match="runs on the oracle"):
                await linker.instantiate_async(Store(engine), module)
            return
        for make in (linker.instantiate_async, lambda store, m: linker.instantiate_pre(m).instantiate_async(store)):
            instance = await make(Store(engine), module)
            assert instance.exports["get"]() == 21
            assert instance.exports.memory.read(8, 5) == b"hello"
        plain = await linker.instantiate_async(Store(engine), await Module.load_async(ADD, engine))
        assert plain.exports.add(1, 1) == 2

    run(main())


def test_errors_of_instantiating_come_out_and_are_told():
    """Imports that are missing, limits, a start function that fails or is cancelled."""
    told = []

    async def main():
        engine = Engine(tier="jit0")
        engine.bus.subscribe(InstantiationFailed, told.append)
        module = await Module.load_async(START, engine)
        linker = Linker(engine)
        with pytest.raises(LinkError):
            await linker.instantiate_async(Store(engine), module)
        linker.define("h", "f", nap)
        with pytest.raises(ResourceLimit):
            await linker.instantiate_async(Store(engine, limits=StoreLimits(instances=0)), module)
        with pytest.raises(Trap, match="unreachable"):
            trap = await Module.load_async("(module (start 0) (func unreachable))", engine)
            await linker.instantiate_async(Store(engine), trap)
        assert len(told) == 3
        reached = asyncio.Event()

        async def long(x):
            reached.set()
            await asyncio.sleep(3600)

        linker.define("h", "f", long)
        store = Store(engine)
        task = asyncio.create_task(linker.instantiate_async(store, module))
        await reached.wait()
        store.interrupt()
        with pytest.raises(Interrupted):
            await task
        assert not store.busy and len(store.instances) == 1
        assert len(told) == 4
        reached.clear()
        store = Store(engine)
        task = asyncio.create_task(linker.instantiate_async(store, module))
        await reached.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        with pytest.raises(InstancePoisoned):
            store.instances[0].exports["get"]()

    run(main())


def test_a_load_that_no_thread_has_begun_is_never_made(pipe):
    """All of the executor's are busy."""
    from concurrent.futures import ThreadPoolExecutor

    async def main():
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        first = asyncio.create_task(Module.load_async(pipe))
        await asyncio.sleep(0.01)
        second = asyncio.create_task(Module.load_async("nowhere.wasm"))
        await asyncio.sleep(0.01)
        for task in (second, first):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 60)

    run(main())
