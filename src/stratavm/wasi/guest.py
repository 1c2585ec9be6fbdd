# cython: auto_pickle=False
# strata: hot
"""One call of a guest: its memory as WASI functions see it, where every pointer, length and list is checked before it
is used, and what makes a function's body into one that returns an error number.

Pointers and lengths are unsigned 32-bit integers, computed with in 64 bits, where they do not wrap.

A body that has to wait returns the rest of itself, a coroutine. In a synchronous call it runs to its end, and the
thread waits (``patience``); on a fiber the caller gets it, as something to await (``onloop``).
"""

from _struct import error as StructError

import cython
from cython.cimports.cpython.buffer import PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.runtime.memory import Memory, lent
from cython.cimports.stratavm.runtime.native import load_32
from cython.cimports.stratavm.runtime.occupancy import fiber_here
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.wasi.state import WorldState

from stratavm.wasi.abi import IOVEC
from stratavm.wasi.errno import Errno, HostRaised, WasiError, call_host, from_os_error
from stratavm.wasi.patience import BLOCKING, finish

IOVEC_BYTES = cython.declare(uint64_t, IOVEC.size)
MOST_BYTES = cython.declare(uint64_t, 0xFFFF_FFFF)  # that a result of 32 bits can tell


@cython.cclass
class Guest:
    """What one call has: the caller's memory, what may end its waiting, and the descriptors that it uses.

    Attributes: ``pins`` are the descriptors that the world gave out, open until the call ends. ``waits`` is how it
    waits: ``patience.Patience``.

    Args:
        source: a writable buffer, all bytes of the memory.
        limit_items: how long a list of the guest's may be.
        memory: the caller's. One that has ``poll()`` is asked now and then while the call waits; it may raise to end
            the wait. One that has a ``store`` has it pay for what the call makes the host hold.
    """

    def __init__(self, source: object, limit_items: uint64_t, memory: object = None):
        self.begin(source, limit_items, memory)

    def begin(self, source, limit_items, memory):
        """Look at a memory until the call ends."""
        if self.held:
            raise TypeError("a call is initialised once")
        self.limit_items = limit_items
        self.memory = memory
        self.source = source
        self.pins = []
        self.waits = BLOCKING
        PyObject_GetBuffer(source, cython.address(self.buffer), PyBUF_WRITABLE)
        self.held = True
        self.base = cython.cast(cython.p_char, self.buffer.buf)
        self.size = self.buffer.len
        return 0

    def __dealloc__(self):
        if self.held:
            PyBuffer_Release(cython.address(self.buffer))

    def drop(self) -> None:
        """Nobody waits for the call any more, which a thread goes on with: it reaches nothing of the memory, and ends
        where it looks whether it should."""
        self.size = 0
        self.base = cython.NULL

    @property
    def dropped(self) -> bool:
        """Whether nobody waits for it any more."""
        return self.base == cython.NULL

    def end(self):
        """The call is over: nothing of the memory can be reached by it."""
        self.drop()
        if self.held:
            self.held = False
            PyBuffer_Release(cython.address(self.buffer))
        if self.whole is not None:
            self.whole.release()
        if isinstance(self.source, memoryview):
            self.source.release()
        return 0

    @property
    def poll(self) -> object:
        """Asked for now and then while the call waits; None where nobody wants to end it."""
        return getattr(self.memory, "poll", None)

    def heed(self) -> None:
        """Let whoever wants to end the call do so. One on a fiber is ended where it is awaited."""
        if self.waits is not BLOCKING:
            if self.base == cython.NULL:
                raise WasiError(Errno.BADF)
            return
        if type(self.memory) is Memory:
            store: Store = cython.cast(Memory, self.memory).store
            if load_32(cython.address(store.exec.pending)) == 0:
                return
        poll: object = self.poll
        if poll is not None:
            call_host(poll)

    @property
    def payer(self) -> object:
        """The store whose budget of bytes the call is charged to, if any."""
        store: object = getattr(self.memory, "store", None)
        return store if hasattr(store, "charge_bytes") else None

    def check_range(self, pointer, length):
        """FAULT unless the range lies in memory."""
        if length > self.size or pointer > self.size - length:
            raise WasiError(Errno.FAULT)
        return 0

    def slice(self, pointer, length):
        """A view of a range that lies in memory."""
        if self.whole is None:
            self.whole = memoryview(self.source)
        return self.whole[pointer : pointer + length]

    def put(self, pointer, data, length):
        """Copy bytes in."""
        self.check_range(pointer, length)
        memcpy(self.base + pointer, data, length)
        return 0

    def write_bytes(self, pointer: uint64_t, data: bytes) -> None:
        """Write bytes."""
        self.put(pointer, data, len(data))

    def write(self, layout: object, pointer: uint64_t, *values: object) -> None:
        """Write a struct; padding becomes zero."""
        packed: bytes = layout.pack(*values)
        self.put(pointer, packed, len(packed))

    def write_u32(self, pointer: uint64_t, value: uint32_t) -> None:
        """Write a 32-bit number."""
        self.put(pointer, cython.cast(cython.p_char, cython.address(value)), 4)

    def write_u64(self, pointer: uint64_t, value: uint64_t) -> None:
        """Write a 64-bit number."""
        self.put(pointer, cython.cast(cython.p_char, cython.address(value)), 8)

    def check(self, pointer: uint64_t, length: uint64_t) -> None:
        """FAULT unless the range lies in memory; for results that are written after the deed."""
        self.check_range(pointer, length)

    def items(self, pointer: uint64_t, count: uint64_t, size: uint64_t) -> bytes:
        """A copy of an array of structs; INVAL where the guest asks for more than the quota."""
        if count > self.limit_items:
            raise WasiError(Errno.INVAL)
        self.check_range(pointer, count * size)
        return PyBytes_FromStringAndSize(self.base + pointer, count * size)

    def iovecs(self, pointer: uint64_t, count: uint64_t) -> list:
        """The buffers of an iovec list, empty ones left out. Their sum must fit in the 32-bit result."""
        found: list = []
        total: uint64_t = 0
        i: uint64_t
        pair: uint32_t[2]
        table: bytes = self.items(pointer, count, IOVEC_BYTES)
        for i in range(count):
            memcpy(pair, cython.cast(cython.p_char, table) + i * IOVEC_BYTES, IOVEC_BYTES)
            self.check_range(pair[0], pair[1])
            total += pair[1]
            if pair[1]:
                found.append(self.slice(pair[0], pair[1]))
        if total > MOST_BYTES:
            raise WasiError(Errno.INVAL)
        return found

    def path(self, pointer: uint64_t, length: uint64_t, longest: object) -> bytes:
        """A path: UTF-8 without NUL, not empty."""
        if length > longest:
            raise WasiError(Errno.NAMETOOLONG)
        self.check_range(pointer, length)
        path: bytes = PyBytes_FromStringAndSize(self.base + pointer, length)
        try:
            path.decode()
        except UnicodeDecodeError:
            raise WasiError(Errno.ILSEQ) from None
        if b"\0" in path:
            raise WasiError(Errno.INVAL)
        if not path:
            raise WasiError(Errno.NOENT)
        return path


