# strata: hot
"""Fibers: guests on stacks of their own, which can be suspended in a host function and at ticks, and go on later.

Owns how one starts, is suspended, goes on and is abandoned; who waits in the meantime is above. Python never runs on
these stacks: guests leave them through the gate alone, which goes back to the thread's.
"""

import cython
from cython.cimports.cpython.ref import Py_DECREF, PyObject
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.string import memcpy, memmove, memset
from cython.cimports.stratavm.contract._gen_layout import (
    ARG_CELL,
    STATUS_SUSPEND,
    STATUS_THROW,
    ExecContext,
    FiberState,
)
from cython.cimports.stratavm.runtime.exceptions import Exn, exn_of, keep_for_later, look_for_handler, throw_now
from cython.cimports.stratavm.runtime.gil import regain_gil
from cython.cimports.stratavm.runtime.host import HostFunction
from cython.cimports.stratavm.runtime.native import now_ns
from cython.cimports.stratavm.runtime.occupancy import Entry, is_closed
from cython.cimports.stratavm.runtime.resultcells import drop_cells, keep_cells
from cython.cimports.stratavm.runtime.signals import walk_frames
from cython.cimports.stratavm.runtime.stacks import give_stack, has_shadow_stack, take_stack
from cython.cimports.stratavm.runtime.store import begins_late, end_fiber_call
from cython.cimports.stratavm.runtime.table import Table
from cython.cimports.stratavm.runtime.threads import (
    ThreadBlock,
    count_poll,
    current_block,
    part_is_over,
    thread_block,
)
from cython.cimports.stratavm.runtime.ticker import update_period

from stratavm.base.errors import Closed, StoreBusy, StrataError


class CannotSuspend(StrataError):
    """A guest would have to wait for the host where it cannot be suspended; the message says what stands between."""


def refusal(label: str, awaitable: object, is_between: bool) -> CannotSuspend:
    """What to raise where a host function returned an awaitable that nobody can await; a coroutine is closed."""
    if hasattr(type(awaitable), "cr_await"):
        awaitable.close()
    if is_between:
        said: str = (
            "a synchronous call lies between it and the asynchronous one: make the host function that calls the guest "
            "a second time `async def`, too, and let it `await f.call_async(...)`"
        )
    else:
        said = "the guest was called synchronously: `await f.call_async(...)` instead of `f(...)`"
    return CannotSuspend(f"host function {label} returned an awaitable ({type(awaitable).__name__}), but {said}")


STEP = cython.declare(uint64_t, 1 << 20)  # bytes of a bulk operation between two looks whether a part is over


def count_polls(average: int, seed: int) -> int:
    """Ticks of this thread's guests on fibers come after so many of their polls, on the average, at distances that the
    seed decides; 0: as their time runs. What it was before."""
    block: cython.pointer(ThreadBlock) = thread_block()
    before: object = block.polls_per_tick
    block.polls_per_tick = average
    block.polls_seed = seed
    block.polls_left = 1
    count_poll(block)
    return before


