# cython: linetrace=False
# strata: hot
"""The code arena: one private reservation, executable before it is published. Gives code no meaning."""

# Not traced: a trace function needs the GIL, and most of this runs without it but with the arena's lock.
# Chunks of 64 KiB belong to one owner; concurrent compilers of one owner write into different runs of chunks. Pages go
# RW -> RX when a batch is published. The last page goes back for the next batch where no thread can be in it, which
# takes the GIL (ADR-0023); else a batch costs whole pages, and begins at varying distances from their starts, so that
# functions published one by one do not share the same sets of the cache.
from _struct import pack

import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.stdlib import abort, calloc, free, malloc, realloc
from cython.cimports.libc.string import memcpy
from cython.cimports.posix.mman import (
    MAP_ANONYMOUS,
    MAP_FAILED,
    MAP_NORESERVE,
    MAP_PRIVATE,
    PROT_EXEC,
    PROT_NONE,
    PROT_READ,
    PROT_WRITE,
    madvise,
    mmap,
    mprotect,
)
from cython.cimports.posix.unistd import _SC_PAGESIZE, sysconf
from cython.cimports.stratavm.base.vecfree import give_pages, vec_free
from cython.cimports.stratavm.runtime import codemap, threads
from cython.cimports.stratavm.runtime.codemap import CodeBlock, CodeRec, LandEntry, PosEntry, SiteEntry, TrapEntry
from cython.cimports.stratavm.runtime.native import add_64, store_ptr
from cython.cimports.stratavm.runtime.own_threads import Monitor, begin_monitor, lock, unlock

from stratavm.base.errors import ResourceLimit
from stratavm.module.reader import let_go_of
from stratavm.runtime import codemap as codemap_module
from stratavm.runtime.limits import name_the_limit

PAGE = cython.declare(uint64_t, sysconf(_SC_PAGESIZE))
MAX_FUNCTION = 256 << 20
NOT_GIVEN = (b"", 0, b"")
"""Of a function to publish: inlined sites, level, landings."""
LARGE_BATCH = cython.declare(uint64_t, 1 << 18)
MADV_POPULATE_WRITE = cython.declare(cython.int, 23)
MADV_HUGEPAGE = cython.declare(cython.int, 14)
HUGE_PAGE = cython.declare(uint64_t, 1 << 21)
HUGE_CHUNKS = cython.declare(uint32_t, (1 << 21) >> codemap.CHUNK_SHIFT)
LEAST_OF_HUGE = cython.declare(uint64_t, 1 << 20)
"""Bytes of code that get a huge page of their own: to have that there takes as long as half of the small pages in it,
and the processor finds all of it by one entry. Nothing else is written into it: a part with other rights would undo
it."""
ALIGN = cython.declare(uint64_t, 64)  # function starts: a line of the cache
arena = cython.declare(Monitor)  # of the chunks
chunk_used = cython.declare(uint8_t[32768])
next_chunk = cython.declare(uint32_t, 0)  # where the search for free chunks begins
chunks_in_use = cython.declare(uint32_t, 0)
chunk_limit = cython.declare(uint32_t, codemap.N_CHUNKS)  # how many may be in use at once
last_serial = cython.declare(uint64_t, 0)


# From the import on: helper threads, which want it for what they compile, are ended before a fork takes it, by what is
# registered after this.
begin_monitor(cython.address(arena), cython.NULL, cython.NULL, cython.NULL)


