"""Calls of guests for asyncio: on a stack that can be suspended, or in a thread; cancelling ends the guest.

The driver of an asynchronous call is a coroutine: all that the guest waits for is awaited there, so that contexts,
timeouts, task groups and tracebacks are those of the task. Loops are used by their public functions alone.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from threading import Lock, get_ident

from stratavm.base.budget import Budget
from stratavm.base.forms import TYPE_CHECKING, Any, Final, ParamSpec, TypeVar, cast
from stratavm.engine.asynccall import TURN, AsyncCall, caller_of
from stratavm.engine.func import Func
from stratavm.engine.instance_pre import report_start
from stratavm.engine.store import Store
from stratavm.native import CALM
from stratavm.runtime.fibers import Bulk as Bulk
from stratavm.runtime.fibers import refusal as refusal

if TYPE_CHECKING:
    from collections.abc import Awaitable

    from stratavm.engine.instance import Instance
    from stratavm.engine.instance_pre import InstancePre
    from stratavm.runtime.waits import Notice

P = ParamSpec("P")
R = TypeVar("R")
AGAIN_S: Final = 0.01
"""Between two interrupts of a call that goes on, because it was between two guest calls."""


async def drive(call: AsyncCall) -> Any:
    """Run a guest, and await what it waits for, until it has ended."""
    request = call.begin()
    if request is not None:
        call.task = current_task()
    while request is not None:
        try:
            answer = await request
        except GeneratorExit:
            call.abandon()
            raise
        except asyncio.CancelledError:
            if not call.was_woken():
                call.abandon()
                raise
            request = call.stop()
        except BaseException as error:
            request = call.fail(error)
        else:
            request = call.answer(answer)
    return call.result


drive.__name__ = drive.__qualname__ = "Func.call_async"  # as users know it, where it was never awaited


def current_task() -> asyncio.Task[Any] | None:
    """The running task; None where something else than an event loop of asyncio runs us."""
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


class Waits:
    """What a call asks of its event loop while it waits.

    Attributes:
        watches: it is asked for every wait for the host, also where no deadline limits it.
    """

    watches = False

    def task(self) -> asyncio.Task[Any] | None:
        """The running task, or None."""
        return current_task()

    def turn(self, call: AsyncCall) -> Awaitable[Any]:
        """What is awaited where a tick has suspended the guest: all else that is ready."""
        return TURN

    async def limited(self, call: AsyncCall, request: Awaitable[Any]) -> Any:
        """What it waits for, and no longer than until the deadline of its store."""
        _arm(call, call.parks)
        try:
            return await request
        finally:
            _disarm(call)

    def set_timer(self, call: AsyncCall) -> None:
        """Its deadline is another one; from any thread."""
        _in_loop(call, _arm)

    def wake(self, call: AsyncCall) -> None:
        """End what it waits for, from any thread."""
        _in_loop(call, _cancel)


def _in_loop(call: AsyncCall, function: Callable[[AsyncCall, int], None]) -> None:
    if call.task is not None:
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            call.task.get_loop().call_soon_threadsafe(function, call, call.parks)


def _disarm(call: AsyncCall) -> None:
    if call.timer is not None:
        call.timer.cancel()
        call.timer = None


def _arm(call: AsyncCall, parks: int) -> None:
    """Look at the deadline: it has come, or will come, or there is none. Who is to end for another reason, does."""
    _disarm(call)
    left = 0.0 if call.reason else call.seconds_left
    if left is None or call.task is None or not call.is_waiting(parks):
        return
    if left > 0:
        call.timer = call.task.get_loop().call_later(left, _arm, call, parks)
    else:
        call.expire()
        # Not now: the task may be running, and what it awaits be over without a turn; it would be cancelled behind us.
        call.timer = call.task.get_loop().call_soon(_cancel, call, parks)


def _cancel(call: AsyncCall, parks: int) -> None:
    """Cancel the task, as ``asyncio.timeout`` does, if it still waits for the same; the driver knows why."""
    if call.task is not None and call.is_waiting(parks):
        call.count_cancel(call.task.cancelling())
        call.task.cancel()


call_async: Final = caller_of(drive, Waits())
"""``Func.call_async``."""


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
    return await in_thread(partial(function, *args, **kwargs), store.interrupt)


async def work(function: Callable[[], R], ends: Sequence[Callable[[], object]] = ()) -> R:
    """Run what loads, compiles, instantiates or runs a program in a thread; cancelling ends it, and waits for that end.

    ``ends`` is what else ends it, as it stands when that is asked for.
    """
    budget = Budget()

    def within() -> R:
        """In the thread."""
        CALM.add(get_ident())
        try:
            with budget:
                return function()
        finally:
            CALM.discard(get_ident())

    def end() -> None:
        """From the loop."""
        budget.stop()
        for one in tuple(ends):
            one()

    return await in_thread(within, end)


def compiled(compiler: Callable[[int], int], defined_index: int) -> Awaitable[int]:
    """Compile a function at its first call, in a thread: what a guest waits for that met its stub."""
    return work(partial(compiler, defined_index))


async def noticed(notice: Notice) -> None:
    """Wait until a guest is notified that waits at a shared memory, or until it is too late for that."""
    loop = asyncio.get_running_loop()
    came = loop.create_future()

    def tell() -> None:
        """From any thread."""
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            loop.call_soon_threadsafe(_come, came)

    try:
        if not notice.listen(tell):
            with suppress(TimeoutError):
                async with asyncio.timeout(notice.seconds_left):
                    await came
    except BaseException:
        notice.give_up()
        raise
    notice.end()


def _come(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


async def instantiate(pre: InstancePre, store: Store) -> Instance:
    """``InstancePre.instantiate_async``."""
    try:
        instance = await work(partial(pre.assemble, store))
        if pre.start_index is not None:
            await call_async(Func(store, cast(Any, instance).callee(pre.start_index)), ())
    except BaseException as error:
        report_start(store, pre.module, error)
        raise
    return instance


async def close(store: Store) -> None:
    """``Store.close_async``."""
    await in_thread(store.close, lambda: None)


async def in_thread(function: Callable[[], R], end: Callable[[], object]) -> R:
    """Run a function in a thread, in the task's context; when the task is cancelled ``end`` is called until it ends."""
    call = _Call(partial(contextvars.copy_context().run, function))
    future = asyncio.get_running_loop().run_in_executor(None, call)
    try:
        return cast(R, await asyncio.shield(future))
    except asyncio.CancelledError:
        if call.drop():
            future.cancel()
        else:
            await _stop(end, future)
        raise


async def _stop(end: Callable[[], object], future: asyncio.Future[Any]) -> None:
    """End a call, and wait until it has ended, also if the task is cancelled again meanwhile."""
    while not future.done():
        end()
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
