# strata: hot
"""Linear memories as Python sees them: bytes, slices without copies, typed views, checked copies.

The base of a memory never moves and its address space lives as long as a view of it, so no view dangles: growth
leaves older views at their old size, and a closed store's memory stays readable through views that exist.
"""

import struct

import cython
from cython.cimports.cpython.buffer import (
    PyBUF_SIMPLE,
    PyBuffer_Release,
    PyObject_CheckBuffer,
    PyObject_GetBuffer,
)
from cython.cimports.cpython.bytes import PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint8_t, uint64_t
from cython.cimports.libc.string import memchr, memmove
from cython.cimports.stratavm.runtime.memory import Memory as NativeMemory
from cython.cimports.stratavm.runtime.occupancy import is_closed

from stratavm.base.errors import Closed
from stratavm.runtime import memory as native_module
from stratavm.runtime.events import MemoryWritten
from stratavm.runtime.introspect import Signed
from stratavm.runtime.store import reporting
from stratavm.spec.types import Limits, MemoryType

if not cython.compiled:
    raise ImportError(f"{__name__} must be compiled: run `make build`")


@cython.cfunc
def size_of_format(format: str) -> object:
    """Bytes of a C structure; struct.error, with the format in it, where that is none."""
    try:
        return struct.calcsize(format)
    except struct.error as error:
        raise struct.error(f"expected a format of the struct module such as '<IHH', got {format!r}: {error}") from None