@cython.cfunc
def reserve_arena() -> cython.int:
    """Reserve the address space at the first use."""
    if codemap.arena_base:
        return 0
    base: cython.p_void = mmap(
        cython.NULL, codemap.ARENA_BYTES + HUGE_PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0
    )
    if base == MAP_FAILED:
        raise ResourceLimit("cannot reserve 2 GiB of address space for code", limit=name_the_limit())
    codemap.arena_base = (cython.cast(uint64_t, base) + HUGE_PAGE - 1) & ~(HUGE_PAGE - 1)
    return 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def take_chunks(count: uint32_t, aligned: cython.bint) -> cython.int:
    """First of ``count`` consecutive free chunks, now taken; -1 if there are none. ``aligned``: it begins a huge page.
    Caller holds the lock."""
    global next_chunk, chunks_in_use
    if chunks_in_use + count > chunk_limit:
        return -1
    start: uint32_t
    run: uint32_t = 0
    i: uint32_t
    for start in range(2):  # from the cursor, then from 0
        run = 0
        for i in range(next_chunk if start == 0 else 0, codemap.N_CHUNKS):
            if chunk_used[i]:
                run = 0
            elif run or not aligned or i % HUGE_CHUNKS == 0:
                run += 1
            if run == count:
                for run in range(count):
                    chunk_used[i - run] = 1
                next_chunk = i + 1
                chunks_in_use += count
                return cython.cast(cython.int, i + 1 - count)
    return -1


def is_crowded():
    """Whether code takes half of what it may: the rest is for what is called. Any thread."""
    return 2 * chunks_in_use > chunk_limit


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def chunk_address(chunk: uint32_t) -> uint64_t:
    """Where a chunk begins."""
    return codemap.arena_base + (cython.cast(uint64_t, chunk) << codemap.CHUNK_SHIFT)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def whole_pages(size: uint64_t) -> uint64_t:
    """Rounded up."""
    return (size + PAGE - 1) & ~(PAGE - 1)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def with_huge_pages(size: uint64_t) -> uint64_t:
    """What a batch takes with the last of its huge pages."""
    last: uint64_t = size & (HUGE_PAGE - 1)
    return size - last + HUGE_PAGE if last >= LEAST_OF_HUGE else size


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def protect(start: uint64_t, size: uint64_t, writable: cython.bint) -> cython.bint:
    """Make pages readable, and writable or executable, never both. False if the kernel refuses."""
    rights: cython.int = PROT_WRITE if writable else PROT_EXEC
    return mprotect(cython.cast(cython.p_void, start), size, PROT_READ | rights) == 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def batch_bytes(sources: cython.pointer(CodeSource), n: uint32_t) -> uint64_t:
    """Bytes that a batch takes, alignment included."""
    total: uint64_t = 0
    i: uint32_t
    for i in range(n):
        total += (sources[i].size + ALIGN - 1) & ~(ALIGN - 1)
    return total


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def release_chunks(run: cython.pointer(ChunkRun)) -> cython.void:
    """Forget what lies in a run's chunks and make them free. Caller holds the lock."""
    global chunks_in_use
    i: uint32_t
    base: cython.p_void = cython.cast(cython.p_void, chunk_address(run.first))
    size: cython.size_t = cython.cast(cython.size_t, run.count) << codemap.CHUNK_SHIFT
    give_pages(chunk_address(run.first), chunk_address(run.first) + size)
    # Chunks whose protection cannot be taken back stay retired: reusing them would expose old code.
    usable: cython.bint = mprotect(base, size, PROT_NONE) == 0
    for i in range(run.first, run.first + run.count):
        store_ptr(cython.address(codemap.chunk_blocks[i]), cython.NULL)
        chunk_used[i] = 0 if usable else 1
    if usable:
        chunks_in_use -= run.count


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def populate(start: uint64_t, size: uint64_t) -> cython.void:
    """Have pages there for so many bytes from a page on, a huge page at a time: nobody changes the address space
    meanwhile."""
    end: uint64_t = start + size
    behind: uint64_t
    while start < end:
        behind = min((start | (HUGE_PAGE - 1)) + 1, end)
        madvise(cython.cast(cython.p_void, start), behind - start, MADV_POPULATE_WRITE)
        start = behind


