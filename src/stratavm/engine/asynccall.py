# strata: hot
"""An asynchronous call as its driver sees it: run it, learn what it waits for, give it the answer. Knows no loop."""

import cython
from cython.cimports.cpython.ref import PyObject
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.stratavm.contract._gen_layout import (
    ATTENTION_ABORTED,
    PENDING_INTERRUPT,
    TRAP_DEADLINE,
    TRAP_INTERRUPTED,
)
from cython.cimports.stratavm.engine.cells import MAX_CELLS, unbox
from cython.cimports.stratavm.engine.func import Func, boxed
from cython.cimports.stratavm.runtime.fibers import FIBER_NEW, FIBER_PARKED, Fiber
from cython.cimports.stratavm.runtime.func import fill_cells, read_cells
from cython.cimports.stratavm.runtime.instance import Instance
from cython.cimports.stratavm.runtime.native import load_32, now_ns
from cython.cimports.stratavm.runtime.occupancy import is_closed, mark

from stratavm.base.errors import Closed, InstancePoisoned, ResourceLimit, StrataError
from stratavm.runtime.fibers import CannotSuspend
from stratavm.runtime.values import arguments_to_raw, results_from_raw

CLOSED = cython.declare(uint32_t, 0xFFFFFFFF)  # a reason besides the kinds of traps


@cython.cclass
class Turn:
    """What a guest waits for that was suspended at a tick: that the loop has run what else is ready."""

    def __await__(self):
        return iter((None,))

    def __reduce__(self):
        raise TypeError("a turn of the loop cannot be pickled")


TURN = Turn()


def caller_of(drive: object, loop: object) -> object:
    """What ``Func.call_async`` calls: makes the call of a function with these arguments, and its driver."""

    def call_async(function: Func, arguments: tuple) -> object:
        return drive(AsyncCall(function, arguments, loop))

    return call_async


