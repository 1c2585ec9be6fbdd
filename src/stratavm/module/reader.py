"""The reader: a module's bytes from a file, a bounded position in them, and the primitives of the binary format. Knows
no section.
"""

# strata: hot
import os
import stat
import time

import cython
from cython.cimports.cpython.bytearray import PyByteArray_AS_STRING
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize, _PyBytes_Resize
from cython.cimports.cpython.exc import PyErr_CheckSignals
from cython.cimports.cpython.object import PyObject
from cython.cimports.cpython.ref import Py_DECREF, Py_INCREF
from cython.cimports.cpython.unicode import PyUnicode_DecodeUTF8
from cython.cimports.libc.errno import EAGAIN, EINTR, ESTALE, errno
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t, uintptr_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memcpy, memset
from cython.cimports.posix.mman import madvise
from cython.cimports.posix.unistd import getpid, pread, read
from cython.cimports.stratavm.base.budget import look
from cython.cimports.stratavm.base.files import Stamp, stamp_folder
from cython.cimports.stratavm.base.leb import bytes_t, leb_s33, leb_slow, leb_u32, leb_u64
from cython.cimports.stratavm.base.poly1305 import poly_close, poly_more, poly_open
from cython.cimports.stratavm.base.vecfree import give_pages
from cython.cimports.stratavm.module.chunks import (
    BLOCK,
    CHUNK,
    MOST_PARTS,
    SUM_BYTES,
    TAG_BYTES,
    ReadJob,
    ReadPart,
    has_read,
    put_chunk,
    read_known,
    read_lean,
    read_rest,
    sum_blocks,
    sum_part,
    word_of,
)  # fmt: skip

from stratavm.base.errors import DecodeError, ModuleLimit, Unsupported
from stratavm.base.leb import LEB_MESSAGES
from stratavm.module.features import advice, refusal

LARGE = cython.declare(uintptr_t, 1 << 20)
PAGE = cython.declare(uintptr_t, 1 << 12)
HUGE_PAGE = cython.declare(uintptr_t, 1 << 21)
MADV_HUGEPAGE = cython.declare(cython.int, 14)
MADV_NOHUGEPAGE = cython.declare(cython.int, 15)
MADV_POPULATE_WRITE = cython.declare(cython.int, 23)
slow_ns = cython.declare(uint64_t, 1_000_000)  # for a huge page; the kernel clears one in a fifth of it
PIECE_BYTES = cython.declare(cython.size_t, 1 << 24)  # of a file, between two looks at the budget
are_slow = cython.declare(cython.bint, False)  # huge pages, for this process
KEY_BYTES = cython.declare(cython.Py_ssize_t, 32)
WORD_BYTES = cython.declare(cython.size_t, 8)
MOST_AHEAD = 1 << 28  # bytes of a file that is read on a thread
LOOK_MS = cython.declare(cython.long, 50)  # between two looks at the budget
END = LEB_MESSAGES[1]
BAD_UTF8 = "malformed UTF-8 encoding"


def read_bytes(
    descriptor: cython.int,
    size: cython.Py_ssize_t,
    offset: int64_t = -1,
    spare: list | None = None,
    room: cython.Py_ssize_t = 0,
) -> bytes:
    """The next ``size`` bytes of a file, or those at ``offset``, or as many as there are; in the memory of those in
    ``spare``, if there are some that nobody else has, or else where ``used_again`` may make ``room`` bytes of them.

    The memory of large ones is had in huge pages where these come quickly: the faults at its first touch take longer
    than the reading.

    Raises:
        OSError: the file cannot be read.
        ValueError: ``size`` is negative.
        DeadlineExceeded: the thread's ``Budget`` ran out.
    """
    if size < 0:
        raise ValueError(f"size must be no negative number, got {size}")
    data: bytes | None = used_again(spare, size) if spare else None
    is_there: cython.bint = data is not None
    if data is None:
        data = PyBytes_FromStringAndSize(cython.NULL, max(size, room))
        if room > size:
            made: list = [data]
            data = None
            data = used_again(made, size)
    start: cython.p_char = PyBytes_AS_STRING(data)
    done: cython.Py_ssize_t = 0
    got: cython.Py_ssize_t
    failure: cython.int
    wanted: cython.size_t
    touched: uintptr_t = cython.cast(uintptr_t, start)
    while done < size:
        wanted = min(cython.cast(cython.size_t, size - done), PIECE_BYTES)
        if not is_there:
            touched = have_huge_pages(touched, cython.cast(uintptr_t, start + done) + wanted)
        with cython.nogil:
            if offset < 0:
                got = read(descriptor, start + done, wanted)
            else:
                got = pread(descriptor, start + done, wanted, offset + done)
            failure = errno
        if got == 0 or (got < 0 and failure == EAGAIN):
            return data[:done]
        if got > 0:
            done += got
        elif failure == EINTR:
            PyErr_CheckSignals()
        else:
            raise OSError(failure, os.strerror(failure))
        look()
    return data


