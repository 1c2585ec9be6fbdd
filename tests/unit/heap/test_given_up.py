"""Looks at new objects that are given up when their time is over, and holes that are handed out ahead."""

from __future__ import annotations

import ctypes

import pytest

from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.verify import verify
from tests.unit.heap.model import HOW, SLICES, YOUNG, Guest, described
from tests.unit.heap.test_cycles import LEAF, LINK, LONGS, MIB, REFS, Lister

LONG = 1 << 17
"""Elements that nobody looks at in the time that a look has here: half of what its roots took."""


def looks(heap: Heap) -> list[list[int]]:
    """Notes of looks at new objects since this was asked last."""
    return [values for kind, _, *values in heap.read_journal() if kind == 1]


class Hurried:
    """A guest with an array in root 0 that is so long that a look at it is given up."""

    def __init__(self) -> None:
        self.heap = Heap(described(), 64 * MIB)
        self.guest = Exerciser(self.heap, 4, 4)
        self.heap.by_generations(2)
        self.heap.watch(1 << 16)

    def array(self, root: int = 0) -> int:
        """A new one."""
        found = self.guest.new(REFS, LONG, 8 + 8 * LONG)
        self.guest.set_root(root, found)
        return found

    def look(self) -> list[int]:
        """Make what dies until there was a look: what it says."""
        looks(self.heap)
        while True:
            self.guest.new(LEAF, 0, 16)
            if found := looks(self.heap):
                return found[0]


