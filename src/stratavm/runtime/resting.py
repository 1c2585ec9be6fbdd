"""Instances at rest: of what a clone has written to its memories only the lines that differ from the snapshot are
kept, and the pages go back to the kernel until it wakes. Nobody can enter its store meanwhile. Owns not who rests."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint64_t
from cython.cimports.libc.stdlib import calloc, free, malloc
from cython.cimports.libc.string import memcmp, memcpy
from cython.cimports.posix.mman import MADV_DONTNEED, madvise
from cython.cimports.stratavm.runtime.instance import Instance
from cython.cimports.stratavm.runtime.memory import Memory
from cython.cimports.stratavm.runtime.occupancy import PARKED
from cython.cimports.stratavm.runtime.region import HOST_PAGE
from cython.cimports.stratavm.runtime.store import Store
from cython.cimports.stratavm.runtime.wipe import Original, runs_written

from stratavm.base.errors import StoreBusy

LINE = cython.declare(uint64_t, 64)
MOST_PAGES = cython.declare(uint64_t, 4096)  # that may be written: more take too long to look at, and to keep
zeros = cython.declare(cython.char[4096])

Written = cython.struct(at=uint64_t, lines=uint64_t)
"""A page that differs from what its memory shows: where it lies, and a bit for each line that differs."""


@cython.final
@cython.auto_pickle(False)
@cython.cclass
class Aside:
    """What was written to a memory since it shows the image of a snapshot."""

    memory: Memory
    runs: list  # (offset, bytes) of pages that were written
    pages: cython.pointer(Written)  # owned
    n_pages: uint64_t
    lines: cython.p_char  # owned: the lines that differ, in order
    n_lines: uint64_t

    def __init__(self):
        raise TypeError("what is put aside is made by rest()")

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def compare(self) -> cython.bint:
        """Look at the pages that were written, and keep the lines that differ. False where it shows no image, the
        kernel does not name the pages, or they are too many; nothing is changed yet."""
        original: Original
        size: uint64_t
        pages: uint64_t = 0
        memory: Memory = self.memory
        if memory.image is None or memory.shared is not None or HOST_PAGE != 4096:
            return False
        original = memory.image.original
        if original.n_runs != 1 or original.runs[0].start or original.runs[0].behind:
            return False
        whole: uint64_t = (memory.d.bytes + HOST_PAGE - 1) & ~(HOST_PAGE - 1)
        self.runs = runs_written(memory.d.base, whole, MOST_PAGES)
        if self.runs is None:
            return False
        for _, size in self.runs:
            pages += size // HOST_PAGE
        self.pages = cython.cast(cython.pointer(Written), calloc(pages + 1, cython.sizeof(Written)))
        if self.pages == cython.NULL:
            raise MemoryError("no memory for what a guest has written")
        return self.keep(original.content, original.size)

    @cython.cfunc
    @cython.exceptval(-1, check=False)
    def keep(self, content: cython.p_const_char, end: uint64_t) -> cython.bint:
        """Copy the lines that differ from a content of so many bytes, behind which all is zero."""
        at: uint64_t
        size: uint64_t
        i: uint64_t
        line: uint64_t
        page: cython.pointer(Written)
        shown: cython.p_const_char
        base: cython.p_char = self.memory.d.base
        for at, size in self.runs:
            size += at
            while at < size:
                shown = content + at if at < end else zeros
                page = cython.address(self.pages[self.n_pages])
                if memcmp(base + at, shown, HOST_PAGE):
                    page.at = at
                    for line in range(HOST_PAGE // LINE):
                        if memcmp(base + at + LINE * line, shown + LINE * line, LINE):
                            page.lines |= cython.cast(uint64_t, 1) << line
                            self.n_lines += 1
                    self.n_pages += 1
                at += HOST_PAGE
        self.lines = cython.cast(cython.p_char, malloc(LINE * self.n_lines + 1))
        if self.lines == cython.NULL:
            raise MemoryError("no memory for what a guest has written")
        to: cython.p_char = self.lines
        for i in range(self.n_pages):
            for line in range(HOST_PAGE // LINE):
                if self.pages[i].lines >> line & 1:
                    memcpy(to, base + self.pages[i].at + LINE * line, LINE)
                    to += LINE
        return True

    @cython.cfunc
    @cython.exceptval(check=False)
    def give_pages_back(self) -> cython.void:
        """Let the memory show its image again. Pages that the kernel keeps, locked ones, have what they have."""
        at: uint64_t
        size: uint64_t
        for at, size in self.runs:
            madvise(self.memory.d.base + at, size, MADV_DONTNEED)

    @cython.cfunc
    @cython.exceptval(check=False)
    def put_back(self) -> cython.void:
        """Write what was kept to where it was."""
        i: uint64_t
        line: uint64_t
        origin: cython.p_char = self.lines
        for i in range(self.n_pages):
            for line in range(HOST_PAGE // LINE):
                if self.pages[i].lines >> line & 1:
                    memcpy(self.memory.d.base + self.pages[i].at + LINE * line, origin, LINE)
                    origin += LINE

    def __dealloc__(self):
        free(self.pages)
        free(self.lines)


@cython.final
@cython.auto_pickle(False)
@cython.cclass
class Resting:
    """An instance at rest; ``rest`` makes them. Either ``wake`` or ``drop`` ends it.

    Attributes: ``kept_bytes`` is what it takes meanwhile.
    """

    store: Store
    parts: list  # Asides; None: it is awake again
    kept_bytes = cython.declare(uint64_t, visibility="readonly")

    def __init__(self):
        raise TypeError("an instance at rest is made by rest()")

    def wake(self) -> None:
        """Put back what was written: the instance can be called again."""
        aside: Aside
        parts: list = self.parts
        if parts is None:
            return
        for aside in parts:
            aside.put_back()
        self.drop()

    def drop(self) -> None:
        """Forget what was written: the store can be closed, and nothing else may be done with it."""
        if self.parts is not None:
            self.parts = None
            self.store.exec.occupant = 0

    def __reduce__(self):
        raise TypeError("an instance at rest cannot be pickled")


def rest(instance: Instance) -> Resting | None:
    """Put aside what an idle instance has written to its memories since it was cloned; None where that is unknown, or
    more than 16 MiB.

    Its store refuses calls and host's accesses until it wakes; what views of its memories show is what the snapshot
    has.

    Raises:
        StoreBusy, Closed: a call is inside of its store, or it is closed.
    """
    aside: Aside
    store: Store = instance.store
    store.check_entry()
    if store.parked is not None or store.exec.occupant != 0 or store.pinned:
        raise StoreBusy("a call is inside of the store: an instance rests when it has ended")
    parts: list = []
    known: cython.bint = True
    store.exec.occupant = PARKED
    try:
        for memory in instance.memories:
            aside = Aside.__new__(Aside)
            aside.memory = memory
            known = known and aside.compare()
            parts.append(aside)
        resting: Resting = Resting.__new__(Resting)
    except BaseException:
        store.exec.occupant = 0
        raise
    if not known or not parts:
        store.exec.occupant = 0
        return None
    for aside in parts:
        resting.kept_bytes += aside.n_pages * cython.sizeof(Written) + LINE * aside.n_lines
        aside.give_pages_back()
    resting.store = store
    resting.parts = parts
    return resting