@cython.final
@cython.cclass
class CodeOwner:
    """Whoever the code belongs to, usually a module. For backtraces ``label`` maps a function index to a name, and
    ``origin`` to where in the binary the function's instructions begin: positions in code count from there."""

    def __cinit__(self, name: str = "", label: object = None, origin: object = None):
        global last_serial
        reserve_arena()
        self.serial = add_64(cython.address(last_serial), 1)
        self.name = name
        self.label = label
        self.origin = origin
        self.held = []
        codemap_module.owners[self.serial] = self

    def hold(self, thing: object) -> None:
        """Keep something as long as the code: tables lie in it."""
        self.held.append(thing)

    def __dealloc__(self):
        """Nothing can run here any more: instances, functions and activations hold the owner. What is large takes
        milliseconds to give back, in which others run Python."""
        i: uint32_t
        if self.pages_bytes < LARGE_BATCH:
            self.release_runs()
        else:
            with cython.nogil:
                self.release_runs()
        if self.held and let_go_of is not None:  # as it is when Python's modules have ended
            let_go_of(self.held)
        for i in range(self.n_allocations):  # behind the GIL: nobody who looked for code before still looks at it
            vec_free(self.allocations[i])
        free(self.allocations)

    def release_runs(self):
        """Give every chunk back."""
        run: cython.pointer(ChunkRun) = self.runs
        gone: cython.pointer(ChunkRun)
        lock(cython.address(arena))
        while run != cython.NULL:
            release_chunks(run)
            gone = run
            run = run.next
            free(gone)
        unlock(cython.address(arena))

    def remember(self, memory):
        """Note an allocation to free with the owner; caller holds the lock. 1 when out of memory."""
        wanted: uint32_t
        grown: cython.p_void
        if self.n_allocations == self.cap_allocations:
            wanted = 2 * self.cap_allocations + 16
            grown = realloc(self.allocations, wanted * cython.sizeof(cython.p_void))
            if grown == cython.NULL:
                return 1
            self.allocations = cython.cast(cython.pp_void, grown)
            self.cap_allocations = wanted
        self.allocations[self.n_allocations] = memory
        self.n_allocations += 1
        return 0

    def start_in(self, run, size, alone):
        """Where in a run so many bytes may be written now, 0 if nowhere. Caller holds the lock."""
        page: uint64_t = run.at & ~(PAGE - 1)
        slack: uint64_t
        if run.at != page:
            # The first page has no executable neighbour to be one mapping with: closing it might be refused.
            if alone and page != chunk_address(run.first) and run.end - run.at >= size and protect(page, PAGE, True):
                return run.at
            page += PAGE
        if run.end - page < whole_pages(size):
            return 0
        if alone or size >= HUGE_PAGE:
            return page
        slack = whole_pages(size) - size
        return page + self.code_bytes % (slack + ALIGN)  # as where pages are filled

    def claim_run(self, size, alone, status):
        """A run that no other thread writes into, with ``at`` where ``size`` bytes may be written. Caller holds the
        lock."""
        run: cython.pointer(ChunkRun) = self.runs
        start: uint64_t
        while run != cython.NULL:
            start = 0 if run.busy else self.start_in(run, size, alone)
            if start:
                run.at = start
                run.busy = True
                return run
            run = run.next
        count: uint32_t = cython.cast(uint32_t, (size + codemap.CHUNK_BYTES - 1) >> codemap.CHUNK_SHIFT)
        first: cython.int
        run = cython.cast(cython.pointer(ChunkRun), calloc(1, cython.sizeof(ChunkRun)))
        if run == cython.NULL:
            status[0] = PUBLISH_NO_MEMORY
            return cython.NULL
        first = take_chunks(count, size >= HUGE_PAGE)
        if first < 0:
            free(run)
            status[0] = PUBLISH_ARENA_FULL
            return cython.NULL
        run.first = cython.cast(uint32_t, first)
        run.count = count
        run.at = chunk_address(run.first)
        run.end = run.at + (cython.cast(uint64_t, count) << codemap.CHUNK_SHIFT)
        # Writable at once, not batch by batch: what is not published yet is not executable either.
        if not protect(run.at, run.end - run.at, True):
            release_chunks(run)
            free(run)
            status[0] = PUBLISH_PROTECT
            return cython.NULL
        run.at = self.start_in(run, size, alone)
        run.busy = True
        run.next = self.runs
        self.runs = run
        return run

    def publish_sources(self, sources, n, addresses, alone):
        """Copy functions into the arena and make them executable and findable; addresses[i] is where each one lies.

        Any thread, with or without the GIL. ``alone``: this one has it, and no guest runs without (``loose_threads``).
        Returns PUBLISH_OK or why not.
        """
        status: cython.int = PUBLISH_OK
        size: uint64_t = batch_bytes(sources, n)
        room: uint64_t = with_huge_pages(size)
        huge: uint64_t = room & ~(HUGE_PAGE - 1)
        if n == 0:
            return PUBLISH_OK
        if room > codemap.ARENA_BYTES:
            return PUBLISH_ARENA_FULL
        lock(cython.address(arena))
        run: cython.pointer(ChunkRun) = self.claim_run(room, alone, cython.address(status))
        if run == cython.NULL:
            unlock(cython.address(arena))
            return status
        start: uint64_t = run.at
        shared: cython.bint = alone and start % PAGE != 0
        if not shared:
            unlock(cython.address(arena))  # else kept: what a fork copies is executable
        if size >= LARGE_BATCH:  # a fault for each page would take as long as copying it
            if huge and start % HUGE_PAGE == 0:
                # They come as they are touched, which wants no lock of all the address space.
                madvise(cython.cast(cython.p_void, start), huge, MADV_HUGEPAGE)
                populate(start + huge, room - huge)
            else:
                room = size
                populate(start & ~(PAGE - 1), size)
        recs: cython.pointer(CodeRec) = fill(self.serial, start, sources, n, addresses)
        if not seal(start, room, shared):
            status = PUBLISH_PROTECT
            free(recs)
        elif recs == cython.NULL:
            status = PUBLISH_NO_MEMORY
        if not shared:
            lock(cython.address(arena))
        if status == PUBLISH_OK:
            if self.link_blocks(run, recs, n, start, start + size):
                status = PUBLISH_NO_MEMORY
            self.code_bytes += size
            self.pages_bytes += whole_pages(start + room) - (whole_pages(start) if shared else start & ~(PAGE - 1))
        run.at = start + room  # also after a failure: there may be code
        run.busy = False
        unlock(cython.address(arena))
        return status

    def publish_with_gil(self, sources, n, addresses):
        """``publish_sources`` by a thread that has the GIL: that is kept, so that no thread enters a guest meanwhile,
        but for a batch that takes milliseconds."""
        status: cython.int
        if batch_bytes(sources, n) < LARGE_BATCH:
            return self.publish_sources(sources, n, addresses, threads.loose_threads == 0)
        with cython.nogil:
            status = self.publish_sources(sources, n, addresses, False)
        return status

    def link_blocks(self, run, recs, n, start, end):
        """Make the records findable from every chunk they touch, by one release store each. Caller holds the lock."""
        if self.remember(recs):
            free(recs)
            return 1
        first: uint32_t = cython.cast(uint32_t, (start - codemap.arena_base) >> codemap.CHUNK_SHIFT)
        last: uint32_t = cython.cast(uint32_t, (end - 1 - codemap.arena_base) >> codemap.CHUNK_SHIFT)
        chunk: uint32_t
        block: cython.pointer(CodeBlock)
        for chunk in range(first, last + 1):
            block = cython.cast(cython.pointer(CodeBlock), calloc(1, cython.sizeof(CodeBlock)))
            if block == cython.NULL:
                return 1
            if self.remember(block):
                free(block)
                return 1
            block.start = start
            block.end = end
            block.recs = recs
            block.n_recs = n
            block.next = codemap.chunk_blocks[chunk]
            store_ptr(cython.address(codemap.chunk_blocks[chunk]), block)
        return 0

    def publish(self, code: bytes, traps: object = (), positions: object = (), func: object = None) -> int:
        """Publish one function; returns its address. ``traps`` are (pc, kind code, position) and ``positions``
        (return address offset, position), both sorted by pc; ``func`` is a function index, None for a stub."""
        return self.publish_many([(code, traps, positions, func)])[0]

    def publish_many(self, functions: object) -> list[int]:
        """Publish a batch of ``(code, traps, positions, func)``, each and if wanted the sites of inlined code as native
        entries, the level of its compiler, and landings as the sites; returns addresses. Cheaper than one by one."""
        batch: list = [
            (bytes(c), pack_traps(t), pack_positions(p), f, *rest, *NOT_GIVEN[len(rest) :])
            for c, t, p, f, *rest in functions
        ]
        n: uint32_t = len(batch)
        sources: cython.pointer(CodeSource)
        addresses: cython.pointer(uint64_t)
        i: uint32_t
        sources = cython.cast(cython.pointer(CodeSource), calloc(n + 1, cython.sizeof(CodeSource)))
        addresses = cython.cast(cython.pointer(uint64_t), calloc(n + 1, cython.sizeof(uint64_t)))
        try:
            if sources == cython.NULL or addresses == cython.NULL:
                raise MemoryError("no memory to publish code")
            for i in range(n):
                set_source(cython.address(sources[i]), batch[i])
            check_published(self.publish_with_gil(sources, n, addresses))
            return [addresses[i] for i in range(n)]
        finally:
            free(sources)
            free(addresses)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def fill(
    serial: uint64_t,
    start: uint64_t,
    sources: cython.pointer(CodeSource),
    n: uint32_t,
    addresses: cython.pointer(uint64_t),
) -> cython.pointer(CodeRec):
    """Copy code, and tables that are not held. They and the records are one allocation; NULL when out of memory."""
    n_traps: uint64_t = 0
    n_positions: uint64_t = 0
    n_sites: uint64_t = 0
    n_landings: uint64_t = 0
    at: uint64_t = start
    i: uint32_t
    for i in range(n):
        if sources[i].held:
            continue
        n_traps += sources[i].n_traps
        n_positions += sources[i].n_positions
        n_sites += sources[i].n_sites
        n_landings += sources[i].n_landings
    recs: cython.pointer(CodeRec) = cython.cast(
        cython.pointer(CodeRec),
        malloc(
            n * cython.sizeof(CodeRec)
            + n_traps * cython.sizeof(TrapEntry)
            + n_positions * cython.sizeof(PosEntry)
            + n_sites * cython.sizeof(SiteEntry)
            + n_landings * cython.sizeof(LandEntry)
        ),
    )
    if recs == cython.NULL:
        return cython.NULL
    traps: cython.pointer(TrapEntry) = cython.cast(cython.pointer(TrapEntry), recs + n)
    positions: cython.pointer(PosEntry) = cython.cast(cython.pointer(PosEntry), traps + n_traps)
    sites: cython.pointer(SiteEntry) = cython.cast(cython.pointer(SiteEntry), positions + n_positions)
    landings: cython.pointer(LandEntry) = cython.cast(cython.pointer(LandEntry), sites + n_sites)
    for i in range(n):
        memcpy(cython.cast(cython.p_void, at), sources[i].code, sources[i].size)
        addresses[i] = at
        recs[i].start = at
        recs[i].size = sources[i].size
        recs[i].func = sources[i].func
        recs[i].owner = serial
        recs[i].n_traps = sources[i].n_traps
        recs[i].n_positions = sources[i].n_positions
        recs[i].n_sites = sources[i].n_sites
        recs[i].n_landings = sources[i].n_landings
        recs[i].level = sources[i].level
        at += (sources[i].size + ALIGN - 1) & ~(ALIGN - 1)
        if sources[i].held:
            recs[i].traps = cython.cast(cython.pointer(TrapEntry), sources[i].traps)
            recs[i].positions = cython.cast(cython.pointer(PosEntry), sources[i].positions)
            recs[i].sites = cython.cast(cython.pointer(SiteEntry), sources[i].sites)
            recs[i].landings = cython.cast(cython.pointer(LandEntry), sources[i].landings)
            continue
        recs[i].traps = traps
        recs[i].positions = positions
        recs[i].sites = sites
        recs[i].landings = landings
        memcpy(traps, sources[i].traps, sources[i].n_traps * cython.sizeof(TrapEntry))
        memcpy(positions, sources[i].positions, sources[i].n_positions * cython.sizeof(PosEntry))
        memcpy(sites, sources[i].sites, sources[i].n_sites * cython.sizeof(SiteEntry))
        memcpy(landings, sources[i].landings, sources[i].n_landings * cython.sizeof(LandEntry))
        landings += sources[i].n_landings
        sites += sources[i].n_sites
        traps += sources[i].n_traps
        positions += sources[i].n_positions
    return recs


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def seal(start: uint64_t, size: uint64_t, shared: cython.bint) -> cython.bint:
    """Turn pages from RW to RX; ``shared``: code that was there before begins its first one. False if refused."""
    page: uint64_t = start & ~(PAGE - 1)
    if protect(page, whole_pages(start + size) - page, False):
        return True
    # What ran before must run again. That is the mapping as it was, for which the kernel needs nothing new.
    if shared and not protect(page, PAGE, False):
        abort()
    return False


