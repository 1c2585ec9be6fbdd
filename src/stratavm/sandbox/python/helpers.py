"""Threads in which tools run that must not hold up a run: one each, lent for a call, kept for the next.

A call that does not end in time is abandoned: its thread goes on, and is not lent again until it has ended.
"""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable, Coroutine

from stratavm.base.forms import Any, Final
from stratavm.base.importing import asyncio

MOST_ABANDONED: Final = 4
"""Calls of one sandbox that may go on although nobody waits for them."""
MOST_IDLE: Final = 4
IDLE_S: Final = 10.0
"""How long a thread waits for another call before it ends."""


class Late(Exception):
    """The call did not end in time, and goes on."""


class Job:
    """A call: what it does, and how it ended."""

    def __init__(self, function: Callable[[], Any], told: Callable[[], None]) -> None:
        self.function, self.told = function, told
        self.context = contextvars.copy_context()
        self.value: Any = None
        self.error: BaseException | None = None

    def do(self) -> None:
        """Do it; whoever waits is told."""
        try:
            self.value = self.context.run(self.function)
        except BaseException as error:
            self.error = error
        self.told()

    def result(self) -> Any:
        """What it returned, or what it raised."""
        if self.error is not None:
            raise self.error
        return self.value


class Helper(threading.Thread):
    """A thread that does one job after another."""

    def __init__(self, pool: Helpers) -> None:
        super().__init__(name="strata-tool", daemon=True)
        self.pool = pool
        self.job: Job | None = None
        self.wanted = threading.Lock()
        self.wanted.acquire()

    def run(self) -> None:
        """Wait for jobs, and do them."""
        while self.wanted.acquire(timeout=IDLE_S) or not self.pool.forget(self):
            job, self.job = self.job, None
            if job is None:  # it came when this waited no longer, and was found
                continue
            job.do()
            del job
            if not self.pool.take_back(self):
                return


class Forsaken:
    """A task of a loop that goes on although it was cancelled."""

    def __init__(self, task: asyncio.Future[Any]) -> None:
        self.task = task
        task.add_done_callback(_heard)

    def is_alive(self) -> bool:
        """Whether it goes on."""
        return not self.task.done() and not self.task.get_loop().is_closed()


def _heard(task: asyncio.Future[Any]) -> None:
    """What became of it: nobody wants to know."""
    if not task.cancelled():
        task.exception()


class Helpers:
    """The threads of one sandbox.

    Attributes: ``abandoned`` are those whose calls go on although nobody waits, and tasks likewise.
    """

    def __init__(self) -> None:
        self.abandoned: set[Helper | Forsaken] = set()
        self._idle: list[Helper] = []
        self._lock = threading.Lock()

    @property
    def is_full(self) -> bool:
        """Whether so many calls were abandoned that there may be no other."""
        if len(self.abandoned) < MOST_ABANDONED:
            return False
        with self._lock:  # one that ended just when its call was given up, or that a fork has left behind
            self.abandoned = {helper for helper in self.abandoned if helper.is_alive()}
        return len(self.abandoned) >= MOST_ABANDONED

    def give_up(self, task: Forsaken) -> None:
        """Count it while it goes on."""
        with self._lock:
            self.abandoned.add(task)

    def call(self, function: Callable[[], Any], seconds: float) -> Any:
        """Call it in a thread, and wait so long for it.

        Raises:
            Late: it did not end in time.
            BaseException: what it raises.
        """
        done = threading.Lock()
        done.acquire()
        job = Job(function, done.release)
        helper = self._lend(job)
        try:
            is_done = done.acquire(timeout=min(seconds, threading.TIMEOUT_MAX))
        except BaseException:  # Ctrl-C
            self._abandon(helper)
            raise
        if not is_done and self._abandon(helper):
            raise Late
        return job.result()

    async def call_async(self, function: Callable[[], Any]) -> Any:
        """Call it in a thread; whoever cancels the wait abandons it.

        Raises:
            BaseException: what it raises.
        """
        loop = asyncio.get_running_loop()
        done = asyncio.Event()

        def told() -> None:
            """Wake whoever waits."""
            try:
                loop.call_soon_threadsafe(done.set)
            except RuntimeError:  # the loop is closed: nobody waits
                return

        job = Job(function, told)
        helper = self._lend(job)
        try:
            await done.wait()
        except BaseException:
            self._abandon(helper)
            raise
        return job.result()

    def _lend(self, job: Job) -> Helper:
        with self._lock:
            helper = self._idle.pop() if self._idle else None
        if helper is None or not helper.is_alive():  # a fork leaves none of them
            helper = Helper(self)
            helper.start()
        helper.job = job
        helper.wanted.release()
        return helper

    def _abandon(self, helper: Helper) -> bool:
        """Wait no longer for it; False where it has just ended."""
        with self._lock:
            if helper in self._idle or not helper.is_alive():
                return False
            self.abandoned.add(helper)
            return True

    def take_back(self, helper: Helper) -> bool:
        """It has done its job; False where there are threads enough."""
        with self._lock:
            self.abandoned.discard(helper)
            if len(self._idle) >= MOST_IDLE:
                return False
            self._idle.append(helper)
            return True

    def forget(self, helper: Helper) -> bool:
        """It waited for long; False where a job has just come."""
        with self._lock:
            if helper in self._idle:
                self._idle.remove(helper)
                return True
            return False


def in_a_loop(coroutine: Coroutine[Any, Any, Any], seconds: float | None) -> Any:
    """Run a coroutine to its end, in a loop of its own; one that is late is cancelled.

    Raises:
        TimeoutError: it was late.
        BaseException: what it raises.
    """
    return asyncio.run(asyncio.wait_for(coroutine, seconds))
