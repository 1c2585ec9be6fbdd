# strata: hot
"""Files as starts look at them: sizes and times of all in a folder and below, and a part of one in large pages; in half
of the time that Python's library takes."""

import os

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.errno import EINTR, errno
from cython.cimports.libc.stdint import int64_t, uintptr_t
from cython.cimports.libc.stdlib import free
from cython.cimports.posix.mman import madvise
from cython.cimports.posix.unistd import pread
from cython.cimports.stratavm.base.files import DIR, Stamp, Times, closedir, next_entry, opendir, stamp_folder, times_of

HUGE_PAGE = cython.declare(uintptr_t, 1 << 21)
MADV_HUGEPAGE = cython.declare(cython.int, 14)
MADV_POPULATE_WRITE = cython.declare(cython.int, 23)
PAGE = cython.declare(uintptr_t, 4096)
LEAST = cython.declare(cython.Py_ssize_t, 1 << 18)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def prepare_memory(start: uintptr_t, size: cython.Py_ssize_t) -> cython.void:
    """Have fresh memory there before it is written, the middle of it in huge pages: a fault for each page would take
    as long as what is done with it. Nothing depends on it, and older kernels do less."""
    first: uintptr_t = (start + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1)
    last: uintptr_t = (start + size) & ~(HUGE_PAGE - 1)
    if size < LEAST:
        return
    if first < last:
        madvise(cython.cast(cython.p_void, first), last - first, MADV_HUGEPAGE)
    first = (start + PAGE - 1) & ~(PAGE - 1)
    last = (start + size) & ~(PAGE - 1)
    madvise(cython.cast(cython.p_void, first), last - first, MADV_POPULATE_WRITE)


def read_part(descriptor: cython.int, offset: int64_t, size: cython.Py_ssize_t) -> bytes:
    """So many bytes of a file from ``offset`` on, or as many as there are. The memory of large ones is asked for in
    huge pages: the faults at its first touch take as long as the reading.

    Raises:
        OSError: they cannot be read.
    """
    data: bytes = PyBytes_FromStringAndSize(cython.NULL, max(size, 0))
    to: cython.p_char = PyBytes_AS_STRING(data)
    done: cython.Py_ssize_t = 0
    got: cython.Py_ssize_t
    failure: cython.int
    prepare_memory(cython.cast(uintptr_t, to), size)
    while done < size:
        with cython.nogil:
            got = pread(descriptor, to + done, size - done, offset + done)
            failure = errno
        if got == 0:
            return data[:done]
        if got > 0:
            done += got
        elif failure != EINTR:
            raise OSError(failure, os.strerror(failure))
    return data


def files_below(folder: str, endings: tuple, skipped: str) -> list:
    """Each file whose name ends so: its path from the folder, bytes, times of the last change of its content and of
    anything, in nanoseconds since the epoch; in no order. Of a link what it leads to, but not into a folder.

    Args:
        folder: where; ``endings``: with their dots.
        skipped: folders of this name are left out.

    Raises:
        OSError: a folder cannot be read, or a file not be looked at.
    """
    found: list = []
    collect(os.fsencode(folder), b"", tuple([os.fsencode(ending) for ending in endings]), os.fsencode(skipped), found)
    return found


def stamp_of(folder: str, endings: tuple, skipped: str) -> tuple:
    """What ``files_below`` finds, as bytes that are others wherever that is, and the latest of all times: in a third of
    the time, since nothing is made of each file.

    Raises:
        OSError, MemoryError: as ``files_below``.
    """
    stamp: Stamp
    ends: list = [os.fsencode(ending) for ending in endings]
    if len(ends) != 2:
        raise ValueError("stamp_of: two endings")
    failure: cython.int = stamp_folder(
        os.fsencode(folder), ends[0], ends[1], os.fsencode(skipped), cython.address(stamp)
    )
    try:
        if failure:
            raise OSError(failure, os.strerror(failure), folder)
        return PyBytes_FromStringAndSize(stamp.bytes, stamp.size), stamp.newest_ns
    finally:
        free(stamp.bytes)


@cython.cfunc
@cython.exceptval(-1)
def collect(folder: bytes, before: bytes, endings: tuple, skipped: bytes, found: list) -> cython.int:
    """Those of one folder, whose path from the first one is ``before``."""
    times: Times
    is_folder: cython.int = 0
    failure: cython.int
    listing: cython.pointer(DIR) = opendir(folder)
    if listing == cython.NULL:
        failure = errno
        raise OSError(failure, os.strerror(failure), os.fsdecode(folder))
    try:
        while True:
            entry: cython.p_const_char = next_entry(listing, cython.address(is_folder))
            if entry == cython.NULL:
                break
            name: bytes = entry
            if is_folder:
                if name != skipped:
                    collect(folder + b"/" + name, before + name + b"/", endings, skipped, found)
            elif name.endswith(endings):
                if times_of(listing, entry, cython.address(times)):
                    failure = errno
                    raise OSError(failure, os.strerror(failure), os.fsdecode(folder + b"/" + name))
                found.append((os.fsdecode(before + name), times.size, times.mtime_ns, times.ctime_ns))
        failure = errno
        if failure:
            raise OSError(failure, os.strerror(failure), os.fsdecode(folder))
    finally:
        closedir(listing)
    return 0