@cython.cfunc
def set_source(source: cython.pointer(CodeSource), item: tuple) -> cython.int:
    """Point a source at the bytes of a batch item, which the caller keeps alive."""
    code: bytes = item[0]
    traps: bytes = item[1]
    positions: bytes = item[2]
    sites: bytes = item[4]
    landings: bytes = item[6]
    if not 0 < len(code) <= MAX_FUNCTION:
        raise ValueError(f"a function's code has {len(code)} bytes, expected 1 to {MAX_FUNCTION}")
    source.code = cython.cast(cython.pointer(uint8_t), cython.cast(cython.p_char, code))
    source.size = len(code)
    source.func = codemap.NO_FUNC if item[3] is None else item[3]
    source.traps = cython.cast(cython.pointer(TrapEntry), cython.cast(cython.p_char, traps))
    source.n_traps = len(traps) // cython.sizeof(TrapEntry)
    source.positions = cython.cast(cython.pointer(PosEntry), cython.cast(cython.p_char, positions))
    source.n_positions = len(positions) // cython.sizeof(PosEntry)
    source.sites = cython.cast(cython.pointer(SiteEntry), cython.cast(cython.p_char, sites))
    source.n_sites = len(sites) // cython.sizeof(SiteEntry)
    source.level = item[5]
    source.landings = cython.cast(cython.pointer(LandEntry), cython.cast(cython.p_char, landings))
    source.n_landings = len(landings) // cython.sizeof(LandEntry)
    return 0


