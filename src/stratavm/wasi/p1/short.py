# cython: auto_pickle=False
# strata: hot
"""Short ways: the usual cases of hot functions in C, on the caller's memory and raw cells, without an object per call.

Each does what the general function of its name does, or nothing at all. What is unusual (a file in memory, a pipe that
is full, a clock or random bytes of the embedder's own, a quota that is met, an error) it leaves to that one, which
begins anew: no error number is made here, and the general way stays the reference.

Where the kernel may take long, the GIL is released, and the descriptor has the call among its users until it is over.
On a fiber nothing is done that may take long: files are read and written as far as no disk is waited for.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_CheckExact, PyBytes_FromStringAndSize
from cython.cimports.cpython.dict import PyDict_CheckExact
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.cpython.list import PyList_CheckExact
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.contract._gen_layout import PENDING_SAMPLE
from cython.cimports.stratavm.runtime.memory import Memory
from cython.cimports.stratavm.runtime.native import load_32
from cython.cimports.stratavm.runtime.occupancy import fiber_here
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.wasi.p1.kernel import (
    CLOCK_MONOTONIC,
    CLOCK_PROCESS_CPUTIME_ID,
    CLOCK_REALTIME,
    EINTR,
    GRND_NONBLOCK,
    MOST_BUFFERS,
    SEEK_CUR,
    SEEK_END,
    Buffers,
    act_now,
    fstat,
    get_32,
    get_64,
    getrandom,
    lseek,
    memset,
    preadv,
    put_32,
    put_64,
    put_buffer,
    pwritev,
    read_clock,
    readv,
    sched_yield,
    sleep_until,
    stat_t,
    timespec,
    writev,
)
from cython.cimports.stratavm.wasi.state import DISK_DIRECT, DISK_NONE, UNKNOWN, DescriptorState, WorldState

from stratavm.base.importing import begin_import, end_import
from stratavm.engine.ports import SystemRandom
from stratavm.wasi.abi import (
    EVENT,
    FDSTAT,
    FILESTAT,
    IOVEC,
    PREOPEN_DIRECTORY,
    PRESTAT,
    SUBSCRIPTION,
    Clockid,
    Fdflags,
    Filetype,
    Rights,
)
from stratavm.wasi.clock import SystemClock
from stratavm.wasi.errno import Errno
from stratavm.wasi.patience import SLICE_S

YIELD_NS = cython.declare(uint64_t, 2000)  # between two that the kernel is told of
YIELDS = cython.declare(uint32_t, 16)  # of them one lets go of the GIL for longer
APPEND = cython.declare(uint32_t, Fdflags.APPEND)
BADF = cython.declare(uint32_t, Errno.BADF.value)
READ = cython.declare(uint64_t, Rights.FD_READ)
WRITE = cython.declare(uint64_t, Rights.FD_WRITE)
SEEK = cython.declare(uint64_t, Rights.FD_SEEK)
TELL = cython.declare(uint64_t, Rights.FD_TELL)
SET_FLAGS = cython.declare(uint64_t, Rights.FD_FDSTAT_SET_FLAGS)
FILESTAT_GET = cython.declare(uint64_t, Rights.FD_FILESTAT_GET)
REALTIME = cython.declare(uint32_t, Clockid.REALTIME.value)
MONOTONIC = cython.declare(uint32_t, Clockid.MONOTONIC.value)
THREAD_CPUTIME = cython.declare(uint32_t, Clockid.THREAD_CPUTIME_ID.value)
REGULAR = cython.declare(uint32_t, Filetype.REGULAR_FILE.value)
FOLDER = cython.declare(uint32_t, Filetype.DIRECTORY.value)
PREOPENED = cython.declare(uint32_t, PREOPEN_DIRECTORY)
PRESTAT_BYTES = cython.declare(uint64_t, PRESTAT.size)
IOVEC_BYTES = cython.declare(uint64_t, IOVEC.size)
FDSTAT_BYTES = cython.declare(uint64_t, FDSTAT.size)
FILESTAT_BYTES = cython.declare(uint64_t, FILESTAT.size)
SUBSCRIPTION_BYTES = cython.declare(uint64_t, SUBSCRIPTION.size)
EVENT_BYTES = cython.declare(uint64_t, EVENT.size)
LONGEST_SLEEP_NS = cython.declare(uint64_t, int(SLICE_S * 1e9))
MOST_RANDOM_BYTES = cython.declare(uint64_t, 4096)  # the kernel makes them in some ten microseconds
MOST_OFFSET = cython.declare(uint64_t, (1 << 63) - 1)
LAST_SECOND = cython.declare(int64_t, (1 << 63) // 10**9 - 1)


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def on_fiber(memory: Memory) -> cython.bint:
    """Whether the call is on a fiber, where nothing may wait."""
    store: Store = memory.store
    return fiber_here(store.exec) != cython.NULL


@cython.cclass
class Short(ShortWay):
    """A short way in one world."""

    def __init__(self, general: object, world: WorldState):
        self.general = general
        self.world = world

    def find(self, cell, rights):
        """The descriptor of a number, if it has these rights; else None."""
        world: WorldState = self.world
        if world.closed or not PyDict_CheckExact(world.table):
            return None
        number: object = cython.cast(uint32_t, cell)
        item: object = cython.cast(dict, world.table).get(number)
        if not isinstance(item, DescriptorState):
            return None
        found: DescriptorState = item
        return None if rights & ~found.rights else found

    def leave(self, found):
        """The kernel's call is over, and what was closed meanwhile is closed now: 0, or the error number of that."""
        if found.gone:
            return self.world.leave(found, self)
        found.users.remove(self)
        return 0


