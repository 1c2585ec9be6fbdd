# strata: hot
"""Wiping a slot in place: the kernel is asked which pages were written, and those are overwritten with what they held.

Giving pages back costs as much to ask for, and then a fault and a zeroed page for each that the next tenant writes.
Where the kernel does not answer, or names too many pages, the caller gives them back.
"""

import os
from errno import ENOMEM

import cython
from cython.cimports.libc.stdint import int64_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcmp, memcpy, memset
from cython.cimports.posix.fcntl import O_CLOEXEC, O_RDONLY, open
from cython.cimports.posix.mman import (
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_PRIVATE,
    PROT_READ,
    PROT_WRITE,
    mmap,
    munmap,
)
from cython.cimports.stratavm.runtime.native import pthread_atfork
from cython.cimports.stratavm.runtime.region import HOST_PAGE

PAGEMAP_SCAN = cython.declare(cython.ulong, 0xC0606610)
IS_FILE = cython.declare(uint64_t, 1 << 2)
IS_PRESENT = cython.declare(uint64_t, 1 << 3)
IS_SWAPPED = cython.declare(uint64_t, 1 << 4)
IS_ZERO = cython.declare(uint64_t, 1 << 5)  # the shared page of zeros: read, never written
pagemap = cython.declare(cython.int, -1)  # descriptor of this process's page map
refused = cython.declare(cython.bint, False)  # the kernel does not answer, or not as it should


@cython.cclass
class Original:
    """What a memory shows that nobody has written to: the content of an image's file, mapped for reading, and where."""

    def __cinit__(self, descriptor: cython.int, runs: tuple):
        i: uint32_t
        content: cython.p_void
        first: int64_t = runs[0][2] if runs else 0  # in the file; the others follow
        self.runs = cython.cast(cython.pointer(Run), calloc(len(runs) + 1, cython.sizeof(Run)))
        if self.runs == cython.NULL:
            raise MemoryError("no memory for an image")
        for i in range(len(runs)):
            self.runs[i].start, self.runs[i].size, self.runs[i].behind = runs[i]
            self.runs[i].behind -= first
            self.size += self.runs[i].size
        self.n_runs = len(runs)
        if self.size:
            content = mmap(cython.NULL, self.size, PROT_READ, MAP_PRIVATE, descriptor, first)
            if content == MAP_FAILED:
                self.size = 0
                raise OSError(ENOMEM, "cannot map an image for reading")
            self.content = cython.cast(cython.p_const_char, content)

    def __dealloc__(self):
        free(self.runs)
        if self.size:
            munmap(cython.cast(cython.p_void, self.content), self.size)


def wipe(base, size, original, most_pages):
    """Overwrite the written pages of a memory with what it began with; false, and nothing is done, if they are unknown
    or more than ``most_pages``. ``original`` is None where it began with zeros."""
    global pagemap
    regions: PageRegion[MOST_REGIONS]
    i: cython.int
    found: cython.int
    start: uint64_t
    pages: uint64_t = 0
    if refused:
        return False
    if pagemap < 0:
        pagemap = open_page_map()
    found = written(pagemap, base, size, regions, most_pages + 1)
    if found < 0:
        return False
    for i in range(found):
        pages += (regions[i].end - regions[i].start) // HOST_PAGE
    if pages > most_pages:
        return False
    for i in range(found):
        start = regions[i].start - cython.cast(uint64_t, base)
        restore(base, start, start + regions[i].end - regions[i].start, original)
    return True


def runs_written(base, size, most_pages):
    """(offset, bytes) of the runs of pages of a memory that were written since it shows its image; None where they are
    unknown or more than ``most_pages``. The size is whole pages."""
    global pagemap
    regions: PageRegion[MOST_REGIONS]
    i: cython.int
    found: cython.int
    at: uint64_t = 0
    pages: uint64_t = 0
    runs: list = []
    if not prepare():
        return None
    if pagemap < 0:
        pagemap = open_page_map()
    while at < size:
        found = scan_pages(pagemap, base + at, size - at, regions, most_pages + 1 - pages)
        if found < 0:
            return None
        for i in range(found):
            pages += (regions[i].end - regions[i].start) // HOST_PAGE
            runs.append((regions[i].start - cython.cast(uint64_t, base), regions[i].end - regions[i].start))
        if pages > most_pages:
            return None
        if found < MOST_REGIONS:
            return runs
        at = regions[found - 1].end - cython.cast(uint64_t, base)
    return runs


def runs_unlike(base, size, original):
    """(offset, bytes) of the runs of pages of a memory that are not what it began with: for want of a kernel that names
    those that were written, all of them are looked at. The size is whole pages."""
    at: uint64_t
    begin: uint64_t = size
    runs: list = []
    for at in range(0, size, HOST_PAGE):
        if is_original(base, at, original):
            if begin < size:
                runs.append((begin, at - begin))
                begin = size
        elif begin == size:
            begin = at
    if begin < size:
        runs.append((begin, size - begin))
    return runs