@cython.cfunc
@cython.exceptval(check=False)
def use_huge_pages(start: uintptr_t, size: cython.size_t) -> cython.void:
    """Advise the kernel to, unless they came slowly; it may have none, and nothing depends on it."""
    if not are_slow:
        advise_huge_pages(start, start + size, MADV_HUGEPAGE)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def advise_huge_pages(start: uintptr_t, end: uintptr_t, how: cython.int) -> cython.void:
    """For all that lie in there."""
    first: uintptr_t = (start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1)
    last: uintptr_t = end & ~(HUGE_PAGE - 1)
    if first < last:
        madvise(cython.cast(cython.p_void, first), last - first, how)


def have_huge_pages(start, end):
    """Those that lie in there, at once, for who writes nearly everywhere in there; small ones from where they come
    slowly. Where what follows begins: in the middle of a huge page there may be one yet. No other thread writes there:
    what is there is read and written again."""
    page: uintptr_t = (start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1)
    if are_slow or page + HUGE_PAGE > end:
        return start
    with cython.nogil:
        advise_huge_pages(start, end, MADV_HUGEPAGE)
        while page + HUGE_PAGE <= end:
            page = page + HUGE_PAGE if is_quick(page, end) else end
    return page


def copied(data: bytes, offset: cython.Py_ssize_t, size: cython.Py_ssize_t) -> bytes:
    """A part of some bytes; the memory of a large one is had in huge pages where these come quickly.

    Raises:
        ValueError: it does not lie in them.
    """
    if offset < 0 or size < 0 or offset > len(data) or size > len(data) - offset:
        raise ValueError(f"{size} bytes at {offset} do not lie in {len(data)}")
    part: bytes = PyBytes_FromStringAndSize(cython.NULL, size)
    to: cython.p_char = PyBytes_AS_STRING(part)
    start: cython.p_char = PyBytes_AS_STRING(data)
    have_huge_pages(cython.cast(uintptr_t, to), cython.cast(uintptr_t, to) + size)
    with cython.nogil:
        memcpy(to, start + offset, size)
    return part


def let_go_of(things: list) -> None:
    """Empty a list. Large bytes that nobody else has are given back to the kernel without the GIL: it takes
    milliseconds to take them, and Python frees with it."""
    data: bytes
    first: uintptr_t
    last: uintptr_t
    while things:
        thing: object = things.pop()
        if type(thing) is bytes and cython.cast(cython.pointer(PyObject), thing).ob_refcnt == 1:
            data = thing
            first = cython.cast(uintptr_t, PyBytes_AS_STRING(data))
            last = first + len(data)
            if last - first > LARGE:
                with cython.nogil:
                    give_pages(first, last)
            data = None
        thing = None


def used_again(spare: list, size: cython.Py_ssize_t) -> bytes | None:
    """Bytes of a size, in the memory of the last ones in a list, with what was there as far as it goes: memory that is
    in use costs a fault for no page. None where somebody else has the last ones: then they stay in the list.

    Raises:
        MemoryError: there is no more; then nobody has them.
    """
    thing: object = spare.pop()
    raw: cython.pointer(PyObject) = cython.cast(cython.pointer(PyObject), thing)
    if type(thing) is not bytes or raw.ob_refcnt != 1:
        spare.append(thing)
        return None
    old: cython.Py_ssize_t = len(cython.cast(bytes, thing))
    first: uintptr_t = cython.cast(uintptr_t, raw) & ~(PAGE - 1)
    last: uintptr_t = (cython.cast(uintptr_t, PyBytes_AS_STRING(thing)) + old + PAGE) & ~(PAGE - 1)
    if size > old > LARGE:  # the kernel moves no memory that is of two kinds: realloc would copy it
        madvise(cython.cast(cython.p_void, first), last - first, MADV_NOHUGEPAGE if are_slow else MADV_HUGEPAGE)
    Py_INCREF(thing)
    thing = None
    if size == old:  # so that a digest for dicts is forgotten, which CPython does where the size is another
        _PyBytes_Resize(cython.address(raw), size + 1)
    _PyBytes_Resize(cython.address(raw), size)
    data: bytes = cython.cast(bytes, raw)
    Py_DECREF(data)
    return data


