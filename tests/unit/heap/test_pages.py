"""Heaps that are no small ones lie on large pages, where these come within a pause."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator

import pytest

from stratavm.heap.pace import next_small
from stratavm.heap.pages import believe
from stratavm.heap.verify import verify
from tests.decisions import DECIDED
from tests.unit.heap.test_cycles import LONGS, MIB, Lister

PAUSE_NS = 500_000_000
"""So long that no large page takes it, whatever else the machine does."""
SLOW_NS = 1 << 40
PAGES = "/sys/kernel/mm/transparent_hugepage"

needs_pages = pytest.mark.skipif(not os.path.exists(PAGES), reason="a kernel that has no large pages")


@pytest.fixture(autouse=True)
def known() -> Iterator[None]:
    """What is known of this machine is so afterwards."""
    before = believe(1)
    yield
    believe(before)


def grown(to: int, pause_ns: int = PAUSE_NS, small: bool = False) -> Lister:
    """A heap of a list of so many bytes, with a journal."""
    lister = Lister(pause_ns=pause_ns)
    if small:
        lister.heap.on_small_pages()
    lister.heap.watch(1 << 17)
    while lister.length * 32 < to:
        assert lister.push()
    return lister


def advised(lister: Lister) -> set[int]:
    """The MiB in which a list's objects are, of each 64th, for which the kernel was asked for large pages."""
    with open("/proc/self/smaps") as maps:
        text = maps.read()
    asked = list[range]()
    for first, last, rest in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) (.*\n(?:[A-Z].*\n)*)", text, re.M):
        flags = re.search(r"^VmFlags:(.*)$", rest, re.M)
        if flags and " hg" in flags[1]:
            asked.append(range(int(first, 16), int(last, 16)))
    links, link = list[int](), lister.first
    while link:
        links.append(link)
        for _ in range(64):
            link = lister.guest.load(link, 16) if link else 0
    begin = min(links) & -(2 * MIB)  # where the heap's first part is
    return {(link - begin) // MIB for link in links if any(link in one for one in asked)}


def timed(lister: Lister) -> list[list[int]]:
    """What the journal says of large pages."""
    return [values[:4] for kind, _, *values in lister.heap.read_journal() if kind == 5]


@needs_pages
def test_beyond_the_first_8_mib_parts_are_on_large_pages() -> None:
    """Each is timed, in a pause; what is decided of it can be made again, and the heap is as it was."""
    lister = grown(20 * MIB)
    parts = timed(lister)
    assert advised(lister) == set(range(8, 20))
    assert len(parts) in (6, 7)
    for values in parts:
        assert 0 < values[0] <= values[1] == PAUSE_NS and values[2:] == [0, 0]
        [*DECIDED.values()][4](values)
    lister.check()
    lister.heap.collect()
    lister.check()


def test_no_page_is_large_where_that_takes_longer_than_a_pause() -> None:
    """As the machine was found to be, or as a heap is told."""
    believe(SLOW_NS)
    assert timed(grown(12 * MIB)) == []
    believe(1)
    assert timed(grown(12 * MIB, small=True)) == []
    assert timed(grown(7 * MIB)) == []


def test_one_that_came_too_late_puts_the_next_parts_on_small_ones() -> None:
    """No page comes in two nanoseconds: one is tried, and what follows is on small ones."""
    lister = grown(24 * MIB, pause_ns=2)
    assert [values[1:] for values in timed(lister)] == [[2, 0, 16]]
    assert verify(lister.heap) == []


def test_how_many_parts_that_are() -> None:
    """Four times as many each time, up to 8 GiB; half as many where they come in time again."""
    found, small = [], 0
    for _ in range(7):
        small = next_small(small, 501, 500)
        found.append(small)
    assert found == [16, 64, 256, 1024, 4096, 4096, 4096]
    assert next_small(64, 500, 500) == 32 and next_small(1, 0, 500) == next_small(0, 0, 500) == 0


def test_what_a_machine_takes_is_found_beside_its_guests() -> None:
    """A thread has tried some soon after the first heap has 4 MiB, and is gone; small ones ask for nothing."""
    believe(0)
    grown(2 * MIB)
    time.sleep(0.05)
    assert believe(0) == 0
    grown(5 * MIB)
    until, found = time.monotonic() + 30, 0
    while found == 0 and time.monotonic() < until:
        time.sleep(0.001)
        found = believe(0)
    assert 0 < found < 1 << 62


def test_large_objects_need_none_in_a_pause() -> None:
    """Their parts come as a guest writes them, as they did."""
    lister = grown(9 * MIB)
    before = len(timed(lister))
    assert lister.guest.new(LONGS, 2 * MIB, 8 + 16 * MIB)
    assert len(timed(lister)) <= before + 1
    lister.check()
