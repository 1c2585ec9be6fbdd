# strata: hot
"""Published code of a module as bytes that another process can publish: position-independent, with its tables.

A head, a row for each function, then code, traps, return addresses, inlined sites and landings of each, padded to whole
words.
Whoever keeps such bytes answers for it that they come back as they were: machine code cannot be checked. All counts and
places in them are checked nevertheless, before anything is published.
"""

import cython
from cython.cimports.cpython.bytes import PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t, uintptr_t
from cython.cimports.libc.stdlib import calloc, free
from cython.cimports.libc.string import memcpy, memmove, memset
from cython.cimports.stratavm.module.reader import have_huge_pages
from cython.cimports.stratavm.native.execmem import CodeOwner, CodeSource
from cython.cimports.stratavm.runtime.codemap import (
    SITE_BIT,
    CodeRec,
    LandEntry,
    PosEntry,
    SiteEntry,
    TrapEntry,
    find_code,
)
from cython.cimports.stratavm.runtime.codetable import CodeTable
from cython.cimports.stratavm.runtime.native import load_ptr

from stratavm.module.reader import used_again
from stratavm.native.execmem import MAX_FUNCTION, check_published

MAGIC = cython.declare(uint32_t, 0x32494353)
"""Of the form; another one when anything of it changes."""
LARGEST = cython.declare(uint64_t, MAX_FUNCTION)
HIGHEST = cython.declare(uint32_t, 1)
"""The highest level of a compiler."""
MANY = cython.declare(uint32_t, 1 << 15)
"""Entries of tables that take a while to look at."""

Head = cython.struct(magic=uint32_t, n_funcs=uint32_t, n_rows=uint32_t, row_bytes=uint32_t)
Row = cython.struct(
    index=uint32_t,
    size=uint32_t,
    n_traps=uint32_t,
    n_positions=uint32_t,
    n_sites=uint32_t,
    level=uint32_t,
    n_landings=uint32_t,
)


class DamagedImage(ValueError):
    """Bytes that are no image of code of this module."""


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def padded(size: uint64_t) -> uint64_t:
    """Rounded up to whole words."""
    return (size + 7) & ~cython.cast(uint64_t, 7)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def bytes_of(row: cython.pointer(Row)) -> uint64_t:
    """What a row's function takes behind the rows."""
    return (
        padded(row.size)
        + padded(cython.cast(uint64_t, row.n_traps) * cython.sizeof(TrapEntry))
        + padded(cython.cast(uint64_t, row.n_positions) * cython.sizeof(PosEntry))
        + padded(cython.cast(uint64_t, row.n_sites) * cython.sizeof(SiteEntry))
        + padded(cython.cast(uint64_t, row.n_landings) * cython.sizeof(LandEntry))
    )


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put(at: cython.pointer(uint8_t), items: cython.p_void, size: uint64_t) -> cython.pointer(uint8_t):
    """Copy items; returns where the next ones go."""
    if size:
        memcpy(at, items, size)
    memset(at + size, 0, padded(size) - size)
    return at + padded(size)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def put_all(at: cython.pointer(uint8_t), recs: cython.pointer(cython.pointer(CodeRec)), n: uint64_t) -> cython.void:
    """Copy code and tables of functions."""
    i: uint64_t
    rec: cython.pointer(CodeRec)
    for i in range(n):
        rec = recs[i]
        at = put(at, cython.cast(cython.p_void, rec.start), rec.size)
        at = put(at, rec.traps, rec.n_traps * cython.sizeof(TrapEntry))
        at = put(at, rec.positions, rec.n_positions * cython.sizeof(PosEntry))
        at = put(at, rec.sites, rec.n_sites * cython.sizeof(SiteEntry))
        at = put(at, rec.landings, rec.n_landings * cython.sizeof(LandEntry))


@cython.cfunc
def record(owner: CodeOwner, table: CodeTable, first: uint32_t, index: uint32_t) -> cython.pointer(CodeRec):
    """The record of a function's own code; NULL where it has none that this owner keeps."""
    word: cython.p_void = load_ptr(cython.address(table.codes[index]))
    if word == table.stub_of(index):
        return cython.NULL
    address: uint64_t = cython.cast(uint64_t, word)
    rec: cython.pointer(CodeRec) = find_code(address)
    if rec == cython.NULL or rec.owner != owner.serial or rec.func != first + index or rec.start != address:
        return cython.NULL
    return rec


