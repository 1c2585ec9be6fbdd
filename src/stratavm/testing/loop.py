"""An asyncio event loop whose order and time a seed decides: the same seed, the same run. Nothing really sleeps."""

from __future__ import annotations

import asyncio
import contextvars
import random
from collections.abc import Callable, Coroutine

from stratavm.base.errors import StrataError
from stratavm.base.forms import Any, Final, TypeVar, TypeVarTuple
from stratavm.base.numbers import integer, whole
from stratavm.runtime.fibers import count_polls

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

NO_IO: Final = "a SeededLoop watches no descriptors: give guests functions, or files, instead of pipes and sockets"


class Stuck(StrataError):
    """Every task or thread waits for another one: a deadlock."""


class SeededLoop(asyncio.BaseEventLoop):
    """Runs ready callbacks in an order drawn from a seed; when none is ready, time jumps to the next timer.

    There is no I/O, no threads and no subprocesses: code under test gets fakes for those. What would be done in a
    thread, as loading a module or reading a file of the host for a guest, is done in a turn of the loop, which the seed
    draws: a function that waits there for something else waits for ever.

    Guests that run asynchronously are suspended where the seed decides, too: after so many polls instead of at ticks of
    the clock. A guest polls as it enters a function and at each turn of a loop; how often, depends on what compiled
    it, so a run repeats exactly on an engine with one tier (``oracle`` suspends nothing), not on ``auto``.

    Args:
        seed: decides the order.
        most_steps: callbacks that a run may take before it counts as endless.
        polls_per_tick: polls, on the average, after which a guest that computes lets the loop run: 1 to 2**40.

    Raises:
        TypeError: ``polls_per_tick`` is no whole number.
        ValueError: it is out of its range.
    """

    has_threads = False
    _runs = _ended = False  # the base class asks before they are set

    def __init__(self, seed: int = 0, most_steps: int = 100_000, polls_per_tick: int = 10_000) -> None:
        super().__init__()
        self._random = random.Random(seed)
        self._polls_per_tick = whole("polls_per_tick", polls_per_tick, 1, 1 << 40)
        self._turn: list[asyncio.Handle] = []
        self._later: list[asyncio.TimerHandle] = []
        self._now = 0.0
        self._most = self._left = most_steps
        self._errors: list[dict[str, Any]] = []

    # ---- time and callbacks ----

    def time(self) -> float:
        """Seconds since the loop was made, by its own clock."""
        return self._now

    def call_soon(
        self, callback: Callable[[*Ts], object], *args: *Ts, context: contextvars.Context | None = None
    ) -> asyncio.Handle:
        """Run it at one of the next turns."""
        handle = asyncio.Handle(callback, args, self, context)
        self._turn.append(handle)
        return handle

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        """As ``call_soon``: there are no threads."""
        return self.call_soon(callback, *args, context=context)

    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run it after so many seconds."""
        return self.call_at(self._now + delay, callback, *args, context=context)

    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        """Run it at a time."""
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._later.append(handle)
        return handle

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """asyncio tells of cancelled timers; they are skipped when their time comes."""

    def _step(self) -> None:
        self._turn = [h for h in self._turn if not h.cancelled()]
        if not self._turn:
            self._later = [t for t in self._later if not t.cancelled()]
            if not self._later:
                raise Stuck("every task waits, and no timer is set")
            self._now = max(self._now, min(t.when() for t in self._later))
            self._turn += [t for t in self._later if t.when() <= self._now]
            self._later = [t for t in self._later if t.when() > self._now]
        self._left -= 1
        if self._left < 0:
            raise Stuck("the run takes more steps than allowed")
        self._turn.pop(self._random.randrange(len(self._turn)))._run()

    def run_in_executor(self, executor: Any, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        """Call a function at one of the next turns, whatever the executor."""
        future: asyncio.Future[T] = self.create_future()

        def call() -> None:
            if future.cancelled():
                return
            try:
                future.set_result(func(*args))
            except (SystemExit, KeyboardInterrupt):
                raise
            except StopIteration as error:  # no future takes one: as Python 3.12 says it
                wrapped = RuntimeError(
                    "StopIteration interacts badly with generators and cannot be raised into a Future"
                )
                wrapped.__cause__ = error
                future.set_exception(wrapped)
            except BaseException as error:
                future.set_exception(error)

        self.call_soon(call)
        return future

    def add_reader(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """Refuse: nothing is watched.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(NO_IO)

    def add_writer(self, fd: Any, callback: Callable[[*Ts], Any], *args: *Ts) -> None:
        """Refuse, as ``add_reader``.

        Raises:
            NotImplementedError: always.
        """
        raise NotImplementedError(NO_IO)

    # ---- running ----

    def run_until_complete(self, future: Any) -> Any:
        """Run until a coroutine or future is done; returns its result.

        Raises:
            Stuck: nothing can go on.
        """
        task = asyncio.ensure_future(future, loop=self)
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self)
        self._runs = True
        polls = count_polls(self._polls_per_tick, self._random.getrandbits(64))
        try:
            while not task.done():
                self._step()
        finally:
            self._runs = False
            count_polls(polls, 0)
            asyncio._set_running_loop(before)
        return task.result()

    def is_running(self) -> bool:
        """Whether it runs now."""
        return self._runs

    def is_closed(self) -> bool:
        """Whether it was closed."""
        return self._ended

    def close(self) -> None:
        """End it."""
        self._ended = True

    def get_debug(self) -> bool:
        """Never in debug mode."""
        return False

    def create_future(self) -> asyncio.Future[Any]:
        """A future of this loop."""
        return asyncio.Future(loop=self)

    def create_task(self, coro: Any, *, name: object = None, context: contextvars.Context | None = None) -> Any:
        """A task of this loop."""
        return asyncio.Task(coro, loop=self, name=None if name is None else str(name), context=context)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Keep what went wrong outside any task: ``errors``."""
        self._errors.append(context)

    def default_exception_handler(self, context: dict[str, Any]) -> None:
        """As ``call_exception_handler``."""
        self._errors.append(context)

    @property
    def steps(self) -> int:
        """Callbacks that it has run so far."""
        return self._most - self._left

    @property
    def errors(self) -> list[dict[str, Any]]:
        """What went wrong outside any task: contexts as asyncio describes them."""
        return self._errors


def run_seeded(main: Callable[[], Coroutine[Any, Any, T]], seed: int) -> T:
    """Run a coroutine function under one schedule; a failure names the seed.

    Args:
        main: is called without arguments; what it returns is awaited.
        seed: a whole number that decides the order.

    Raises:
        TypeError: ``main`` is no coroutine function, or ``seed`` no whole number.
        Stuck: nothing can go on.
    """
    seed = integer("seed", seed)
    given: Any = main
    if asyncio.iscoroutine(given):
        given.close()
        raise TypeError("main must be a coroutine function, got a coroutine: pass the function itself, without ()")
    if not callable(given):
        raise TypeError(f"main must be a coroutine function, got {given!r:.60}")
    loop = SeededLoop(seed)
    try:
        waits = given()
        if not hasattr(type(waits), "__await__"):
            raise TypeError(f"main must be a coroutine function, but returned {waits!r:.60}")
        result: T = loop.run_until_complete(waits)
        if loop.errors:
            raise AssertionError(f"errors outside tasks: {loop.errors}")
        return result
    except BaseException as error:
        error.add_note(f"with seed {seed}")
        raise
    finally:
        loop.close()
