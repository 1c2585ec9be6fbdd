"""The interface of register allocation: one object per worker, one call per function."""

# strata: hot

import cython
from cython.cimports.libc.stdint import uint32_t
from cython.cimports.libc.string import memset
from cython.cimports.stratavm.base.vec import vec_room
from cython.cimports.stratavm.base.vecfree import vec_free
from cython.cimports.stratavm.machine.minst import NO_LOC, MCode
from cython.cimports.stratavm.machine.regalloc.intervals import NO_POS, Interval, Intervals
from cython.cimports.stratavm.machine.regalloc.linear import LinearScan
from cython.cimports.stratavm.machine.regalloc.moves import ParallelMove
from cython.cimports.stratavm.machine.regalloc.naive import NaiveAllocator
from cython.cimports.stratavm.machine.regalloc.ranges import Ranges
from cython.cimports.stratavm.machine.regalloc.resolve import Resolver
from cython.cimports.stratavm.machine.regalloc.rewrite import Rewriter
from cython.cimports.stratavm.machine.regalloc.splitting import SplittingScan

from stratavm.base import switches
from stratavm.machine.minst import build, fingerprint, snapshot
from stratavm.machine.target import Target, mask

KINDS = {"naive": ALLOC_NAIVE, "linear": ALLOC_LINEAR, "splitting": ALLOC_SPLITTING}
"""Allocators by name."""


def register_mask(target: Target) -> int:
    """Registers that may hold values: all, or few under ``STRATA_REGS=4`` (tests)."""
    return mask(target.starved) if switches.REGS.value() else target.allocatable


@cython.cclass
class Allocator:
    """Work arrays of one worker, not shared by threads. ``STRATA_CHECK=2``: every result goes through the checker."""

    def __init__(self, target: Target, kind: str = "linear", registers: int | None = None) -> None:
        if kind not in KINDS:
            raise ValueError(f"allocator {kind!r}: expected one of {', '.join(KINDS)}")
        self.kind = KINDS[kind]
        self.registers = register_mask(target) if registers is None else registers
        self.moves = ParallelMove()
        self.naive = NaiveAllocator(self.moves)
        self.intervals = Intervals()
        self.scan = LinearScan(self.intervals)
        self.rewriter = Rewriter(self.moves)
        self.ranges = Ranges()
        self.splitting = SplittingScan()
        self.resolver = Resolver(self.moves)
        self.splitting.t = self.resolver.t = self.ranges
        self.fallbacks = self.simpler = 0
        self.checked = switches.CHECK.value() >= 2

    def __dealloc__(self):
        vec_free(self.slot_of)

    def attach(self, m: MCode) -> None:
        """Say whose functions ``allocate`` is for."""
        self.m = self.scan.m = self.rewriter.m = self.ranges.m = self.splitting.m = self.resolver.m = m

    def prepare(self, m):
        """Forget earlier results; the table by virtual register has room and is empty."""
        n: uint32_t = m.n_vregs
        m.n_moves = 0
        m.n_slots = 0
        vec_room(self.slot_of, self.cap_slot_of, n)
        if n:
            memset(self.slot_of, 0xFF, n * cython.sizeof(uint32_t))
        return 0

    def allocate(self):
        """Give every operand a place, and write the moves between places."""
        self.prepare(self.m)
        self.linear = False
        done: cython.bint = self.kind == ALLOC_SPLITTING and self.allocate_splitting(self.m)
        if not done and (self.kind == ALLOC_NAIVE or not self.allocate_linear(self.m)):
            self.naive.run(self.m, self.registers)
        self.m.n_slots += self.m.n_slots & 1
        return 0

    def place_at(self, vreg, at):
        """Where level 0 keeps a value that is alive at an instruction: a register or a slot. ``NO_LOC`` where it is not
        alive, or where linear scan did not do the function."""
        if not self.linear or vreg >= self.m.n_vregs:
            return NO_LOC
        item: cython.pointer(Interval) = cython.address(self.intervals.items[vreg])
        if item.start == NO_POS or item.start > 2 * at or item.end <= 2 * at:
            return NO_LOC
        return item.home if item.home != NO_LOC else self.slot_of[vreg]

    def verify(self):
        """Send the result through the checker, if that is asked for and it has not seen the very same one."""
        if self.checked:
            from stratavm.machine.regalloc.checker import check, right  # a tool's module

            mark: bytes = fingerprint(self.m, self.registers)
            if not right.has(mark):
                check(snapshot(self.m), self.registers)
                right.add(mark)
        return 0

    def allocate_linear(self, m):
        """1 where linear scan did it; 0 leaves a clean start to the naive allocator."""
        done: cython.bint = self.intervals.build(m) and self.scan.run(m, self.registers)
        if done and self.rewriter.run(m, self.intervals, self.slot_of, self.registers):
            self.linear = True
            return 1
        self.fallbacks += 1
        self.moves.discard()
        self.prepare(m)
        return 0

    def allocate_splitting(self, m):
        """1 where the splitting scan did it; 0 leaves a clean start to level 0's."""
        done: cython.bint = self.ranges.build(m) and self.splitting.run(m, self.ranges, self.registers)
        if done and self.resolver.run(m, self.ranges):
            return 1
        self.simpler += 1
        self.moves.discard()
        self.prepare(m)
        return 0

    def run(self, m: MCode) -> None:
        """Allocate, from Python; may be repeated."""
        self.attach(m)
        with cython.nogil:
            self.allocate()
        self.verify()

    def on(self, f):
        """Allocate plain machine IR (tests, tools)."""
        m: MCode = build(f)
        self.run(m)
        return snapshot(m)


def allocate_function(f, kind: str = "linear", registers: int | None = None):
    """Allocate plain machine IR with a fresh allocator (tests, tools)."""
    return Allocator(f.target, kind, registers).on(f)
