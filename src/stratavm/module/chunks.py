"""A large binary in chunks: their sums, which of them loading reads, and how the others are read when somebody wants
them. Below the GIL, on the thread of ``module/reader.py`` as on any other.
"""

# strata: hot
import os

import cython
from cython.cimports.libc.errno import EINTR, errno
from cython.cimports.libc.stdint import int64_t, uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.libc.string import memcmp, memcpy, memset
from cython.cimports.posix.fcntl import O_RDONLY
from cython.cimports.posix.fcntl import open as open_file
from cython.cimports.posix.unistd import close, pread
from cython.cimports.stratavm.base.leb import bytes_t, leb_u32
from cython.cimports.stratavm.module.chunks import (
    BLOCK,
    CHUNK,
    MOST_WAITING,
    SUM_BYTES,
    ReadJob,
    Waiting,
    fold,
    is_settled,
    is_there,
    put_once,
    put_there,
    sum_blocks,
)  # fmt: skip

O_CLOEXEC = cython.declare(cython.int, os.O_CLOEXEC)
O_AT_ONCE = cython.declare(cython.int, os.O_NONBLOCK | os.O_NOCTTY)  # without a wait for who writes to a FIFO
MOST_SECTIONS = cython.declare(cython.size_t, 64)  # that are looked at before reading


def word_of(job):
    """The sum of a job that is done, as a word."""
    i: cython.size_t
    last: uint8_t[32]
    lanes: uint64_t[4]
    memcpy(lanes, job.lanes, cython.sizeof(lanes))
    memset(last, 0, BLOCK)
    for i in range(job.size - job.summed):
        last[i] = job.to[job.summed + i]
    sum_blocks(lanes, last, 1)
    return fold(lanes, job.size)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read_piece(
    descriptor: cython.int, to: cython.pointer(uint8_t), size: cython.size_t, offset: int64_t
) -> cython.bint:
    """So many bytes of a file; whether they are there. Some file systems give less at once than they have."""
    got: cython.Py_ssize_t
    done: cython.size_t = 0
    while done < size:
        got = pread(descriptor, to + done, size - done, offset + cython.cast(int64_t, done))
        if got <= 0 and not (got < 0 and errno == EINTR):
            return False
        if got > 0:
            done += got
    return True


