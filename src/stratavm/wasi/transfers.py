# cython: auto_pickle=False
# strata: hot
"""Files that are read and written for event loops on threads without Python: the bottom of the ladder, for what short
ways met.

The transfers of a turn of the loop go to the threads together, and one wake-up tells the loop of all that were done
meanwhile: a descriptor that it watches becomes readable. Threads have room of their own; the guest's memory is touched
by whoever awaits the transfer, when that is over. Cancelling waits for nothing.
"""

import asyncio
import atexit
import weakref

import cython
from cython.cimports.cpython.buffer import PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF, PyObject
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.runtime.memory import Memory, lent
from cython.cimports.stratavm.runtime.native import now_ns, pthread_t
from cython.cimports.stratavm.runtime.own_threads import (
    POSSIBLE,
    Link,
    Monitor,
    Queue,
    await_work_until,
    begin_monitor,
    call_one,
    empty,
    lock,
    pthread_detach,
    put_last,
    start_thread,
    take_out,
    unlock,
)
from cython.cimports.stratavm.wasi.p1.kernel import Buffers, put_32
from cython.cimports.stratavm.wasi.state import UNKNOWN

from stratavm.wasi.errno import from_os_error
from stratavm.wasi.hands import MOST, REST_S

STACK_BYTES = cython.declare(cython.size_t, 4 << 20)  # Python may run there, where nobody waits any more
REST_NS = cython.declare(uint64_t, int(REST_S * 1e9))
LATE_NS = cython.declare(uint64_t, 50_000)  # until a loop is told at the latest
SHARE = cython.declare(uint32_t, 2)  # it is told at once when so many times those that were moved are all that run

monitor = cython.declare(Monitor)  # of all below, tasks and events
tasks = cython.declare(Queue)  # that wait
living = cython.declare(uint32_t, 0)
resting = cython.declare(uint32_t, 0)  # of the living
starting = cython.declare(uint32_t, 0)  # of the living
MOST_THREADS = cython.declare(uint32_t, MOST)
most = cython.declare(uint32_t, MOST)  # that may live: one more for each that nobody waits for any more
closed = cython.declare(cython.bint, False)  # the interpreter ends
running = cython.declare(uint32_t, 0)  # tasks
n_sent = cython.declare(uint64_t, 0)
n_told = cython.declare(uint64_t, 0)
late = cython.declare(cython.pointer(Event), cython.NULL)  # events that are told soon
forks = cython.declare(uint64_t, 0)  # how often this process and those before it were made by a fork


