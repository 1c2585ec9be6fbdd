# strata: hot
"""Which functions of two binaries differ, and which have a call of certain others in them, by the bytes of their
bodies."""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcmp
from cython.cimports.stratavm.base.budget import breathe
from cython.cimports.stratavm.module.sections import FunctionRecord, Functions, RunRecord

CALL = cython.declare(uint8_t, 0x10)
LONGEST = cython.declare(uint32_t, 5)
"""Bytes of a number."""


@cython.cfunc
@cython.inline
@cython.exceptval(check=False)
def number_at(data: cython.pointer(cython.const[uint8_t]), at: uint64_t, end: uint64_t) -> uint32_t:
    """The number that begins there, however it is padded; what it is not matters to nobody."""
    value: uint64_t = 0
    shift: uint32_t = 0
    i: uint64_t
    for i in range(at, min(at + LONGEST, end)):
        value |= cython.cast(uint64_t, data[i] & 0x7F) << shift
        if data[i] < 0x80:
            break
        shift += 7
    return cython.cast(uint32_t, value)


@cython.cfunc
@cython.exceptval(check=False)
def is_same(before: Functions, old: cython.p_char, after: Functions, new: cython.p_char, i: uint32_t) -> cython.bint:
    """Whether a function has the same type, locals and instructions in both."""
    a: cython.pointer(FunctionRecord) = cython.address(before.records[i])
    b: cython.pointer(FunctionRecord) = cython.address(after.records[i])
    runs: uint32_t = before.records[i + 1].first_run - a.first_run
    if a.type_index != b.type_index or a.end - a.start != b.end - b.start:
        return False
    if runs != after.records[i + 1].first_run - b.first_run:
        return False
    if runs and memcmp(before.runs + a.first_run, after.runs + b.first_run, runs * cython.sizeof(RunRecord)):
        return False
    return memcmp(old + a.start, new + b.start, a.end - a.start) == 0


def differing(before: Functions, old: bytes, after: Functions, new: bytes, more: bool = False) -> list[int]:
    """Which functions, by defined index, are not the same in two modules with as many functions; ``more``: the second
    may have others behind.

    Args:
        before: the functions of ``old``; their bodies lie in it, and those of ``after`` in ``new``.
    """
    i: uint32_t
    found: list = []
    if before.n != after.n and not (more and before.n < after.n):
        raise ValueError(f"{before.n} functions and {after.n}")
    lies_within(before, len(old))
    lies_within(after, len(new))
    for i in range(before.n):
        breathe(i)
        if not is_same(before, PyBytes_AS_STRING(old), after, PyBytes_AS_STRING(new), i):
            found.append(i)
    return found


def is_equal(old: bytes, begin: int, new: bytes, start: int, size: int) -> bool:
    """Whether so many bytes are the same in both, from there on; those that are not there are not."""
    first: uint64_t = begin
    second: uint64_t = start
    count: uint64_t = size
    if first + count > cython.cast(uint64_t, len(old)) or second + count > cython.cast(uint64_t, len(new)):
        return False
    return memcmp(PyBytes_AS_STRING(old) + first, PyBytes_AS_STRING(new) + second, count) == 0


@cython.cfunc
@cython.exceptval(-1)
def lies_within(functions: Functions, size: uint64_t) -> cython.int:
    """Raise ValueError where a body does not lie within so many bytes."""
    i: uint32_t
    for i in range(functions.n):
        if functions.records[i].start > functions.records[i].end or functions.records[i].end > size:
            raise ValueError(f"the body of function {i} does not lie in its binary")
    return 0


def sizes_up_to(functions: Functions, most: uint32_t, indices: object) -> list[int]:
    """Of some functions, by defined index, those that have at most so many bytes of instructions."""
    i: uint32_t
    return [i for i in indices if functions.records[i].end - functions.records[i].start <= most]


def callers(binary: bytes, functions: Functions, wanted: list) -> list[tuple[int, int]]:
    """Functions, by defined index, in which a direct call of a wanted one may be, and the first that was found in each.

    Bytes are read without knowing where instructions begin: none is missed, and some that are found are constants.

    Args:
        functions: those of the binary.
        wanted: function indices, the imported ones counted.
    """
    found: list = []
    data: cython.pointer(cython.const[uint8_t]) = cython.cast(
        cython.pointer(cython.const[uint8_t]), PyBytes_AS_STRING(binary)
    )
    most: uint32_t = max(wanted, default=0)
    marks: bytearray = bytearray(most // 8 + 1)
    mark: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), cython.cast(cython.p_char, marks))
    index: uint32_t
    i: uint64_t
    end: uint64_t
    callee: uint32_t
    lies_within(functions, len(binary))
    for callee in wanted:
        mark[callee >> 3] |= cython.cast(uint8_t, 1 << (callee & 7))
    for index in range(functions.n):
        breathe(index)
        i, end = functions.records[index].start, functions.records[index].end
        while i < end:
            if data[i] == CALL:
                callee = number_at(data, i + 1, end)
                if callee <= most and mark[callee >> 3] & (1 << (callee & 7)):
                    found.append((index, callee))
                    break
            i += 1
    return found