def sum_of(data: bytes) -> bytes:
    """64 bits that other bytes hardly have by chance, in a tenth of the time of a digest; they can be made to have it.

    26 MB take 2 ms.
    """
    job: ReadJob
    memset(cython.address(job), 0, cython.sizeof(job))
    job.to = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
    job.size = job.done = len(data)
    sum_up(cython.address(job))
    return sum_made(cython.address(job))


def sum_of_file(descriptor: cython.int, offset: int64_t, size: cython.size_t) -> bytes:
    """The sum of so many bytes of a file, which is read by pieces and not kept; empty where they are not there.

    ``size`` is a multiple of 32.
    """
    whole: cython.bint
    lanes: uint64_t[4]
    scratch: bytes = PyBytes_FromStringAndSize(cython.NULL, SUM_BYTES)
    to: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(scratch))
    memset(lanes, 0, cython.sizeof(lanes))
    with cython.nogil:
        whole = sum_part(descriptor, offset, size, to, lanes)
    return sum_of_lanes(lanes, size) if whole else b""


@cython.cfunc
def sum_of_lanes(lanes: cython.pointer(uint64_t), size: cython.size_t) -> bytes:
    """The sum of so many bytes, whole blocks, that lanes have seen."""
    job: ReadJob
    memset(cython.address(job), 0, cython.sizeof(job))
    memcpy(job.lanes, lanes, cython.sizeof(job.lanes))
    job.size = job.summed = size
    return sum_made(cython.address(job))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def sum_up(job: cython.pointer(ReadJob)) -> cython.void:
    """Add the blocks that were read and not summed."""
    blocks: cython.size_t = (job.done - job.summed) // BLOCK
    sum_blocks(job.lanes, job.to + job.summed, blocks)
    job.summed += blocks * BLOCK


@cython.cfunc
def sum_made(job: cython.pointer(ReadJob)) -> bytes:
    """The sum of a job that is done."""
    word: object = word_of(job)
    return word.to_bytes(8, "little")


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_image(start: cython.pointer(uint8_t)) -> cython.bint:
    """Whether a file begins as images do (``aot/container.py``): of those, parts are read when they are wanted."""
    return (start[0] == 0x89 and start[1] == 0x73) or (start[0] == 0x23 and start[1] == 0x21)