# ---- clocks ---------------------------------------------------------------------------------------


@cython.cclass
class Timed(Short):
    """What looks at the system's clocks."""

    def time_of(self, clock, ns):
        """Read a clock; false where the world has others, or where it says what only the general way can handle."""
        if self.world.clock is not self.known:
            self.known = self.world.clock
            self.is_system = type(self.known) is SystemClock
            if self.is_system:
                self.start_ns = self.known.start_ns
                self.cpu_start_ns = self.known.cpu_start_ns
        if not self.is_system or clock > THREAD_CPUTIME:
            return False
        start: int64_t = 0
        if clock == REALTIME:
            ns[0] = read_clock(CLOCK_REALTIME)
        elif clock == MONOTONIC:
            ns[0], start = read_clock(CLOCK_MONOTONIC), self.start_ns
        else:
            ns[0], start = read_clock(CLOCK_PROCESS_CPUTIME_ID), self.cpu_start_ns
        if ns[0] >> 63 or cython.cast(int64_t, ns[0]) < start:  # before 1970, or a process that was forked
            return False
        ns[0] -= cython.cast(uint64_t, start)
        return True


@cython.cclass
class ClockTimeGet(Timed):
    """``clock_time_get`` of the system's clocks."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Clock, precision, where to."""
        ns: uint64_t = 0
        clock: uint32_t = cython.cast(uint32_t, cells[0])
        out: uint64_t = cython.cast(uint32_t, cells[4])
        if self.world.closed or not memory.inside(out, 8):
            return 0
        if not self.time_of(clock, cython.address(ns)):
            return 0
        self.world.gave_time = True
        if clock == MONOTONIC:
            self.world.monotonic_ns = max(self.world.monotonic_ns, ns)
        elif clock != REALTIME:
            self.world.cpu_ns = max(self.world.cpu_ns, ns)
        memory.written = True
        put_64(memory.d.base + out, ns)
        cells[0] = 0
        return 1


