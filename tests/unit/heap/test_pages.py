"""Heaps that are no small ones lie on large pages, which a thread makes ahead."""

from __future__ import annotations

import functools
import gc
import mmap
import os
import re
import time
from collections.abc import Callable, Iterator
from typing import Final

import pytest

from stratavm.heap.pages import n_ready, plant
from stratavm.heap.verify import verify
from tests.apart import assert_silent
from tests.unit.heap.test_cycles import LONGS, MIB, Lister

PAGES: Final = "/sys/kernel/mm/transparent_hugepage/enabled"
PAUSE_NS: Final = 500_000_000
AHEAD: Final = 4
"""Pages that are made ahead."""
FEW_MAPPINGS: Final = 70_000
"""So many mappings a test uses up; what kernels allow where nobody has said otherwise is less."""


def is_there(least: int) -> bool:
    """Whether so many pages are ready, by and by: never, where the machine has none."""
    return eventually(lambda: n_ready() >= least)


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether something holds, by and by."""
    until = time.monotonic() + 30
    while not holds() and time.monotonic() < until:
        time.sleep(0.001)
    return holds()


@functools.cache
def have_large_pages() -> bool:
    """Whether this machine has some for who asks: it is tried, with room for one wherever the mapping begins."""
    if not os.path.exists(PAGES):
        return False
    with mmap.mmap(-1, 4 * MIB, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as place:
        place.madvise(mmap.MADV_HUGEPAGE)
        before = large_kilobytes()
        place.write(bytes(4 * MIB))
        return large_kilobytes() > before


def large_kilobytes() -> int:
    """What this process has on large pages."""
    with open("/proc/self/smaps_rollup") as sums:
        found = re.search(r"^AnonHugePages: +(\d+) kB$", sums.read(), re.M)
    return int(found[1]) if found else 0


def most_mappings() -> int:
    """How many mappings a process of this machine may have."""
    with open("/proc/sys/vm/max_map_count") as count:
        return int(count.read())


needs_pages = pytest.mark.skipif(not have_large_pages(), reason="a kernel that gives nobody large pages")
needs_few_mappings = pytest.mark.skipif(
    most_mappings() > FEW_MAPPINGS, reason=f"a process may have more than {FEW_MAPPINGS} mappings: too many to use up"
)


@pytest.fixture(autouse=True)
def sound() -> Iterator[None]:
    """Nothing is planted, and no page is ready, as no heap lives."""
    yield
    plant(0)
    gc.collect()
    assert eventually(lambda: n_ready() == 0)


def grown(to: int, small: bool = False, waits: bool = True, limit: int = 64 * MIB) -> Lister:
    """A heap of a list of so many bytes, which waits at each MiB for a page that is ready if there may be some."""
    lister = Lister(pause_ns=PAUSE_NS, limit=limit)
    if small:
        lister.heap.on_small_pages()
    while lister.length * 32 < to:
        assert lister.push()
        if waits and not small and lister.length * 32 % MIB == 0 and lister.length * 32 > 7 * MIB:
            assert is_there(1)
    return lister


def on_large_pages(lister: Lister) -> set[int]:
    """The MiB in which a list's objects are, of each 64th, that lie on large pages."""
    with open("/proc/self/smaps") as maps:
        text = maps.read()
    large = list[range]()
    for first, last, rest in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (.*\n(?:[A-Z].*\n)*)", text, re.M):
        kilobytes = re.search(r"^AnonHugePages: +(\d+) kB$", rest, re.M)
        if kilobytes and int(kilobytes[1]) << 10 == int(last, 16) - int(first, 16):
            large.append(range(int(first, 16), int(last, 16)))
    links, link = list[int](), lister.first
    while link:
        links.append(link)
        for _ in range(64):
            link = lister.guest.load(link, 16) if link else 0
    begin = min(links) & -(2 * MIB)  # where the heap's first part is
    return {(link - begin) // MIB for link in links if any(link in one for one in large)}


@needs_pages
def test_beyond_the_first_8_mib_parts_are_on_large_pages() -> None:
    """The kernel says so; the heap is as it was, and gives all back."""
    lister = grown(20 * MIB)
    assert on_large_pages(lister) == set(range(8, 20))
    assert lister.heap.metrics().large_pages in (6, 7)
    lister.check()
    lister.heap.collect()
    assert verify(lister.heap) == []
    lister.check()
    assert is_there(1)
    del lister
    gc.collect()
    assert eventually(lambda: n_ready() == 0)


@needs_pages
def test_who_does_not_wait_has_small_ones_meanwhile() -> None:
    """A heap takes what is ready when it needs a part, and no guest stands still for one."""
    lister = grown(40 * MIB, waits=False)
    assert 0 <= lister.heap.metrics().large_pages <= 17
    lister.check()


def test_small_heaps_and_who_wants_none_have_none() -> None:
    """Up to 6 MiB nobody makes any."""
    for lister in (grown(20 * MIB, small=True), grown(5 * MIB)):
        assert lister.heap.metrics().large_pages == 0
        assert n_ready() == 0


@needs_pages
def test_large_objects_take_none() -> None:
    """Their parts come as a guest writes them, as they did."""
    lister = grown(9 * MIB)
    before = lister.heap.metrics().large_pages
    assert lister.guest.new(LONGS, 2 * MIB, 8 + 16 * MIB)
    assert lister.heap.metrics().large_pages <= before + 1
    lister.check()


@needs_pages
def test_a_page_that_cannot_be_moved_is_a_part_on_small_ones() -> None:
    """The kernel has taken the place away and given nothing: it is taken back at once."""
    lister = grown(9 * MIB)
    before = lister.heap.metrics().large_pages
    plant(1)
    while lister.length * 32 < 20 * MIB:
        if lister.length * 32 % MIB == 0:  # no thread begins just now, whose mapping would be in that place
            assert is_there(AHEAD - 1)
        assert lister.push()
    assert lister.heap.metrics().large_pages == before
    lister.check()
    plant(0)
    assert is_there(1)
    while lister.length * 32 < 30 * MIB:
        assert lister.push()
    assert lister.heap.metrics().large_pages > before
    lister.check()


LOST: Final = """
from stratavm.heap.pages import n_ready, plant
from tests.unit.heap.test_pages import LONGS, MIB, eventually, grown, is_there

def maps(inside):
    with open("/proc/self/maps") as lines:
        found = [[*(int(at, 16) for at in line.split()[0].split("-")), line.split()[1]] for line in lines]
    return [(last - first, how) for first, last, how in found if first in inside]

lister = grown(9 * MIB)
assert is_there(1)
plant(2)
while lister.push():
    pass
assert 9 * MIB < lister.length * 32 < 13 * MIB, lister.length  # it has no room any more
lister.check()
assert not lister.guest.new(LONGS, 2 * MIB, 8 + 16 * MIB)
begin = lister.first & -(2 * MIB)
inside = range(begin - 64 * MIB, begin + 120 * MIB)
del lister
assert eventually(lambda: n_ready() == 0)
assert (2 * MIB, "rw-p") in maps(inside), maps(inside)  # the other's is still there
assert sum(size for size, how in maps(inside)) < 20 * MIB, maps(inside)  # of 128, and stacks of threads
"""


@needs_pages
def test_a_place_that_another_has_since_is_left_alone() -> None:
    """The heap ends before it, and what is another's mapping stays when the heap is given back."""
    assert_silent(LOST)


FORKED: Final = """
import os, sys
from tests.unit.heap.test_pages import MIB, grown, is_there
from stratavm.heap.pages import n_ready

lister = grown(9 * MIB)
child = os.fork()
other = grown(20 * MIB)  # in both; each has a thread of its own
assert other.heap.metrics().large_pages in (6, 7), other.heap.metrics()
lister.check(), other.check()
if child:
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


@needs_pages
def test_a_process_that_was_forked_has_its_own_made() -> None:
    """The thread of who it was forked from is not there, and what was ready then is copied as it is written."""
    assert_silent(FORKED)


FEW_MAPS: Final = """
import mmap
from stratavm.heap.pages import n_ready
from tests.unit.heap.test_pages import MIB, grown, is_there

taken = []
try:
    while True:
        taken.append(mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, [1, 3][len(taken) % 2]))
except OSError:
    pass
for one in taken[: 40 * 2]:
    one.close()
lister = grown(20 * MIB, waits=False)
assert lister.heap.metrics().large_pages == 0 and n_ready() == 0
lister.check()
"""


@needs_pages
@needs_few_mappings
def test_few_mappings_are_left_to_others() -> None:
    """Each large page is one: with few left none is made, and heaps grow all the same."""
    assert_silent(FEW_MAPS)


NO_MAPS: Final = """
import mmap
from tests.unit.heap.test_pages import MIB, grown, is_there

lister = grown(9 * MIB)
assert is_there(2)
taken = []
try:
    while True:
        taken.append(mmap.mmap(-1, 4096, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, [1, 3][len(taken) % 2]))
except OSError:
    pass
for one in taken[:3]:
    one.close()
while lister.length * 32 < 15 * MIB and lister.push():
    pass
for one in taken:
    one.close()
while lister.length * 32 < 30 * MIB:
    assert lister.push(), lister.length
lister.check()
"""


@needs_pages
@needs_few_mappings
def test_no_page_is_moved_where_few_mappings_are_left() -> None:
    """The kernel would refuse it, and the heap could not tell whether its place is another's since."""
    assert_silent(NO_MAPS)