# ---- threads; callers hold the lock -----------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def append(task: cython.pointer(Task)) -> cython.void:
    """To the end of the queue."""
    task.phase = QUEUED
    put_last(cython.address(tasks), task)
    task.event.n_queued += 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def remove(task: cython.pointer(Task), phase: uint32_t) -> cython.void:
    """From wherever it is in the queue."""
    take_out(cython.address(tasks), task)
    task.phase = phase
    task.event.n_queued -= 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def tell(event: cython.pointer(Event)) -> cython.void:
    """A loop of what was moved for it."""
    global n_told
    n_told += 1
    in_time(event)
    event.is_told = True
    tell_event(event.fd)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def in_time(event: cython.pointer(Event)) -> cython.void:
    """It is not among the late ones."""
    global late
    at: cython.pointer(cython.pointer(Event)) = cython.address(late)
    if event.is_late:
        while at[0] != event and at[0] != cython.NULL:
            at = cython.address(at[0].next)
        if at[0] != cython.NULL:  # else it is one of the process that this one was forked from
            at[0] = event.next
        event.is_late = False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def rest() -> cython.bint:
    """Until there is work. False if the thread has rested long enough."""
    global resting
    is_over: cython.bint = False
    end: uint64_t = now_ns() + REST_NS
    resting += 1
    while tasks.count == 0 and not is_over:
        if late == cython.NULL:
            is_over = await_work_until(cython.address(monitor), end)
        elif await_work_until(cython.address(monitor), now_ns() + LATE_NS):
            while late != cython.NULL:
                tell(late)
    resting -= 1
    return tasks.count != 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def do_first() -> cython.void:
    """What has waited longest. Gives the lock back meanwhile."""
    task: cython.pointer(Task) = cython.cast(cython.pointer(Task), tasks.first)
    moved: int64_t
    passes_on: cython.bint
    global running
    remove(task, RUNNING)
    running += 1
    task.event.n_running += 1
    passes_on = tasks.count != 0 and resting != 0
    unlock(cython.address(monitor))
    if passes_on:
        call_one(cython.address(monitor))
    moved = transfer_now(task.fd, task.writes, task.room, task.size, task.offset)
    lock(cython.address(monitor))
    running -= 1
    task.moved = moved
    task.phase = MOVED
    if task.is_left:
        be_left(task)
    else:
        be_moved(task, task.event)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def be_moved(task: cython.pointer(Task), event: cython.pointer(Event)) -> cython.void:
    """Tell who waits for it: now, or soon, with others that are about to be done as well."""
    global late
    event.n_running -= 1
    put_last(cython.address(event.moved), task)
    if event.is_told:
        return
    if tasks.count or event.moved.count * SHARE >= event.n_running:
        tell(event)
    elif not event.is_late:
        event.is_late = True
        event.next = late
        late = event


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def be_left(task: cython.pointer(Task)) -> cython.void:
    """Nobody waits for it."""
    global most
    most -= 1
    if not closed:
        unlock(cython.address(monitor))
        let_go(task.transfer)
        lock(cython.address(monitor))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def let_go(transfer: cython.p_void) -> cython.void:
    """Nobody else will."""
    with cython.gil:
        forget(cython.cast(Transfer, cython.cast(cython.pointer(PyObject), transfer)))


@cython.cfunc
@cython.exceptval(check=False)
def forget(transfer: Transfer) -> cython.void:
    """It is over, and nobody waits for it."""
    Py_DECREF(transfer)  # the threads' reference; the argument is another one
    transfer.release()


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def run(nothing: cython.p_void) -> cython.p_void:
    """A thread, from its beginning to its end."""
    global living, starting
    lock(cython.address(monitor))
    starting -= 1
    while living <= most and (tasks.count or rest()):
        do_first()
    living -= 1
    unlock(cython.address(monitor))
    return cython.NULL


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def staff() -> cython.bint:
    """Start threads that are missing. False: there is none. Whoever gives the lock back wakes one, that one others."""
    global living, starting
    thread: pthread_t
    while tasks.count > resting + starting and living < most:
        if start_thread(cython.address(thread), STACK_BYTES, True, run, cython.NULL):
            break
        pthread_detach(thread)
        living += 1
        starting += 1
    return living != 0


# ---- forks and the end ------------------------------------------------------------------------------


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def after_fork_in_child() -> cython.void:
    """There is no thread, and nothing that one could be told of."""
    global late, living, resting, starting, running, most, forks
    empty(cython.address(tasks))
    late = cython.NULL
    living = resting = starting = running = 0
    most = MOST_THREADS
    forks += 1


def close_threads() -> None:
    """The interpreter is about to end: none of them wants the GIL any more."""
    global closed
    with cython.nogil:
        lock(cython.address(monitor))
        close_all()
        unlock(cython.address(monitor))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def close_all() -> cython.void:
    """Caller holds the lock."""
    global closed
    closed = True


begin_monitor(cython.address(monitor), cython.NULL, cython.NULL, after_fork_in_child)
atexit.register(close_threads)


# ---- event loops ------------------------------------------------------------------------------------