def sum_part(descriptor, offset, size, scratch, lanes):
    """Add so many bytes of a file, whole blocks, to lanes; whether they are there."""
    piece: cython.size_t
    done: cython.size_t = 0
    while done < size:
        piece = min(size - done, SUM_BYTES)
        if not read_piece(descriptor, scratch, piece, offset + cython.cast(int64_t, done)):
            return False
        sum_blocks(lanes, scratch, piece // BLOCK)
        done += piece
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def can_wait(section: uint8_t, content: cython.pointer(uint8_t)) -> cython.bint:
    """Whether who knows where functions and data lie reads nothing of a section when it is loaded: code, data, the
    names of functions, or what debuggers read."""
    if section != 0:
        return section == 10 or section == 11
    return (
        memcmp(content, cython.cast(cython.p_char, b"\4name"), 5) == 0
        or memcmp(content + 1, cython.cast(cython.p_char, b".debug"), 6) == 0
    )


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def find_waiting(job: cython.pointer(ReadJob), waiting: cython.pointer(Waiting)) -> cython.void:
    """Where that lies in a binary which can wait. Where this is wrong more is kept than needed, or read twice."""
    size: uint32_t
    error: cython.int
    at: bytes_t
    place: cython.size_t = 8
    head: uint8_t[32]
    waiting.n = 0
    for _ in range(MOST_SECTIONS):
        memset(head, 0, cython.sizeof(head))
        if waiting.n == MOST_WAITING or pread(job.descriptor, head, cython.sizeof(head), place) < 2:
            break
        at = cython.address(head[1])
        error = 0
        size = leb_u32(cython.address(at), cython.address(head[6]), cython.address(error))
        place += at - head
        if error or place + size > job.size:
            break
        if size > CHUNK and can_wait(head[0], at):
            waiting.first[waiting.n] = place + BLOCK
            waiting.last[waiting.n] = place + size
            waiting.n += 1
        place += size


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def waits(waiting: cython.pointer(Waiting), first: cython.size_t, last: cython.size_t) -> cython.bint:
    """Whether all of such a part can wait."""
    i: cython.size_t = 0
    while i < waiting.n and not (waiting.first[i] <= first and last <= waiting.last[i]):
        i += 1
    return i < waiting.n


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_binary(job: cython.pointer(ReadJob)) -> cython.bint:
    """Whether the file begins as binaries do."""
    magic: uint8_t[4]
    return pread(job.descriptor, magic, 4, 0) == 4 and memcmp(magic, cython.cast(cython.p_char, b"\0asm"), 4) == 0


def read_lean(job):
    """Sum the file up, and keep what loading reads of it. Not of what is no binary."""
    n: cython.size_t
    size: cython.size_t
    last: cython.size_t
    waiting: Waiting
    chunk: cython.pointer(uint8_t)
    scratch: cython.pointer(uint8_t)
    if not is_binary(job):
        return False
    scratch = cython.cast(cython.pointer(uint8_t), malloc(SUM_BYTES))
    if scratch == cython.NULL:
        return False
    job.is_settled = is_settled(job.descriptor)
    find_waiting(job, cython.address(waiting))
    while job.done < job.size:
        size = min(job.size - job.done, SUM_BYTES)
        if not read_piece(job.descriptor, scratch, size, cython.cast(int64_t, job.done)):
            break
        chunk = scratch
        last = job.done + size
        while job.done < last:
            n = min(last - job.done, CHUNK)
            sum_blocks(job.lanes, chunk, n // BLOCK)
            memcpy(job.behind + 4 * (job.done // CHUNK), job.lanes, cython.sizeof(job.lanes))
            if job.done + n == job.size or not waits(cython.address(waiting), job.done, job.done + n):
                memcpy(job.to + job.done, chunk, n)
                put_there(cython.address(job.there[job.done // CHUNK]))
            job.done += n
            chunk += n
    job.summed = job.done // BLOCK * BLOCK
    free(scratch)
    return True


def read_known(job):
    """Of a file whose sums an earlier start has left, what loading reads, held against them; whether it is what it was.
    If not, nothing was read."""
    if not job.is_known:
        return False
    if is_binary(job) and read_lean_again(job) and word_of(job) == job.known:
        job.is_settled = True
        return True
    memset(job.there, 0, (job.size + CHUNK - 1) // CHUNK)
    memset(job.lanes, 0, cython.sizeof(job.lanes))
    job.done = job.summed = 0
    job.has_changed = False
    return False


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read_lean_again(job: cython.pointer(ReadJob)) -> cython.bint:
    """What ``read_lean`` keeps, by the sums that it has left; whether they are right."""
    number: cython.size_t = 0
    waiting: Waiting
    find_waiting(job, cython.address(waiting))
    while (number + 1) * CHUNK < job.size:
        if not waits(cython.address(waiting), number * CHUNK, (number + 1) * CHUNK) and not read_chunk(job, number):
            return False
        number += 1
    job.done = number * CHUNK
    if number:
        memcpy(job.lanes, job.behind + 4 * (number - 1), cython.sizeof(job.lanes))
    if not read_piece(job.descriptor, job.to + job.done, job.size - job.done, cython.cast(int64_t, job.done)):
        return False
    sum_blocks(job.lanes, job.to + job.done, (job.size - job.done) // BLOCK)
    put_there(cython.address(job.there[number]))
    job.done = job.size
    job.summed = job.size // BLOCK * BLOCK
    return memcmp(job.lanes, job.behind + 4 * number, cython.sizeof(job.lanes)) == 0


def read_rest(job, first, last):
    """Chunks that were not kept are read again."""
    chunk: cython.size_t = first // CHUNK
    while chunk * CHUNK < last and chunk * CHUNK < job.size:
        if not is_there(cython.address(job.there[chunk])) and not read_chunk(job, chunk):
            return False
        chunk += 1
    return True


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def read_chunk(job: cython.pointer(ReadJob), number: cython.size_t) -> cython.bint:
    """Read a chunk again: of the file that is open, or of one at its place, where somebody has closed all files.
    Of threads that do it at once one writes: a sum can be forged, and what was found valid must not change."""
    descriptor: cython.int
    is_same: cython.bint
    scratch: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), malloc(CHUNK))
    if scratch == cython.NULL:
        return False
    is_same = is_chunk(job, number, job.descriptor, scratch)
    if not is_same:
        descriptor = open_file(job.path, O_RDONLY | O_CLOEXEC | O_AT_ONCE)
        if descriptor >= 0:
            is_same = is_chunk(job, number, descriptor, scratch)
            close(descriptor)
    if is_same:
        put_chunk(job, number, scratch)
    else:
        job.has_changed = True
    free(scratch)
    return is_same


def put_chunk(job, number, chunk):
    """A chunk goes to its place, unless there is one."""
    put_once(cython.address(job.there[number]), cython.address(job.copying), job.to + number * CHUNK, chunk, CHUNK)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def is_chunk(
    job: cython.pointer(ReadJob), number: cython.size_t, descriptor: cython.int, to: cython.pointer(uint8_t)
) -> cython.bint:
    """Read a chunk of a file; whether it is the one that was summed up. It is whole: the last is always kept."""
    lanes: uint64_t[4]
    memset(lanes, 0, cython.sizeof(lanes))
    if number:
        memcpy(lanes, job.behind + 4 * (number - 1), cython.sizeof(lanes))
    if not sum_part(descriptor, cython.cast(int64_t, number * CHUNK), CHUNK, to, lanes):
        return False
    return memcmp(lanes, job.behind + 4 * number, cython.sizeof(lanes)) == 0
