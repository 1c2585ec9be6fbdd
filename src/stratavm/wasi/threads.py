"""Threads of a WASI program, by the proposal wasi-threads: the memory that they share, ``wasi.thread-spawn``, and the
end that all of them have together.

Each is a thread of Python with a store and an instance of its own, over the memory and in the world of the program.
Guests that compute run in parallel; their calls of the host take the GIL. Whoever ends first, by a trap, by
``proc_exit`` or because the host's code failed, and the main thread in any case, ends the process: the others are
interrupted until they are gone.
"""

from __future__ import annotations

import os
import time
from _collections_abc import Callable
from _contextvars import copy_context
from contextlib import suppress
from threading import Event, Thread

from stratavm.base.closing import Closing
from stratavm.base.errors import Interrupted, LinkError, ResourceLimit
from stratavm.base.forms import TYPE_CHECKING, Any, Final, cast
from stratavm.base.numbers import whole
from stratavm.base.text import printable
from stratavm.engine.host import HostSpec
from stratavm.engine.store import Store
from stratavm.runtime.gil import expect_work
from stratavm.runtime.shared import made_for
from stratavm.runtime.values import signature
from stratavm.spec.types import I32, FuncType, MemoryType
from stratavm.wasi.abi import MOST_THREADS, SPAWN
from stratavm.wasi.errno import Errno
from stratavm.wasi.given import is_for_threads
from stratavm.wasi.held import ForkLock
from stratavm.wasi.patience import SLICE_S
from stratavm.wasi.thread_events import ThreadEnded, ThreadRefused, ThreadStarted

if TYPE_CHECKING:
    from types import TracebackType

    from stratavm.engine.instance_pre import InstancePre
    from stratavm.engine.linker import Linker
    from stratavm.engine.module import Module
    from stratavm.runtime.memory import Memory

START: Final = "wasi_thread_start"
"""What a thread calls with its number and the argument of its maker."""
SPAWN_TYPE: Final = FuncType((I32,), (I32,))
START_TYPE: Final = FuncType((I32, I32), ())
LAST_NUMBER: Final = 0x1FFF_FFFF
"""Numbers of threads begin at 1; the C library keeps the bits above for itself."""
GRACE_S: Final = 5.0
"""How long the end waits for a thread that a host function holds up, which cannot be interrupted."""
PLACE_S: Final = 0.1
"""How long who wants one thread more than there may be waits for one to end: a guest that has joined another knows of
its end before the host does."""
REFUSED: Final = -Errno.AGAIN.value & 0xFFFF_FFFF
"""What ``thread-spawn`` gives where there is no thread."""

TEAMS: Final = ForkLock()
"""Held while the threads of a program are counted; a forked child finds it free."""


