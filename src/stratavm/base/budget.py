# cython: linetrace=False
# strata: hot
"""Budgets of work that runs without the GIL: its deadline, its scratch memory, and a flag by which others end it.

Loading and compiling look at the budget of their thread every few thousand nodes; without one they run to their end.
"""

import os
import sys
from _thread import get_ident

import cython
from cython.cimports.cpython.pythread import PyThread_get_thread_ident
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.string import memset
from cython.cimports.posix.time import CLOCK_MONOTONIC, clock_gettime, timespec
from cython.cimports.stratavm.base.failures import (
    Failure,
    fail_by,
    fail_limit,
    fail_raised,
    resume_guard,
    suspend_guard,
)
from cython.cimports.stratavm.base.thread_local import get_budget, handle_signals, set_budget

from stratavm.base.errors import DeadlineExceeded
from stratavm.base.numbers import seconds_or_none

UNLIMITED = cython.declare(int64_t, 0x7FFFFFFFFFFFFFFF)
LOOKS = cython.declare(uint32_t, 8)  # at the flag, between two at the clock: a power of two
looks = cython.declare(uint32_t, 0)  # of all threads: nothing depends on a count that is lost
PAUSES = cython.declare(uint32_t, 256)  # steps of work done in Python between two looks: a power of two
pauses = cython.declare(uint32_t, 0)
main_thread = cython.declare(cython.ulong, 0)
SIGNALS_NS = cython.declare(uint64_t, 50_000_000)  # between two looks for signals, each of which takes the GIL


class Stopped(BaseException):
    """The work ended because whoever it is done for asked for it. Never leaves the package."""


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def now_ns() -> uint64_t:
    """Monotonic time."""
    t: timespec
    clock_gettime(CLOCK_MONOTONIC, cython.address(t))
    return cython.cast(uint64_t, t.tv_sec) * 1_000_000_000 + cython.cast(uint64_t, t.tv_nsec)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def current() -> cython.pointer(Quota):
    """This thread's, or NULL."""
    return cython.cast(cython.pointer(Quota), get_budget())


def look():
    """Go on, or raise why not: Stopped, DeadlineExceeded, what a signal's handler raises."""
    global looks
    quota: cython.pointer(Quota) = current()
    now: uint64_t
    if quota == cython.NULL:
        return 0
    if cython.cast(cython.pointer(cython.volatile[uint32_t]), quota.asked)[0] & quota.mask:
        return fail_by(raise_stopped, b"")
    looks += 1
    if looks & (LOOKS - 1) or (quota.deadline_ns == 0 and not quota.signals):
        return 0
    now = now_ns()
    if quota.deadline_ns != 0 and now >= quota.deadline_ns:
        return fail_by(raise_late, b"")
    if quota.signals and now - quota.looked_ns >= SIGNALS_NS:
        quota.looked_ns = now
        if run_handlers(quota):
            return fail_raised()
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def run_handlers(quota: cython.pointer(Quota)) -> cython.int:
    """Let the handlers of signals run, which may load modules of their own. -1 where one raised: that stays set."""
    failed: cython.int
    guard: cython.p_void = suspend_guard()
    set_budget(cython.NULL)
    with cython.gil:
        failed = handle_signals()
    set_budget(quota)
    resume_guard(guard)
    return failed


@cython.cfunc
@cython.exceptval(-1, check=False)
def raise_stopped(failure: cython.pointer(cython.const[Failure])) -> cython.int:
    """As ``fail_by`` wants it."""
    raise Stopped


@cython.cfunc
@cython.exceptval(-1, check=False)
def raise_late(failure: cython.pointer(cython.const[Failure])) -> cython.int:
    """As ``fail_by`` wants it."""
    raise DeadlineExceeded(detail="loading or compiling took too long")


def grew(size):
    """An array takes so many bytes more. ResourceLimit where there are not so many left."""
    quota: cython.pointer(Quota) = current()
    if quota == cython.NULL:
        return 0
    quota.bytes_left -= cython.cast(int64_t, size)
    if quota.bytes_left < 0:
        return fail_limit(
            b"compile_bytes",
            b"compiling takes more memory than the engine allows; Config(compile_bytes=\xe2\x80\xa6) allows more",
        )
    return 0