def call_slow(ns: int) -> bool:
    """For tests: huge pages that take so many nanoseconds are slow from now on. Whether some were until now."""
    global are_slow, slow_ns
    were: cython.bint = are_slow
    are_slow, slow_ns = False, ns
    return were


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_quick(page: uintptr_t, end: uintptr_t) -> cython.bint:
    """Touch a huge page. If it does not come quickly, what follows up to the end comes in small ones: where the host of
    a virtual machine has taken free memory back, a huge page takes it 5 ms instead of 0.2, and small ones, which are in
    use all the time, are there."""
    global are_slow
    if touch_ns(cython.cast(cython.pointer(uint8_t), page)) <= slow_ns:
        return True
    are_slow = True
    advise_huge_pages(page + HUGE_PAGE, end, MADV_NOHUGEPAGE)
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read_all(argument: cython.p_void) -> cython.p_void:
    """A thread, from its beginning to its end. Never touches Python."""
    job: cython.pointer(ReadJob) = cython.cast(cython.pointer(ReadJob), argument)
    i: cython.size_t
    if job.there == cython.NULL or not (read_known(job) or read_lean(job)):
        job.there = cython.NULL
        read_file(job)
    for i in range(MOST_PARTS + 1):
        while sem_wait(cython.address(job.more)) != 0:
            pass
        if i == job.n_parts:
            break
        if take(cython.address(job.parts[i].taken)):
            read_part(cython.address(job.parts[i]))
    sem_post(cython.address(job.ended))
    if job.there != cython.NULL and job.later_ms and not wait_soon(cython.address(job.stop), job.later_ms):
        i = 0
        while i < job.size and sem_trywait(cython.address(job.stop)) != 0 and read_rest(job, i, i + 1):
            i += CHUNK
    return cython.NULL


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read_file(job: cython.pointer(ReadJob)) -> cython.void:
    """All of the file, which is kept; of an image, its beginning."""
    got: cython.Py_ssize_t
    end: uintptr_t = cython.cast(uintptr_t, job.to) + job.size
    page: uintptr_t = (cython.cast(uintptr_t, job.to) + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1)
    while job.done < job.size and not (job.done > 1 and is_image(job.to)):
        if page + HUGE_PAGE <= end and page < cython.cast(uintptr_t, job.to) + job.done + SUM_BYTES:
            page = page + HUGE_PAGE if is_quick(page, end) else end
        got = read(job.descriptor, job.to + job.done, min(job.size - job.done, SUM_BYTES))
        if got <= 0 and not (got < 0 and errno == EINTR):
            break
        if got > 0:
            job.done += got
            sum_up(job)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read_part(part: cython.pointer(ReadPart)) -> cython.void:
    """All of a part, and its tag; or its sum, or the stamp of a folder."""
    got: cython.Py_ssize_t
    done: cython.size_t = 0
    if part.folder != cython.NULL:
        part.whole = stamp_folder(part.folder, part.a, part.b, part.skipped, cython.address(part.stamp)) == 0
        return
    if part.to == cython.NULL:
        part.whole = sum_part(part.descriptor, part.place, part.size, part.scratch, part.lanes)
        return
    if are_slow:
        advise_huge_pages(cython.cast(uintptr_t, part.to), cython.cast(uintptr_t, part.to) + part.size, MADV_NOHUGEPAGE)
    while done < part.size:
        got = pread(part.descriptor, part.to + done, min(part.size - done, SUM_BYTES), part.place + done)
        if got <= 0 and not (got < 0 and errno == EINTR):
            return
        if got > 0:
            poly_more(cython.address(part.stream), part.to + done, got)
            done += got
    poly_close(cython.address(part.stream), part.tag)
    part.whole = True


