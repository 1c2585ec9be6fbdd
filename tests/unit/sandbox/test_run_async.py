"""Claims about ``stratavm.run_async``: what ``run`` says, and cancelling ends the program."""

import asyncio
import inspect
import os
import signal
import subprocess
import sys

import pytest

import stratavm
from stratavm.sandbox.held import HELD, endable
from tests.unit.sandbox.programs import ECHO, FAIL, SAY, program

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


def test_programs_wait_in_the_loop():
    """A hundred that wait for input at once hold no thread: there is one, and the last ends while the others wait."""
    from concurrent.futures import ThreadPoolExecutor

    async def main():
        asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(1))
        module = stratavm.Module(program(ECHO.format(fd=0)))
        pipes = [os.pipe() for _ in range(100)]
        files = [open(reading, "rb", buffering=0) for reading, _ in pipes]  # noqa: SIM115
        tasks = [asyncio.create_task(stratavm.run_async(module, stdin=file, text=True)) for file in files]
        for number in reversed(range(100)):
            os.write(pipes[number][1], str(number).encode())
            assert (await tasks[number]).stdout == str(number)
            assert not any(task.done() for task in tasks[:number])
            os.close(pipes[number][1])
            files[number].close()

    asyncio.run(main(), debug=True)


def test_a_program_that_computes_lets_others_run():
    """One that never ends holds up neither the loop nor another program, and has its time."""

    async def main():
        endless = asyncio.create_task(stratavm.run_async(SPIN))
        assert (await stratavm.run_async(program(SAY), text=True)).stdout == "hello\n"
        assert (await stratavm.run_async(SPIN, timeout=0.5)).reason == "timeout"
        assert not endless.done()
        endless.cancel()
        with pytest.raises(asyncio.CancelledError):
            await endless

    asyncio.run(main(), debug=True)


def test_a_program_has_the_stack_that_run_gives_it():
    """Twenty thousand frames."""
    deep = program("""(drop (call $deep (i32.const 20000))))
      (func $deep (param i32) (result i32) (if (result i32) (local.get 0)
        (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1))))) (else (i32.const 0)))""")
    assert stratavm.run(deep).reason == asyncio.run(stratavm.run_async(deep)).reason == "exit"


def test_start_functions_and_initialisers_may_wait():
    """``_initialize`` runs in the loop, too, and before ``_start``."""
    text = program(f'{SAY}) (func (export "_initialize") {FAIL}')
    done = asyncio.run(stratavm.run_async(text, text=True))
    assert (done.reason, done.stdout, done.stderr) == ("exit", "hello\n", "oops\n")


CTRL_C = """
import asyncio, stratavm
async def main():
    print("begun", flush=True)
    await stratavm.run_async({text!r}{more})
asyncio.run(main())
"""


@pytest.mark.parametrize("what", ["computes", "waits"])
def test_ctrl_c_ends_it(what):
    """Whether it computes or waits for input: ``KeyboardInterrupt``, as ``asyncio.run`` raises it."""
    code = CTRL_C.format(
        text=SPIN if what == "computes" else program(ECHO.format(fd=0)),
        more="" if what == "computes" else ", stdin=__import__('sys').stdin.buffer",
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert child.stdout.readline() == "begun\n"
    child.send_signal(signal.SIGINT)
    assert "KeyboardInterrupt" in child.communicate(timeout=60)[1]
    assert child.returncode == -signal.SIGINT
