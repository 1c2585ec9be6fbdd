"""Full collections in slices mark what is there, not what was: what moves to where slices have been is found, whoever
moves it and however; what dies before it is found is not."""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import pytest

from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.verify import verify
from stratavm.spec import types as T
from tests.unit.heap.model import described

LEAF, LINK = (T.STRUCT_ID | n for n in (1, 2))
REFS = T.ARRAY_ID | 70
NUMBER, WAITING = 7, 0x20
MANY = 1 << 16
"""Words that are written at once without a note for each."""
MIB = 1 << 20


class Mover:
    """A guest in the midst of a full collection in slices: these have been in the link in root 1 and at the beginning
    of the array in root 2, not at the end of a long list, which has the only reference to a thing."""

    def __init__(self, words: int = 4) -> None:
        self.heap = Heap(described(), 64 * MIB, 1 << 16)
        self.guest = guest = Exerciser(self.heap, 5, words)
        self.heap.by_generations(20_000)
        self.thing, self.inner, self.last = self.link(0), guest.new(LEAF, 0, 16), self.link(0)
        guest.store(self.thing, 16, self.inner)
        guest.store(self.last, 16, self.thing)
        self.first = self.list(0, 30_000, self.last)
        self.found, self.elements = self.link(0), guest.new(REFS, MANY, 8 + 8 * MANY)
        guest.set_root(1, self.found)
        guest.set_root(2, self.elements)
        self.heap.collect()

    def link(self, next: int) -> int:
        """A new link."""
        made = self.guest.new(LINK, 0, 32)
        self.guest.store(made, 16, next)
        return made

    def list(self, root: int, length: int, next: int) -> int:
        """A list in a root, and its first link; the thing is in root 4 until then."""
        self.guest.set_root(4, self.thing)
        for _ in range(length):
            self.guest.set_root(root, next)
            next = self.link(next)
        self.guest.set_root(root, next)
        return next

    def side(self, address: int) -> int:
        """The side byte of an object."""
        return ctypes.c_uint8.from_address(self.guest.side_byte(address)).value

    def begin(self) -> None:
        """Until slices have been where they are to have been."""
        self.guest.set_root(4, 0)
        next = 0
        while not self.heap.is_marking:
            next = self.link(next)
            self.guest.set_root(3, next)
        self.guest.set_root(3, 0)
        number = self.side(self.last) & NUMBER
        while self.side(self.found) & NUMBER == number or self.side(self.found) & WAITING:
            self.guest.new(LEAF, 0, 16)
        while self.side(self.elements) & NUMBER == number or self.side(self.elements) & WAITING:
            self.guest.new(LEAF, 0, 16)
        assert self.heap.is_marking
        assert self.side(self.last) & NUMBER == self.side(self.thing) & NUMBER == number

    def end(self) -> None:
        """Until all is known; what was found is an object."""
        cycles = self.heap.cycles[0]
        while self.heap.cycles[0] == cycles:
            self.guest.new(LEAF, 0, 16)
        assert verify(self.heap) == []

    def is_left(self, address: int) -> bool:
        """Whether an object is, behind a full collection."""
        return self.side(address) & NUMBER == self.side(self.found) & NUMBER


def by_write(mover: Mover) -> None:
    """Into an object where slices have been."""
    mover.guest.write(mover.found, 16, mover.thing)


def by_two_words(mover: Mover) -> None:
    """The second word of a granule that was noted."""
    mover.guest.write(mover.elements, 24, mover.found)
    mover.guest.write(mover.elements, 32, mover.thing)
    mover.heap.collect_new()


def by_range(mover: Mover) -> None:
    """Some words at once."""
    mover.guest.write_all(mover.elements, [0, mover.thing, 0])
    mover.heap.collect_new()


def by_bulk(mover: Mover) -> None:
    """So many at once that each has no note."""
    mover.guest.write_all(mover.elements, [0, mover.thing] + [0] * (MANY - 2))


def by_new_object(mover: Mover) -> None:
    """Into an object that a look at new ones finds."""
    mover.guest.set_root(3, mover.link(mover.thing))
    mover.heap.collect_new()


def by_new_array(mover: Mover) -> None:
    """Into an array that a look at new ones finds, which looks at it in parts."""
    array = mover.guest.new(REFS, 300, 8 + 8 * 300)
    mover.guest.store(array, 8 * 300, mover.thing)
    mover.guest.set_root(3, array)
    mover.heap.collect_new()


def by_old_object_and_keeping(mover: Mover) -> None:
    """What was noted is forgotten when what is new grows old without a look."""
    mover.guest.write(mover.found, 16, mover.thing)
    mover.guest.write_all(mover.elements, [0] * MANY)