def pack_traps(traps: object) -> bytes:
    """(pc, kind, offset) triples as native entries; bytes pass through."""
    return traps if isinstance(traps, bytes) else pack_rows(traps, 3)


def pack_positions(positions: object) -> bytes:
    """(pc, offset) pairs as native entries; bytes pass through."""
    return positions if isinstance(positions, bytes) else pack_rows(positions, 2)


def pack_rows(rows: object, width: int) -> bytes:
    """Rows of ``width`` 32-bit numbers, sorted by the first."""
    ordered = sorted(tuple(row) for row in rows)
    if any(len(row) != width for row in ordered):
        raise ValueError(f"a table row has not {width} numbers")
    return b"".join(pack(f"={width}I", *row) for row in ordered)


PUBLISH_LIMITS = frozenset({"code memory", "vm.max_map_count"})
"""Limits of what all code together may take: not of one function."""


def check_published(status: cython.int) -> None:
    """Raise what a publication status means."""
    if status == PUBLISH_NO_MEMORY:
        raise MemoryError("no memory for the tables of compiled code")
    if status == PUBLISH_ARENA_FULL:
        used: int = chunks_in_use * codemap.CHUNK_BYTES
        raise ResourceLimit(f"code takes {used} bytes, too much for more of it", limit="code memory")
    if status == PUBLISH_PROTECT:
        raise ResourceLimit("the kernel refused to change the protection of code pages", limit="vm.max_map_count")


def owner_of(serial: int) -> CodeOwner | None:
    """The living owner with that serial."""
    return codemap_module.owners.get(serial)


def limit_arena(size: int | None) -> None:
    """Let code take at most ``size`` bytes of this process, or the whole arena again."""
    global chunk_limit
    chunk_limit = min(codemap.N_CHUNKS, codemap.N_CHUNKS if size is None else size >> codemap.CHUNK_SHIFT)


def arena_usage() -> dict[str, int]:
    """Where the arena lies and how many chunks are in use."""
    size: uint64_t = codemap.ARENA_BYTES
    return {"base": codemap.arena_base, "bytes": size, "chunks": chunks_in_use}