@cython.cclass
class AsyncCall(Fiber):
    """A call of a function on a fiber. ``begin``, ``answer``, ``fail`` and ``stop`` run the guest and return what it
    waits for next, or None: it has ended, with ``result``. They raise what the call ends with."""

    def __cinit__(self, function: Func, arguments: tuple, loop: object):
        self.function = function
        self.native = function.native
        self.store = function.store
        self.arguments = arguments
        self.loop = loop
        waiting: AsyncCall = None if self.store is None else self.store.parked
        if waiting is not None and waiting.admits():
            self.caller = waiting
            self.caller_parks = waiting.parks

    def begin(self) -> object:
        """Run it from its start."""
        suspended: cython.bint
        if self.phase != FIBER_NEW:
            raise StrataError("an asynchronous call runs once")
        self.check()
        self.store.pinned += 1  # handles of arguments, and of results
        try:
            self.take_room()
            self.fill()
            self.introduce()
            suspended = self.start()
            if suspended:
                self.watches = self.loop.watches
            return self.went(suspended)
        except BaseException:
            self.give_up()
            raise
        finally:
            self.store.pinned -= 1
            if self.caller is not None:
                self.caller.lets_in = False
                self.caller = None

    def introduce(self):
        """A host function that a guest waits for has made this call, whatever task awaits it: ``asyncio.wait_for``
        starts one in Python 3.11. It may enter, if that guest still waits for the same."""
        if self.caller is not None and self.store.parked is self.caller and self.caller.parks == self.caller_parks:
            self.caller.lets_in = True
        return 0

    def check(self):
        """Raise where the function cannot be called, or not so."""
        if self.store is None or is_closed(self.store):
            raise Closed("the store of this function is closed")
        instance: Instance = self.native.concerned()
        if instance is not None:
            if instance.closed:
                raise Closed("the instance of this function is closed")
            if instance.poisoned:
                raise InstancePoisoned("a call of this instance was abandoned midway; its memory may be inconsistent")
        if self.native.shape.array_entry == cython.NULL or self.native.rec.code == cython.NULL:
            raise CannotSuspend(
                f"{self.function!r} runs on the oracle, which cannot be suspended: call it synchronously, in a thread "
                f"(stratavm.to_thread), or use an engine with machine code"
            )
        return 0

    def fill(self):
        """Arguments into cells."""
        items: cython.pointer(PyObject)[MAX_CELLS]
        i: cython.Py_ssize_t
        n: cython.Py_ssize_t = len(self.arguments)
        if n == self.function.n_params:  # else -1, or there is an error to tell
            for i in range(n):
                items[i] = cython.cast(cython.pointer(PyObject), self.arguments[i])
            if not unbox(self.function.params, n, items, self.cells):
                return 0
        try:
            raws: list = arguments_to_raw(self.function.name, self.function.type, self.arguments, self.store)
        except ResourceLimit as error:
            self.store.free_handles(error, 1)
            raws = arguments_to_raw(self.function.name, self.function.type, self.arguments, self.store)
        self.check()  # again: that may have run anything
        fill_cells(self.store, self.cells, raws, self.native.params, self.native.type.params)
        return 0

    def went(self, suspended):
        """It was suspended, or has ended."""
        if suspended:
            self.waits = True
            if self.request is None:
                return self.loop.turn(self)
            # Interrupted before it was suspended, by its host function say: nobody would wake it for that.
            if load_32(cython.address(self.store.exec.pending)) & PENDING_INTERRUPT and self.reason == 0:
                self.reason = TRAP_INTERRUPTED
            return self.timed() if self.reason or self.store.own_deadline or self.watches else self.request
        if self.function.n_params >= 0:
            self.result = boxed(self.function, self.cells)
        else:
            self.result = results_from_raw(self.function.type, read_cells(self.cells, self.native.results), self.store)
        self.give_up()
        return None

    def timed(self) -> object:
        """What it waits for, no longer than until the deadline."""
        return self.loop.limited(self, self.request)

    def go_on(self, status):
        """Let it go on behind the builtin that suspended it."""
        suspended: cython.bint
        self.store.pinned += 1
        try:
            suspended = self.resume(status)
            return self.went(suspended)
        except BaseException:
            self.give_up()
            raise
        finally:
            self.store.pinned -= 1

    def answer(self, value: object) -> object:
        """Go on with what was awaited."""
        status: uint32_t = 0
        self.waits = False
        if self.reason:
            return self.stop()
        self.check_parked()
        self.store.pinned += 1
        try:
            self.take(value)
        except BaseException as error:
            if self.phase != FIBER_PARKED:
                raise Closed("the store was closed while the guest waited") from None
            status = self.kept(error)
        finally:
            self.store.pinned -= 1
        return self.go_on(status)

    def fail(self, error: BaseException) -> object:
        """What was awaited has failed: that is an exception of the host function."""
        self.waits = False
        if self.reason:
            return self.stop()
        self.check_parked()
        return self.go_on(self.kept(error))

    def stop(self) -> object:
        """End it for the reason that there is."""
        self.waits = False
        self.forget_cancel()
        if self.reason == CLOSED:
            raise Closed("the store was closed while the guest waited")
        self.check_parked()
        mark(self.store.exec, ATTENTION_ABORTED, True)
        return self.go_on(self.reason)

    def abandon(self) -> None:
        """Drop it where it is."""
        self.waits = False
        self.forget_cancel()
        self.give_up()

    def close(self) -> None:
        """Drop it, since its store is being closed; then ``wake`` tells who awaits it."""
        self.reason = CLOSED
        self.give_up()

    def admits(self) -> bool:
        """Whether the host function that it waits for runs just now, for nothing else of the task does, or has made the
        call that is about to enter."""
        return self.lets_in or (self.task is not None and self.loop.task() is self.task)

    # ---- while it waits: why it should not wait any longer ----

    def is_waiting(self, parks: int) -> bool:
        """Whether it still waits as it did when it had been suspended so often."""
        return self.waits and self.parks == parks

    @property
    def seconds_left(self) -> float | None:
        """Until the deadline of its store; None without one."""
        limit: cython.longlong = self.store.own_deadline
        return None if limit == 0 else (limit - cython.cast(cython.longlong, now_ns())) / 1e9

    def expire(self) -> None:
        """The deadline has come."""
        if self.reason == 0:
            self.reason = TRAP_DEADLINE

    def wake(self, reason: uint32_t) -> None:
        """End it soon, from any thread, with a kind of trap if there is no reason yet."""
        if self.reason == 0:
            self.reason = reason
        self.loop.wake(self)

    def set_timer(self) -> None:
        """The deadline of its store is another one."""
        self.loop.set_timer(self)

    def count_cancel(self, others: int) -> None:
        """The task is being cancelled to end the wait, once more if it has not ended; so many others wanted it
        cancelled before the first time."""
        if self.cancels == 0:
            self.cancelling = others
        self.cancels += 1

    def was_woken(self) -> bool:
        """The task was cancelled: whether by us, and by nobody else."""
        return self.cancels != 0 and self.task.cancelling() - self.cancels <= self.cancelling

    def forget_cancel(self):
        """The task is not cancelled any more, by us."""
        while self.cancels:
            self.cancels -= 1
            self.task.uncancel()
        return 0
