"""Address space of linear memories: reserved once, committed from the start on, so that a base never moves."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.string import memcmp
from cython.cimports.posix.mman import (
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_FIXED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    mmap,
    mprotect,
    munmap,
)
from cython.cimports.posix.unistd import _SC_PAGESIZE, sysconf

from stratavm.base.errors import ResourceLimit
from stratavm.runtime.limits import name_the_limit

HOST_PAGE = sysconf(_SC_PAGESIZE)
PART = cython.declare(uint64_t, 0xFFFF_FFFF_FFFF_FFFF)
"""Serial of no image: parts of one are shown."""
LARGE = cython.declare(uint64_t, 16 << 20)
"""Bytes that the kernel takes milliseconds to take back: others run meanwhile."""


def whole_pages(size: int) -> int:
    """``size`` bytes rounded up to host pages."""
    page: object = HOST_PAGE
    return -(-size // page) * page


@cython.no_gc_clear
@cython.auto_pickle(False)  # it is an address
@cython.cclass
class Region:
    """Address space of one memory: mapped here, and unmapped with the last reference to the memory and its views.

    Bytes behind ``committed`` can be neither read nor written; committed bytes that nobody wrote are those of the
    image that is shown, else zero.
    """

    def __init__(self, size: int):
        if self.base != cython.NULL:
            raise TypeError("a region is initialised once")
        wanted: uint64_t = whole_pages(size)
        base: cython.p_void = mmap(cython.NULL, wanted, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0)
        if base == MAP_FAILED:
            raise ResourceLimit(f"cannot reserve {size} bytes of address space for a memory", limit=name_the_limit())
        self.base = cython.cast(cython.p_char, base)
        self.reserved = self.most = wanted
        self.mapped = True

    def __dealloc__(self):
        if self.mapped and self.committed >= LARGE:
            with cython.nogil:
                munmap(self.base, self.reserved)
        elif self.mapped:
            munmap(self.base, self.reserved)

    @property
    def address(self) -> int:
        """Where it begins."""
        self.told = True
        return cython.cast(uint64_t, self.base)

    def take(self):
        """A memory begins to use it: only one may.

        Raises:
            ValueError: another does already.
        """
        if self.taken:
            raise ValueError("two memories cannot have one region")
        self.taken = True
        return 0

    def commit(self, size):
        """Make the first ``size`` bytes, rounded up to host pages, usable. False if the kernel refuses."""
        if size > self.reserved:
            return False
        return self.protect(size) == 0

    def protect(self, size):
        """``commit`` without the check: 0 = done."""
        wanted: uint64_t = (size + HOST_PAGE - 1) & ~(HOST_PAGE - 1)
        if wanted > self.committed:
            if mprotect(self.base + self.committed, wanted - self.committed, PROT_READ | PROT_WRITE) != 0:
                return 1
            self.committed = wanted
        return 0

    def show(self, image):
        """Map an image into the committed bytes: private copies of its pages, made at the first write.

        False where the kernel has no more mappings to give: nothing is shown then, and the bytes are zero.
        """
        if self.image == image.serial:
            return True
        if self.image or image.end > self.committed:
            raise ValueError("an image is shown by a committed region that shows none")
        self.image = PART  # until all of it is: what stops us leaves nothing that the next tenant takes for zeros
        mapped: cython.int = self.map_runs(image)
        if mapped < len(image.runs):
            if mapped:
                self.conceal()
            self.image = 0
            return False
        self.image = image.serial
        self.original = image.original
        return True

    def map_runs(self, image):
        """Map the parts of an image, up to the first that the kernel refuses; how many."""
        mapped: cython.int = 0
        offset: uint64_t
        size: uint64_t
        behind: uint64_t
        rights: cython.int = PROT_READ | PROT_WRITE
        flags: cython.int = MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE
        descriptor: cython.int = image.descriptor
        for offset, size, behind in image.runs:
            if mmap(self.base + offset, size, rights, flags, descriptor, behind) == MAP_FAILED:
                break
            mapped += 1
        return mapped

    def conceal(self) -> None:
        """Show no image any more: every committed byte is zero.

        Raises:
            ResourceLimit: the kernel refuses.
        """
        size: uint64_t = self.committed
        if self.hide() or self.protect(size):
            raise ResourceLimit("the kernel gives no zeroed pages", limit=name_the_limit())

    def hide(self):
        """Put unreachable, zeroed pages in the place of all that is committed. 1 if the kernel refuses."""
        if (
            self.committed
            and mmap(
                self.base,
                self.committed,
                PROT_NONE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED,
                -1,
                0,
            )
            == MAP_FAILED
        ):
            return 1
        self.committed = 0
        self.image = 0
        return 0


def all_zero(address: int, size: int) -> bool:
    """Whether so many bytes of this process, which must be readable, are zero."""
    at: cython.p_char = cython.cast(cython.p_char, cython.cast(uint64_t, address))
    n: uint64_t = size
    return n == 0 or (at[0] == 0 and memcmp(at, at + 1, n - 1) == 0)


def adopt(region, address, reserved):
    """Cover address space that somebody else reserved, and gives back."""
    if region.base != cython.NULL:
        raise TypeError("a region is initialised once")
    region.base = cython.cast(cython.p_char, address)
    region.reserved = region.most = reserved
    return 0


@cython.auto_pickle(False)  # it is an address
@cython.cclass
class Foreign(Region):
    """Address space of an allocator of an embedder; ``allocator`` checks what it gives."""

    def __init__(self, address: int, reserved: int):
        adopt(self, address, reserved)

    def note(self, committed: int) -> None:
        """So many bytes are committed now."""
        self.committed = committed

    @cython.ccall
    @cython.exceptval(-1, check=False)
    def show(self, image: object) -> cython.bint:
        """Never: its pages are not ours to map over."""
        return False