@cython.no_gc_clear  # the thread uses what it holds until deallocation has ended it
@cython.auto_pickle(False)
@cython.cclass
class Reading:
    """A file that a thread without Python reads, and sums up, while others do something else: a path that has its
    bytes. The thread reads parts of other files behind it.

    Attributes:
        before: what the kernel said of the file.
        began_ns: when that was, at the latest, by the clock of files; where the rest is left.
        kept: for who adds parts.
    """

    @staticmethod
    def of(path: str, least: int) -> Reading | None:
        """An ordinary file of at least so many bytes, which is read once ``begin`` was called; None for any other."""
        made: Reading
        try:
            if not stat.S_ISREG(os.stat(path).st_mode):  # opened and closed, a FIFO would end the writer that waits
                return None
            descriptor: object = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except (OSError, ValueError):  # who reads it will say so
            return None
        made = Reading.__new__(Reading)
        made.job.descriptor = descriptor
        identify(made.job.descriptor, made.job.identity)
        made.path = path
        made.before = os.fstat(descriptor)
        if not stat.S_ISREG(made.before.st_mode) or not least <= made.before.st_size <= MOST_AHEAD:
            return None
        made.job.size = made.before.st_size
        made.data = bytes(made.job.size)  # zeros, which the kernel gives without a look at them
        made.job.to = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(made.data))
        return made

    def __cinit__(self):
        self.job.descriptor = -1
        self.job.parts = self.parts
        self.contents = []
        sem_init(cython.address(self.job.more), 0, 0)
        sem_init(cython.address(self.job.ended), 0, 0)
        sem_init(cython.address(self.job.stop), 0, 0)

    def leave_rest(self, later_ms: int = 0, sums: bytes = b"") -> None:
        """Keep of a binary only what loading reads where an earlier start has found out the rest: that is read again
        when somebody asks for it, and held against what was there (``need``, ``whole``). Before ``begin``.

        Args:
            later_ms: the thread reads it after so many milliseconds: from then on the file may change; 0: never.
            sums: what ``sums`` gave of this very file, by its times as well: then what can wait is not read at all. Of
                another length they are of something else.
        """
        chunks: cython.size_t = (self.job.size + CHUNK - 1) // CHUNK
        there: bytearray = bytearray(chunks)
        behind: bytes = PyBytes_FromStringAndSize(cython.NULL, chunks * BLOCK)
        place: bytes = os.fsencode(os.path.abspath(self.path))
        self.leaves = True
        self.lasting = [there, behind, place]
        self.job.there = cython.cast(cython.pointer(uint8_t), PyByteArray_AS_STRING(there))
        self.job.behind = cython.cast(cython.pointer(uint64_t), PyBytes_AS_STRING(behind))
        self.job.path = cython.cast(cython.p_char, PyBytes_AS_STRING(place))
        self.job.later_ms = later_ms
        self.began_ns = time.time_ns()
        if len(sums) == chunks * BLOCK + WORD_BYTES:
            memcpy(self.job.behind, PyBytes_AS_STRING(sums), chunks * BLOCK)
            memcpy(cython.address(self.job.known), PyBytes_AS_STRING(sums) + chunks * BLOCK, WORD_BYTES)
            self.job.is_known = True

    def add(self, descriptor: cython.int, place: int64_t, size: cython.Py_ssize_t, key: bytes, lead: bytes) -> int:
        """Have a part of another file read as well, and find the Poly1305 tag of ``lead`` and its bytes. The number for
        ``part``.

        Args:
            descriptor: of the file; closed when this object ends.
            place: where the part begins; ``size``: bytes of it.
            key: 32 bytes, for this one tag.

        Raises:
            ValueError: there are ``MOST_PARTS`` already, a size or the key is wrong, or it was said that there are no
                more.
        """
        number: cython.size_t = self.job.n_parts
        part: cython.pointer(ReadPart) = cython.address(self.parts[number])
        if number == MOST_PARTS or place < 0 or size < 0 or len(key) != KEY_BYTES or self.is_complete:
            raise ValueError("no part that could be read")
        content: bytes = PyBytes_FromStringAndSize(cython.NULL, size)
        part.place, part.size = place, size
        part.to = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(content))
        use_huge_pages(cython.cast(uintptr_t, part.to), size)
        poly_open(cython.address(part.stream), cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(key)))
        poly_more(cython.address(part.stream), cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(lead)), len(lead))
        self.contents.append(content)
        part.descriptor = descriptor
        return self.added()

    def add_sum(self, descriptor: cython.int, place: int64_t, size: cython.Py_ssize_t) -> int:
        """Have the sum of a part of another file found (``sum_of_file``). The number for ``part``, as for ``add``.

        Args:
            descriptor: of the file; closed when this object ends.
            place: where the part begins; ``size``: bytes of it, a multiple of 32.

        Raises:
            ValueError: as for ``add``.
        """
        number: cython.size_t = self.job.n_parts
        part: cython.pointer(ReadPart) = cython.address(self.parts[number])
        if number == MOST_PARTS or place < 0 or size < 0 or size % BLOCK or self.is_complete:
            raise ValueError("no part that could be summed up")
        scratch: bytes = PyBytes_FromStringAndSize(cython.NULL, SUM_BYTES)
        part.place, part.size, part.to = place, size, cython.NULL
        part.scratch = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(scratch))
        self.contents.append(scratch)
        part.descriptor = descriptor
        return self.added()

    def add_stamp(self, folder: str, endings: tuple, skipped: str) -> int:
        """Have a folder looked at (``base.files.stamp_of``). The number for ``stamp``.

        Raises:
            ValueError: as for ``add``.
        """
        number: cython.size_t = self.job.n_parts
        part: cython.pointer(ReadPart) = cython.address(self.parts[number])
        if number == MOST_PARTS or len(endings) != 2 or self.is_complete:
            raise ValueError("no folder that could be looked at")
        words: tuple = tuple([os.fsencode(word) for word in (folder, *endings, skipped)])
        part.folder, part.a, part.b, part.skipped = words
        part.descriptor = -1
        self.contents.append(words)
        return self.added()

    def added(self):
        """The number of the part behind the last, which the thread may read from now on."""
        part: cython.pointer(ReadPart) = cython.address(self.parts[self.job.n_parts])
        if part.folder == cython.NULL:
            identify(part.descriptor, part.identity)
        self.job.n_parts += 1
        sem_post(cython.address(self.job.more))
        return self.job.n_parts - 1

    def complete(self) -> None:
        """There are no more parts: the thread ends behind the last one."""
        if not self.is_complete:
            self.is_complete = True
            sem_post(cython.address(self.job.more))

    def begin(self) -> bool:
        """Start the thread, which waits for parts until they are said to be complete. Whether there is one: else who
        asks for something reads it."""
        job: cython.pointer(ReadJob) = cython.address(self.job)
        if not self.leaves:
            use_huge_pages(cython.cast(uintptr_t, job.to), job.size)
        self.process = getpid()
        self.runs = start_reading(cython.address(self.thread), read_all, cython.cast(cython.p_void, job)) == 0
        return self.runs

    def part(self, number: cython.size_t) -> tuple | None:
        """The bytes of a part and their tag, or none and their sum; once. None where they could not be read, or were
        given out.

        Raises:
            DeadlineExceeded: the thread's ``Budget`` ran out.
        """
        self.wait()
        if number >= self.job.n_parts or not self.parts[number].whole or self.parts[number].folder != cython.NULL:
            return None
        self.parts[number].whole = False
        content: bytes = self.contents[number]
        self.contents[number] = None
        if self.parts[number].to == cython.NULL:
            return b"", sum_of_lanes(self.parts[number].lanes, self.parts[number].size)
        tag: cython.p_char = cython.cast(cython.p_char, self.parts[number].tag)
        return content, PyBytes_FromStringAndSize(tag, TAG_BYTES)

    def stamp(self, number: cython.size_t) -> tuple | None:
        """What ``stamp_of`` would say of a folder; None where it could not be looked at.

        Raises:
            DeadlineExceeded: the thread's ``Budget`` ran out.
        """
        self.wait()
        if number >= self.job.n_parts or not self.parts[number].whole or self.parts[number].folder == cython.NULL:
            return None
        found: cython.pointer(Stamp) = cython.address(self.parts[number].stamp)
        return PyBytes_FromStringAndSize(found.bytes, found.size), found.newest_ns

    def __dealloc__(self):
        i: cython.size_t
        self.end()
        for i in range(self.job.n_parts):
            if self.parts[i].folder == cython.NULL:
                close_own(self.parts[i].descriptor, self.parts[i].identity)
            free(self.parts[i].stamp.bytes)
        sem_destroy(cython.address(self.job.more))
        sem_destroy(cython.address(self.job.ended))
        sem_destroy(cython.address(self.job.stop))

    def is_running(self):
        """Whether there is a thread. A child that was forked has none, nor what that was reading then."""
        if self.runs and self.process != getpid():
            self.runs = False
            if self.total is None:
                self.data = None
        return self.runs

    def end(self):
        """Wait for the thread, and close the file. Maybe when the process ends, and names of modules mean nothing."""
        self.complete()
        if self.is_running():
            sem_post(cython.address(self.job.stop))
            with cython.nogil:
                pthread_join(self.thread, cython.NULL)
            self.runs = False
        if self.job.descriptor >= 0:
            close_own(self.job.descriptor, self.job.identity)
            self.job.descriptor = -1
        return 0

    def wait(self):
        """Until the thread has ended, with looks at the budget. Who waits does meanwhile what the thread has not begun,
        from the end."""
        ended: cython.bint
        i: cython.size_t
        self.complete()
        if self.is_running():
            for i in range(self.job.n_parts, 0, -1):
                if take(cython.address(self.parts[i - 1].taken)):
                    with cython.nogil:
                        read_part(cython.address(self.parts[i - 1]))
                    look()
            if not self.leaves:
                self.make_pages()
        while self.leaves and self.runs and not self.has_ended:
            with cython.nogil:
                ended = wait_soon(cython.address(self.job.ended), LOOK_MS)
            self.has_ended = ended
            look()
        if self.rest() != cython.NULL and self.job.later_ms:
            return 0  # the thread goes on
        while self.runs:
            with cython.nogil:
                ended = join_soon(self.thread, LOOK_MS)
            self.runs = not ended
            look()
        return 0

    def make_pages(self):
        """Have the kernel make pages that the thread has not come to, from the end, which takes it as long as filling
        them. What is in them stays: it may come to them at any time."""
        failed: cython.int
        first: uintptr_t = cython.cast(uintptr_t, self.job.to)
        last: uintptr_t = (first + self.job.size) & ~(LARGE - 1)
        if self.job.done < 2 or is_image(self.job.to):  # of an image there is no more to come
            return 0
        while last > first + self.job.done + 2 * LARGE:
            last -= LARGE
            with cython.nogil:
                failed = madvise(cython.cast(cython.p_void, last), LARGE, MADV_POPULATE_WRITE)
            if failed:  # an older kernel has no such call
                break
            look()
        return 0

    def result(self) -> tuple | None:
        """The bytes, what the kernel said of the file before and after, and their sum (``sum_of``); None where they
        could not be read, or were given out already.

        Raises:
            DeadlineExceeded: the thread's ``Budget`` ran out.
        """
        self.wait()
        if self.data is None or self.job.done != self.job.size or self.total is not None:
            return None
        after: object = os.fstat(self.job.descriptor)
        data: bytes = self.data
        total: bytes = sum_made(cython.address(self.job))
        if self.rest() != cython.NULL:
            self.total = total
            return data, self.before, after, total
        self.data = None  # nobody holds it longer than needed
        self.end()
        return data, self.before, after, total

    def rest(self):
        """What reads the rest of a binary of which not all is kept; NULL where there is none."""
        return cython.address(self.job) if self.leaves and self.job.there != cython.NULL else cython.NULL

    @property
    def buffer(self) -> bytes:
        """The binary that ``result`` has given out, with zeros where it was not read yet."""
        return self.data

    def has_rest(self) -> bool:
        """Whether not all of the binary is kept that ``result`` has given out."""
        return self.total is not None

    def sums(self) -> bytes:
        """What stands for the file with the times of ``before``, for a later start (``leave_rest``): the sums behind
        each chunk, and that of all. Empty where a change need not show in its times, or did not, and where all of it is
        kept. Whether the times were settled when it began, at ``began_ns``, is for who asks.
        """
        if not self.has_rest() or not self.job.is_settled or self.job.has_changed:
            return b""
        behind: bytes = self.lasting[1]
        return behind + self.total

    def need(self, first: cython.size_t, last: cython.size_t) -> None:
        """Have a part of the binary there.

        Raises:
            OSError: the file is not there any more, or another.
        """
        there: cython.bint
        job: cython.pointer(ReadJob) = self.rest()
        with cython.nogil:
            there = has_read(job, first, last)
        if not there:
            raise OSError(ESTALE, "the file has changed since it was read", self.path)

    def put(self, number: cython.size_t, chunk: bytes, holder: cython.int = 0) -> None:
        """For tests: what a thread does that has read a chunk while others did the same; in a child that was forked
        from the process ``holder`` while a thread of that did so."""
        if self.rest() == cython.NULL or len(chunk) != CHUNK or (number + 1) * CHUNK > self.job.size:
            raise ValueError("no chunk of a binary that was left")
        self.job.copying = holder
        put_chunk(cython.address(self.job), number, cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(chunk)))

    def whole(self) -> bytes:
        """The binary, of which all is there now.

        Raises:
            OSError: as for ``need``.
        """
        at: cython.size_t = 0
        use_huge_pages(cython.cast(uintptr_t, self.job.to), self.job.size)
        while at < self.job.size:
            self.need(at, at + PIECE_BYTES)
            at += PIECE_BYTES
        return self.data

    def __fspath__(self) -> str:
        return self.path


