"""Claims about ``stratavm.run_async``: what ``run`` says, and cancelling ends the program."""

import asyncio
import inspect
import os

import pytest

import stratavm
from stratavm.sandbox.held import HELD, endable
from tests.unit.sandbox.programs import ECHO, SAY, program

SPIN = program(f"{SAY}(loop (br 0))")


def test_it_takes_the_arguments_of_run_and_gives_its_result(isolate):
    """From one declaration; several at once, while the loop goes on."""
    assert inspect.signature(stratavm.run_async) == inspect.signature(stratavm.run)
    assert inspect.iscoroutinefunction(stratavm.run_async) and stratavm.run_async.__name__ == "run_async"

    async def main():
        echo = program(ECHO.format(fd=0))
        runs = [stratavm.run_async(echo, stdin=f"{i}", text=True, isolate=isolate) for i in range(3)]
        assert [done.stdout for done in await asyncio.gather(*runs)] == ["0", "1", "2"]
        late = await stratavm.run_async(SPIN, timeout=0.2, isolate=isolate)
        assert late.reason == "timeout"
        with pytest.raises(TypeError, match="did you mean 'max_memory'"):
            await stratavm.run_async(SPIN, memory=1)
        with pytest.raises(stratavm.GuestFailed):
            await stratavm.run_async(program("unreachable"), check=True, isolate=isolate)

    asyncio.run(main(), debug=True)


def test_cancelling_ends_the_program(isolate):
    """It runs no longer when ``CancelledError`` goes on; the executor's only thread is free again."""
    from concurrent.futures import ThreadPoolExecutor

    async def main():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        for seconds in (0, 0.001, 0.3):
            task = asyncio.create_task(stratavm.run_async(SPIN, isolate=isolate))
            await asyncio.sleep(seconds)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 60)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await stratavm.run_async(SPIN, isolate=isolate)
        assert (await stratavm.run_async(program(SAY), text=True, isolate=isolate)).stdout == "hello\n"

    asyncio.run(main(), debug=True)


def test_cancelling_ends_a_program_that_waits_for_input():
    """In a system call of WASI."""

    async def main():
        reading, writing = os.pipe()
        with open(reading, "rb", buffering=0) as stdin:
            task = asyncio.create_task(stratavm.run_async(program(ECHO.format(fd=0)), stdin=stdin))
            await asyncio.sleep(0.3)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 60)
        os.close(writing)

    asyncio.run(main(), debug=True)


def test_a_run_that_nobody_may_end_is_not_held():
    """Nor one that is over; and the caller's context is not touched."""
    ends = []
    token = HELD.set(ends)
    with endable(print):
        assert ends == [print]
    assert ends == []
    HELD.reset(token)
    with endable(print):
        assert ends == [] and HELD.get() is None