@cython.cclass
class PollOneoff(Timed):
    """``poll_oneoff`` of one clock that is due within a slice."""

    def due_in(self, memory, at, ns):
        """Nanoseconds until the subscription there is due; false unless it is of a usual clock."""
        now: uint64_t = 0
        base: cython.p_char = memory.d.base + at
        clock: uint32_t = get_32(base + 16)
        flags: uint32_t = get_32(base + 40) & 0xFFFF
        if base[8] != 0 or clock > MONOTONIC or flags > 1 or not self.time_of(clock, cython.address(now)):
            return False
        ns[0] = get_64(base + 24)
        if flags:
            ns[0] = ns[0] - now if ns[0] > now else 0
        return ns[0] <= LONGEST_SLEEP_NS

    def sleep(self, memory, ns):
        """Sleep, and look whether someone wants to end the call: 0, or an error number."""
        interrupted: cython.int
        until: uint64_t = read_clock(CLOCK_MONOTONIC) + ns
        while True:
            with cython.nogil:
                interrupted = sleep_until(until)
            if interrupted != EINTR:
                break
            PyErr_CheckSignals()
        memory.store.poll()
        return BADF if self.world.closed else 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Subscriptions, events, how many, where to put their number."""
        ns: uint64_t = 0
        at: uint64_t = cython.cast(uint32_t, cells[0])
        out: uint64_t = cython.cast(uint32_t, cells[2])
        n_out: uint64_t = cython.cast(uint32_t, cells[6])
        if self.world.closed or self.world.checkpoint is not None or cython.cast(uint32_t, cells[4]) != 1:
            return 0
        if not (memory.inside(at, SUBSCRIPTION_BYTES) and memory.inside(out, EVENT_BYTES) and memory.inside(n_out, 4)):
            return 0
        if self.world.most_items < 1 or not self.due_in(memory, at, cython.address(ns)):
            return 0
        userdata: uint64_t = get_64(memory.d.base + at)
        if ns and on_fiber(memory):
            return 0
        if ns:
            cells[0] = self.sleep(memory, ns)
            if cells[0]:
                return 1
        memory.written = True
        memset(memory.d.base + out, 0, EVENT_BYTES)
        put_64(memory.d.base + out, userdata)
        put_32(memory.d.base + n_out, 1)
        cells[0] = 0
        return 1


# ---- random bytes ---------------------------------------------------------------------------------


@cython.cclass
class RandomGet(Short):
    """``random_get`` of a few bytes of the kernel's."""

    def knows_source(self):
        """Whether the world's random bytes are the kernel's."""
        source: object = self.world.random_bytes
        if source is not self.known:
            self.known = source
            owner: object = getattr(source, "__self__", None)
            self.is_system = type(owner) is SystemRandom and source == owner.random_bytes
        return self.is_system

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Buffer, length."""
        at: uint64_t = cython.cast(uint32_t, cells[0])
        length: uint64_t = cython.cast(uint32_t, cells[2])
        if self.world.closed or self.world.checkpoint is not None or not self.knows_source():
            return 0
        if length > MOST_RANDOM_BYTES or not memory.inside(at, length):
            return 0
        memory.written = self.world.gave_random = True
        if getrandom(memory.d.base + at, length, GRND_NONBLOCK) != cython.cast(cython.Py_ssize_t, length):
            return 0
        cells[0] = 0
        return 1


# ---- position and attributes of files -------------------------------------------------------------


@cython.cclass
class FdSeek(Short):
    """``fd_seek`` in a file of the host's."""

    def seek(self, memory, cells, delta, whence, out):
        """Move the position and tell it. To ask for a file's size, which the end is, may take long."""
        position: int64_t
        closing: uint64_t = 0
        tells: cython.bint = delta == 0 and whence == SEEK_CUR
        found: DescriptorState = self.find(cells[0], TELL if tells else SEEK)
        if found is None or not found.positioned or whence > SEEK_END or not memory.inside(out, 8):
            return 0
        if whence == SEEK_END and on_fiber(memory):
            return 0
        position = found.known_position() if tells else UNKNOWN
        if position < 0:
            found.begin_moving()
            if whence == SEEK_END or found.users:
                found.users.append(self)
                with cython.nogil:
                    position = lseek(found.fd, delta, whence)
                closing = self.leave(found)
            else:
                position = lseek(found.fd, delta, whence)
            found.end_moving(position)
        if position < 0:
            return 0
        memory.written = True
        put_64(memory.d.base + out, position)
        cells[0] = closing
        return 1

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Number, distance, from where, where to."""
        delta: int64_t = cython.cast(int64_t, cells[2])
        return self.seek(memory, cells, delta, cython.cast(uint32_t, cells[4]), cython.cast(uint32_t, cells[6]))


@cython.cclass
class FdTell(FdSeek):
    """``fd_tell`` in a file of the host's."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Number, where to."""
        return self.seek(memory, cells, 0, SEEK_CUR, cython.cast(uint32_t, cells[2]))


@cython.cclass
class FdFdstatGet(Short):
    """``fd_fdstat_get`` of anything."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Number, where to."""
        out: uint64_t = cython.cast(uint32_t, cells[2])
        found: DescriptorState = self.find(cells[0], 0)
        if found is None:
            return 0
        kind: uint32_t = found.filetype
        if not memory.inside(out, FDSTAT_BYTES):
            return 0
        memory.written = True
        base: cython.p_char = memory.d.base + out
        put_64(base, kind | found.flags << 16)
        put_64(base + 8, found.rights)
        put_64(base + 16, found.inheriting)
        cells[0] = 0
        return 1


