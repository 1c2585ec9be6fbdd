"""Writes that there is no memory to note: what follows looks at all there is, or keeps all that is new."""

from __future__ import annotations

import ctypes
import resource
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from stratavm.heap.verify import verify
from tests.unit.heap.test_cycles import LEAF, LINK, REFS, Lister

COUNT = 30_000
"""Words that are written at once; with more of them than a long log has, what is new would grow old before."""
SMALLEST = 1 << 16
"""Bytes of which the allocator of C has none left, while there is no more memory."""


@contextmanager
def no_more_memory() -> Iterator[None]:
    """From here on the process gets no address space, and the allocator of C has nothing left that is as large as a
    log grows to."""
    libc, taken, count = ctypes.CDLL(None), (ctypes.c_void_p * 10_000)(), 0
    libc.malloc.restype, libc.malloc.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    libc.free.argtypes = [ctypes.c_void_p]
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as pages:
        used = int(pages.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used, before[1]))
    try:
        size = 1 << 26
        while size >= SMALLEST:
            taken[count] = libc.malloc(size)
            if taken[count] is None:
                size //= 2
            else:
                count += 1
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
        for at in range(count):
            libc.free(taken[at])


class Writer(Lister):
    """A list in root 0, an old array in root 1, and what was written into it, of which not all was noted."""

    def __init__(self, limit: int = 64 << 20) -> None:
        super().__init__(limit)
        self.heap.fix(1 << 20, 1, 1000)
        self.array = self.guest.new(REFS, COUNT, 8 + 8 * COUNT)
        self.guest.set_root(1, self.array)
        self.heap.collect()
        self.written: list[int] = []

    def write(self) -> None:
        """New objects into each place of the array, while there is no more memory."""
        self.written = [self.guest.new(LEAF, 0, 16) for _ in range(100)]
        for at, thing in enumerate(self.written):
            self.guest.store(thing, 8, at)
        words = self.written * (COUNT // 100)
        with no_more_memory():
            self.guest.write_all(self.array, words)

    def check_written(self) -> None:
        """All of it is there, though others were made since wherever there was room."""
        for _ in range(5_000):
            self.guest.new(LEAF, 0, 16)
        for at in range(0, COUNT, 13):
            thing = self.guest.load(self.array, 8 + 8 * at)
            assert (thing, self.guest.load(thing, 8)) == (self.written[at % 100], at % 100)
        self.check()


@pytest.mark.parametrize("marking", [False, True])
def test_what_was_not_noted_is_not_lost(marking: bool) -> None:
    """The next look is one at all there is; and if slices go on, they come to nothing before. The one behind is at new
    objects again, since each write is noted again."""
    writer = Writer()
    heap = writer.heap
    for _ in range(5_000):
        writer.push()
    heap.collect()
    if marking:
        writer.grow()
    assert heap.is_marking is marking
    (cycles, _), full = heap.cycles, heap.collections - heap.minors
    writer.write()
    minors = heap.minors
    heap.collect_new()
    assert heap.minors == minors and not heap.is_marking
    assert heap.cycles[0] == cycles and heap.collections - heap.minors == full + 1
    writer.check_written()
    last = writer.guest.new(LINK, 0, 32)
    writer.guest.write(writer.array, 8, last)
    heap.collect_new()
    assert heap.minors > minors
    assert writer.guest.load(last, 0) == LINK and verify(heap) == []


def test_what_was_not_noted_is_not_lost_where_no_room_is_left() -> None:
    """Slices come to nothing then, and all there is is looked at, in one pause."""
    writer = Writer(limit=3 << 20)
    heap = writer.heap
    for _ in range(5_000):
        writer.push()
    heap.collect()
    writer.grow()
    (cycles, _), minors = heap.cycles, heap.minors
    writer.write()
    while heap.is_marking:
        writer.guest.new(LEAF, 0, 16)
    assert heap.cycles[0] == cycles and heap.minors == minors
    writer.check_written()