def pack(
    owner: CodeOwner,
    table: CodeTable,
    first: int,
    without: object = (),
    level: uint32_t = 0,
    by_index: cython.bint = False,
    outside: tuple = (0, 0),
) -> bytes:
    """The code that a module's functions have now.

    Args:
        first: function index of the first defined function.
        without: function indices to leave out.
        outside: code from the one address up to the other is left out.
        level: code below this level is left out.
        by_index: in the order of the functions, so that the bytes do not depend on who compiled what when; else of the
            code's addresses, which is that of first calls.
    """
    i: uint32_t
    n: uint64_t = 0
    begin: uint64_t = outside[0]
    end: uint64_t = outside[1]
    found: list = []
    rec: cython.pointer(CodeRec)
    for i in range(table.count):
        rec = record(owner, table, first, i)
        if rec == cython.NULL or begin <= rec.start < end:
            continue
        if rec.level >= level and first + i not in without:
            found.append((rec.start, i))
    if not by_index:
        found.sort()
    recs: cython.pointer(cython.pointer(CodeRec)) = cython.cast(
        cython.pointer(cython.pointer(CodeRec)), calloc(len(found) + 1, cython.sizeof(cython.p_void))
    )
    if recs == cython.NULL:
        raise MemoryError("no memory to pack code")
    try:
        for address, _ in found:
            recs[n] = find_code(address)
            n += 1
        return packed(recs, [index for _, index in found], table.count)
    finally:
        free(recs)


@cython.cfunc
def packed(recs: cython.pointer(cython.pointer(CodeRec)), indices: list, n_funcs: uint32_t) -> bytes:
    """The bytes of some functions, whose records stay as they are; copied without the GIL, for they may be many."""
    i: uint64_t
    n: uint64_t = len(indices)
    size: uint64_t = 0
    head_bytes: uint64_t = cython.sizeof(Head) + n * cython.sizeof(Row)
    rows: bytearray = bytearray(head_bytes)
    start: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), cython.cast(cython.p_char, rows))
    head: cython.pointer(Head) = cython.cast(cython.pointer(Head), start)
    row: cython.pointer(Row) = cython.cast(cython.pointer(Row), start + cython.sizeof(Head))
    head.magic, head.n_funcs, head.n_rows, head.row_bytes = MAGIC, n_funcs, n, cython.sizeof(Row)
    for i in range(n):
        row.index = indices[i]
        row.size = recs[i].size
        row.n_traps = recs[i].n_traps
        row.n_positions = recs[i].n_positions
        row.n_sites = recs[i].n_sites
        row.n_landings = recs[i].n_landings
        row.level = recs[i].level
        size += bytes_of(row)
        row += 1
    made: bytes = PyBytes_FromStringAndSize(cython.NULL, head_bytes + size)
    to: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(made))
    memcpy(to, start, head_bytes)
    with cython.nogil:
        put_all(to + head_bytes, recs, n)
    return made


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def wrong_table(source: cython.pointer(CodeSource), n_funcs: uint64_t) -> cython.p_char:
    """Which table is not sorted or names what is not there; NULL: none."""
    i: uint32_t
    for i in range(source.n_traps):
        if source.traps[i].pc >= source.size or (i and source.traps[i].pc <= source.traps[i - 1].pc):
            return b"traps are not in order"
    for i in range(source.n_positions):
        if source.positions[i].pc > source.size or (i and source.positions[i].pc <= source.positions[i - 1].pc):
            return b"return addresses are not in order"
    for i in range(source.n_landings):
        if source.landings[i].pc > source.size or (i and source.landings[i].pc <= source.landings[i - 1].pc):
            return b"landings are not in order"
        if source.landings[i].landing >= source.size:
            return b"an exception lands outside of its function"
    for i in range(source.n_sites):
        if source.sites[i].func >= n_funcs:
            return b"inlined code is from a function that there is not"
        # `caller` names a site that lies before it, or the walk over them would not end
        if source.sites[i].caller & SITE_BIT and (source.sites[i].caller & ~cython.cast(uint32_t, SITE_BIT)) >= i:
            return b"inlined code is within itself"
    return cython.NULL


@cython.cfunc
@cython.exceptval(-1)
def check_tables(source: cython.pointer(CodeSource), n_funcs: uint64_t) -> cython.int:
    """Raise DamagedImage where a table is not sorted or names what is not there. Long ones are gone through without the
    GIL."""
    wrong: cython.p_char
    if source.n_traps + source.n_positions + source.n_sites < MANY:
        wrong = wrong_table(source, n_funcs)
    else:
        with cython.nogil:
            wrong = wrong_table(source, n_funcs)
    if wrong != cython.NULL:
        raise DamagedImage(cython.cast(bytes, wrong).decode())
    return 0


