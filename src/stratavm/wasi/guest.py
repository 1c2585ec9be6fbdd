"""The guest's memory as WASI functions see it: every pointer, length and list is checked here before it is used.

Pointers and lengths are unsigned 32-bit integers; Python's integers do not wrap, so ``pointer + length`` is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from struct import Struct
from typing import TYPE_CHECKING, Any, Protocol

from stratavm.wasi.abi import IOVEC, U32, U64
from stratavm.wasi.errno import Errno, WasiError

if TYPE_CHECKING:
    from stratavm.wasi.descriptor import Descriptor


class GuestMemory(Protocol):
    """What a WASI function needs of the caller's memory.

    One that also has ``poll()`` is asked now and then while a call waits; it may raise to end the wait. One that has a
    ``store`` has it pay for what the call makes the host hold.
    """

    def view(self) -> memoryview:
        """A writable view of all bytes, fresh at each call."""
        ...


class Payer(Protocol):
    """A store: everything that guests make it hold shares one budget of bytes."""

    def charge_bytes(self, count: int, what: str) -> None:
        """Count so many; ``ResourceLimit`` where there are fewer left."""
        ...

    def refund_bytes(self, count: int) -> None:
        """They are held no more."""
        ...


class Guest:
    """What one call has: a view of the caller's memory, what may end its waiting, and the descriptors that it uses.

    Attributes:
        poll: asked now and then while the call waits; None where nobody wants to end it.
        memory: the caller's.
        pins: what ``Context.get`` gave out, open until the call ends.
    """

    __slots__ = ("limit_items", "memory", "pins", "poll", "size", "view")

    def __init__(self, view: memoryview, limit_items: int, memory: object = None) -> None:
        self.view = view
        self.size = view.nbytes
        self.limit_items = limit_items
        self.poll: Callable[[], None] | None = getattr(memory, "poll", None)
        self.memory = memory
        self.pins: list[Descriptor] = []

    @property
    def payer(self) -> Payer | None:
        """The store whose budget of bytes the call is charged to, if any."""
        store = getattr(self.memory, "store", None)
        return store if hasattr(store, "charge_bytes") else None

    def bytes_at(self, pointer: int, length: int) -> memoryview:
        """A range of memory, or FAULT."""
        if pointer + length > self.size:
            raise WasiError(Errno.FAULT)
        return self.view[pointer : pointer + length]

    def read(self, layout: Struct, pointer: int) -> tuple[Any, ...]:
        """Read a struct."""
        return layout.unpack(self.bytes_at(pointer, layout.size))

    def write(self, layout: Struct, pointer: int, *values: Any) -> None:
        """Write a struct; padding becomes zero."""
        self.bytes_at(pointer, layout.size)[:] = layout.pack(*values)

    def write_u32(self, pointer: int, value: int) -> None:
        """Write a 32-bit number."""
        self.write(U32, pointer, value)

    def write_u64(self, pointer: int, value: int) -> None:
        """Write a 64-bit number."""
        self.write(U64, pointer, value)

    def check(self, pointer: int, length: int) -> None:
        """FAULT unless the range lies in memory; for results that are written after the deed."""
        if pointer + length > self.size:
            raise WasiError(Errno.FAULT)

    def items(self, pointer: int, count: int, size: int) -> memoryview:
        """An array of structs; INVAL where the guest asks for more than the quota."""
        if count > self.limit_items:
            raise WasiError(Errno.INVAL)
        return self.bytes_at(pointer, count * size)

    def iovecs(self, pointer: int, count: int) -> list[memoryview]:
        """The buffers of an iovec list, empty ones left out. Their sum must fit in the 32-bit result."""
        table = self.items(pointer, count, IOVEC.size)
        buffers = [self.bytes_at(buf, length) for buf, length in IOVEC.iter_unpack(table)]
        if sum(b.nbytes for b in buffers) > 0xFFFF_FFFF:
            raise WasiError(Errno.INVAL)
        return [b for b in buffers if b.nbytes]

    def path(self, pointer: int, length: int, longest: int) -> bytes:
        """A path: UTF-8 without NUL, not empty."""
        if length > longest:
            raise WasiError(Errno.NAMETOOLONG)
        path = bytes(self.bytes_at(pointer, length))
        try:
            path.decode()
        except UnicodeDecodeError:
            raise WasiError(Errno.ILSEQ) from None
        if b"\0" in path:
            raise WasiError(Errno.INVAL)
        if not path:
            raise WasiError(Errno.NOENT)
        return path
