"""Claims about long functions: nothing of their code is copied, and where an event loop waits for one a thread of its
own makes it, which goes behind all others."""

import asyncio
import os
import threading
import tracemalloc
from contextlib import suppress
from pathlib import Path

import pytest

from stratavm import Engine, Linker, Module, ResourceLimit, Store
from stratavm.base import switches
from stratavm.native.apart import threads_begun
from tests.unit.native import drill

LOOP = b"\x02\x40\x03\x40\x0c\x01\x0b\x0b"
LOOPS = 40_000
"""Of 300 KiB: compiled in some 50 ms, to more than a megabyte."""
THREADS = pytest.mark.skipif(
    not drill.POSSIBLE or switches.CHECK.value() >= 2, reason="each result is checked, or traced, with the GIL"
)


def leb(number):
    """A number as the binary format writes it."""
    return bytes([number]) if number < 0x80 else bytes([number & 0x7F | 0x80]) + leb(number >> 7)


def module_of(loops=LOOPS, last=b""):
    """A module with a function ``f`` of so many loops."""
    code = b"\x00" + LOOP * loops + last + b"\x0b"
    sections = ((1, b"\x01\x60\0\0"), (3, b"\x01\0"), (7, b"\x01\x01f\0\0"), (10, b"\x01" + leb(len(code)) + code))
    return b"\0asm\1\0\0\0" + b"".join(bytes([kind]) + leb(len(data)) + data for kind, data in sections)


def tasks():
    """The threads of this process, by name and how far they go behind it."""
    found = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(OSError):  # it has ended meanwhile
            name = (task / "comm").read_text().strip()
            found.add((name, os.getpriority(os.PRIO_PROCESS, int(task.name)) - os.getpriority(os.PRIO_PROCESS, 0)))
    return found


@pytest.mark.trace_slow
@pytest.mark.parametrize("how", ["all", "call"])
def test_code_of_long_functions_is_not_copied_into_objects(how):
    """These would be given back with the GIL, which takes milliseconds."""
    instance = Linker(engine := Engine(tier="jit0")).instantiate(Store(engine), module := Module(module_of(), engine))
    tracemalloc.start()
    try:
        module.compile_all() if how == "all" else instance.exports.f()
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert module.code_bytes > 1 << 20 and peak < 1 << 19
    instance.exports.f()


@THREADS
@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_a_long_function_for_which_a_loop_waits_has_a_thread_of_its_own(tier):
    """To compile all of a module, and at a call; nobody else's has."""
    seen = set()

    async def main():
        engine = Engine(tier=tier)
        before = threads_begun()
        task = asyncio.create_task(Module.load_async(module_of(), engine, compile=True))
        while not task.done():
            seen.update(tasks())
            await asyncio.sleep(0)
        assert threads_begun() == before + 1 and ("strata-compile", 10) in seen
        linker = Linker(engine)
        await linker.instantiate(Store(engine), task.result()).exports.f.call_async()
        await linker.instantiate(Store(engine), Module(module_of(), engine)).exports.f.call_async()
        assert threads_begun() == before + 2
        linker.instantiate(Store(engine), Module(module_of(), engine)).exports.f()
        Module(module_of(), engine).compile_all()
        assert threads_begun() == before + 2

    asyncio.run(main())


@THREADS
def test_such_a_thread_ends_with_the_wait():
    """At once, and nothing is left of it."""

    async def main():
        before, alive = threads_begun(), threading.active_count()
        task = asyncio.create_task(Module.load_async(module_of(900_000), Engine(), compile=True))
        while threads_begun() == before and not task.done():
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert threading.active_count() <= alive + 1

    asyncio.run(main())
    assert not {name for name, behind in tasks() if behind == 10}


@THREADS
def test_what_such_a_thread_fails_with_is_raised():
    """As on the thread that waits."""

    async def main(engine):
        with pytest.raises(ResourceLimit, match="compiling takes more memory"):
            await Linker(engine).instantiate(Store(engine), Module(module_of(), engine)).exports.f.call_async()

    before = threads_begun()
    asyncio.run(main(Engine(tier="jit0", compile_bytes=1 << 20)))
    assert threads_begun() == before + 1
