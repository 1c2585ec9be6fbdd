"""Claims about the suite of what holds an event loop: it sees what does, and every function of WASI has a row."""

import asyncio
import time

import pytest

from stratavm.wasi.p1 import functions
from tests.bench import held, held_wasi
from tests.bench.measure import Row


def test_a_stretch_of_the_loop_is_seen():
    """By the processor time of its thread, in the turn in which it was used; sleeping is none."""

    async def main():
        async with held.watched() as seen:
            await asyncio.sleep(0)
            end = time.thread_time() + 0.02
            while time.thread_time() < end:
                pass
            time.sleep(0.05)
            await asyncio.sleep(0)
        return seen

    seen = asyncio.run(main())
    figures = seen.figures()
    assert max(seen.cpu_s) * 1e3 == figures[held.STRETCH] >= 20
    assert sum(seen.cpu_s) < 2 * max(seen.cpu_s)
    assert figures[held.WALL] >= 70


def test_every_function_of_wasi_has_a_row():
    """A new one joins."""
    assert held_wasi.ARGUMENTS.keys() == functions().keys()


def test_every_system_call_of_a_row_succeeds(tmp_path, monkeypatch):
    """With less to do than in the suite; ``World`` looks at the error number."""
    monkeypatch.setattr(held_wasi, "FILES", 10)
    monkeypatch.setattr(held_wasi, "SYNCED_BYTES", 1 << 16)
    world = held_wasi.World(tmp_path)
    for name in world.functions:
        with world.guest(name) as call:
            asyncio.run(call())


@pytest.mark.parametrize(
    ("name", "ms", "fails"),
    [("fd_read", 4.9, False), ("fd_read", 5.1, True), ("Store.close_async", 5.1, True), ("Store.close", 90.0, False)],
)
def test_more_than_five_milliseconds_fail(name, ms, fails):
    """What says that it holds the loop is beside it."""
    row = Row(held.SUITE, name, "ms", {held.STRETCH: ms, held.WALL: 100.0})
    assert bool(held.failures([row])) == fails