@cython.cfunc
@cython.exceptval(check=False)
def nanoseconds(time: timespec, ns: cython.pointer(uint64_t)) -> cython.bint:
    """A file's time, 0 before 1970; false where it does not fit."""
    ns[0] = 0 if time.tv_sec < 0 else cython.cast(uint64_t, time.tv_sec) * 1_000_000_000 + time.tv_nsec
    return time.tv_sec <= LAST_SECOND


@cython.cclass
class FdFilestatGet(Short):
    """``fd_filestat_get`` of a file or directory of the host's."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Number, where to."""
        stat: stat_t
        words: uint64_t[8]
        status: cython.int
        i: cython.int
        out: uint64_t = cython.cast(uint32_t, cells[2])
        found: DescriptorState = self.find(cells[0], FILESTAT_GET)
        if found is None or not found.stats or not memory.inside(out, FILESTAT_BYTES) or on_fiber(memory):
            return 0
        found.users.append(self)
        with cython.nogil:
            status = fstat(found.fd, cython.address(stat))
        closing: uint64_t = self.leave(found)
        if status != 0:
            return 0
        words[0], words[1], words[3], words[4] = stat.st_dev, stat.st_ino, stat.st_nlink, stat.st_size
        words[2] = REGULAR if found.positioned else FOLDER
        if not (
            nanoseconds(stat.st_atim, words + 5)
            and nanoseconds(stat.st_mtim, words + 6)
            and nanoseconds(stat.st_ctim, words + 7)
        ):
            return 0
        memory.written = True
        for i in range(8):
            put_64(memory.d.base + out + 8 * i, words[i])
        cells[0] = closing
        return 1


# ---- reading and writing --------------------------------------------------------------------------


@cython.cfunc
@cython.exceptval(check=False)
def gather(memory: Memory, at: uint64_t, count: uint64_t, into: cython.pointer(Buffers)) -> cython.bint:
    """The buffers of an iovec list, read once: whoever changes the list later changes nothing. False where one, or
    the list, is not inside the memory. Of at most ``MOST_BUFFERS``."""
    i: uint64_t
    start: uint64_t
    length: uint64_t
    into.count = 0
    into.size = 0
    if not memory.inside(at, count * IOVEC_BYTES):
        return False
    for i in range(count):
        start = get_32(memory.d.base + at + i * IOVEC_BYTES)
        length = get_32(memory.d.base + at + i * IOVEC_BYTES + 4)
        if not memory.inside(start, length):
            return False
        if length:
            put_buffer(cython.address(into.items[into.count]), memory.d.base + start, length)
            into.count += 1
            into.size += length
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def act(
    fd: cython.int, buffers: cython.pointer(Buffers), writes: cython.bint, at_offset: cython.bint, offset: int64_t
) -> cython.Py_ssize_t:
    """The kernel's call, as the general way makes it: bytes moved, or -1."""
    if at_offset:
        if writes:
            return pwritev(fd, buffers.items, buffers.count, offset)
        return preadv(fd, buffers.items, buffers.count, offset)
    if writes:
        return writev(fd, buffers.items, buffers.count)
    return readv(fd, buffers.items, buffers.count)


