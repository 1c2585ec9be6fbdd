# strata: hot
"""The places of a module's functions and data segments as bytes that another process can take instead of decoding them.

Numbers of the binary format (LEB128), each place counted from the one before. Whoever keeps such bytes answers for it
that they come back as they were, and belong to the binary: then its bodies are valid, too. All counts and places in
them are checked nevertheless.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import free, malloc
from cython.cimports.stratavm.base.leb import bytes_t, leb_u32
from cython.cimports.stratavm.module.sections import (
    DATA_COMPUTED,
    DATA_PASSIVE,
    DataRecord,
    Datas,
    FunctionRecord,
    Functions,
)

FORM = cython.declare(uint32_t, 2)
"""Of the bytes; another number when anything of it changes."""
MOST_BYTES = cython.declare(uint64_t, 5)
"""Of a number."""
FUNCTION_NUMBERS = cython.declare(uint64_t, 4)
RUN_NUMBERS = cython.declare(uint64_t, 2)
DATA_NUMBERS = cython.declare(uint64_t, 6)
HEAD_NUMBERS = cython.declare(uint64_t, 6)


class DamagedSkeleton(ValueError):
    """Bytes that are no skeleton of this module."""


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put(at: cython.pointer(uint8_t), value: uint32_t) -> cython.pointer(uint8_t):
    """Write a number; returns where the next one goes."""
    while value >= 0x80:
        at[0] = cython.cast(uint8_t, value & 0x7F | 0x80)
        value >>= 7
        at += 1
    at[0] = cython.cast(uint8_t, value)
    return at + 1


def pack(functions: Functions, datas: Datas, binary_bytes: uint32_t) -> bytes:
    """What ``unpack`` takes.

    Args:
        functions: of a binary of ``binary_bytes`` bytes; ``datas``: its segments.
    """
    i: uint32_t
    k: uint32_t
    before: uint32_t = 0
    place: uint32_t = 0
    at: cython.pointer(FunctionRecord)
    data: cython.pointer(DataRecord)
    most: uint64_t = (
        HEAD_NUMBERS
        + FUNCTION_NUMBERS * functions.n
        + RUN_NUMBERS * functions.n_runs
        + DATA_NUMBERS * cython.cast(uint64_t, datas.n)
    )
    start: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), malloc(most * MOST_BYTES))
    if start == cython.NULL:
        raise MemoryError("no memory to pack a skeleton")
    to: cython.pointer(uint8_t) = start
    for number in (FORM, binary_bytes, functions.n, functions.n_runs, datas.n, functions.leaves):
        to = put(to, number)
    for i in range(functions.n):
        at = cython.address(functions.records[i])
        to = put(put(to, at.type_index), at.start - before)
        to = put(put(to, at.end - at.start), functions.records[i + 1].first_run - at.first_run)
        for k in range(at.first_run, functions.records[i + 1].first_run):
            to = put(put(to, functions.runs[k].count), functions.runs[k].type)
        before = at.end
    before = 0
    for i in range(datas.n):
        data = cython.address(datas.records[i])
        to = put(to, data.kind)
        if data.kind != DATA_PASSIVE:
            to = put(put(to, data.memory), data.place - place)
            to = put(put(to, data.first - before), data.last - data.first)
            before = data.last
        to = put(put(to, data.start - before), data.end - data.start)
        before = data.end
        place = data.place + (data.end - data.start)
    packed: bytes = PyBytes_FromStringAndSize(cython.cast(cython.p_char, start), to - start)
    free(start)
    return packed


@cython.cclass
class Unpacker:
    """A position in the bytes, and one in the binary that they describe."""

    at: bytes_t
    end: bytes_t
    error: cython.int
    before: uint64_t
    binary_bytes: uint64_t

    def __cinit__(self, data: bytes):
        self.at = cython.cast(bytes_t, PyBytes_AS_STRING(data))
        self.end = self.at + len(data)

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def number(self) -> uint32_t:
        """The next number; 0 where there is none, which ``error`` says."""
        return leb_u32(cython.address(self.at), self.end, cython.address(self.error))

    @cython.cfunc
    @cython.inline
    @cython.exceptval(check=False)
    def place(self) -> uint32_t:
        """The next place in the binary; none lies before the one before it, and ``before`` says if one is outside."""
        self.before += self.number()
        return cython.cast(uint32_t, self.before)

    @cython.cfunc
    @cython.exceptval(-1)
    def check(self) -> cython.int:
        """Raise DamagedSkeleton where a number was none, or a place outside."""
        if self.error or self.before > self.binary_bytes:
            raise DamagedSkeleton("a place lies outside of the binary")
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def functions(self, functions: Functions, count: uint32_t, n_runs: uint32_t) -> cython.int:
        """So many functions with so many runs of locals."""
        i: uint32_t
        k: uint32_t
        here: uint32_t
        n_locals: uint32_t
        at: cython.pointer(FunctionRecord)
        functions.reserve(count)
        self.before = 0
        for i in range(count):
            at = cython.address(functions.records[i])
            at.type_index = self.number()
            at.start = self.place()
            at.end = self.place()
            at.first_run = functions.n_runs
            here = self.number()
            if here > n_runs - functions.n_runs or at.start >= at.end:
                raise DamagedSkeleton("a function has no body, or more locals than there are")
            for k in range(here):
                n_locals = self.number()  # by itself: C has no order of arguments
                functions.run(n_locals, self.number())
            self.check()
        functions.records[count].first_run = functions.n_runs
        if functions.n_runs != n_runs:
            raise DamagedSkeleton("there are fewer runs of locals")
        return 0

    @cython.cfunc
    @cython.exceptval(-1)
    def datas(self, datas: Datas, count: uint32_t) -> cython.int:
        """So many data segments."""
        i: uint32_t
        place: uint32_t = 0
        at: cython.pointer(DataRecord)
        datas.reserve(count)
        self.before = 0
        for i in range(count):
            at = cython.address(datas.records[i])
            at.kind = self.number()
            if at.kind > DATA_COMPUTED:
                raise DamagedSkeleton("a segment is of no kind")
            if at.kind != DATA_PASSIVE:
                at.memory = self.number()
                at.place = place + self.number()
                at.first = self.place()
                at.last = self.place()
            at.start = self.place()
            at.end = self.place()
            place = at.place + (at.end - at.start)
            self.check()
        return 0


def unpack(data: bytes, binary_bytes: uint32_t) -> tuple[Functions, Datas]:
    """The functions and data segments of a binary of so many bytes.

    Raises:
        DamagedSkeleton: the bytes are none of such a binary.
    """
    functions: Functions = Functions.__new__(Functions)
    datas: Datas = Datas.__new__(Datas)
    own: Unpacker = Unpacker(data)
    form: uint32_t = own.number()
    size: uint32_t = own.number()
    count: uint32_t = own.number()
    n_runs: uint32_t = own.number()
    n_datas: uint32_t = own.number()
    functions.leaves = own.number() != 0
    if own.error or form != FORM or size != binary_bytes:
        raise DamagedSkeleton("it is of another form, or of another module")
    if FUNCTION_NUMBERS * count + RUN_NUMBERS * n_runs + 3 * cython.cast(uint64_t, n_datas) > cython.cast(
        uint64_t, own.end - own.at
    ):
        raise DamagedSkeleton("it ends early")
    own.binary_bytes = binary_bytes
    own.functions(functions, count, n_runs)
    own.datas(datas, n_datas)
    if own.at != own.end:
        raise DamagedSkeleton("something follows")
    return functions, datas