@cython.cclass
class Completions:
    """What threads have moved for one event loop."""

    def __cinit__(self, loop: object):
        self.event.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)
        self.forks = forks
        self.waiting = []
        self.loop = weakref.ref(loop)

    def __dealloc__(self):
        if self.event.fd >= 0:
            close(self.event.fd)

    @property
    def is_open(self) -> bool:
        """Whether the kernel had a descriptor for it."""
        return self.event.fd >= 0

    def fits(self, loop: object) -> bool:
        """Whether it is of that loop, in this process."""
        return self.loop() is loop and self.forks == forks

    def is_over(self) -> bool:
        """Whether its loop runs no more, and no thread has anything for it: what nobody awaits is let go of."""
        loop: object = self.loop()
        if self.forks != forks:
            return True
        if loop is not None and not loop.is_closed():
            return False
        self.reap()
        return self.event.n_queued == 0 and self.event.n_running == 0

    def add(self, transfer, loop):
        """Give a transfer to the threads at the next turn of the loop, together with the others of this one."""
        if not self.waiting:
            loop.call_soon(self.send)
        self.waiting.append(transfer)
        return 0

    def send(self) -> None:
        """All that wait for it."""
        global n_sent
        transfer: Transfer
        has_thread: cython.bint
        transfers: list = self.waiting
        self.waiting = []
        lock(cython.address(monitor))
        for transfer in transfers:
            if transfer.task.phase == UNBEGUN:
                Py_INCREF(transfer)
                append(cython.address(transfer.task))
        n_sent += 1
        has_thread = staff()
        unlock(cython.address(monitor))
        call_one(cython.address(monitor))
        if not has_thread:
            for transfer in transfers:
                transfer.refuse()

    def happened(self) -> None:
        """The descriptor is readable."""
        hear_event(self.event.fd)
        self.reap()

    def reap(self):
        """Tell those who wait."""
        link: cython.pointer(Link)
        behind: cython.pointer(Link)
        transfer: Transfer
        lock(cython.address(monitor))
        link = self.event.moved.first
        empty(cython.address(self.event.moved))
        self.event.is_told = False
        in_time(cython.address(self.event))
        unlock(cython.address(monitor))
        while link != cython.NULL:
            behind = link.next
            transfer = cython.cast(
                Transfer, cython.cast(cython.pointer(PyObject), cython.cast(cython.pointer(Task), link).transfer)
            )
            Py_DECREF(transfer)
            transfer.wake()
            link = behind
        return 0

    def __reduce__(self):
        raise TypeError("what threads do cannot be pickled")


of_loops: dict = {}  # by their numbers


def completions_of(loop: object) -> object:
    """Those of a loop that is about to run; None where it cannot watch a descriptor, or there is none."""
    found: Completions = of_loops.get(id(loop))
    if found is not None and found.fits(loop):
        return found
    for number, one in list(of_loops.items()):
        if one.is_over() and of_loops.get(number) is one:  # else another thread was here meanwhile
            del of_loops[number]
    found = Completions(loop)
    if not found.is_open:
        return None
    try:
        loop.add_reader(found.event.fd, found.happened)
    except NotImplementedError:
        return None
    of_loops[id(loop)] = found
    return found


# ---- transfers --------------------------------------------------------------------------------------


