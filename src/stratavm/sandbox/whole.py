"""Interpreters that are programs: they take code as an argument and run it from beginning to end. What such runs share,
whatever the language.
"""

from __future__ import annotations

import time

from stratavm.base.forms import TYPE_CHECKING, Final, NamedTuple
from stratavm.sandbox.arguments import Arguments
from stratavm.sandbox.completed import CODES, Ended
from stratavm.sandbox.execute import Streams, executed
from stratavm.sandbox.python.tree import RunTree
from stratavm.wasi.capture import Capture

if TYPE_CHECKING:
    from stratavm.engine.module import Module
    from stratavm.sandbox.python.asked import Asked, Limits
    from stratavm.sandbox.python.results import Limit
    from stratavm.sandbox.ways import Way

LAST_WORDS: Final = 2000
"""Where in its standard error an interpreter says that it had no memory."""


class Program(NamedTuple):
    """An interpreter, and how it is started.

    Attributes:
        module: the program.
        name: what it is told that it is called.
        args: its arguments, with the code and those of the code.
        env: variables that it has besides what it is given.
        starved: what it says when it ends for want of memory.
    """

    module: Module
    name: str
    args: tuple[str, ...]
    env: dict[str, str]
    starved: str


class Whole(NamedTuple):
    """What became of a run."""

    stdout: str
    stderr: str
    ended: Ended
    truncated: bool
    files: dict[str, bytes]
    limits: tuple[Limit, ...]


async def run_whole(
    way: Way, program: Program, given: Asked, allowed: Limits, seed: int | None = None, streams: Streams | None = None
) -> Whole:
    """A run, with its files in a tree of its own; with a seed its clock and random numbers follow from that. With
    ``streams`` its outputs go there, and are not kept."""
    module, output = program.module, allowed.max_output
    tree = RunTree(allowed.max_files, time.time_ns)
    tree.fill(given.files, given.folders)
    outputs = Capture(output), Capture(output)
    ended = await executed(
        way,
        Arguments(
            module=module,
            args=program.args,
            env={**program.env, **given.env},
            stdin=given.stdin,
            files=tree,
            folders=(),
            timeout=allowed.timeout,
            fuel=allowed.fuel,
            max_memory=allowed.max_memory,
            max_output=output,
            threads=0,
            name=program.name,
            seed=seed,
        ),
        module.engine,
        Streams(given.stdin, *outputs) if streams is None else streams,
    )
    stdout, stderr = (bytes(output).decode(errors="replace") for output in outputs)
    if ended.starved and ended.reason == "exit" and ended.code and program.starved in stderr[-LAST_WORDS:]:
        ended = Ended(CODES["memory"], "memory", program.starved, ended.fuel_used, ended.seconds, starved=True)
    truncated = any(output.truncated for output in outputs)
    met: list[tuple[Limit, bool]] = [("output", truncated), ("files", tree.refused)]
    limits = tuple(name for name, is_met in met if is_met)
    return Whole(stdout, stderr, ended, truncated, tree.changed(), limits)