@cython.cclass
class Moving(Short):
    """Reading and writing a file of the host's, or a stream of one: as much as the kernel moves in one call."""

    def move(self, memory, cells, writes, at_offset):
        """Number, list of buffers, how many, (offset,) where to put the number of bytes."""
        buffers: Buffers
        moved: cython.Py_ssize_t = 0
        closing: uint64_t = 0
        world: WorldState = self.world
        count: uint64_t = cython.cast(uint32_t, cells[4])
        offset: uint64_t = cells[6] if at_offset else 0
        out: uint64_t = cython.cast(uint32_t, cells[8] if at_offset else cells[6])
        found: DescriptorState = self.find(cells[0], (WRITE if writes else READ) | (SEEK if at_offset else 0))
        if found is None or (at_offset and not found.positioned) or not memory.inside(out, 4):
            return 0
        most: uint64_t = found.short_write if writes else found.short_read
        if count > MOST_BUFFERS or count > world.most_items or not most:
            return 0
        if not gather(memory, cython.cast(uint32_t, cells[2]), count, cython.address(buffers)) or buffers.size > most:
            return 0
        if offset > MOST_OFFSET - buffers.size:
            return 0
        if writes and world.written_bytes + buffers.size > world.most_written_bytes:
            return 0
        now: cython.bint = found.disk != DISK_NONE and on_fiber(memory)
        if now and found.users:
            return 0
        if now and found.disk == DISK_DIRECT:
            return self.hand_over(found, memory, cython.address(buffers), writes, offset if at_offset else -1, out)
        if buffers.count:
            before: int64_t = UNKNOWN if at_offset else found.begin_moving()
            found.users.append(self)
            if writes:  # before, or another thread's write would be let in by the same room
                world.written_bytes += buffers.size
            with cython.nogil:
                if now:
                    moved = act_now(
                        found.fd, buffers.items, buffers.count, offset if at_offset else -1, writes, buffers.size
                    )
                else:
                    moved = act(found.fd, cython.address(buffers), writes, at_offset, offset)
            if writes:
                world.written_bytes -= buffers.size - (moved if moved > 0 else 0)
            closing = self.leave(found)
            if not at_offset:
                appends: cython.bint = writes and found.flags & APPEND
                found.end_moving(UNKNOWN if moved < 0 or before < 0 or appends else before + moved)
            if moved < 0 and now and closing == 0 and not found.gone:
                return self.hand_over(found, memory, cython.address(buffers), writes, offset if at_offset else -1, out)
            if moved < 0:
                return 0
        memory.written = True
        put_32(memory.d.base + out, moved)
        cells[0] = closing
        return 1

    def hand_over(self, found, memory, buffers, writes, offset, out):
        """Let a thread do what would wait here for a disk: 2, and the guest waits for it. 0: the general way knows how,
        as with nothing to move, or where no loop runs."""
        if buffers.count == 0:
            return 0
        if self.begin is None:
            begin_import()
            try:
                from stratavm.wasi.transfers import begin  # imports asyncio, as who awaits something has
            finally:
                end_import()
            self.begin = begin
        whole: bytes = PyBytes_FromStringAndSize(cython.cast(cython.p_char, buffers), cython.sizeof(Buffers))
        self.request = self.begin(self.world, found, memory, whole, writes, None if offset < 0 else offset, out)
        return 0 if self.request is None else 2


@cython.cclass
class FdRead(Moving):
    """``fd_read``."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """At the position."""
        return self.move(memory, cells, False, False)


@cython.cclass
class FdPread(Moving):
    """``fd_pread``."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """At an offset."""
        return self.move(memory, cells, False, True)


@cython.cclass
class FdWrite(Moving):
    """``fd_write``."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """At the position."""
        return self.move(memory, cells, True, False)


@cython.cclass
class FdPwrite(Moving):
    """``fd_pwrite``."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """At an offset."""
        return self.move(memory, cells, True, True)


# ---- arguments and environment --------------------------------------------------------------------


@cython.cfunc
@cython.exceptval(check=False)
def total(strings: list, size: cython.pointer(uint64_t)) -> cython.bint:
    """The bytes of all; false where one is not of the plain kind."""
    string: object
    size[0] = 0
    for string in strings:
        if not PyBytes_CheckExact(string):
            return False
        size[0] += len(cython.cast(bytes, string))
    return True


@cython.cclass
class Strings(Short):
    """A world's arguments, or its environment."""

    def strings(self):
        """The C strings, or None where they are not as usual."""
        world: WorldState = self.world
        found: object = world.environ if self.of_environ else world.args
        if self.of_environ:
            world.gave_environ = True
        else:
            world.gave_args = True
        return None if world.closed or not PyList_CheckExact(found) else found


@cython.cclass
class ArgsSizesGet(Strings):
    """``args_sizes_get``."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Where to put the number, where to put the size."""
        size: uint64_t = 0
        n_out: uint64_t = cython.cast(uint32_t, cells[0])
        size_out: uint64_t = cython.cast(uint32_t, cells[2])
        strings: list = self.strings()
        if strings is None or not memory.inside(n_out, 4) or not memory.inside(size_out, 4):
            return 0
        if not total(strings, cython.address(size)):
            return 0
        memory.written = True
        put_32(memory.d.base + n_out, len(strings))
        put_32(memory.d.base + size_out, size)
        cells[0] = 0
        return 1


@cython.cclass
class EnvironSizesGet(ArgsSizesGet):
    """``environ_sizes_get``."""

    def __init__(self, general: object, world: WorldState):
        ArgsSizesGet.__init__(self, general, world)
        self.of_environ = True