@cython.cclass
class Transfer:
    """One reading or writing of a file, to be awaited once: the error number for the guest.

    It is among the users of its descriptor, and pins the guest's memory, until it is over: until it was awaited, or a
    thread is done with it that nobody waits for any more.
    """

    def __cinit__(
        self, world: WorldState, descriptor: DescriptorState, memory: object, completions: Completions, *rest: object
    ):
        self.world = world
        self.descriptor = descriptor
        self.completions = completions
        self.forks = forks
        self.task.transfer = cython.cast(cython.p_void, self)
        self.task.event = cython.address(completions.event)
        self.task.fd = descriptor.fd

    def __init__(
        self,
        world: object,
        descriptor: object,
        memory: object,
        completions: object,
        buffers: bytes,
        writes: cython.bint,
        offset: object,
        out: uint64_t,
    ):
        if self.task.room != cython.NULL:
            raise TypeError("a transfer is initialised once")
        memcpy(cython.address(self.buffers), cython.cast(cython.p_char, buffers), cython.sizeof(Buffers))
        self.task.writes = writes
        self.task.size = self.buffers.size
        self.task.offset = -1 if offset is None else offset
        self.task.room = pages(self.task.size)
        if self.task.room == cython.NULL:
            raise MemoryError
        is_shared: cython.bint = type(memory) is Memory and cython.cast(Memory, memory).shared is not None
        source: object = lent(cython.cast(Memory, memory)) if is_shared else memory
        PyObject_GetBuffer(source, cython.address(self.memory), PyBUF_WRITABLE)
        self.holds = True
        self.out = cython.cast(cython.p_char, self.memory.buf) + out
        self.user = object()  # not this one: what a world leads to keeps no task alive whose loop is closed
        self.descriptor.users.append(self.user)
        self.descriptor.position = UNKNOWN
        if writes:  # before, or another thread's write would be let in by the same room
            self.world.written_bytes += self.task.size
            copy_buffers(self.buffers.items, self.buffers.count, self.task.room, self.task.size, True)

    def __del__(self):
        self.leave()  # it was never awaited

    def __dealloc__(self):
        free(self.task.room)

    def __await__(self):
        if self.future is not None:
            raise RuntimeError("a transfer is awaited once")
        loop: object = asyncio.get_running_loop()
        error: uint32_t = 0
        self.future = loop.create_future()
        self.completions.add(self, loop)
        try:
            yield from self.future
            error = self.told()
        finally:
            self.leave()
        return error or self.closing

    def wake(self) -> None:
        """It was moved."""
        if not self.future.done():
            try:  # noqa: SIM105  # ``with`` in what is compiled needs memory: ``base.importing.begin_import``
                self.future.set_result(None)
            except RuntimeError:
                pass  # the loop was closed

    def refuse(self) -> None:
        """There is no thread, and none can be started."""
        if not self.future.done():
            self.future.set_exception(RuntimeError("can't start new thread"))

    def leave(self):
        """Nobody waits for it any more, or it is over."""
        global most
        task: cython.pointer(Task) = cython.address(self.task)
        phase: uint32_t
        lock(cython.address(monitor))
        phase = task.phase if self.forks == forks else UNBEGUN
        if phase == QUEUED:
            remove(task, OVER)
        elif phase == RUNNING:
            task.is_left = True
            task.event.n_running -= 1
            most += 1
            staff()
        unlock(cython.address(monitor))
        if phase == RUNNING:
            return 0
        if phase == QUEUED:
            Py_DECREF(self)
        elif phase == MOVED:
            self.completions.reap()
        task.phase = OVER
        return self.release()

    def release(self):
        """Give back what it holds."""
        if self.holds:
            self.holds = False
            PyBuffer_Release(cython.address(self.memory))
            if self.task.writes:
                self.world.written_bytes -= self.task.size - max(self.task.moved, 0)
            self.descriptor.position = UNKNOWN
            if self.descriptor.gone:
                self.closing = self.world.leave(self.descriptor, self.user)
            else:
                self.descriptor.users.remove(self.user)
        return 0

    def told(self):
        """The error number; or 0, and what was read is in the guest's memory, and how much."""
        moved: int64_t = self.task.moved
        if moved < 0:
            return from_os_error(OSError(-moved, "")).value
        if not self.task.writes:
            copy_buffers(self.buffers.items, self.buffers.count, self.task.room, moved, False)
        put_32(self.out, cython.cast(uint32_t, moved))
        return 0


def begin(
    world: object, descriptor: object, memory: object, buffers: bytes, writes: bool, offset: int | None, out: int
) -> object:
    """What to await for a reading or writing of a descriptor's file; None where this loop, or nobody, can wait so.

    Args:
        world: whose guest calls.
        descriptor: it has a ``fd``.
        memory: the guest's.
        buffers: a ``Buffers``, as it stands in memory, with its pieces inside of the guest's memory.
        writes: the direction.
        offset: None is the position.
        out: where the guest wants the number of bytes.
    """
    if not POSSIBLE:
        return None
    try:
        loop: object = asyncio.get_running_loop()
    except RuntimeError:
        return None
    completions: object = completions_of(loop)
    if completions is None:
        return None
    return Transfer(world, descriptor, memory, completions, buffers, writes, offset, out)


def transfer_status() -> dict[str, int]:
    """Threads that live and may live, tasks in the queue and at work; how often tasks were sent to threads, and loops
    told, so far. For tests."""
    return {"living": living, "most": most, "queued": tasks.count, "running": running, "sent": n_sent, "told": n_told}