def by_new_object_and_keeping(mover: Mover) -> None:
    """A new object grows old without a look."""
    mover.guest.set_root(3, mover.link(mover.thing))
    mover.guest.write_all(mover.elements, [0] * MANY)


def by_new_array_and_keeping(mover: Mover) -> None:
    """A small array does."""
    array = mover.guest.new(REFS, 300, 8 + 8 * 300)
    mover.guest.store(array, 8 * 300, mover.thing)
    mover.guest.set_root(3, array)
    mover.guest.write_all(mover.elements, [0] * MANY)


def by_large_array_and_keeping(mover: Mover) -> None:
    """A large one does, at whose end the thing is."""
    array = mover.guest.new(REFS, 3000, 8 + 8 * 3000)
    mover.guest.store(array, 8 * 3000, mover.thing)
    mover.guest.set_root(3, array)
    mover.guest.write_all(mover.elements, [0] * MANY)


def by_look_that_is_given_up(mover: Mover) -> None:
    """Behind an array that is so long that nobody comes to its end."""
    length = 1 << 18
    array = mover.guest.new(REFS, length, 8 + 8 * length)
    mover.guest.set_root(3, array)
    mover.guest.store(array, 8 * length, mover.link(mover.thing))


def by_root(mover: Mover) -> None:
    """A global, or a table, or what Python has."""
    mover.guest.set_root(3, mover.thing)


def by_word(mover: Mover) -> None:
    """A word of a stack."""
    mover.guest.set_word(0, mover.thing + 8)


def by_host(mover: Mover) -> None:
    """What the host holds."""
    mover.heap.hold(mover.thing)


WAYS = (
    by_write,
    by_two_words,
    by_range,
    by_bulk,
    by_new_object,
    by_new_array,
    by_old_object_and_keeping,
    by_new_object_and_keeping,
    by_new_array_and_keeping,
    by_large_array_and_keeping,
    by_look_that_is_given_up,
    by_root,
    by_word,
    by_host,
)


@pytest.mark.parametrize("way", WAYS)
def test_what_moves_to_where_slices_have_been_is_found(way: Callable[[Mover], None]) -> None:
    """And what it refers to; nothing is wrong with the heap meanwhile."""
    mover = Mover()
    mover.begin()
    way(mover)
    mover.guest.write(mover.last, 16, 0)
    assert verify(mover.heap) == []
    for _ in range(20_000):
        mover.guest.new(LEAF, 0, 16)
    assert verify(mover.heap) == []
    mover.end()
    assert mover.is_left(mover.thing) and mover.is_left(mover.inner)
    assert mover.guest.load(mover.guest.load(mover.thing, 16), 0) == LEAF


def test_what_dies_before_it_is_found_is_garbage() -> None:
    """With the collection that goes on just then: it was reachable when that began."""
    mover = Mover()
    mover.begin()
    mover.guest.write(mover.last, 16, 0)
    mover.end()
    assert mover.is_left(mover.last)
    assert not mover.is_left(mover.thing) and not mover.is_left(mover.inner)


def test_the_verifier_finds_what_nobody_noted() -> None:
    """A reference to what slices have not found, where they have been."""
    mover = Mover()
    mover.begin()
    assert verify(mover.heap) == []
    mover.guest.store(mover.found, 16, mover.thing)
    assert [found for found in verify(mover.heap) if "slices have been in" in found]


def test_a_write_is_noted_behind_what_it_makes_due() -> None:
    """A log that is too long is forgotten, with what was noted, but for the write at hand: things that stacks have had
    until then are in a list, in which slices have been, and all of them are left."""
    count = 30_000
    mover = Mover(count)
    guest, heap = mover.guest, mover.heap
    hoard = guest.new(REFS, count, 8 + 8 * count)
    guest.store(mover.thing, 16, 0)
    guest.set_root(3, hoard)
    things = list[int]()
    for at in range(count):
        things.append(guest.new(LEAF, 0, 16))
        guest.write(hoard, 8 + 8 * at, things[-1])
    heap.collect()
    guest.write(mover.thing, 16, hoard)
    heap.collect()
    mover.begin()
    for at, thing in enumerate(things):
        guest.set_word(at, thing)
    guest.write_all(hoard, [0] * count)
    links, link = list[int](), guest.load(mover.first, 16)
    while link != mover.last:
        links.append(link)
        link = guest.load(link, 16)
    minors, slices = heap.minors, -1
    while slices != heap.cycles[1]:
        slices = heap.cycles[1]
        for link in links:
            guest.write(link, 16, guest.load(link, 16))
        guest.write_all(mover.elements, [0] * MANY)
    assert heap.is_marking and heap.minors == minors
    for at in range(0, 30_000, 2):  # two words each: the log is as good as full
        guest.write(mover.elements, 8 + 8 * at, 0)
    for at, thing in enumerate(things[: len(links)]):
        guest.write(links[at], 16, thing)
    for at in range(count):
        guest.set_word(at, 0)
    mover.end()
    assert all(mover.is_left(thing) for thing in things[: len(links)])


