"""``stratavm.run``: a program, run to its end in one call."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from functools import partial

from stratavm.base.forms import Any, Final, Literal, overload, replace
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import truth
from stratavm.sandbox.arguments import Arguments, Dirs, Input, ModuleLike
from stratavm.sandbox.completed import Completed, Ended
from stratavm.sandbox.execute import Streams, engine_for, executed
from stratavm.sandbox.request import checked
from stratavm.sandbox.ways import DIRECTLY, LATER, Way, stepped
from stratavm.wasi.abi import MOST_THREADS
from stratavm.wasi.capture import Capture

MAX_OUTPUT: Final = 16 << 20
HABITS: Final = {
    "input": "what the program reads is stdin=",
    "capture_output": "both outputs are always kept: stdout and stderr of the result",
    "stdout": "it is always kept: stdout of the result",
    "stderr": "it is always kept: stderr of the result",
    "universal_newlines": "did you mean 'text'?",
    "encoding": "text=True decodes UTF-8",
    "cwd": "a program sees what files= and dirs= give it, from '/' on",
    "preopens": "folders of the host are dirs=",
    "memory": "did you mean 'max_memory'?",
    **dict.fromkeys(("tier", "engine", "config", "gc"), "give Module(path, engine=Engine(…)) in the place of the path"),
    "features": "give Module(path, engine=Engine(features=…)) in the place of the path",
}
"""What arguments of ``subprocess.run`` and the like are called here."""


@overload
def run(
    module: ModuleLike,
    args: Sequence[str] = (),
    *,
    env: Mapping[str, str] | None = None,
    stdin: Input = None,
    files: Mapping[str, bytes | str] | None = None,
    dirs: Dirs | None = None,
    timeout: float | None = None,
    fuel: int | None = None,
    max_memory: int | None = None,
    max_output: int = MAX_OUTPUT,
    threads: int = MOST_THREADS,
    isolate: bool = False,
    text: Literal[False] = False,
    check: bool = False,
) -> Completed[bytes]: ...
@overload
def run(
    module: ModuleLike,
    args: Sequence[str] = (),
    *,
    env: Mapping[str, str] | None = None,
    stdin: Input = None,
    files: Mapping[str, bytes | str] | None = None,
    dirs: Dirs | None = None,
    timeout: float | None = None,
    fuel: int | None = None,
    max_memory: int | None = None,
    max_output: int = MAX_OUTPUT,
    threads: int = MOST_THREADS,
    isolate: bool = False,
    text: Literal[True],
    check: bool = False,
) -> Completed[str]: ...
@partial(checks_keywords, habits=HABITS)
def run(
    module: ModuleLike,
    args: Sequence[str] = (),
    *,
    env: Mapping[str, str] | None = None,
    stdin: Input = None,
    files: Mapping[str, bytes | str] | None = None,
    dirs: Dirs | None = None,
    timeout: float | None = None,
    fuel: int | None = None,
    max_memory: int | None = None,
    max_output: int = MAX_OUTPUT,
    threads: int = MOST_THREADS,
    isolate: bool = False,
    text: bool = False,
    check: bool = False,
) -> Completed[bytes] | Completed[str]:
    """Run a WASI program to its end: ``subprocess.run`` for guests.

    Whatever the guest does, the result says so; nothing that it does raises an exception, unless ``check`` is set. The
    guest sees what is given here and nothing else of the host. Several threads may run programs at once.

    Args:
        module: a path, the bytes of a binary or text module, WAT text, or a ``Module`` (which is not loaded again).
        args: its arguments, without the program's name.
        env: its environment variables.
        stdin: its standard input: bytes, a string (as UTF-8), or a binary file that is open for reading.
        files: contents by path, put into a file system in memory at ``/``, writable and gone after the run; ``{}``
            gives an empty one. Without it there is none.
        dirs: folders of the host by the guest's path for them: ``{"data": "/data"}`` for reading,
            ``{"out": ("/out", "rw")}`` for writing too; or pairs and triples. Such a path begins with ``/``, is ``.``,
            or is the folder's own.
        timeout: seconds for loading, compiling and running; None, or infinity: no limit. 0 and less have passed.
        fuel: operators that it may execute; None: not counted.
        max_memory: bytes that its memories may have together, and so many its structs and arrays; with all the rest,
            tables and the like, it may have 64 MiB more and twice ``max_output``. None: what WebAssembly allows, with
            ``isolate`` 1 GiB.
        max_output: bytes that are kept of each output; what is more is dropped, and ``truncated`` says so.
        threads: how many threads it may have at once besides its first, each a thread of this process; where it wants
            more it is told that there are none. What it may take otherwise is for all of them together; of fuel each
            new one gets a share, so that a program with threads should be given some times what it takes.
        isolate: run it in a process of its own, behind the wall of ``strata run --isolate``. Of a ``Module`` the
            options of its engine go along, but not ``cache``, ``load_timeout`` and ``memory_slots``.
        text: give both outputs as ``str``, decoded as UTF-8; what is not UTF-8 becomes ``U+FFFD``.
        check: raise ``GuestFailed`` unless it exits by itself with code 0.

    Returns:
        What became of it; ``reason`` is one of ``exit``, ``trap``, ``timeout``, ``fuel``, ``memory``, ``interrupt``.

    Raises:
        TypeError, ValueError: an argument is not what it must be.
        OSError: a file or folder that is named cannot be opened.
        ModuleError, LinkError: this is no program that can be run; nothing of it was, unless it calls a function of
            WASI and exports no memory for it.
        GuestFailed: with ``check``; its ``completed`` is the result.
        RuntimeError: with ``isolate``, the process did not start.
        KeyboardInterrupt: Ctrl-C is for the host: the guest is stopped, and its process ended.
    """
    for name, choice in (("isolate", isolate), ("text", text), ("check", check)):
        truth(name, choice)
    given = checked(module, (args, env, stdin), (files, dirs), (timeout, fuel, max_memory, max_output, threads))
    later = LATER.get()
    running = _run(later or DIRECTLY, given, isolate, (text, check))
    # ``run_async`` has asked for the coroutine, in this context
    return stepped(running) if later is None else running  # type: ignore[return-value]


async def _run(
    way: Way, given: Arguments, isolate: bool, wanted: tuple[bool, bool]
) -> Completed[bytes] | Completed[str]:
    text, check = wanted
    stdout, stderr, ended = await (_isolated(way, given) if isolate else _here(way, given))
    done = _completed(bytes(stdout), bytes(stderr), stdout.truncated or stderr.truncated, ended)
    shown = _decoded(done) if text else done
    if check:
        shown.check()
    return shown


def _completed(stdout: bytes, stderr: bytes, truncated: bool, ended: Ended) -> Completed[bytes]:
    return Completed(
        stdout, stderr, ended.code, ended.reason, truncated, ended.fuel_used, ended.seconds, ended.message
    )  # fmt: skip


def _decoded(done: Completed[bytes]) -> Completed[str]:
    changed: Any = {name: getattr(done, name).decode(errors="replace") for name in ("stdout", "stderr")}
    return replace(done, **changed)  # type: ignore[return-value]


async def _here(way: Way, given: Arguments) -> tuple[Capture, Capture, Ended]:
    stdout, stderr = Capture(given.max_output), Capture(given.max_output)
    return stdout, stderr, await executed(way, given, engine_for(given), Streams(given.stdin, stdout, stderr))


async def _isolated(way: Way, given: Arguments) -> tuple[Capture, Capture, Ended]:
    from stratavm.sandbox.isolated import run_isolated

    engine_for(given)
    left = await way.apart(partial(run_isolated, given))
    for problem in left.problems:
        warnings.warn(f"isolation is weaker here: {problem}", RuntimeWarning, stacklevel=5)
    return left.stdout, left.stderr, left.ended
