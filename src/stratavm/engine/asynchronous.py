"""A call of a guest for asyncio: a thread makes it, and cancelling the task that waits for it stops the guest."""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable
from functools import partial
from threading import Lock

from stratavm.base.forms import Any, Final, ParamSpec, TypeVar
from stratavm.engine.store import Store

P = ParamSpec("P")
R = TypeVar("R")
AGAIN_S: Final = 0.01
"""Between two interrupts of a call that goes on, because it was between two guest calls."""


async def to_thread(store: Store, function: Callable[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """``asyncio.to_thread`` for what runs guests of a store: cancelling it stops the guest, and waits for its end.

    When the task is cancelled the guest is interrupted (``Store.interrupt``) until the call has ended; only then
    ``CancelledError`` goes on, so that nobody else is inside the store. A call that no thread had begun is dropped. A
    host function that blocks holds the cancelling up until it returns. What the function raises comes out.

    Args:
        store: the store whose guests the function calls; no other task may be inside.
        function: an export, or any function that calls some; it runs in a thread of the loop's default executor.
        *args: its arguments.
        **kwargs: its keyword arguments.

    Raises:
        asyncio.CancelledError: the task was cancelled, and the call has ended.
        TypeError: this is no store; nothing was called, since nothing could stop it.
    """
    if not isinstance(store, Store):
        raise TypeError(f"to_thread needs the store whose guests are called, got {type(store).__name__}")
    call = _Call(partial(contextvars.copy_context().run, function, *args, **kwargs))
    future = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return await asyncio.shield(future)
    except asyncio.CancelledError:
        if call.drop():
            future.cancel()
        else:
            await _stop(store, future)
        raise


async def _stop(store: Store, future: asyncio.Future[Any]) -> None:
    """Interrupt a call until it has ended, also if the task is cancelled again meanwhile."""
    while not future.done():
        store.interrupt()
        try:
            await asyncio.wait((future,), timeout=AGAIN_S)
        except asyncio.CancelledError:
            continue
    future.exception()  # Interrupted, most often; asked for, so that nobody complains that it was not


class _Call:
    """A call that a thread makes unless it was dropped before it began."""

    def __init__(self, call: Callable[[], Any]) -> None:
        self._call = call
        self._lock = Lock()
        self._begun = self._dropped = False

    def __call__(self) -> Any:
        with self._lock:
            if self._dropped:
                return None
            self._begun = True
        return self._call()

    def drop(self) -> bool:
        """See to it that it is never made; false if it has begun."""
        with self._lock:
            self._dropped = True
            return not self._begun