@cython.cfunc
@cython.exceptval(-1)
def point(
    data: bytes, sources: cython.pointer(CodeSource), n_rows: uint32_t, n_funcs: uint32_t, first: uint32_t
) -> cython.int:
    """Fill in where each function's code and tables lie, all of it checked."""
    i: uint32_t
    start: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), cython.cast(cython.p_char, data))
    end: uint64_t = len(data)
    at: uint64_t = cython.sizeof(Head) + n_rows * cython.sizeof(Row)
    rows: cython.pointer(Row) = cython.cast(cython.pointer(Row), start + cython.sizeof(Head))
    seen: bytearray = bytearray(n_funcs)
    for i in range(n_rows):
        row: cython.pointer(Row) = cython.address(rows[i])
        if row.index >= n_funcs or seen[row.index] or row.size == 0 or row.size > LARGEST or row.level > HIGHEST:
            raise DamagedImage("a row is wrong")
        if bytes_of(row) > end - at:
            raise DamagedImage("it ends early")
        seen[row.index] = 1
        source: cython.pointer(CodeSource) = cython.address(sources[i])
        source.code = start + at
        source.size = row.size
        source.func = first + row.index
        source.level = row.level
        source.held = True
        at += padded(row.size)
        source.traps = cython.cast(cython.pointer(TrapEntry), start + at)
        source.n_traps = row.n_traps
        at += padded(row.n_traps * cython.sizeof(TrapEntry))
        source.positions = cython.cast(cython.pointer(PosEntry), start + at)
        source.n_positions = row.n_positions
        at += padded(row.n_positions * cython.sizeof(PosEntry))
        source.sites = cython.cast(cython.pointer(SiteEntry), start + at)
        source.n_sites = row.n_sites
        at += padded(row.n_sites * cython.sizeof(SiteEntry))
        source.landings = cython.cast(cython.pointer(LandEntry), start + at)
        source.n_landings = row.n_landings
        at += padded(row.n_landings * cython.sizeof(LandEntry))
        check_tables(source, cython.cast(uint64_t, first) + n_funcs)
    if at != end:
        raise DamagedImage("something follows")
    return 0


@cython.cfunc
def keep_others(sources: cython.pointer(CodeSource), n: uint32_t, without: object) -> uint32_t:
    """Leave functions out; how many stay."""
    i: uint32_t
    kept: uint32_t = 0
    for i in range(n):
        if sources[i].func not in without:
            sources[kept] = sources[i]
            kept += 1
    return kept


def unpack(owner: CodeOwner, table: CodeTable, first: int, data: bytes, without: object = ()) -> tuple:
    """Publish an image's code for those functions that have none, in one batch; returns their number, their bytes, and
    from where up to where the batch lies. ``without``: function indices to leave out. The tables stay where they are:
    the owner holds the bytes.

    Raises:
        DamagedImage: the bytes are no image of a module of so many functions; nothing was published.
        ResourceLimit: there is no room for code.
    """
    i: uint32_t
    index: uint32_t
    taken: uint32_t = 0
    size: uint64_t = 0
    if len(data) < cython.sizeof(Head):
        raise DamagedImage("it ends early")
    head: cython.pointer(Head) = cython.cast(cython.pointer(Head), cython.cast(cython.p_char, data))
    n: uint32_t = head.n_rows
    before: uint32_t = first
    if head.magic != MAGIC or head.row_bytes != cython.sizeof(Row) or head.n_funcs != table.count or n > table.count:
        raise DamagedImage("it is of another form, or of another module")
    if n * cython.sizeof(Row) > len(data) - cython.sizeof(Head):
        raise DamagedImage("it ends early")
    sources: cython.pointer(CodeSource)
    addresses: cython.pointer(uint64_t)
    sources = cython.cast(cython.pointer(CodeSource), calloc(n + 1, cython.sizeof(CodeSource)))
    addresses = cython.cast(cython.pointer(uint64_t), calloc(n + 1, cython.sizeof(uint64_t)))
    try:
        if sources == cython.NULL or addresses == cython.NULL:
            raise MemoryError("no memory to publish code")
        point(data, sources, n, table.count, first)
        if without:
            n = keep_others(sources, n, without)
        owner.hold(data)
        check_published(owner.publish_with_gil(sources, n, addresses))
        for i in range(n):
            index = sources[i].func - before
            if table.offer(index, cython.NULL, cython.cast(cython.p_void, addresses[i])):
                taken += 1
                size += sources[i].size
        return taken, size, addresses[0], addresses[n - 1] + sources[n - 1].size if n else 0
    finally:
        free(sources)
        free(addresses)