@pytest.mark.parametrize("by_word_too", [True, False])
def test_a_full_collection_where_notes_were_lost(by_word_too: bool) -> None:
    """What goes on in slices is given up: what these have found and what not is there, if something refers to it."""
    mover = Mover()
    mover.begin()
    mover.guest.lose_notes()
    mover.guest.store(mover.found, 16, mover.thing)
    mover.guest.store(mover.last, 16, 0)
    if by_word_too:
        mover.guest.store(mover.found, 16, 0)
        mover.guest.set_word(0, mover.thing)
    cycles, minors = mover.heap.cycles[0], mover.heap.minors
    while mover.heap.is_marking:
        mover.guest.new(LEAF, 0, 16)
    assert (mover.heap.cycles[0], mover.heap.minors) == (cycles, minors)
    assert verify(mover.heap) == []
    assert mover.is_left(mover.thing) and mover.is_left(mover.inner)
    live = mover.heap.live_bytes
    mover.heap.collect()
    assert mover.heap.live_bytes == live
    while not mover.heap.is_marking:
        mover.list(3, 1000, 0)
    mover.end()
    assert mover.is_left(mover.thing) and mover.is_left(mover.last)


def test_who_writes_a_long_array_again_and_again_comes_to_an_end() -> None:
    """Each look finds it written since; it takes longer than a pause to look at, and more time is taken in the end."""
    mover = Mover()
    length, looks = 1 << 17, 0
    array = mover.guest.new(REFS, length, 8 + 8 * length)
    mover.guest.set_root(3, array)
    mover.heap.collect()
    words = [mover.found] * length
    while not mover.heap.is_marking:
        mover.list(4, 10_000, 0)
    cycles, minors = mover.heap.cycles[0], mover.heap.minors
    while mover.heap.cycles[0] == cycles:
        if mover.heap.minors != minors:
            minors, looks = mover.heap.minors, looks + 1
            assert looks < 5000
            mover.guest.write_all(array, words)
        mover.guest.new(LEAF, 0, 16)
    assert verify(mover.heap) == []


def test_what_has_moved_is_found_in_one_pause_too() -> None:
    """Where somebody asks for a full collection while one goes on in slices."""
    mover = Mover()
    mover.begin()
    mover.guest.set_root(3, mover.link(mover.thing))
    mover.guest.write(mover.last, 16, 0)
    mover.heap.collect()
    assert mover.is_left(mover.thing) and mover.is_left(mover.inner)
    assert verify(mover.heap) == []


def test_more_is_met_than_there_is_a_list_for() -> None:
    """Links on the stack that were in arrays to which slices have not come; each has the only reference to a leaf."""
    count = (1 << 15) + 700
    mover = Mover(count)
    guest, links, leaves = mover.guest, list[int](), list[int]()
    hoards = list[int]()
    for at in range(2):
        hoards.append(guest.new(REFS, count // 2, 8 + 8 * (count // 2)))
        guest.set_root(3 + at, hoards[at])
    guest.write(hoards[0], 8 * (count // 2), hoards[1])
    guest.set_root(4, 0)
    for at in range(count - 2):
        leaves.append(guest.new(LEAF, 0, 16))
        guest.set_word(0, leaves[-1])
        links.append(mover.link(leaves[-1]))
        guest.write(hoards[at & 1], 8 + 8 * (at >> 1), links[-1])
    guest.write(mover.thing, 16, hoards[0])
    mover.heap.collect()
    mover.begin()
    for at, link in enumerate(links):
        guest.set_word(at, link)
    for hoard in hoards:
        guest.write_all(hoard, [0] * (count // 2))
    mover.heap.collect_new()
    for at in range(count):
        guest.set_word(at, 0)
    guest.set_root(3, 0)
    mover.end()
    assert all(mover.is_left(leaf) for leaf in leaves)


def test_handles_of_what_is_kept_without_a_look() -> None:
    """They are met, though nobody said that a guest got them."""
    mover = Mover()
    mover.guest.expect_handles(10)
    mover.begin()
    by_handle = mover.link(7)
    mover.guest.set_root(3, by_handle)
    mover.guest.write_all(mover.elements, [0] * MANY)
    mover.end()
    assert mover.guest.handles == [7]