@cython.auto_pickle(False)
@cython.cclass
class Reader:
    """Reads ``data`` from ``begin`` up to ``end``; ``at`` never passes ``end``."""

    def __init__(
        self,
        data: bytes,
        features: frozenset,
        limits: object,
        begin: cython.Py_ssize_t = 0,
        end: cython.Py_ssize_t = -1,
    ):
        size: cython.Py_ssize_t = len(data)
        if end == -1:
            end = size
        if not 0 <= begin <= end <= size:
            raise ValueError(f"no range of {size} bytes: {begin} to {end}")
        self.data = data
        self.features = features
        self.limits = limits
        self.start = cython.cast(bytes_t, PyBytes_AS_STRING(data))
        self.at = self.start + begin
        self.end = self.start + end

    def offset(self):
        """Position within the module."""
        return self.at - self.start

    def left(self):
        """Bytes up to the end of the range."""
        return self.end - self.at

    def fail(self, message, expected="", found="", at=-1):
        """Raise: the module is malformed here, or at ``at``."""
        raise DecodeError(message, offset=self.offset() if at < 0 else at, expected=expected, found=found)

    def need(self, feature, what, at=-1):
        """Raise unless a proposal is enabled."""
        if feature not in self.features:
            where = self.offset() if at < 0 else at
            raise Unsupported(f"{what}: {refusal(feature)}", feature=feature, offset=where, hint=advice(feature))
        return 0

    def byte(self):
        """One byte."""
        value: cython.int
        if self.at >= self.end:
            self.fail(END)
        value = self.at[0]
        self.at += 1
        return value

    def peek(self):
        """The next byte, not consumed; -1 at the end."""
        return self.at[0] if self.at < self.end else -1

    def fail_integer(self, error, bits, what):
        """Raise for an integer. One that the section's end cut off is judged as a whole, as the reference does."""
        at: bytes_t = self.at
        if error == 1:
            leb_slow(cython.address(at), self.start + len(self.data), bits, bits == 33, cython.address(error))
        self.fail(LEB_MESSAGES[error], what)

    def u32(self):
        """An unsigned LEB128 of 32 bits."""
        error: cython.int = 0
        value: uint32_t = leb_u32(cython.address(self.at), self.end, cython.address(error))
        if error:
            self.fail_integer(error, 32, "an unsigned 32-bit integer")
        return value

    def u64(self):
        """An unsigned LEB128 of 64 bits."""
        error: cython.int = 0
        value: uint64_t = leb_u64(cython.address(self.at), self.end, cython.address(error))
        if error:
            self.fail_integer(error, 64, "an unsigned 64-bit integer")
        return value

    def s33(self):
        """A signed LEB128 of 33 bits."""
        error: cython.int = 0
        value: int64_t = leb_s33(cython.address(self.at), self.end, cython.address(error))
        if error:
            self.fail_integer(error, 33, "a signed 33-bit integer")
        return value

    def count(self, item_bytes, limit, what):
        """The count of a vector whose items take at least ``item_bytes`` each.

        It is held against the bytes that remain, so that nothing is ever allocated on the word of a number.
        """
        at: cython.Py_ssize_t = self.offset()
        value: uint32_t = self.u32()
        allowed: int
        if cython.cast(uint64_t, value) * item_bytes > cython.cast(uint64_t, self.left()):
            self.fail(END + ": length out of bounds", f"{value} {what}", f"{self.left()} bytes", at)
        allowed = getattr(self.limits, limit)
        if value > allowed:
            raise ModuleLimit(
                f"too many {what}", limit=limit, offset=at, expected=f"at most {allowed}", found=str(value)
            )
        return value

    def take(self, size):
        """The next ``size`` bytes."""
        begin: bytes_t = self.at
        self.skip(size)
        return PyBytes_FromStringAndSize(cython.cast(cython.p_char, begin), size)

    def skip(self, size):
        """Pass over ``size`` bytes."""
        if size < 0 or size > self.left():
            self.fail(END, f"{size} bytes", f"{self.left()} bytes")
        self.at += size
        return 0

    def text(self):
        """A name of any length."""
        size: cython.Py_ssize_t = self.u32()
        begin: bytes_t = self.at
        self.skip(size)
        try:
            return PyUnicode_DecodeUTF8(cython.cast(cython.p_char, begin), size, cython.NULL)
        except UnicodeDecodeError as error:
            raise DecodeError(BAD_UTF8, offset=self.offset() - size + error.start, found=error.reason) from None

    def name(self):
        """A name, within the limit on names."""
        at: cython.Py_ssize_t = self.offset()
        value: str = self.text()
        allowed: int
        if self.offset() - at > 1000:
            allowed = self.limits.name_bytes
            if len(value.encode()) > allowed:
                raise ModuleLimit(
                    "name too long", limit="name_bytes", offset=at, expected=f"at most {allowed} bytes",
                    found=f"{len(value.encode())} bytes",
                )  # fmt: skip
        return value