@cython.cclass
class Bulk:
    """The rest of a bulk operation that was suspended: an awaitable that does it, a part at each turn. Who awaits it
    has had a part in this turn; who iterates over it has waited for a turn."""

    def __cinit__(
        self, store: Store, to: uint64_t, origin: uint64_t, n: uint64_t, value: uint64_t, table: Table | None = None
    ):
        self.store = store
        self.table = table
        self.growths = 0 if table is None else table.growths
        self.to = cython.cast(cython.p_char, to)
        self.origin = cython.cast(cython.p_char, origin)
        self.left = n
        self.value = value

    def __await__(self):
        self.had_part = True
        return self

    def __iter__(self):
        return self

    def __next__(self):
        """A part. What the pointers lead to is there as long as the store is open, and nobody is inside meanwhile."""
        if self.had_part:
            self.had_part = False
            return None
        if self.left == 0:
            raise StopIteration
        if is_closed(self.store):
            raise Closed("the store was closed while the guest waited")
        began_ns: uint64_t = now_ns()
        done: uint64_t = 0
        block: cython.pointer(ThreadBlock) = thread_block()
        while self.left and not part_is_over(block, began_ns, done):
            done += min(self.left, STEP)
            self.go_on(min(self.left, STEP))
        return None

    def go_on(self, n):
        """So many bytes more; of what overlaps, from the end that is overwritten last."""
        i: uint64_t
        if self.table is not None and not self.table.goes_ahead(self.growths, self.left, n, self.value):
            self.left = 0  # it has grown otherwise
            return 0
        self.left -= n
        if self.origin == cython.NULL:
            for i in range(n // 8):
                cython.cast(cython.pointer(uint64_t), self.to)[i] = self.value
            memset(self.to + n - n % 8, cython.cast(cython.int, self.value & 0xFF), n % 8)
        elif cython.cast(uint64_t, self.origin) < cython.cast(uint64_t, self.to):
            memmove(self.to + self.left, self.origin + self.left, n)
            return 0
        else:
            memmove(self.to, self.origin, n)
            self.origin += n
        self.to += n
        return 0

    def __reduce__(self):
        raise TypeError("what is left of an operation cannot be pickled")


@cython.cclass
class Fiber:
    """A call of a guest on a stack of its own."""

    def __reduce__(self):
        raise TypeError("a call cannot be pickled")

    def __dealloc__(self):
        drop_cells(cython.address(self.roots))
        give_stack(cython.address(self.stack))

    def take_room(self):
        """Take a stack, with what belongs to the call at its top. Whoever does so gives it back: ``give_up``."""
        store: Store = self.store
        context: cython.pointer(ExecContext) = store.exec
        n: cython.Py_ssize_t = max(len(self.native.params), len(self.native.results))
        if store.template.fiber_gate == cython.NULL:
            if has_shadow_stack():
                raise CannotSuspend("this process has a shadow stack (CET), with which guests cannot be suspended")
            store.template.prepare_fibers()
        if context.occupant != 0 and store.parked is None and self.is_inside():
            raise CannotSuspend(
                "an asynchronous call from a host function that a synchronous call of the same store has called would "
                "wait inside it: make the outer call with call_async, and that host function `async def`"
            )
        take_stack(cython.address(self.stack), store.stack_bytes)
        at: uint64_t = self.stack.top - cython.sizeof(FiberState)
        self.state = cython.cast(cython.pointer(FiberState), at)
        at -= (cython.sizeof(Entry) + 15) & ~cython.cast(uint64_t, 15)
        self.entry = cython.cast(cython.pointer(Entry), at)
        at -= ARG_CELL * cython.cast(uint64_t, n)
        self.cells = cython.cast(cython.pointer(uint64_t), at)
        memset(self.state, 0, cython.sizeof(FiberState))
        memset(self.cells, 0, ARG_CELL * n)  # what other calls have left there keeps nothing alive
        drop_cells(cython.address(self.roots))
        keep_cells(cython.address(self.roots), context, self.cells, 2 * cython.cast(uint64_t, n))
        return 0

    def is_inside(self) -> bool:
        """Whether this thread runs a guest of the store."""
        block: cython.pointer(ThreadBlock) = current_block()
        return block != cython.NULL and self.store.exec.occupant == block.serial

    def start(self):
        """Run the guest, with its arguments in the cells: true if it was suspended, false if it has ended, with its
        results there. Raises what the call ends with. StoreBusy, Closed: nothing ran."""
        store: Store = self.store
        top: uint64_t = cython.cast(uint64_t, self.cells)
        self.limit = self.stack.limit
        if store.stack_bytes and top - store.stack_bytes > self.limit:
            self.limit = top - store.stack_bytes
        store.enter(self.entry)
        if not self.entry.outermost and self.entry.parent == cython.NULL:
            store.leave(self.entry)
            raise StoreBusy("a call is inside this store")
        self.entry.act.rec = self.native.rec
        self.entry.act.exit_sp = 0
        store.go_on_fiber(self.entry, self.state, self.limit)
        self.phase = FIBER_RUNS
        late: uint32_t = begins_late(store.exec, self.entry)
        if late:
            return self.came_back(late)
        self.entry.block.in_guest = 1
        return self.came_back(
            cython.cast(start_t, store.template.fiber_start)(
                self.state, store.exec, self.native.rec, self.native.shape.array_entry, self.cells, top
            )
        )

    def resume(self, status):
        """Let it go on where it was suspended, as if the builtin had returned this status; as ``start``."""
        store: Store = self.store
        exn: Exn = None
        before: object = None
        error_before: object = None
        if status == STATUS_THROW:
            exn = exn_of(store, store.in_flight)
        if store.parked is not self:
            raise StoreBusy("a call that the host function began, of the guest that waited for it, is not over")
        store.come_back(self.entry, self.state, self.limit)
        self.phase = FIBER_RUNS
        self.request = None
        if status == STATUS_THROW:
            # What ran since it was raised may have called guests that threw; theirs is kept: to drop it runs Python.
            before, error_before = store.thrown, store.thrown_error
            if exn is not None:
                throw_now(store, exn)
            look_for_handler(store)
        self.entry.block.in_guest = 1
        return self.came_back(cython.cast(resume_t, store.template.fiber_resume)(self.state, store.exec, status))

    def came_back(self, status):
        """The thread has left the fiber, and what it left there is picked up."""
        store: Store = self.store
        block: cython.pointer(ThreadBlock) = current_block()
        regain_gil(block)
        block.in_guest = 0
        if status != STATUS_SUSPEND:
            self.phase = FIBER_ENDED
            store.leave_fiber(block.limit)
            if end_fiber_call(store, self.entry, status) != 0:
                raise_what_is_set()
            return False
        if self.state.request != cython.NULL:
            self.request = cython.cast(object, cython.cast(cython.pointer(PyObject), self.state.request))
            self.state.request = cython.NULL
            Py_DECREF(self.request)
        self.phase = FIBER_PARKED
        self.parks += 1
        store.step_out(self.entry, self)
        if self.state.host == cython.NULL:  # at a tick
            update_period()
        return True

    def check_parked(self):
        """Raise unless it is suspended."""
        if self.phase != FIBER_PARKED:
            raise StrataError("this asynchronous call was abandoned")
        return 0

    def frames(self) -> tuple:
        """Where its frames lie: lowest address and end, if it is suspended, else nothing."""
        return (self.state.sp, self.entry.act.entry_sp) if self.phase == FIBER_PARKED else ()

    def give_up(self):
        """Let go of the stack, and of a guest that is suspended there: it never goes on, and the instances in which it
        was are poisoned."""
        entry: Entry
        store: Store = self.store
        kept: tuple = ()
        while self.phase == FIBER_PARKED and store.parked is not self:  # what its host functions began and left: first
            if store.parked is None:  # a call of theirs is inside: when that ends
                self.is_left = True
                return 0
            store.parked.abandon()
        if self.phase == FIBER_PARKED:
            self.entry.act.vmctx = self.state.vmctx
            walk_frames(cython.address(self.entry.act), self.state.sp, self.state.sp, False)
            # A copy: the collector may run here, and what that runs may close the store, or let us go on.
            entry = self.entry[0]
            store.poison_all(cython.address(entry))
            kept = (self.request, store.in_flight)  # until the store is free
            if self.phase != FIBER_PARKED or store.parked is not self:
                return 0
            self.phase = FIBER_ENDED
            self.request = None
            store.in_flight = None
            store.drop(self.entry)
        self.phase = FIBER_ENDED
        drop_cells(cython.address(self.roots))
        give_stack(cython.address(self.stack))
        return 0

    def take(self, answer):
        """Put what the host function that it waits for has returned at last into its cells.

        Beside them first: to convert it may run Python, which may close the store, and then the stack is another's.
        """
        function: HostFunction
        aside: bytearray
        fixed: uint64_t[16]
        at: cython.pointer(uint64_t) = fixed
        if self.state.host == cython.NULL:
            return 0
        function = cython.cast(HostFunction, cython.cast(cython.pointer(PyObject), self.state.host))
        size: cython.size_t = ARG_CELL * len(function.results)
        if size > cython.sizeof(fixed):
            aside = bytearray(size)
            at = cython.cast(cython.pointer(uint64_t), cython.cast(cython.p_char, aside))
        function.take(answer, at)
        self.check_parked()
        memcpy(self.state.cells, at, size)
        return 0

    def kept(self, error):
        """The status with which a guest is left whose host function has raised an error."""
        return keep_for_later(self.store, error)


@cython.cfunc
@cython.exceptval(-1, check=False)
def raise_what_is_set() -> cython.int:
    """For the code below: a C function has failed."""
    return -1