class Threads(Closing):
    """The threads of one program besides the main one. Its main thread runs in a ``with`` statement::

        with Threads(store, module) as threads:
            threads.define(linker)
            linker.instantiate(store, module).exports._start()

    which ends by raising what ended the program first, in whatever thread, when all of them are gone. Of another than
    the main one the error says so: a note, and the number as its attribute ``thread``.

    Args:
        store: the main thread's. What the others hold counts as held by it, and all draw from its fuel. Deadlines and
            interrupts of it end all of them.
        module: the program.
        most: how many may live at once; where the guest wants more it is told so (EAGAIN).
        follow: told of the store of each, before it runs.
        may_wait: where there are as many as may be, ``thread-spawn`` waits a moment for one to end: not where the main
            thread runs on an event loop.

    Attributes: ``ended_in`` is the number of the thread that ended the program; None: the main one, or none has.
    """

    def __init__(
        self,
        store: Store,
        module: Module,
        most: int = MOST_THREADS,
        *,
        follow: Callable[[Store], object] | None = None,
        may_wait: bool = True,
    ) -> None:
        self.store, self.module, self.most = store, module, whole("most", most, unit="threads")
        self.ended_in: int | None = None
        self._source = store.engine.bus.source("wasi")
        self._follow = follow
        self._may_wait = may_wait
        self._linker: Linker | None = None
        self._pre: InstancePre | None = None
        self._living: dict[int, _Guest] = {}
        self._last = 0
        self._process = os.getpid()
        self._cause: BaseException | None = None
        self._is_over = False
        self._main_is_over, self._left = Event(), Event()

    def define(self, linker: Linker) -> None:
        """Offer what the module imports for threads: ``wasi.thread-spawn``, and the memories that they share.

        Raises:
            LinkError: its threads could not run: nothing is exported that begins them, or each would have a memory of
                its own.
        """
        for wanted in self.module.model.imports:
            if (wanted.module, wanted.name) == SPAWN:
                _must_have_threads(self.module)
            elif is_for_threads(wanted):
                linker.define(wanted.module, wanted.name, made_for(self.store, cast(MemoryType, wanted.type)))
        linker.define(*SPAWN, HostSpec(SPAWN_TYPE, self._spawn))
        self._linker = linker

    # ---- in the guest -------------------------------------------------------------------------------

    def _spawn(self, memory: Memory, argument: int) -> int:
        """``thread-spawn``: the number of a new thread; EAGAIN, negative, where there is none."""
        try:
            number = self._begin(argument)
        except (ResourceLimit, MemoryError, RuntimeError):  # the system has no more threads, the store no more room
            number = 0
        if number == 0 and self._source.hears(ThreadRefused):
            self._source.emit(ThreadRefused(len(self._living), self.most))
        return number or REFUSED

    def _begin(self, argument: int) -> int:
        """Start a thread; its number, or 0."""
        guest = self._place(argument)
        if guest is None and self._may_wait and self.most and self._left.wait(PLACE_S):
            guest = self._place(argument)
        if guest is None:
            return 0
        try:
            if self._pre is None:
                assert self._linker is not None
                self._pre = self._linker.instantiate_pre(self.module)
            guest.store = self._store()
            guest.thread = Thread(
                target=copy_context().run, args=(self._run, guest), name=f"stratavm-guest-{guest.number}", daemon=True
            )
            guest.thread.start()
        except BaseException:
            self._leave(guest)
            raise
        return guest.number

    def _place(self, argument: int) -> _Guest | None:
        """One more that lives; None where there are as many as may be."""
        with TEAMS.lock:
            self._forget_after_fork()
            if self._is_over:
                raise Interrupted(detail="another thread has ended the program")
            if len(self._living) >= self.most:
                self._left.clear()
                return None
            guest = _Guest(self._next_number(), argument)
            self._living[guest.number] = guest
            guest.living = len(self._living)
            return guest

    def _next_number(self) -> int:
        while True:
            self._last = self._last % LAST_NUMBER + 1
            if self._last not in self._living:
                return self._last

    def _store(self) -> Store:
        """A new thread's: what it holds and what it uses are the first one's."""
        store = Store(self.store.engine, limits=self.store.limits)
        cast(Any, store).share_budget(self.store)
        cast(Any, store).share_fuel(self.store)
        if self._follow is not None:
            self._follow(store)
        return store

    def _run(self, guest: _Guest) -> None:
        """A thread, from its beginning to its end."""
        store = guest.store
        assert store is not None and self._pre is not None
        ended: BaseException | None = None
        try:
            if self._source.hears(ThreadStarted):
                self._source.emit(ThreadStarted(guest.number, guest.living))
            if not self._is_over:
                start = self._pre.instantiate(store).exports[START]
                cast(Any, store).request_tick()  # others go on at once, and not only when this one has run for a while
                expect_work()
                start(guest.number, guest.argument)
        except BaseException as error:
            ended = error
            self._ended_by(guest, error)
        finally:
            self._leave(guest)
            if self._source.hears(ThreadEnded):
                self._source.emit(ThreadEnded(guest.number, guest.living, "" if ended is None else str(ended)))

    def _leave(self, guest: _Guest) -> None:
        """A thread has ended, or none began."""
        store = guest.store
        try:
            if store is not None:
                cast(Any, store).put_fuel_back()
                store.close()
        finally:
            with TEAMS.lock:
                self._living.pop(guest.number, None)
                guest.living = len(self._living)
                self._left.set()

    # ---- ends ---------------------------------------------------------------------------------------

    def _ended_by(self, guest: _Guest, error: BaseException) -> None:
        """An error has ended a thread: it ends the process, unless that is over."""
        with TEAMS.lock:
            if self._is_over:
                return
            self._is_over = True
            self._cause, self.ended_in = error, guest.number
        with suppress(Exception):  # an error of the embedder's takes neither, perhaps
            cast(Any, error).thread = guest.number
            error.add_note(f"in thread {guest.number} of the guest")
        while not self._main_is_over.wait(SLICE_S):  # it may be about to enter its store, where none is inside
            _interrupt(self.store)

    def finish(self, error: BaseException | None) -> BaseException | None:
        """The main thread has ended, with this error: the others are to end. Gives what ended the program."""
        with TEAMS.lock:
            self._forget_after_fork()
            if not self._is_over:
                self._is_over, self._cause = True, error
            elif error is not None and not isinstance(error, Exception):  # Ctrl-C, a task that is cancelled
                self._cause, self.ended_in = error, None
        self._main_is_over.set()
        self._interrupt()
        return self._cause

    def close(self) -> None:
        """End what is left of the threads, and wait until they are gone."""
        self.finish(None)
        late = time.monotonic() + GRACE_S
        while guests := self._interrupt():
            for guest in guests:
                if guest.thread is not None and guest.thread.ident is not None:
                    guest.thread.join(SLICE_S / 10)
            if time.monotonic() > late:
                break

    def _interrupt(self) -> list[_Guest]:
        """All that live, which end where they look whether they should."""
        with TEAMS.lock:
            guests = list(self._living.values())
        for guest in guests:
            if guest.store is not None:
                _interrupt(guest.store)
        return guests

    def _forget_after_fork(self) -> None:
        """A forked child has none of its parent's threads."""
        if self._process != os.getpid():
            self._process = os.getpid()
            self._living = {}

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End the others, and raise what ended the program."""
        cause = self.finish(error)
        self.close()
        if cause is not None and cause is not error:
            raise cause

    def __repr__(self) -> str:
        return f"<Threads: {len(self._living)} of at most {self.most}>"


def _interrupt(store: Store) -> None:
    """End the call inside, if there is one, whatever those say who hear of it."""
    with suppress(Exception):
        store.interrupt()


def _must_have_threads(module: Module) -> None:
    """LinkError where threads of the module could not run."""
    kind, index = module.export_index.get(START, ("", 0))
    type_ = module.model.func_type(index) if kind == "func" else None
    if type_ != START_TYPE:
        found = f", found {f'a {kind}' if type_ is None else signature(START, type_)}" if kind else ""
        raise LinkError(
            f"{printable(module.name)} imports {'.'.join(SPAWN)}, so it must export what its threads call: expected "
            f"{signature(START, START_TYPE)}{found}"
        )
    if not any(is_for_threads(i) for i in module.model.imports if i.kind == "memory"):
        raise LinkError(
            f"{printable(module.name)} imports {'.'.join(SPAWN)} and no shared memory: each thread would have its own",
            hint="link with -Wl,--import-memory,--export-memory,--shared-memory,--max-memory=N",
        )


class _Guest:
    """One thread."""

    def __init__(self, number: int, argument: int) -> None:
        self.number, self.argument = number, argument
        self.store: Store | None = None
        self.thread: Thread | None = None
        self.living = 0  # besides the main one, when it was counted