@pytest.mark.parametrize("marking", [False, True])
def test_a_look_that_takes_long_keeps_all(marking: bool) -> None:
    """What it has not come to is left, and what dies with it; each object counts once, and the next nursery is small.
    Then all that is garbage goes with a full collection."""
    hurried = Hurried()
    guest, heap = hurried.guest, hurried.heap
    first = before = 0
    while heap.is_marking is not marking:
        link = guest.new(LINK, 0, 32)
        guest.store(link, 16, first)
        guest.set_root(1, link)
        first, before = link, before + 1
    heap.collect_new()
    live = heap.live_bytes
    links = [guest.new(LINK, 0, 32) for _ in range(400)]
    other = guest.new(REFS, 60, 488)
    array = hurried.array()
    for at, link in enumerate(links):
        guest.store(array, 8 * (LONG - at), link)
    guest.store(array, 8 * (LONG // 2), other)
    guest.store(other, 488 - 8, links[0])
    guest.set_root(2, links[1])
    assert heap.is_marking is marking
    nursery, _, _, after, _, _, given_up, made, _ = hurried.look()[:9]
    assert given_up and after <= max(nursery // 2, 1 << 16) and heap.is_marking is marking
    kept = heap.live_bytes - live
    assert 8 + 8 * LONG + 400 * 32 + 488 < kept < made
    assert verify(heap) == []
    side = ctypes.cast(guest.side_byte(array), ctypes.POINTER(ctypes.c_ubyte))
    assert {side[at] & 0x57 for at in range((8 + 8 * LONG) // 16)} == {side[0] & 0x57} and side[0] & 0x40
    assert side[0] & 0x20 == (0x20 if marking else 0)  # slices are to look at it
    for _ in range(40_000):
        guest.new(LEAF, 0, 16)
    assert {guest.load(link, 0) for link in links} == {LINK} and verify(heap) == []
    guest.write(array, 8, guest.new(LINK, 0, 32))
    assert not side[0] & 0x40 and verify(heap) == []
    heap.collect()
    small = 400 * 32 + 496 + 32 + before * 32
    assert heap.live_bytes - ((8 + 8 * LONG + 32767) & -32768) == small
    assert verify(heap) == []


def test_large_objects_do_not_make_nurseries_small() -> None:
    """A look at an array of sixteen MiB takes as long however soon it comes: it is given up, and the next nursery is as
    large as this one."""
    heap = Heap(described(), 256 * MIB)
    guest = Exerciser(heap, 4, 4)
    heap.by_generations(200_000)
    heap.watch(1 << 16)
    for _ in range(200_000):
        guest.new(LEAF, 0, 16)  # nurseries grow
    looks(heap)
    guest.set_root(0, guest.new(REFS, 2 * MIB, 8 + 16 * MIB))
    found: list[list[int]] = []
    while not found:
        guest.new(LEAF, 0, 16)
        found = looks(heap)
    before, _, most, after, _, _, given_up, made, _, _, large, keeping = found[0][:12]
    assert given_up and large >= 16 * MIB > made // 2
    assert before > 1 << 18 and after >= min(before, most // 2 * keeping // 1000)  # what can be kept may be less


def test_what_is_made_is_what_is_kept() -> None:
    """To the byte, however much of it was looked at before: an array, and what waits on the stack or is on it."""
    hurried = Hurried()
    guest, heap = hurried.guest, hurried.heap
    heap.collect_new()
    looks(heap)
    live = heap.live_bytes
    links = [guest.new(LINK, 0, 32) for _ in range(500)]
    array = hurried.array()
    for at, link in enumerate(links):
        guest.store(array, 8 + 8 * at, link)
        guest.store(link, 16, links[at - 1])
    dead = 0
    while not looks(heap):
        guest.new(LEAF, 0, 16)
        dead += 16
    assert heap.live_bytes - live == 16 + 8 * LONG + 500 * 32 + dead - 16  # the last was made behind the look


@pytest.mark.parametrize("entries", [1, 3])
def test_objects_that_waited_are_found_again_by_the_next_look(entries: int) -> None:
    """Where the stack is short they wait in their blocks, of which nothing is left behind a look that was given up."""
    hurried = Hurried()
    guest, heap = hurried.guest, hurried.heap
    guest.shorten_stack(entries)
    kept: list[int] = []
    for _ in range(6):
        heap.collect_new()
        links = [guest.new(LINK, 0, 32) for _ in range(300)]
        array = hurried.array()
        for at, link in enumerate(links):
            guest.store(array, 8 + 8 * at, link)
        assert hurried.look()[6]
        assert verify(heap) == []
        guest.set_root(0, 0)
        few = guest.new(REFS, 60, 488)
        guest.set_root(1, few)
        kept = [guest.new(LINK, 0, 32) for _ in range(60)]
        for at, link in enumerate(kept):
            guest.store(few, 8 + 8 * at, link)
            guest.store(link, 16, kept[at - 1])
        heap.collect_new()  # as long as it takes
        assert verify(heap) == []
        for _ in range(5000):
            guest.new(LEAF, 0, 16)
        assert {guest.load(link, 0) for link in kept} == {LINK}


def test_what_writers_noted_is_old_behind_a_look_that_is_given_up() -> None:
    """Whether it is given up within what was noted or behind that: each write is noted again."""
    hurried = Hurried()
    guest, heap = hurried.guest, hurried.heap
    old = hurried.array()
    heap.collect()
    side = ctypes.cast(guest.side_byte(old), ctypes.POINTER(ctypes.c_ubyte))
    for at in range(20_000):
        guest.write(old, 8 + 8 * at, guest.new(LINK, 0, 32) if at % 50 == 0 else 0)
    hurried.array(1)
    assert hurried.look()[6]
    assert {side[at] & 0x40 for at in range(10_001)} == {0x40}
    assert verify(heap) == []


def test_what_is_behind_in_a_long_log_is_not_lost() -> None:
    """The look is given up in the midst of what was noted, with nothing on the stack: it has not seen all."""
    hurried = Hurried()
    guest, array = hurried.guest, hurried.array()
    hurried.heap.collect()
    for at in range(0, 40_000, 2):  # two words of each granule are noted, which is less than a log may have
        guest.write(array, 8 + 8 * at, 0)
    guest.write(array, 8 + 8 * 40_001, new := guest.new(LEAF, 0, 16))
    hurried.look()
    for _ in range(10_000):
        guest.new(LINK, 0, 32)
    assert guest.load(new, 0) == LEAF
    assert verify(hurried.heap) == []


def test_a_guest_whose_objects_live_on_is_seldom_given_up() -> None:
    """The next nurseries are so small that all can be looked at."""
    lister = Lister(pause_ns=1_000_000, limit=256 * MIB)
    lister.heap.watch(1 << 16)
    for _ in range(1_500_000):
        lister.guest.new(LEAF, 0, 16)
    assert looks(lister.heap)[-1][0] > MIB  # large, as nothing lived
    for _ in range(400_000):
        lister.push()
    found = looks(lister.heap)
    assert sum(note[6] for note in found) <= max(len(found) // 3, 2)
    lister.check()


@pytest.mark.parametrize("how", [YOUNG, SLICES])
@pytest.mark.parametrize("seed", [1, 2])
def test_a_guest_of_which_looks_are_given_up(how: str, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """With an object for each collection two of five are, one of them in the midst: the witness misses nothing."""
    assert how in HOW
    monkeypatch.setenv("STRATA_CHECK", "2")
    guest = Guest(seed, how=how)
    guest.heap.watch(1 << 16)
    for step in range(600):
        guest.step()
        if step % 60 == 0:
            guest.check()
    guest.check()
    assert {note[6] for note in looks(guest.heap)} == {0, 1}


def test_holes_that_were_handed_out_ahead() -> None:
    """They are empty until they are used, and go back where they are not; a window that is another's begins anew."""
    guest = Guest(0, how=YOUNG)
    heap = guest.heap
    for _ in range(5):
        for _ in range(20_000):
            guest.guest.new(LEAF, 0, 16)
        for _ in range(40):  # in the midst of some of them
            for _ in range(100):
                guest.guest.new(LEAF, 0, 16)
            assert verify(heap) == []
        heap.collect_new()
        assert verify(heap) == [] and heap.live_bytes == 0 and heap.used_bytes == 0


def test_holes_of_a_block_are_looked_for_again_when_there_are_larger_ones() -> None:
    """Small ones that were passed over are remembered only until a collection frees what is between them."""
    lister = Lister(pause_ns=500_000)
    guest, heap, count = lister.guest, lister.heap, 60_000
    array = guest.new(REFS, count, 8 + 8 * count)
    guest.set_root(1, array)
    for at in range(count):
        guest.write(array, 8 + 8 * at, guest.new(LEAF, 0, 16))
        guest.new(LEAF, 0, 16)
    heap.collect()
    for _ in range(100_000):
        guest.new(LINK, 0, 32)
    heap.collect()
    for at in range(count):
        if at % 16:
            guest.write(array, 8 + 8 * at, 0)
    heap.collect()
    used = heap.used_bytes
    for _ in range(20_000):
        guest.new(LINK, 0, 32)
    assert heap.used_bytes <= used + (1 << 17)
    lister.check()


def test_arrays_that_are_larger_than_a_nursery_let_slices_go_on() -> None:
    """Each is kept for a while, and each allocation is behind so many bytes that a look is due, and a slice."""
    lister = Lister(limit=1024 * MIB, pause_ns=5_000_000)
    for _ in range(200_000):
        lister.push()
    for at in range(80):
        lister.guest.set_root(1 + at % 3, lister.guest.new(LONGS, 6 * MIB // 8, 8 + 6 * MIB))
    assert lister.heap.used_bytes < 250 * MIB
    lister.check()


def test_large_arrays_do_not_keep_a_collection_from_beginning() -> None:
    """Before the last number is taken side bytes are cleaned, a few blocks in a pause: an array that is made in each
    has more of them, but none that needs it."""
    lister = Lister(limit=512 * MIB, pause_ns=20_000)
    for _ in range(2_000):
        lister.push()
    for at in range(400):
        lister.guest.set_root(1 + at % 3, lister.guest.new(LONGS, MIB // 8, 8 + MIB))
        if lister.heap.cycles[0] > 7:
            break
    assert lister.heap.cycles[0] > 7
    assert lister.heap.used_bytes < 100 * MIB
    lister.check()