def begin_quota(quota, asked, size):
    """The budget of work that knows nothing of Python, nor of the budget around it: it ends when any bit is set at
    ``asked``, and may take so many bytes of scratch memory. Nothing but ``end_quota`` may come after a failure."""
    memset(quota, 0, cython.sizeof(Quota))
    quota.outer = current()
    quota.asked = asked
    quota.mask = 0xFFFFFFFF
    quota.bytes_left = size
    set_budget(quota)


def end_quota(quota):
    """The budget around it is this thread's again, or none."""
    set_budget(quota.outer)


@cython.cclass
class Budget:
    """A budget, for the time of a ``with`` block in one thread.

    ``seconds`` count from now on, None sets no deadline; ``size`` is in bytes of scratch memory, None does not count
    them; ``shared`` is a budget of another thread: its deadline and its ``stop`` hold here, too.

    A budget inside another one ends when that one ends. Raises in the block: DeadlineExceeded, ResourceLimit, Stopped.
    """

    def __cinit__(self, seconds: object = None, size: object = None, shared: Budget = None):
        memset(cython.address(self.quota), 0, cython.sizeof(Quota))
        self.quota.bytes_left = UNLIMITED if size is None else min(size, UNLIMITED)
        self.shared = shared
        if shared is not None:
            self.quota.deadline_ns = shared.quota.deadline_ns
        elif seconds is not None:
            time: cython.double = seconds_or_none("seconds", seconds)
            self.quota.deadline_ns = now_ns() + cython.cast(uint64_t, time * 1e9)

    def begin(self):
        """It is this thread's budget from now on."""
        quota: cython.pointer(Quota) = cython.address(self.quota)
        outer: cython.pointer(Quota) = current()
        quota.outer = outer
        if quota.asked == cython.NULL:
            quota.asked = cython.address(quota.stopped)
            if self.shared is not None:
                quota.asked = cython.address(self.shared.quota.stopped)
            quota.mask = 1
            if outer != cython.NULL:
                quota.asked = outer.asked
                quota.mask = outer.mask
        if outer != cython.NULL:
            if quota.deadline_ns == 0 or (outer.deadline_ns != 0 and outer.deadline_ns < quota.deadline_ns):
                quota.deadline_ns = outer.deadline_ns
            quota.looked_ns = outer.looked_ns
            quota.signals = outer.signals
        else:
            quota.looked_ns = now_ns()
            quota.signals = PyThread_get_thread_ident() == main_thread
        set_budget(quota)
        return 0

    def end(self):
        """The budget around it is this thread's again."""
        set_budget(self.quota.outer)

    def __enter__(self):
        self.begin()
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        self.end()

    def stop(self) -> None:
        """End the work at its next look, from any thread; of those that share it as well."""
        self.quota.stopped = 1


def check() -> None:
    """``look``, at the clock as well, for work that is done in Python."""
    global looks
    looks |= LOOKS - 1
    look()


def pause() -> None:
    """In a loop of Python: ``check`` once in a few hundred turns."""
    global pauses
    pauses += 1
    if pauses & (PAUSES - 1) == 0:
        check()


@cython.final
@cython.cclass
class paced:
    """Goes through ``items`` as they are, with a ``check`` once in a few hundred: for loops of Python."""

    items: object
    turn: uint32_t

    def __cinit__(self, items: object):
        self.items = iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        self.turn += 1
        if self.turn & (PAUSES - 1) == 0:
            check()
        return next(self.items)


def find_main_thread() -> None:
    """The one that handles signals. Where nobody has asked ``threading`` yet, it would say that it is this one."""
    global main_thread
    threading: object = sys.modules.get("threading")
    main_thread = get_ident() if threading is None else threading.main_thread().ident or 0


def be_main_thread() -> None:
    """After a fork it is the one that forked."""
    global main_thread
    main_thread = get_ident()


find_main_thread()
os.register_at_fork(after_in_child=be_main_thread)