@cython.cfunc
@cython.exceptval(check=False)
def is_original(base: cython.p_char, at: uint64_t, original: Original) -> cython.bint:
    """Whether a page is what it was in the beginning."""
    shown: cython.p_const_char = shown_at(at, original)
    if shown != cython.NULL:
        return memcmp(base + at, shown, HOST_PAGE) == 0
    return base[at] == 0 and memcmp(base + at, base + at + 1, HOST_PAGE - 1) == 0


@cython.cfunc
@cython.exceptval(check=False)
def shown_at(at: uint64_t, original: Original | None) -> cython.p_const_char:
    """What a memory shows there that nobody has written to; NULL for zeros."""
    i: uint32_t
    run: cython.pointer(Run)
    if original is not None:
        for i in range(original.n_runs):
            run = cython.address(original.runs[i])
            if run.start <= at < run.start + run.size:
                return original.content + run.behind + (at - run.start)
    return cython.NULL


@cython.cfunc
@cython.exceptval(check=False)
def written(
    map: cython.int, base: cython.p_char, size: uint64_t, regions: cython.pointer(PageRegion), most_pages: uint64_t
) -> cython.int:
    """Ask for the pages that are neither untouched nor still the file's: how many regions; -1 if not all were named."""
    found: cython.int = scan_pages(map, base, size, regions, most_pages)
    return found if found < MOST_REGIONS else -1


@cython.cfunc
@cython.exceptval(check=False)
def scan_pages(
    map: cython.int, base: cython.p_char, size: uint64_t, regions: cython.pointer(PageRegion), most_pages: uint64_t
) -> cython.int:
    """``written``; but where there are more regions than have room, these are the first."""
    scan: ScanArguments
    found: cython.int
    memset(cython.address(scan), 0, cython.sizeof(scan))
    scan.size = cython.sizeof(scan)
    scan.start = cython.cast(uint64_t, base)
    scan.end = scan.start + size
    scan.vec = cython.cast(uint64_t, regions)
    scan.vec_len = MOST_REGIONS
    scan.max_pages = most_pages
    scan.category_inverted = scan.category_mask = IS_FILE | IS_ZERO
    scan.category_anyof_mask = IS_PRESENT | IS_SWAPPED
    scan.return_mask = IS_PRESENT
    found = ioctl(map, PAGEMAP_SCAN, cython.address(scan))
    return found if found >= 0 and (found == MOST_REGIONS or scan.walk_end == scan.end) else -1


@cython.cfunc
@cython.exceptval(check=False)
def restore(base: cython.p_char, start: uint64_t, end: uint64_t, original: Original | None) -> cython.void:
    """Overwrite whole pages between two offsets."""
    at: uint64_t = start
    shown: cython.p_const_char
    while at < end:
        shown = shown_at(at, original)
        if shown == cython.NULL:
            memset(base + at, 0, HOST_PAGE)
        else:
            memcpy(base + at, shown, HOST_PAGE)
        at += HOST_PAGE


@cython.cfunc
@cython.exceptval(check=False)
def open_page_map() -> cython.int:
    """A descriptor of this process's page map; negative where there is none."""
    return open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC)


def prepare() -> bool:
    """See whether the kernel tells which pages were written, and tells the truth. A pool calls it when it is made."""
    global pagemap, refused
    mine: cython.int
    if pagemap < 0 and not refused:
        mine = open_page_map()
        try:
            descriptor: object = os.memfd_create("strata-probe", os.MFD_CLOEXEC)
        except PermissionError:  # a process that may have no such file
            if mine >= 0:
                os.close(mine)
            refused = True
            return False
        try:
            os.write(descriptor, b"x" * (3 * HOST_PAGE))
            if mine >= 0 and answers(mine, MAP_PRIVATE | MAP_ANONYMOUS, -1) and answers(mine, MAP_PRIVATE, descriptor):
                pagemap = mine
            else:
                refused = True
                if mine >= 0:
                    os.close(mine)
        finally:
            os.close(descriptor)
    return not refused


@cython.cfunc
@cython.exceptval(check=False)
def answers(map: cython.int, flags: cython.int, descriptor: cython.int) -> cython.bint:
    """Whether of three pages, one read, one written and one left alone, exactly the written one is named."""
    regions: PageRegion[MOST_REGIONS]
    place: cython.p_void = mmap(cython.NULL, 3 * HOST_PAGE, PROT_READ | PROT_WRITE, flags, descriptor, 0)
    if place == MAP_FAILED:
        return False
    base: cython.p_char = cython.cast(cython.p_char, place)
    base[HOST_PAGE] = base[0] + 1
    found: cython.int = written(map, base, 3 * HOST_PAGE, regions, 4)
    right: cython.bint = (
        found == 1
        and regions[0].start == cython.cast(uint64_t, base) + HOST_PAGE
        and regions[0].end == cython.cast(uint64_t, base) + 2 * HOST_PAGE
    )
    munmap(place, 3 * HOST_PAGE)
    return right


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
@cython.linetrace(False)
def after_fork_in_child() -> cython.void:
    """The descriptor shows the pages of the parent: the child opens its own. The old one stays open, unused."""
    global pagemap
    pagemap = -1


pthread_atfork(cython.NULL, cython.NULL, after_fork_in_child)