def with_more(data: bytes, n_funcs: uint32_t) -> bytes:
    """What ``pack`` gave, for a module that has more functions behind those."""
    made: bytearray = bytearray(data)
    head: cython.pointer(Head) = cython.cast(cython.pointer(Head), cython.cast(cython.p_char, made))
    if len(data) < cython.sizeof(Head) or head.n_funcs > n_funcs:
        raise DamagedImage("it is of another module")
    head.n_funcs = n_funcs
    return bytes(made)


def functions_in(data: bytes, first: uint32_t) -> set:
    """Function indices of the rows of an image, whose counts ``unpack`` checks.

    Raises:
        DamagedImage: it ends early.
    """
    i: uint32_t
    if len(data) < cython.sizeof(Head):
        raise DamagedImage("it ends early")
    head: cython.pointer(Head) = cython.cast(cython.pointer(Head), cython.cast(cython.p_char, data))
    if cython.cast(uint64_t, head.n_rows) * cython.sizeof(Row) > len(data) - cython.sizeof(Head):
        raise DamagedImage("it ends early")
    rows: cython.pointer(Row) = cython.cast(cython.pointer(Row), cython.cast(cython.pointer(Head), head) + 1)
    return {first + rows[i].index for i in range(head.n_rows)}


@cython.auto_pickle(False)
@cython.cclass
class Rows:
    """Where the code of each function lies in what ``pack`` gave, by index; all counts and places are checked.

    Raises:
        DamagedImage: the bytes are something else, or not by index.
    """

    data: bytes
    start: cython.pointer(uint8_t)
    rows: cython.pointer(Row)
    places: cython.pointer(uint64_t)  # of each row's function, and behind the last one
    n: uint32_t
    n_funcs: uint32_t

    def __cinit__(self, data: bytes):
        i: uint32_t
        end: uint64_t = len(data)
        self.data = data
        self.start = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(data))
        if end < cython.sizeof(Head):
            raise DamagedImage("it ends early")
        head: cython.pointer(Head) = cython.cast(cython.pointer(Head), self.start)
        if head.magic != MAGIC or head.row_bytes != cython.sizeof(Row) or head.n_rows > head.n_funcs:
            raise DamagedImage("it is of another form")
        self.n, self.n_funcs = head.n_rows, head.n_funcs
        at: uint64_t = cython.sizeof(Head) + cython.cast(uint64_t, self.n) * cython.sizeof(Row)
        if at > end:
            raise DamagedImage("it ends early")
        self.rows = cython.cast(cython.pointer(Row), self.start + cython.sizeof(Head))
        self.places = cython.cast(
            cython.pointer(uint64_t), calloc(cython.cast(uint64_t, self.n) + 1, cython.sizeof(uint64_t))
        )
        if self.places == cython.NULL:
            raise MemoryError("no memory for the places of functions")
        for i in range(self.n):
            row: cython.pointer(Row) = cython.address(self.rows[i])
            if row.index >= self.n_funcs or (i and row.index <= self.rows[i - 1].index):
                raise DamagedImage("rows are not in order")
            if bytes_of(row) > end - at:
                raise DamagedImage("it ends early")
            self.places[i] = at
            at += bytes_of(row)
        if at != end:
            raise DamagedImage("something follows")
        self.places[self.n] = at

    def __dealloc__(self):
        free(self.places)

    @property
    def count(self) -> int:
        """How many functions the module defines."""
        return self.n_funcs

    @property
    def code_bytes(self) -> int:
        """Bytes of machine code of all."""
        i: uint32_t
        total: uint64_t = 0
        for i in range(self.n):
            total += self.rows[i].size
        return total

    def missing(self) -> list[int]:
        """The defined indices of functions that have no code here."""
        i: uint32_t
        k: uint32_t = 0
        found: list = []
        for i in range(self.n_funcs):
            if k < self.n and self.rows[k].index == i:
                k += 1
            else:
                found.append(i)
        return found

    def having(self, others: Rows, again: object) -> bytes:
        """These bytes with the code of some functions taken from ``others``: what ``pack`` gives of a module that has
        the one and the other.

        Args:
            others: of the same module.
            again: defined indices of all that ``others`` has, and of whose code here is left out.

        Returns:
            in the memory of these bytes where nobody else has them: then nothing is in here any more.
        """
        i: uint32_t = 0
        k: uint32_t = 0
        first: uint32_t
        index: uint32_t
        pieces: list = []
        if others.n_funcs != self.n_funcs:
            raise DamagedImage("it is of another module")
        for index in sorted(again):
            first = i
            while i < self.n and self.rows[i].index < index:
                i += 1
            pieces.append((0, first, i))
            if i < self.n and self.rows[i].index == index:
                i += 1
            if k < others.n and others.rows[k].index == index:
                pieces.append((1, k, k + 1))
                k += 1
        if k != others.n:
            raise ValueError("there is code of a function that was not compiled again")
        pieces.append((0, i, self.n))
        return joined(self, others, pieces)


