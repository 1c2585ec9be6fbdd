"""``stratavm.run_async``: ``run`` for asyncio, with the arguments and the result that ``run`` declares."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial, wraps

from stratavm.base.forms import Any, ParamSpec, TypeVar
from stratavm.engine.asynchronous import work
from stratavm.sandbox.entry import run
from stratavm.sandbox.held import HELD, End

P = ParamSpec("P")
R = TypeVar("R")


def _for_asyncio(function: Callable[P, R]) -> Callable[P, Coroutine[Any, Any, R]]:
    @wraps(function)
    async def run_async(*given: P.args, **named: P.kwargs) -> R:
        ends: list[End] = []
        return await work(partial(_held, ends, partial(function, *given, **named)), ends)

    run_async.__name__ = run_async.__qualname__ = "run_async"
    run_async.__doc__ = f"""``run`` for asyncio: the program runs in a thread of the loop's default executor.

    Cancelling the task, also by a timeout or a group of tasks, ends the program, and its process where it is isolated;
    only then ``CancelledError`` goes on. Arguments, result and errors are those of ``run``:

    {function.__doc__}"""
    return run_async


def _held(ends: list[End], call: Callable[[], R]) -> R:
    """Run it in the context of its thread, where ``ends`` is what can end it."""
    HELD.set(ends)
    return call()


run_async = _for_asyncio(run)
"""``run`` for asyncio: the program runs in a thread, and cancelling the task ends it. The arguments are those of
``run``."""
