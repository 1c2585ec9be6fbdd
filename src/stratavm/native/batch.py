"""Functions on their way from an emitter to the arena: as native arrays, so that none of it needs the GIL."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t, uint64_t
from cython.cimports.libc.string import memcpy
from cython.cimports.stratavm.base.failures import fail_limit
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.native.execmem import CodeOwner, CodeSource
from cython.cimports.stratavm.runtime.codemap import LandEntry, PosEntry, SiteEntry, TrapEntry

from stratavm.native.execmem import check_published

WORD = cython.declare(uint32_t, 8)
MOST_BYTES = cython.declare(uint32_t, 1 << 30)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def padded(size: uint64_t) -> uint32_t:
    """Rounded up to whole words."""
    return cython.cast(uint32_t, (size + WORD - 1) & ~cython.cast(uint64_t, WORD - 1))


@cython.auto_pickle(False)
@cython.cclass
class Batch:
    """Code of several functions, and its tables; reused by ``clear``."""

    def __dealloc__(self):
        vec_free(self.made)
        vec_free(self.bytes)
        vec_free(self.sources)
        vec_free(self.addresses)

    def clear(self):
        """Empty it, keeping the memory."""
        self.n_made = self.n_bytes = 0
        return 0

    def take(self, emitter, index, ns, seen):
        """Append the function that was emitted; its slot had ``seen`` when that was begun."""
        vec_room(self.made, self.cap_made, self.n_made + 1)
        made: cython.pointer(Made) = cython.address(self.made[self.n_made])
        made.index = index
        made.ns = ns
        made.seen = seen
        made.size = emitter.b.n
        made.level = emitter.plan.level
        made.n_traps = emitter.n_traps
        made.n_returns = emitter.n_returns
        made.n_sites = emitter.ssa.n_sites
        made.n_landings = emitter.n_landings
        made.at = self.put(emitter.b.data, made.size)
        self.put(emitter.traps, made.n_traps * cython.sizeof(TrapEntry))
        self.put(emitter.returns, made.n_returns * cython.sizeof(PosEntry))
        self.put(emitter.ssa.sites, made.n_sites * cython.sizeof(SiteEntry))
        self.put(emitter.landings, made.n_landings * cython.sizeof(LandEntry))
        self.n_made += 1
        return 0

    def put(self, items, size):
        """Copy so many bytes behind what is there; returns where they begin, a multiple of a word."""
        at: uint32_t = self.n_bytes
        if size > MOST_BYTES - at:
            fail_limit(b"code_bytes", b"the machine code of one batch exceeds {} bytes", MOST_BYTES)
        vec_room(self.bytes, self.cap_bytes, at + padded(size))
        if size:
            memcpy(self.bytes + at, items, size)
        self.n_bytes = at + padded(size)
        return at

    def drop_late(self, table):
        """Leave out functions that somebody else has published meanwhile: they lie behind the others."""
        i: uint32_t
        n: uint32_t = 0
        late: Made
        for i in range(self.n_made):
            if table.is_still(self.made[i].index, self.made[i].seen):
                late = self.made[n]
                self.made[n] = self.made[i]
                self.made[i] = late
                n += 1
        self.n_made = n
        return 0

    def point(self, first):
        """Say where code and tables lie; ``first``: the index of the first defined function."""
        i: uint32_t
        at: cython.pointer(uint8_t)
        vec_room(self.sources, self.cap_sources, self.n_made)
        vec_room(self.addresses, self.cap_addresses, self.n_made)
        for i in range(self.n_made):
            made: cython.pointer(Made) = cython.address(self.made[i])
            source: cython.pointer(CodeSource) = cython.address(self.sources[i])
            at = self.bytes + made.at
            source.code = at
            source.size = made.size
            source.func = first + made.index
            at += padded(made.size)
            source.traps = cython.cast(cython.pointer(TrapEntry), at)
            source.n_traps = made.n_traps
            at += padded(made.n_traps * cython.sizeof(TrapEntry))
            source.positions = cython.cast(cython.pointer(PosEntry), at)
            source.n_positions = made.n_returns
            at += padded(made.n_returns * cython.sizeof(PosEntry))
            source.sites = cython.cast(cython.pointer(SiteEntry), at)
            source.n_sites = made.n_sites
            at += padded(made.n_sites * cython.sizeof(SiteEntry))
            source.landings = cython.cast(cython.pointer(LandEntry), at)
            source.n_landings = made.n_landings
            source.level = made.level
            source.held = False
        return 0

    def publish(self, owner: CodeOwner, first: uint32_t) -> list:
        """Publish all of it for a module whose first defined function has the index ``first``. Returns defined index,
        address, bytes and nanoseconds of each."""
        i: uint32_t
        self.point(first)
        check_published(owner.publish_with_gil(self.sources, self.n_made, self.addresses))
        return [(self.made[i].index, self.addresses[i], self.made[i].size, self.made[i].ns) for i in range(self.n_made)]
