"""``stratavm.run_async``: ``run`` for asyncio, with the arguments and the result that ``run`` declares."""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.sandbox.entry import run
from stratavm.sandbox.inloop import for_asyncio

WORDS: Final = """``run`` for asyncio: the program runs in the loop's thread, which goes on while it waits.

    Thousands may run at once: a program that waits for its streams or a clock is suspended, one that computes lets
    others run at ticks, some hundred times a second. Loading, files and closing have threads; with ``isolate`` the
    wait for the process has one.

    Cancelling the task, also by a timeout or a group of tasks, ends the program, and its process where it is isolated;
    only then ``CancelledError`` goes on. Arguments, result and errors are those of ``run``:"""
run_async = for_asyncio(run, WORDS)
"""``run`` for asyncio: the program runs in the loop's thread, suspended while it waits, and cancelling the task ends
it. The arguments are those of ``run``."""