@cython.cfunc
def joined(old: Rows, fresh: Rows, pieces: list) -> bytes:
    """Runs of rows of the two, one behind the other: (which, first row, row behind the last). In the memory of ``old``,
    if nobody else has its bytes: most of them stay where they are then, and there is nothing in ``old`` any more."""
    first: uint32_t
    last: uint32_t
    n: uint64_t = 0
    size: uint64_t = 0
    source: Rows
    for which, first, last in pieces:
        source = fresh if which else old
        n += last - first
        size += source.places[last] - source.places[first]
    head_bytes: uint64_t = cython.sizeof(Head) + n * cython.sizeof(Row)
    n_funcs: uint32_t = old.n_funcs
    kept: cython.pointer(uint8_t) = old.start
    spare: list = [old.data]
    old.data = None
    before: uint64_t = len(spare[0])
    made: bytes | None = used_again(spare, max(before, head_bytes + size))
    is_there: cython.bint = made is not None
    if made is None:
        made = PyBytes_FromStringAndSize(cython.NULL, head_bytes + size)
        old.data = spare.pop()
    start: cython.pointer(uint8_t) = cython.cast(cython.pointer(uint8_t), PyBytes_AS_STRING(made))
    if is_there:
        kept = start
    else:
        have_huge_pages(cython.cast(uintptr_t, start), cython.cast(uintptr_t, start) + head_bytes + size)
    moves: list = []  # of what was there: to, from, how many; first rows, then what is behind them, both in order
    code: list = []
    row: uint64_t = cython.sizeof(Head)
    at: uint64_t = head_bytes
    for which, first, last in pieces:
        source = fresh if which else old
        if not which:
            moves.append((row, cython.sizeof(Head) + first * cython.sizeof(Row), (last - first) * cython.sizeof(Row)))
            code.append((at, old.places[first], old.places[last] - old.places[first]))
        row += (last - first) * cython.sizeof(Row)
        at += source.places[last] - source.places[first]
    move(start, kept, moves + code)
    head: cython.pointer(Head) = cython.cast(cython.pointer(Head), start)
    head.magic, head.n_funcs, head.n_rows, head.row_bytes = MAGIC, n_funcs, n, cython.sizeof(Row)
    row, at = cython.sizeof(Head), head_bytes
    for which, first, last in pieces:
        source = fresh if which else old
        if which:
            memcpy(start + row, cython.address(fresh.rows[first]), (last - first) * cython.sizeof(Row))
            memcpy(start + at, fresh.start + fresh.places[first], fresh.places[last] - fresh.places[first])
        row += (last - first) * cython.sizeof(Row)
        at += source.places[last] - source.places[first]
    if is_there:
        old.n = old.n_funcs = 0
        if before > head_bytes + size:
            spare.append(made)
            made = None
            made = used_again(spare, head_bytes + size)
    return made


@cython.cfunc
def move(to: cython.pointer(uint8_t), start: cython.pointer(uint8_t), moves: list) -> cython.void:
    """Runs that lie in order at both, neither over another one: (place there, place here, how many). In the same memory
    what goes down never meets what has yet to go: it goes from the first on, and what goes up from the last on."""
    there: uint64_t
    here: uint64_t
    size: uint64_t
    for there, here, size in moves:
        if there < here:
            memmove(to + there, start + here, size)
    for there, here, size in reversed(moves):
        if there > here or (there == here and to != start):
            memmove(to + there, start + here, size)
