"""Threads whose interleaving a seed decides: one runs at a time, and switches happen only where they are asked for."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType

from stratavm.base.forms import Any
from stratavm.testing.loop import Stuck


class _Worker:
    """A thread of a schedule."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.identity = 0
        self.go = threading.Lock()
        self.go.acquire()
        self.waits_for: Event | None = None
        self.done = False
        self.result: Any = None
        self.error: BaseException | None = None


class Schedule:
    """Runs functions on threads, one at a time, switching at ``pause`` and where they wait, as the seed decides.

    Args:
        seed: decides who runs next.
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._random = random.Random(seed)
        self._workers: list[_Worker] = []
        self._threads: list[threading.Thread] = []
        self._current: _Worker | None = None
        self._finished = threading.Event()
        self._stuck = False
        self.switches = 0

    def spawn(self, function: Callable[..., Any], *args: Any, name: str = "") -> None:
        """Add a thread; it runs when ``run`` is called."""
        worker = _Worker(name or f"thread {len(self._workers)}")
        self._workers.append(worker)

        def body() -> None:
            worker.identity = threading.get_ident()
            worker.go.acquire()
            try:
                if not self._stuck:
                    worker.result = function(*args)
            except BaseException as error:
                worker.error = error
            worker.done = True
            self._switch()

        self._threads.append(threading.Thread(target=body, name=worker.name, daemon=True))

    def run(self) -> list[Any]:
        """Run all threads to their end; results in order of ``spawn``. Raises the first error of a thread.

        Raises:
            Stuck: all threads wait.
        """
        for thread in self._threads:
            thread.start()
        self._switch()
        if not self._finished.wait(60):
            raise Stuck("a thread blocks outside the schedule")
        for thread in self._threads:
            thread.join(60)
        for worker in self._workers:
            if worker.error is not None:
                worker.error.add_note(f"in {worker.name}, with seed {self.seed}")
                raise worker.error
        return [worker.result for worker in self._workers]

    def pause(self) -> None:
        """Let another thread run, perhaps. Does nothing on threads that are not of this schedule."""
        me = self._current
        if me is not None and threading.get_ident() == me.identity:
            self._switch(me)

    def _switch(self, me: _Worker | None = None) -> None:
        """Choose who runs next; a worker that is not chosen sleeps until it is."""
        able = [w for w in self._workers if not w.done and (w.waits_for is None or w.waits_for.is_set())]
        if not able:
            if all(w.done for w in self._workers):
                self._finished.set()
                return
            self._stuck = True  # wake everybody: each raises Stuck where it waits
            able = [w for w in self._workers if not w.done]
        chosen = self._random.choice(able)
        if chosen is not me:
            self.switches += 1
            self._current = chosen
            chosen.go.release()
            if me is not None and not me.done:
                me.go.acquire()
        if me is not None and self._stuck:
            raise Stuck(f"all threads wait, with seed {self.seed}")

    def event(self) -> Event:
        """An event in place of ``threading.Event``."""
        return Event(self)

    @contextmanager
    def controlling(self, module: ModuleType, name: str = "make_event") -> Iterator[None]:
        """Let a module make its events here, while it lasts: ``schedule.controlling(stratavm.services.di.core)``."""
        old = getattr(module, name)
        setattr(module, name, self.event)
        try:
            yield
        finally:
            setattr(module, name, old)

    def wait_for(self, event: Event) -> None:
        """Let others run until an event is set."""
        me = self._current
        assert me is not None
        me.waits_for = event
        try:
            self._switch(me)
        finally:
            me.waits_for = None


class Event:
    """As ``threading.Event``, within a schedule."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule, self._set = schedule, False

    def is_set(self) -> bool:
        """Whether it was set."""
        return self._set

    def set(self) -> None:
        """Set it; who waits may run from now on."""
        self._set = True
        self._schedule.pause()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is set; time-outs never come, the schedule reports a deadlock instead."""
        while not self._set:
            self._schedule.wait_for(self)
        return True


def explore(scenario: Callable[[Schedule], Callable[[list[Any]], None]], schedules: int, first_seed: int = 0) -> int:
    """Run a scenario under many schedules. It spawns threads and returns a check of their results.

    Returns:
        How many different orders of switches were seen is not known; this is the number of switches.
    """
    switches = 0
    for seed in range(first_seed, first_seed + schedules):
        schedule = Schedule(seed)
        check = scenario(schedule)
        results = schedule.run()
        try:
            check(results)
        except BaseException as error:
            error.add_note(f"with seed {seed}")
            raise
        switches += schedule.switches
    return switches
