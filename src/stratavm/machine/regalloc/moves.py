"""Parallel moves into sequences: cycles, registers of both classes and slots. Owns the scratch registers meanwhile."""

# strata: hot
import cython
from cython.cimports.libc.stdint import uint8_t, uint32_t
from cython.cimports.libc.stdlib import free
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.failures import fail_wrong
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.machine.minst import LOC_REMAT, LOC_SLOT, NO_LOC, MCode, is_in


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def place_of(loc: uint32_t) -> uint32_t:
    """Dense index of a location."""
    if loc & LOC_SLOT:
        return (loc & 0x7FFFFFFF) + PLACE_SLOTS
    return PLACE_REMAT if loc & LOC_REMAT else loc


@cython.cclass
class ParallelMove:
    """A set of moves with the same position, collected by ``add`` and put in order by ``resolve``.

    A slot-to-slot move passes through the first scratch register (16 bytes: the second). A cycle is broken by holding
    one value: in the scratch register of its class if no move of the cycle passes through it, else in the second, or
    (16 bytes, or where a target does not cross classes) in a spare slot.
    """

    def __dealloc__(self):
        free(self.items)
        free(self.reads)
        free(self.writer)
        free(self.ready)

    def start(self, m):
        """Prepare for a function with at most ``m.n_slots`` slots; what an abandoned function left is dropped."""
        self.discard()
        self.places = PLACE_SLOTS + m.n_slots
        self.spare = NO_LOC
        return self._room(PLACE_SLOTS)

    def _room(self, place):
        """Tables by place reach this one. All counters are zero between uses."""
        old: uint32_t = self.cap_reads
        size: cython.size_t = cython.sizeof(uint32_t)
        if place < self.cap_reads and place < self.cap_writer:
            return 0
        vec_room(self.reads, self.cap_reads, place + 1)
        memset(self.reads + old, 0, (self.cap_reads - old) * size)
        old = self.cap_writer
        vec_room(self.writer, self.cap_writer, place + 1)
        memset(self.writer + old, 0, (self.cap_writer - old) * size)
        return 0

    def discard(self):
        """Empty the set; all counters are zero again."""
        i: uint32_t
        for i in range(self.n):
            self.reads[place_of(self.items[i].src)] = 0
            self.writer[place_of(self.items[i].dst)] = 0
        self.n = 0
        return 0

    def may_wait(self, m):
        """Whether a value of a cycle may have to wait in a slot."""
        return not m.target.crosses or m.has_wide()

    def writes(self, dst):
        """Whether a pending move writes this place."""
        return place_of(dst) < self.cap_writer and self.writer[place_of(dst)] != 0

    def add(self, src, dst, vreg):
        """One more move of the set. A destination has one source; the same move twice is one."""
        read: uint32_t = place_of(src)
        written: uint32_t = place_of(dst)
        n: uint32_t = self.n
        if src == dst:
            return 0
        if read >= self.places or written >= self.places:
            return self._refuse(src, dst, vreg)
        if read >= self.cap_reads or written >= self.cap_writer:
            self._room(read if read > written else written)
        if self.writer[written]:
            return 0 if self.items[self.writer[written] - 1].src == src else self._refuse(src, dst, vreg)
        vec_room(self.items, self.cap, n + 1)
        item: cython.pointer(PendingMove) = cython.address(self.items[n])
        item.src = src
        item.dst = dst
        item.vreg = vreg
        item.done = 0
        self.n = n + 1
        self.reads[read] += 1
        self.writer[written] = n + 1
        return 0

    def _refuse(self, src, dst, vreg):
        """A move that the allocator got wrong."""
        return fail_wrong(b"move of v{} from {:#x} to {:#x}: unknown place, or written twice", vreg, src, dst)

    def resolve(self, m, at):
        """Append a sequence with the same effect to ``m.moves``; linear in the number of moves."""
        i: uint32_t
        place: uint32_t
        item: cython.pointer(PendingMove)
        if self.n == 1:  # nearly always
            item = self.items
            self.reads[place_of(item.src)] = self.writer[place_of(item.dst)] = self.n = 0
            return self._emit(m, at, item.src, item.dst, item.vreg)
        vec_room(self.ready, self.cap_ready, self.n)
        self.n_ready = 0
        for i in range(self.n):
            if self.reads[place_of(self.items[i].dst)] == 0 and not self.items[i].dst & LOC_SLOT:
                self.ready[self.n_ready] = i
                self.n_ready += 1
        for i in range(self.n):  # these first: a copy that stands before an instruction may become one with it
            if self.reads[place_of(self.items[i].dst)] == 0 and self.items[i].dst & LOC_SLOT:
                self.ready[self.n_ready] = i
                self.n_ready += 1
        while self.n_ready:
            self.n_ready -= 1
            item = cython.address(self.items[self.ready[self.n_ready]])
            self._emit(m, at, item.src, item.dst, item.vreg)
            item.done = 1
            self.writer[place_of(item.dst)] = 0
            place = place_of(item.src)
            self.reads[place] -= 1
            if self.reads[place] == 0 and self.writer[place]:
                self.ready[self.n_ready] = self.writer[place] - 1
                self.n_ready += 1
        for i in range(self.n):
            if not self.items[i].done:
                self._cycle(m, at, i)
        self.n = 0
        return 0

    def _hold(self, m, first):
        """Where the value in the first destination of a cycle can wait."""
        i: uint32_t = first
        through: cython.bint = False
        wide: cython.bint = False
        while True:
            item: cython.pointer(PendingMove) = cython.address(self.items[i])
            wide = wide or m.vwidth[item.vreg] == 16
            through = through or (item.src & item.dst & LOC_SLOT) != 0
            i = self.writer[place_of(item.src)] - 1
            if i == first:
                break
        if through and (wide or not m.target.crosses):
            if self.spare == NO_LOC:
                self.spare = LOC_SLOT | (m.n_slots + 1 & ~cython.cast(uint32_t, 1))
                m.n_slots = (self.spare & ~cython.cast(uint32_t, LOC_SLOT)) + 2
            return self.spare
        second: cython.bint = through or wide or is_in(m.target.classes[1], self.items[first].dst)
        return m.target.scratch[1] if second else m.target.scratch[0]

    def _cycle(self, m, at, first):
        """Emit a cycle: every place in it is read and written once."""
        hold: uint32_t = self._hold(m, first)
        i: uint32_t = first
        last: uint32_t = self.items[first].dst
        source: uint32_t
        held: uint32_t = first
        while self.items[held].src != last:
            held = self.writer[place_of(self.items[held].src)] - 1
        self._emit(m, at, last, hold, self.items[held].vreg)
        while True:
            item: cython.pointer(PendingMove) = cython.address(self.items[i])
            source = item.src
            item.done = 1
            self._emit(m, at, hold if source == last else source, item.dst, item.vreg)
            self.reads[place_of(source)] = 0
            self.writer[place_of(item.dst)] = 0
            if source == last:
                return 0
            i = self.writer[place_of(source)] - 1

    def _emit(self, m, at, src, dst, vreg):
        """One move, or two through a scratch register."""
        through: uint32_t
        if src & dst & LOC_SLOT:
            through = m.target.scratch[m.vwidth[vreg] == 16]
            m.move(at, src, through, vreg)
            src = through
        m.move(at, src, dst, vreg)
        return 0


# ---- from Python: tests ------------------------------------------------------------------------


def sequence(
    target, moves: list[tuple[int, int]], widths: list[int], slots: int
) -> tuple[list[tuple[int, int, int]], int]:
    """Resolve one parallel move; returns ``(src, dst, width)`` in order, and the number of slots then in use."""
    m: MCode = MCode(target)
    p: ParallelMove = ParallelMove()
    width: uint8_t
    m.n_slots = slots
    p.start(m)
    for (src, dst), width in zip(moves, widths, strict=True):
        p.add(src, dst, m.vreg(0, width))
    p.resolve(m, 0)
    i: uint32_t
    result = [(m.moves[i].src, m.moves[i].dst, m.vwidth[m.moves[i].vreg]) for i in range(m.n_moves)]
    for i in range(p.cap_reads):
        assert p.reads[i] == 0 and p.writer[i] == 0
    return result, m.n_slots