@cython.cclass
class ArgsGet(Strings):
    """``args_get``."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Where to put the pointers, where to put the strings: these first, as on the general way."""
        size: uint64_t = 0
        string: bytes
        pointers: uint64_t = cython.cast(uint32_t, cells[0])
        start: uint64_t = cython.cast(uint32_t, cells[2])
        at: uint64_t = start
        strings: list = self.strings()
        if strings is None or not total(strings, cython.address(size)):
            return 0
        if not memory.inside(pointers, 4 * cython.cast(uint64_t, len(strings))) or not memory.inside(start, size):
            return 0
        memory.written = True
        for string in strings:
            memcpy(memory.d.base + at, cython.cast(cython.p_char, string), len(string))
            at += len(string)
        at = start
        for string in strings:
            put_32(memory.d.base + pointers, at)
            pointers += 4
            at += len(string)
        cells[0] = 0
        return 1


@cython.cclass
class EnvironGet(ArgsGet):
    """``environ_get``."""

    def __init__(self, general: object, world: WorldState):
        ArgsGet.__init__(self, general, world)
        self.of_environ = True


# ---- pre-opened directories, flags ----------------------------------------------------------------


@cython.cclass
class Preopened(Short):
    """What asks for the name of a pre-opened directory."""

    def name(self, cell):
        """The name of the directory of a number; None for any other, which is the general way's to say."""
        found: DescriptorState = self.find(cell, 0)
        self.world.gave_preopens = True
        return None if found is None or not PyBytes_CheckExact(found.preopen) else found.preopen


@cython.cclass
class FdPrestatGet(Preopened):
    """``fd_prestat_get`` of a pre-opened directory."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Number, where to."""
        out: uint64_t = cython.cast(uint32_t, cells[2])
        name: bytes = self.name(cells[0])
        if name is None or not memory.inside(out, PRESTAT_BYTES):
            return 0
        memory.written = True
        put_32(memory.d.base + out, PREOPENED)
        put_32(memory.d.base + out + 4, len(name))
        cells[0] = 0
        return 1


@cython.cclass
class FdPrestatDirName(Preopened):
    """``fd_prestat_dir_name`` of a pre-opened directory."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Number, where to, how many bytes there are."""
        out: uint64_t = cython.cast(uint32_t, cells[2])
        name: bytes = self.name(cells[0])
        if name is None or cython.cast(uint32_t, cells[4]) < cython.cast(uint64_t, len(name)):
            return 0
        if not memory.inside(out, len(name)):
            return 0
        memory.written = True
        memcpy(memory.d.base + out, cython.cast(cython.p_char, name), len(name))
        cells[0] = 0
        return 1


@cython.cclass
class FdFdstatSetFlags(Short):
    """``fd_fdstat_set_flags`` to what they are: what a libc does that sets one flag on descriptors that have it."""

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Number, flags."""
        found: DescriptorState = self.find(cells[0], SET_FLAGS)
        if found is None or found.flags != cython.cast(uint32_t, cells[2]):
            return 0
        cells[0] = 0
        return 1


# ---- the process ----------------------------------------------------------------------------------


@cython.cclass
class SchedYield(Short):
    """``sched_yield`` where nobody wants to end the call: what comes right behind one that the kernel was told of is
    part of that."""

    def let_others_run(self):
        """Those whom the guest lets run may be threads of its own, which want the GIL: it is given back each time, and
        now and then for so long that one who waits for it has the time to take it."""
        self.yields += 1
        until: uint64_t = read_clock(CLOCK_MONOTONIC) + 1 if self.yields % YIELDS == 0 else 0
        with cython.nogil:
            if until:
                sleep_until(until)  # some 50 µs: no timer of the system's is finer
            else:
                sched_yield()
        return 0

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def go(self, memory: Memory, cells: cython.pointer(uint64_t)) -> cython.int:
        """Nothing."""
        store: Store = memory.store
        if self.world.closed or self.world.checkpoint is not None:
            return 0
        if load_32(cython.address(store.exec.pending)) & ~cython.cast(uint32_t, PENDING_SAMPLE):
            return 0
        if on_fiber(memory):
            return 0
        if memory.shared is not None:
            self.let_others_run()
        elif read_clock(CLOCK_MONOTONIC) - self.yielded_ns >= YIELD_NS:
            sched_yield()
            self.yielded_ns = read_clock(CLOCK_MONOTONIC)
        cells[0] = 0
        return 1
