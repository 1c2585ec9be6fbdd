"""Threads that do what may take long, so that an event loop need not: whole operations on files, one after another.

They are daemons: one that hangs in a system call on a file system whose server does not answer holds up neither its
caller, who may stop waiting, nor the end of the process.
"""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import Empty, SimpleQueue

from stratavm.base.forms import Any, Final, TypeVar
from stratavm.wasi.held import ForkLock

T = TypeVar("T")

MOST: Final = 32
"""Threads at most, those not counted that nobody waits for any more."""
REST_S: Final = 5.0
"""After so long without work a thread ends."""


class Job:
    """One operation. Either a thread begins it, or whoever wanted it drops it before."""

    def __init__(self, function: Callable[[], Any], future: asyncio.Future[Any]) -> None:
        self._function, self._future = function, future
        self._loop = future.get_loop()
        self._ready = [True]
        self._context = contextvars.copy_context()
        self.is_over = self.was_left = False

    def begin(self) -> bool:
        """Whether the caller is the one who may do it, or drop it. (Lists change in one step under the GIL.)"""
        try:
            return self._ready.pop()
        except IndexError:
            return False

    def run(self) -> None:
        """In the thread."""
        tell: Callable[[Any], None] = self._future.set_result
        try:
            result = self._context.run(self._function)
        except BaseException as error:
            tell, result = self._future.set_exception, error
        with suppress(RuntimeError):  # the loop was closed: nobody waits any more
            self._loop.call_soon_threadsafe(self._tell, tell, result)

    def _tell(self, tell: Callable[[Any], None], result: Any) -> None:
        if not self._future.done():
            tell(result)

    def run_here(self) -> None:
        """In a turn of a loop that has no threads, unless it was dropped."""
        if self.begin():
            self.run()
            self.is_over = True


class Hands:
    """The threads of a process, started as they are needed."""

    def __init__(self) -> None:
        self._fork = ForkLock()
        self.renew()
        os.register_at_fork(after_in_child=self.renew)

    def renew(self) -> None:
        """There are none: a forked child has not those of its parent."""
        self._jobs: SimpleQueue[Job] = SimpleQueue()
        self._idle = self._threads = 0
        self._untaken = 0  # jobs that no thread has noted as its own: one may just have left the queue
        self._most = MOST

    def submit(self, job: Job) -> None:
        """Do it soon."""
        with self._fork.lock:
            self._jobs.put(job)
            self._untaken += 1
            if self._untaken <= self._idle or self._threads >= self._most:
                return
            self._threads += 1
        try:
            threading.Thread(target=self._work, name="stratavm-hand", daemon=True).start()
        except BaseException:
            with self._fork.lock:
                self._threads -= 1
            if not self._threads:
                job.begin()
                raise

    def leave(self, job: Job) -> None:
        """Nobody waits for it any more: however long it takes, it takes no place from others."""
        with self._fork.lock:
            if not job.is_over:
                job.was_left = True
                self._most += 1

    def _work(self) -> None:
        jobs = self._jobs
        while True:
            with self._fork.lock:
                self._idle += 1
            try:
                job = jobs.get(timeout=REST_S)
            except Empty:
                job = None
            with self._fork.lock:
                self._idle -= 1
                self._untaken -= job is not None
                if job is None and jobs.empty():
                    self._threads -= 1
                    return
            if job is not None and job.begin():
                job.run()
                with self._fork.lock:
                    job.is_over = True
                    self._most -= job.was_left


HANDS: Final = Hands()


async def hop(function: Callable[[], T], dropped: Callable[[], object] | None = None) -> T:
    """Call a function in a thread; cancelling waits for nothing. A loop that says ``has_threads = False`` calls it in
    one of its turns.

    Args:
        function: the whole operation. It goes on when the wait was cancelled, unless no thread had begun it.
        dropped: called then, instead of it.
    """
    loop = asyncio.get_running_loop()
    future: asyncio.Future[T] = loop.create_future()
    job = Job(function, future)
    if getattr(loop, "has_threads", True):
        HANDS.submit(job)
    else:
        loop.call_soon(job.run_here)
    try:
        return await future
    except BaseException:
        if job.begin():
            if dropped is not None:
                dropped()
        else:
            HANDS.leave(job)
        raise