@cython.cclass
class Memory:
    """A linear memory: ``memory[5]``, ``memory[8:16]`` (a writable view without a copy), ``numpy.frombuffer(memory)``.

    ``read``, ``write``, ``unpack``, ``pack`` and ``read_cstring`` copy, and trap where the range is not inside.
    """

    __signature__ = Signed("Memory")

    def __cinit__(self, store: object, native: NativeMemory):
        self.store = store
        self.m = native
        native.written = True  # from now on, or sooner or later
        self.inner = native.store
        self.written = store.bus.channel(MemoryWritten)

    @staticmethod
    def new(store: object, minimum: int, maximum: int | None = None) -> Memory:
        """A memory of ``minimum`` pages of 64 KiB that may grow to ``maximum``."""
        type_: object = MemoryType(Limits(minimum, maximum))
        with reporting(store, "memory"):
            return Memory(store, native_module.Memory(store, type_, plan=store.engine.config.memory_plan))

    @property
    def native(self) -> NativeMemory:
        """The runtime's memory."""
        return self.m

    @property
    def type(self) -> MemoryType:
        """Its type."""
        return self.m.type

    @property
    def size_pages(self) -> int:
        """Size in pages."""
        return self.m.size_pages

    def grow(self, pages: int) -> int:
        """Grow; returns the old size in pages, or -1 if it cannot grow so far."""
        with reporting(self.store, "memory.grow"):
            return self.m.grow(pages)

    def poll(self) -> None:
        """For host functions that wait: raise what is pending for the running call, such as its deadline."""
        self.inner.poll()

    # ---- without copies ----

    @cython.cfunc
    def all_of_it(self) -> object:
        """A view of the whole memory, made once for each size."""
        check(self)
        if self.whole is None or self.whole_bytes != self.m.d.bytes:
            self.whole_bytes = self.m.d.bytes
            self.whole = memoryview(self.m)
        return self.whole

    def __getbuffer__(self, buffer: cython.pointer(Py_buffer), flags: cython.int):
        check(self)
        PyObject_GetBuffer(self.m, buffer, flags)

    def view(self, format: str = "B", address: int = 0, count: int | None = None) -> memoryview:
        """A writable view without a copy; a later growth leaves it at its old size.

        Args:
            format: what the items are, as in the ``struct`` module: ``"B"``, ``"i"``, ``"d"``, …
            address: where it begins.
            count: number of items; as many as there are where absent.

        Raises:
            Trap: the range is not inside the memory.
        """
        if format == "B" and address == 0 and count is None:
            check(self)
            return memoryview(self.m)
        size: object = struct.calcsize(format)
        items: object = (len(self) - address) // size if count is None else count
        self.place(address, items * size)
        part: object = self.all_of_it()[address : address + items * size]
        return part if format == "B" else part.cast(format)

    def __len__(self) -> int:
        return self.m.d.bytes

    def __getitem__(self, index: object) -> object:
        at: cython.Py_ssize_t
        if isinstance(index, slice):
            return self.all_of_it()[index]
        at = index
        check(self)
        if at < 0 or cython.cast(uint64_t, at) >= self.m.d.bytes:
            raise self.no_index(index)
        return cython.cast(uint8_t, self.m.d.base[at])

    def __setitem__(self, index: object, value: object) -> None:
        at: cython.Py_ssize_t
        byte: cython.long
        if isinstance(index, slice):
            part: object = self.all_of_it()[index]
            try:
                part[:] = value
            except ValueError:
                given: object = memoryview(value)
                raise ValueError(
                    f"a slice of {len(part)} bytes takes as many bytes, got {given.nbytes} in items of format "
                    f"{given.format!r}; Memory.write takes any buffer"
                ) from None
            return
        at = index
        byte = value
        check(self)
        if at < 0 or cython.cast(uint64_t, at) >= self.m.d.bytes:
            raise self.no_index(index)
        if byte < 0 or byte > 255:
            raise ValueError(f"{byte} is no byte: expected 0..255")
        self.m.d.base[at] = byte

    def no_index(self, index: object) -> IndexError:
        """What an index outside raises."""
        return IndexError(f"memory index {index} out of range 0..{len(self)}")

    # ---- copies ----

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def place(self, address: object, count: cython.Py_ssize_t) -> cython.Py_ssize_t:
        """The offset of ``count`` bytes; traps unless they are inside."""
        at: uint64_t = 0
        outside: cython.bint = count < 0 or address < 0 or address > self.m.d.bytes
        if not outside:
            at = address
        check(self)  # last: the address may have been an object that ran anything
        if outside or not self.m.inside(at, count):
            raise self.m.out_of_bounds(address, count)
        return at

    def read(self, address: int, count: int) -> bytes:
        """Copy ``count`` bytes out.

        Raises:
            Trap: the range is not inside the memory.
        """
        size: cython.Py_ssize_t = count
        at: cython.Py_ssize_t = self.place(address, size)
        return PyBytes_FromStringAndSize(self.m.d.base + at, size)

    def write(self, address: int, data: object) -> None:
        """Copy the bytes of any contiguous buffer in (bytes, array, NumPy array, …), all or nothing.

        Raises:
            Trap: the range is not inside the memory.
            TypeError: it is no buffer.
            BufferError: the buffer is not contiguous (NumPy says ValueError).
        """
        source: Py_buffer
        if not PyObject_CheckBuffer(data):
            encoded: str = "; text is written as text.encode()" if isinstance(data, str) else ""
            raise TypeError(f"expected bytes or another buffer, got {type(data).__name__}{encoded}")
        PyObject_GetBuffer(data, cython.address(source), PyBUF_SIMPLE)
        try:
            at: cython.Py_ssize_t = self.place(address, source.len)
            memmove(self.m.d.base + at, source.buf, source.len)
            count: cython.Py_ssize_t = source.len
        finally:
            PyBuffer_Release(cython.address(source))
        if self.written.heard:
            self.written.post(MemoryWritten(self.m.number, at, count), self.inner.source)

    def unpack(self, format: str, address: int) -> tuple:
        """Read a C structure: ``memory.unpack("<IHH", address)``; see the ``struct`` module.

        Raises:
            Trap: the range is not inside the memory.
            struct.error: the format is none.
        """
        return struct.unpack(format, self.read(address, size_of_format(format)))

    def pack(self, format: str, address: int, *values: object) -> None:
        """Write a C structure: ``memory.pack("<IHH", address, 1, 2, 3)``; see the ``struct`` module.

        Raises:
            Trap: the range is not inside the memory.
            struct.error: the format is none, or the values do not fit it.
        """
        size_of_format(format)
        self.write(address, struct.pack(format, *values))

    def read_cstring(self, address: int, limit: int | None = None, encoding: str = "utf-8") -> str:
        """The text before the next zero byte.

        Args:
            limit: how many bytes to look at, at most; up to the memory's end where absent.

        Raises:
            Trap: there is no zero byte.
            UnicodeDecodeError: it is not text of that encoding.
        """
        most: uint64_t = self.m.d.bytes if limit is None else min(max(0, limit), self.m.d.bytes)
        at: uint64_t = self.place(address, 0)
        start: cython.p_char = self.m.d.base + at
        size: cython.size_t = min(most, self.m.d.bytes - at)
        end: cython.p_char = cython.cast(cython.p_char, memchr(start, 0, size))
        if end == cython.NULL:
            raise self.m.out_of_bounds(address, size + 1)
        return PyBytes_FromStringAndSize(start, end - start).decode(encoding)

    # ---- identity ----

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Memory) and cython.cast(Memory, other).m is self.m

    def __hash__(self) -> int:
        return hash(self.m)

    def __reduce__(self):
        raise TypeError("a memory of a store cannot be pickled")

    def __repr__(self) -> str:
        maximum: object = self.type.limits.maximum
        return f"<Memory {self.size_pages}..{'' if maximum is None else maximum} pages>"


@cython.cfunc
@cython.inline
@cython.exceptval(-1, check=False)
def check(self: Memory) -> cython.int:
    """Raise unless this thread may touch the memory."""
    if is_closed(self.inner):
        raise Closed("the store of this memory is closed")
    if self.inner.exec.occupant != 0:
        self.inner.check_access()
    return 0
