"""The port for guest memory: who gives linear memories their address space, and what must hold of it.

This is a security boundary: compiled code relies on guard pages instead of comparing. What an allocator of an embedder
gives is checked against the kernel's own list of mappings, at every reservation and every growth.
"""

from __future__ import annotations

import itertools
import os

from stratavm.base.errors import AllocatorFault
from stratavm.base.forms import TYPE_CHECKING, Any, Final, Protocol
from stratavm.runtime.limits import ADDRESS_SPACE
from stratavm.runtime.region import Foreign, Region, all_zero, whole_pages

PAGE: Final = os.sysconf("SC_PAGESIZE")


if TYPE_CHECKING:  # for annotations alone

    class Allocation(Protocol):
        """Address space of one linear memory.

        Its contract: ``base`` is a multiple of the host page; ``reserved`` bytes from it on belong to this memory alone
        until ``release``, are mapped privately, and can be neither read nor written but for what was committed; the
        base never moves.
        """

        @property
        def base(self) -> int:
            """Address of the first byte."""

        @property
        def reserved(self) -> int:
            """Bytes of address space."""

        def commit(self, size: int) -> bool:
            """Make the first ``size`` bytes, whole host pages, readable and writable; new ones are zero.

            False if there is no memory: the guest's ``memory.grow`` is refused then. Called with ever larger sizes.
            """

        def release(self) -> None:
            """Nobody uses it any more: no guest, no view. Called once, on any thread; what it raises is printed."""


class MemoryAllocator(Protocol):
    """Gives linear memories their address space. An embedder replaces it by one registration of an engine."""

    def allocate(self, reserve: int, size: int, guard: bool, image: int = 0) -> Allocation | Region:
        """Address space for a new memory.

        Args:
            reserve: bytes that it must have at least, whole host pages.
            size: bytes that are committed at once, afterwards.
            guard: whether compiled code relies on ``reserve`` bytes that fault, all but the committed ones.
            image: number of the image that the memory will show, a hint; 0 = none.

        Raises:
            ResourceLimit: there is none.
        """


class MappedMemories:
    """The usual allocator: every memory is a mapping of its own."""

    def allocate(self, reserve: int, size: int, guard: bool, image: int = 0) -> Region:
        """Reserve it now; the kernel commits pages as they are touched."""
        return Region(reserve)


class CheckedRegion(Foreign):  # type: ignore[misc]  # a compiled class
    """What an embedder's allocator gave, checked whenever it changes."""

    def __init__(self, allocation: Allocation, reserve: int) -> None:
        self.allocation = allocation
        base, reserved = allocation.base, allocation.reserved
        if not isinstance(base, int) or not isinstance(reserved, int):
            raise AllocatorFault("an allocation's base and reserved must be integers")
        if base <= 0 or base % PAGE or reserved % PAGE or not reserve <= reserved <= ADDRESS_SPACE - base:
            raise AllocatorFault(f"{reserved} bytes at {base:#x}: expected whole host pages, {reserve} bytes at least")
        if any(base < end and at < base + reserved for at, end in _given.items()):
            raise AllocatorFault(f"address space at {base:#x} belongs to another memory")
        check_mappings(base, reserved, 0)
        super().__init__(base, reserved)
        _given[base] = base + reserved

    def commit(self, size: int) -> bool:
        """Ask for it, and believe nothing.

        Raises:
            AllocatorFault: the pages are not accessible, not zero, or more is accessible than was asked for.
        """
        before, wanted = self.committed, whole_pages(size)
        if wanted > self.reserved:
            return False
        if wanted > before:
            if not self.allocation.commit(wanted):
                return False
            check_mappings(self.address, self.reserved, wanted)
            if not all_zero(self.address + before, wanted - before):
                raise AllocatorFault(f"new bytes of the memory at {self.address:#x} are not zero")
            self.note(wanted)
        return True

    def __del__(self) -> None:
        if _given.pop(self.address, None) is not None:
            self.allocation.release()


_given: dict[int, int] = {}
"""Where address space of embedders' allocators begins and ends that memories use now."""


def checked(allocation: Any, reserve: int) -> Region:
    """What an allocator gave, as a region.

    Raises:
        AllocatorFault: it breaks the contract.
    """
    if isinstance(allocation, Region):
        return allocation
    return CheckedRegion(allocation, reserve)


def check_mappings(base: int, reserved: int, committed: int) -> None:
    """Compare address space with the kernel's list: private, accessible up to ``committed``, and not beyond.

    Raises:
        AllocatorFault: it is otherwise.
    """
    at, end = base, base + reserved
    with open("/proc/self/maps") as maps:
        for line in maps:
            span, rights = itertools.islice(line.split(maxsplit=2), 2)
            low, high = (int(x, 16) for x in span.split("-"))
            if high <= at or low >= end:
                continue
            if low > at:
                break
            accessible = at < base + committed
            wanted = "rw-p" if accessible else "---p"
            if rights != wanted or (accessible and min(high, end) > base + committed):
                raise AllocatorFault(
                    f"{low:#x}-{high:#x} is mapped {rights}: expected {committed} bytes rw-p at {base:#x}, then ---p"
                )
            at = high
    if at < end:
        raise AllocatorFault(f"{at:#x} is not mapped, in the reservation {base:#x}-{end:#x}")