@cython.cfunc
def told(error: object) -> object:
    """The error number for what a body has raised; what the host's own code raised goes on as it is."""
    if isinstance(error, WasiError):
        return error.errno.value
    if isinstance(error, OSError):
        return from_os_error(error).value
    if isinstance(error, (OverflowError, StructError)):  # a number that does not fit, such as a time in the year 600e9
        return Errno.OVERFLOW.value
    if isinstance(error, MemoryError):
        return Errno.NOMEM.value
    raise error.error if isinstance(error, HostRaised) else error


def number_of(error: BaseException) -> int:
    """``told`` for who awaits the rest of a body."""
    return told(error)


def end_call(guest: Guest, world: WorldState) -> None:
    """The call of a guest is over, whoever awaited it."""
    guest.end()
    if guest.pins:
        world.release(guest)


@cython.cfunc
def bytes_of(memory: object) -> object:
    """A buffer of all bytes that a memory has now; other threads of the guest change those of a shared one."""
    if type(memory) is not Memory:
        return memory.view()
    return memory if cython.cast(Memory, memory).shared is None else lent(cython.cast(Memory, memory))


@cython.cfunc
def run(body: object, world: WorldState, memory: object, arguments: tuple) -> object:
    """Run a function's body: its error number, or what is to be awaited for it."""
    guest: Guest
    rest: object
    try:
        if world.closed:
            return Errno.BADF.value
        guest = Guest.__new__(Guest)
        guest.begin(bytes_of(memory), world.most_items, memory)
        if type(memory) is Memory and fiber_here(cython.cast(Memory, memory).store.exec) != cython.NULL:
            return world.on_fiber(body, guest, arguments)
        try:
            rest = body(world, guest, *arguments)
            if rest is not None and not finish(rest):
                return rest  # which the caller refuses
        finally:
            guest.end()
            if guest.pins:
                world.release(guest)
    except HostRaised as raised:
        raise raised.error from None
    except Exception as error:
        return told(error)
    return 0


@cython.cclass
class Guarded:
    """A body as a function from world, memory and integers to an error number."""

    body: object

    def __init__(self, body: object):
        self.body = body

    def __call__(self, world: WorldState, memory: object, *arguments: object) -> object:
        return run(self.body, world, memory, arguments)

    def bound(self, world: WorldState) -> Bound:
        """The same in one world: a function from memory and integers."""
        return Bound(self.body, world)


@cython.cclass
class Bound:
    """A body in one world as a function from memory and integers to an error number."""

    body: object
    world: WorldState

    def __init__(self, body: object, world: WorldState):
        self.body = body
        self.world = world

    def __call__(self, memory: object, *arguments: object) -> object:
        if self.world is None:
            raise TypeError("this function was never initialised")
        return run(self.body, self.world, memory, arguments)
