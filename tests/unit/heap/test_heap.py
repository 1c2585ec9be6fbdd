"""The heap against a witness: what must be left after collections is, and nobody gets a place twice."""

from __future__ import annotations

import ctypes
import itertools
import math
import resource
import threading
from collections.abc import Callable

import pytest

from stratavm.base.errors import ResourceLimit
from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.layout import layout_of
from stratavm.heap.pace import (
    bytes_between,
    growth_allowed,
    next_born,
    next_keeping,
    next_nursery,
    next_rate,
    root_of,
    time_for_new,
    time_to_look,
)
from stratavm.heap.verify import verify
from stratavm.spec import types as T
from tests.decisions import DECIDED
from tests.unit.heap.model import ANY, BESIDE, HOW, PAUSES, SLICES, YOUNG, Guest, described

LEAF, LINK, WIDE, BROAD = (T.STRUCT_ID | n for n in (1, 2, 3, 4))
REFS, BYTES, LONGS = T.ARRAY_ID | 70, T.ARRAY_ID | 71, T.ARRAY_ID | 400
STEPS = 1200


@pytest.fixture
def unspoiled(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is gone stays as it is for a while: a heap that spoils it gives pages back and clears numbers at once."""
    monkeypatch.setenv("STRATA_POISON", "0")
    monkeypatch.setenv("STRATA_CHECK", "0")


def run(guest: Guest, steps: int, every: int = 200) -> None:
    """So many steps, with looks at the heap between."""
    for step in range(steps):
        guest.step()
        if guest.random.randrange(50) == 0:
            guest.heap.collect_new()
            guest.forget_unreachable()
        if step % every == 0:
            guest.check()
    guest.heap.collect()
    guest.forget_unreachable()
    guest.check()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("seed", range(3))
def test_a_guest_finds_all_that_it_can_reach(seed: int, how: str) -> None:
    """Whatever it does, with collections at any time, more of them than there are numbers of epochs."""
    guest = Guest(seed, how=how)
    run(guest, STEPS)
    assert guest.heap.collections > 7
    assert (guest.heap.minors > 7) is (how != PAUSES)


@pytest.mark.parametrize("how", HOW)
def test_collections_at_every_allocation(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``STRATA_CHECK=2``: no place survives that nobody holds, and whoever writes to one is found; full collections in
    slices of a few objects are under way most of the time."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    guest = Guest(7, how=how)
    run(guest, 400, 40)
    assert guest.heap.collections > 100
    assert guest.heap.collections - guest.heap.minors > 4
    cycles, slices = guest.heap.cycles
    assert how == BESIDE or (cycles > 4 and slices > cycles) is (how == SLICES)


@pytest.mark.parametrize(("entries", "how"), [(1, PAUSES), (2, YOUNG), (3, SLICES), (17, PAUSES)])
def test_a_stack_that_is_full(entries: int, how: str) -> None:
    """Objects that find no room on the stack are looked at all the same."""
    guest = Guest(11, how=how)
    guest.guest.shorten_stack(entries)
    run(guest, STEPS)


def chain(guest: Guest, count: int) -> None:
    """Root 0 holds a list."""
    for _ in range(count):
        link = guest.new(LINK)
        guest.link(link, 16, guest.roots[0])
        guest.root(0, link)


def test_lists_and_wide_arrays() -> None:
    """A list is as long as it likes, an array has more elements than are looked at in one go; both go together."""
    guest = Guest(0)
    chain(guest, 4000)
    array = guest.new(REFS, 3000)
    guest.root(1, array)
    for at in range(3000):
        guest.link(array, 8 + 8 * at, guest.new(LEAF))
    guest.heap.collect()
    guest.check()
    assert guest.live_bytes() <= guest.heap.live_bytes <= guest.live_bytes() + (1 << 15)
    guest.root(0, 0)
    guest.root(1, 0)
    guest.heap.collect()
    assert guest.heap.live_bytes == 0
    assert verify(guest.heap) == []


def test_what_no_root_holds_is_free() -> None:
    """The same room is used again and again: a heap of one MiB gives many."""
    guest = Guest(0, limit=1 << 20)
    for _ in range(40_000):
        assert guest.guest.new(LINK, 0, 32)
    for length in [0, 100, 9000, 300_000] * 20:
        assert guest.guest.new(BYTES, length, 8 + length)
    guest.forget_unreachable()
    guest.check()


def test_the_limit() -> None:
    """A heap that is full gives nothing, breaks nothing, and gives again when there is room."""
    guest = Guest(0, limit=1 << 20)
    count = 0
    while link := guest.new(LINK):
        guest.link(link, 16, guest.roots[0])
        guest.root(0, link)
        count += 1
    assert 0.9 < count * 32 / (1 << 20) <= 1
    assert not guest.new(BYTES, 2 << 20)
    assert not guest.guest.new(BYTES, 0xFFFF_FFFF, (1 << 64) - 1)
    guest.check()
    guest.root(0, 0)
    assert guest.new(BYTES, 1 << 19)
    guest.forget_unreachable()
    guest.check()


def mappings() -> int:
    """How many parts of address space the process has."""
    with open("/proc/self/maps") as lines:
        return sum(1 for _ in lines)


def test_heaps_come_and_go() -> None:
    """A thousand at once take two mappings each, and leave none."""
    before, descriptors = mappings(), described()
    heaps = [Heap(descriptors, 1 << 30) for _ in range(1000)]
    guests = [Exerciser(heap, 1, 1) for heap in heaps]
    assert all(guest.new(LEAF, 0, 16) for guest in guests)
    assert mappings() - before < 3 * len(heaps)
    del guests, heaps
    assert mappings() - before < 100


def test_no_address_space() -> None:
    """Where nothing can be reserved there is an error that names it."""
    before = resource.getrlimit(resource.RLIMIT_AS)
    with open("/proc/self/statm") as pages:
        reserved = int(pages.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (reserved + (4 << 30), before[1]))
    try:
        with pytest.raises(ResourceLimit, match="cannot reserve address space for a heap of"):
            Heap(described(), 16 << 30)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def test_words_that_point_into_an_object_hold_it() -> None:
    """Into a fresh one, an old one and a large one; just behind it they do not."""
    guest = Guest(0)
    things, gaps = list[int](), list[int]()
    for type_id, length in ((LEAF, 0), (BYTES, 100), (LONGS, 3000)):
        things.append(guest.new(type_id, length))
        gaps.append(guest.new(LINK))
    for offset, kept in ((0, True), (9, True), (-1, False)):
        for at, thing in enumerate(things):
            guest.word(at, thing + (guest.known[thing].size if offset < 0 else offset))
        guest.heap.collect()
        assert verify(guest.heap) == []
        size = sum(guest.known[thing].size for thing in things)
        assert (guest.heap.live_bytes >= size) is kept
        if kept:
            guest.check()
    assert guest.heap.live_bytes == 0


def test_a_word_does_not_bring_back_what_is_gone() -> None:
    """A stale word points to an object that was found to be garbage before: what it referred to may be anything."""
    guest = Guest(0)
    old = guest.new(LINK)
    guest.link(old, 16, guest.new(LEAF))
    keep = guest.new(LEAF)
    guest.root(0, keep)
    guest.heap.collect()
    guest.word(0, old)
    guest.heap.collect()
    assert guest.heap.live_bytes == 16
    assert verify(guest.heap) == []


@pytest.mark.usefixtures("unspoiled")
def test_words_that_point_into_pages_that_leave_hold_nothing() -> None:
    """Neither the object that was there, nor what its bytes look like, nor what it referred to."""
    guest = Guest(0, how=YOUNG)
    leaf, refs, numbers = guest.new(LEAF), guest.new(REFS, 1 << 18), guest.new(BYTES, 2 << 20)
    guest.root(0, refs)
    guest.root(1, numbers)
    guest.guest.write(refs, 8, leaf)
    inner = numbers + (1 << 20)
    guest.guest.store(inner, 0, LEAF)
    guest.root(0, 0)
    guest.root(1, 0)
    guest.heap.collect()
    assert guest.heap.live_bytes == 0
    for collect in (guest.heap.collect, guest.heap.collect_new, guest.heap.collect):
        for at, word in enumerate((refs, refs + 8, numbers, inner)):
            guest.word(at, word)
        collect()
        assert guest.heap.live_bytes == 0
        assert [bytes_at(guest.guest.side_byte(thing))[0] & 7 for thing in (refs, numbers, inner)] == [0, 0, 0]
        assert verify(guest.heap) == []
    assert guest.heap.used_bytes > 4 << 20


def test_numbers_and_handles_are_no_objects() -> None:
    """Fields that hold other things than addresses are passed over."""
    guest = Guest(0)
    link = guest.new(WIDE)
    for offset, word in zip(guest.places(link), (5, 1 << 63 | 9, 0), strict=True):
        guest.link(link, offset, word)
    guest.root(0, link)
    guest.heap.collect()
    guest.check()


def test_the_host_holds_objects() -> None:
    """As often as it says."""
    guest = Guest(0)
    thing = guest.new(LEAF)
    for _ in range(40):
        guest.heap.hold(thing)
    for _ in range(39):
        guest.heap.release(thing)
    guest.heap.collect()
    assert guest.heap.live_bytes == 16
    guest.heap.release(thing)
    with pytest.raises(ValueError, match="is no object that the host holds"):
        guest.heap.release(thing)
    guest.heap.collect()
    assert guest.heap.live_bytes == 0


def bytes_at(address: int, count: int = 1) -> ctypes.Array[ctypes.c_uint8]:
    """Memory."""
    return (ctypes.c_uint8 * count).from_address(address)


def no_type(guest: Guest, thing: int) -> None:
    """A header of no type."""
    guest.guest.store(thing, 0, 12345)


def too_long(guest: Guest, thing: int) -> None:
    """An array that ends behind its hole."""
    guest.guest.store(guest.roots[1], 0, REFS | 4000 << 32)


def inside(guest: Guest, thing: int) -> None:
    """A reference into an object."""
    guest.guest.store(thing, 16, guest.roots[1] + 16)


def outside(guest: Guest, thing: int) -> None:
    """A reference to memory that is no heap's."""
    guest.guest.store(thing, 16, ctypes.addressof(ctypes.create_string_buffer(64)) & -16)


def no_start(guest: Guest, thing: int) -> None:
    """An object without a start."""
    bytes_at(guest.guest.side_byte(thing))[0] &= 0x7F


def half_marked(guest: Guest, thing: int) -> None:
    """An object whose second granule is free."""
    bytes_at(guest.guest.side_byte(thing) + 1)[0] = 0


def freed(guest: Guest, thing: int) -> None:
    """A write to what was freed."""
    guest.guest.store(guest.held[0], 8, 1)


def misplaced(guest: Guest, thing: int) -> None:
    """The side byte of an object in a block that nobody uses."""
    bytes_at(guest.guest.side_byte(thing + (1 << 20)))[0] = 0x80


@pytest.mark.parametrize("fault", [no_type, too_long, inside, outside, no_start, half_marked, freed, misplaced])
def test_the_verifier_finds_a_fault(fault: Callable[[Guest, int], None], monkeypatch: pytest.MonkeyPatch) -> None:
    """One that is planted in a heap that is sound."""
    monkeypatch.setenv("STRATA_POISON", "1")
    guest = Guest(0)
    gone = guest.new(LINK)
    guest.root(0, guest.new(LINK))
    guest.root(1, guest.new(REFS, 10))
    guest.heap.collect()
    guest.held = [gone]
    assert verify(guest.heap) == []
    fault(guest, guest.roots[0])
    assert verify(guest.heap)


def test_a_late_write_to_freed_memory_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even if its place was given away since."""
    monkeypatch.setenv("STRATA_POISON", "1")
    guest = Guest(0)
    gone = [guest.new(LEAF) for _ in range(8)]  # fewer are no hole that is worth it
    guest.root(0, guest.new(LEAF))
    guest.heap.collect()
    guest.guest.store(gone[3], 8, 1)
    guest.root(1, guest.new(LEAF))
    assert any("freed runs of granules were written to" in line for line in verify(guest.heap))


def old_and_new(note: bool) -> tuple[Guest, int, int]:
    """An old object that refers to a new one, which nobody else does; and whether that was noted."""
    guest = Guest(0, how=YOUNG)
    old = guest.new(WIDE)
    guest.root(0, old)
    guest.heap.collect_new()
    new = guest.new(LEAF)
    write = guest.guest.write if note else guest.guest.store
    write(old, 16, new)
    write(old, 48, new)
    guest.known[old].fields = {16: new, 48: new}
    return guest, old, new


def test_what_only_an_old_object_refers_to() -> None:
    """A collection of new objects finds it by the note; the next one, too, for what is written then."""
    guest, old, new = old_and_new(note=True)
    guest.check()
    guest.heap.collect_new()
    guest.check()
    guest.link(old, 16, guest.new(LINK))
    guest.heap.collect_new()
    guest.check()
    assert guest.known[new].stamp == guest.guest.load(new, 8)
    assert guest.heap.minors == 3


def test_a_write_that_nobody_noted_is_found() -> None:
    """By the verifier at once, by the witness when the object's place is somebody else's. Where notes were lost, which
    is known, the next collection looks at everything, and that is no fault."""
    guest, _, _ = old_and_new(note=False)
    assert any("nobody noted it" in line for line in verify(guest.heap))
    knows, _, _ = old_and_new(note=False)
    knows.guest.lose_notes()
    assert verify(knows.heap) == []
    guest.heap.collect_new()
    guest.guest.new(LINK, 0, 32)
    with pytest.raises(AssertionError):
        guest.check_witness()


def test_elements_of_large_old_arrays() -> None:
    """A note is of two words, not of the array."""
    guest = Guest(0, how=YOUNG)
    array = guest.new(REFS, 5000)
    guest.root(0, array)
    guest.heap.collect_new()
    for at in (0, 1, 2, 4998, 4999):
        guest.link(array, 8 + 8 * at, guest.new(LEAF))
    guest.check()
    guest.heap.collect_new()
    guest.forget_unreachable()
    guest.check()
    assert len(guest.known) == 6


@pytest.mark.trace_slow
def test_trees_come_and_go() -> None:
    """A hundred thousand nodes, of which a few thousand live: whoever is dropped gives room, be it new or old."""
    for how in HOW:
        for replace in (False, True):
            guest = Guest(0, limit=8 << 20, how=how)
            pair = T.STRUCT_ID | 9
            layout = layout_of(T.StructType((T.FieldType(ANY, True),) * 2), lambda t: True)
            guest.heap.descriptors.describe(pair, layout)
            assert guest.guest.load_trees(pair, 12, 300, replace) == 2**13 - 1
            assert verify(guest.heap) == []
            assert guest.heap.minors == 0 or how != PAUSES
            assert guest.heap.cycles[0] > 0 or how != SLICES or not replace
            took, longest = guest.heap.stood_ns
            assert took >= longest > 0
            assert guest.heap.stood_ns == (took, 0)
            pauses = guest.heap.pauses
            assert sum(pauses.values()) >= guest.heap.collections - guest.heap.cycles[0]  # one may end two
            assert max(pauses) <= longest < 2 * max(pauses)


@pytest.mark.parametrize("told", [True, False])
def test_a_reference_that_moves_while_marks_are_made(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """From the end of a long list to where slices have been: it is there because the write was told, and without that
    the witness misses it."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    guest = Guest(0, how=SLICES)
    last = guest.new(LINK)
    guest.root(0, last)
    tail = guest.new(LEAF)
    guest.link(last, 16, tail)
    chain(guest, 300)
    other = guest.new(LINK)
    guest.root(1, other)
    cycles = guest.heap.cycles[0]
    while not guest.heap.is_marking or guest.heap.cycles[0] == cycles:
        guest.new(LEAF)
    sides = [bytes_at(guest.guest.side_byte(address)) for address in (other, last)]
    while sides[0][0] & 0x27 == sides[1][0] & 7 or sides[0][0] & 0x20:
        guest.new(LEAF)
    assert guest.heap.is_marking and sides[1][0] & 7 != sides[0][0] & 7
    if told:
        guest.link(other, 16, tail)
    else:
        guest.guest.store(other, 16, tail)
        guest.known[other].fields[16] = tail
    guest.link(last, 16, 0)
    cycles = guest.heap.cycles[0]
    while guest.heap.cycles[0] == cycles:
        guest.guest.new(LEAF, 0, 16)  # behind the witness: it may be in the place of what was lost
    if told:
        guest.check()
    else:
        with pytest.raises(AssertionError):
            guest.check_witness()


def test_each_pause_says_what_it_was_spent_on() -> None:
    """The parts of a pause are all of it; a collection of new objects looks at those, and a slice at old ones."""
    guest = Guest(0, limit=8 << 20, how=SLICES)
    with pytest.raises(ValueError, match="a journal of 0 entries"):
        guest.heap.watch(0)
    guest.heap.watch(1000)
    with pytest.raises(ValueError, match="has a journal"):
        guest.heap.watch(1000)
    guest.root(0, guest.new(LEAF))
    guest.heap.collect_new()
    guest.heap.collect()
    notes = [note for note in guest.heap.read_journal() if note[0] == 0]
    assert guest.heap.read_journal() == []
    assert len(notes) >= 2
    for _, at, _, wall, used, _, *parts in notes:
        assert at > 0 and used <= 8 << 20
        assert 0 < wall == sum(parts)
    new, old = notes[-2][6:], notes[-1][6:]
    assert new[1] > 0 and new[2] == 0  # NEW, OLD
    assert old[2] > 0 and old[1] == 0


def test_a_journal_that_is_full_keeps_the_last() -> None:
    """What nobody read in time is gone, and what was read does not come again."""
    guest = Guest(0)
    guest.heap.watch(4)
    for _ in range(11):
        guest.heap.collect()
    times = [note[1] for note in guest.heap.read_journal()]
    assert len(times) == 4 and times == sorted(times)
    guest.heap.collect()
    assert len(guest.heap.read_journal()) == 1


def test_no_pause_has_more_of_a_processor_than_of_the_wall() -> None:
    """A thread's clock may jump by what a hypervisor took before, and two clocks are not asked at once."""
    guest = Guest(0)
    guest.heap.watch(1 << 12)
    for _ in range(2000):
        guest.heap.collect()
    pauses = [note for note in guest.heap.read_journal() if note[0] == 0]
    assert len(pauses) == 2000
    assert all(0 < took <= wall for _, _, took, wall, *_ in pauses)


@pytest.mark.trace_slow
def test_long_pauses_are_remembered_one_by_one() -> None:
    """Without a journal too: those of a millisecond and more, with their parts, and the last of them if there are
    many. Half a million nodes cannot be looked at in less."""
    guest = Guest(0, limit=256 << 20)
    assert guest.heap.long_pauses == []
    pair = T.STRUCT_ID | 9
    layout = layout_of(T.StructType((T.FieldType(ANY, True),) * 2), lambda t: True)
    guest.heap.descriptors.describe(pair, layout)
    guest.guest.load_trees(pair, 18, 0, False)
    for _ in range(34):
        guest.heap.collect()
    long = guest.heap.long_pauses
    assert len(long) == 32
    for _, _, took, wall, _, _, *parts in long:
        assert took >= 1_000_000
        assert parts[2] > 0 and sum(parts) == wall


@pytest.mark.usefixtures("unspoiled")
def test_pages_of_large_objects_go_back_bit_by_bit() -> None:
    """No pause gives back all of a huge array; when they are wanted they go at once, and what lies there is zero."""
    guest = Guest(0, limit=64 << 20)
    guest.root(0, guest.new(BYTES, 40 << 20))
    guest.guest.store(guest.roots[0], 16, 77)
    guest.root(0, 0)
    guest.heap.collect()
    guest.forget_unreachable()
    assert guest.heap.live_bytes == 0 and guest.heap.used_bytes > 30 << 20
    guest.check()
    before = guest.heap.used_bytes
    guest.new(BYTES, 9000)
    assert 0 < before - guest.heap.used_bytes < 4 << 20
    again = guest.new(BYTES, 50 << 20)
    assert again and guest.guest.load(again, 16) == 0
    assert guest.heap.collections == 1
    guest.forget_unreachable()
    guest.check()


@pytest.mark.usefixtures("unspoiled")
def test_a_large_object_gives_back_little_more_than_it_takes() -> None:
    """Pages of others that are gone: so these do not become more and more, and no pause gives back far more."""
    guest = Guest(0, limit=64 << 20)
    guest.root(0, guest.new(BYTES, 40 << 20))
    guest.root(0, 0)
    guest.heap.collect()
    guest.forget_unreachable()
    before, takes = guest.heap.used_bytes, (7 << 20) + (1 << 15)
    guest.new(BYTES, 7 << 20)
    gives = before + takes - guest.heap.used_bytes
    assert takes <= gives <= takes + (64 << 15)
    guest.check()


def test_an_array_that_nobody_has_frees_its_blocks_while_new_objects_are_collected() -> None:
    """By generations, too: where it was others are, once its pages have gone."""
    guest = Guest(0, limit=8 << 20, how=YOUNG)
    for _ in range(50):
        assert guest.new(BYTES, 3 << 20)
        guest.heap.collect_new()
        guest.forget_unreachable()
        guest.check()


@pytest.mark.parametrize("told", [True, False])
def test_handles_that_come_while_marks_are_made(told: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A full collection meets those in fields, words and roots, one of new objects leaves them alone; one that is given
    in the midst of slices, into an object that was looked at, is met because that was said, and is not else; one in a
    new object is met by looks at these, but only in the midst of slices."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    guest = Guest(0, how=SLICES)
    guest.guest.expect_handles(10)
    first = guest.new(LINK)
    guest.root(0, first)
    guest.root(1, 5)
    guest.word(0, 6)
    chain(guest, 300)
    guest.root(2, first)
    guest.link(first, 16, 4)
    guest.heap.collect()
    assert guest.guest.handles == [4, 5, 6]
    guest.heap.collect_new()
    assert guest.guest.handles == [4, 5, 6]
    while not guest.heap.is_marking:
        guest.new(LEAF)
    for _ in range(3):
        guest.new(LEAF)
    guest.guest.store(first, 16, 7)
    guest.root(3, guest.new(LINK))
    guest.guest.store(guest.roots[3], 16, 9)
    if told:
        guest.guest.get_handle(7)
        guest.guest.get_handle(10)  # there are no marks of it
    cycles = guest.heap.cycles[0]
    while guest.heap.cycles[0] == cycles:
        guest.new(LEAF)
    assert guest.guest.handles == ([4, 5, 6, 7, 9] if told else [4, 5, 6, 9])
    guest.guest.get_handle(8)  # marks are not made
    assert 8 not in guest.guest.handles


@pytest.mark.parametrize("entries", [pytest.param(1, marks=pytest.mark.trace_slow), 5])
def test_objects_that_wait_are_found_block_by_block(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice of a few objects ends though the stack is full and many blocks have objects that wait: the others find
    them."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    guest = Guest(0, how=SLICES)
    guest.guest.shorten_stack(entries)
    array = guest.new(REFS, 600)
    guest.root(0, array)
    for at in range(600):
        guest.link(array, 8 + 8 * at, guest.new(LINK))
    cycles, slices = guest.heap.cycles
    while guest.heap.cycles[0] < cycles + 2:
        guest.new(LEAF)
        if guest.heap.is_marking:
            guest.check()
    assert guest.heap.cycles[1] > slices + 20
    guest.check()


def test_slices_end_in_time() -> None:
    """So many bytes are handed out between two that all is looked at before the runway ends, unless that would be fewer
    than 32 KiB; the rate follows what was seen, but not what took no time."""
    assert bytes_between(100 << 20, 1000, 250_000, 50 << 20, 1000, 500_000, 0, 300) == (50 << 20) // 420
    assert bytes_between(1 << 30, 1000, 250_000, 1 << 20, 1000, 1000, 0, 300) == 1 << 15
    assert bytes_between(1, 1, 0, 1, 0, 0, 0, 0) == 1 << 15
    assert next_rate(1000, 2_000_000, 1_000_000) == 1251
    assert next_rate(1000, 2_000_000, 10_000) == 1000


@pytest.mark.parametrize("how", HOW)
def test_lists_tables_and_arrays_that_grow(how: str) -> None:
    """Loads of a guest without machine code: what must be there is, and a heap of 8 MiB has room for it."""
    pair = T.STRUCT_ID | 9
    layout = layout_of(T.StructType((T.FieldType(ANY, True),) * 2), lambda t: True)
    loads: list[Callable[[Exerciser], int]] = [
        lambda guest: guest.load_queue(pair, 500, 5000),
        lambda guest: guest.load_table(pair, REFS, 50, 600),
        lambda guest: guest.load_vectors(pair, REFS, 1200, 2 * 1024 + 700),
    ]
    for load, most in zip(loads, (500, 50 * 31, 1024), strict=True):
        guest = Guest(0, limit=8 << 20, how=how)
        guest.heap.descriptors.describe(pair, layout)
        assert most // 4 <= load(guest.guest) <= most
        assert verify(guest.heap) == []
        guest.heap.collect()
        assert guest.heap.collections > 1
        assert verify(guest.heap) == []


MIB = 1 << 20


def test_a_heap_grows_by_the_square_root_of_what_lives() -> None:
    """Four times as much that lives, or that is born in the time of a look, twice the room; a small one has 4 MiB."""
    assert [root_of(n * n) for n in (0, 1, 7, 1 << 31)] == [0, 1, 7, 1 << 31]
    assert root_of(n := (1 << 62) - 1) ** 2 <= n < (root_of(n) + 1) ** 2
    little = growth_allowed(64 * MIB, 250_000, 1000, 1 << 40, 1000, False, False)  # a quarter of the rate
    assert little == 12 * MIB
    assert growth_allowed(256 * MIB, 250_000, 1000, 1 << 40, 1000, False, False) == 24 * MIB
    assert growth_allowed(64 * MIB, 1_000_000, 1000, 1 << 40, 1000, False, False) == 24 * MIB
    assert growth_allowed(64 * MIB, 1_000_000, 4000, 1 << 40, 1000, False, False) == 12 * MIB
    assert growth_allowed(32 * MIB, 4_000_000, 1000, 1 << 40, 1000, False, False) == 14 * MIB  # seven sixteenths
    assert growth_allowed(MIB, 1000, 1000, 1 << 40, 1000, False, False) == 4 * MIB


@pytest.mark.parametrize(
    ("live", "born", "rate"),
    [(64 << 30, 10_000_000, 100), (32 << 30, 1 << 40, 1000), (40 << 30, 1 << 34, 1), (1 << 33, 1 << 26, 60)],
)
def test_the_room_of_large_heaps_has_no_fewer_bits(live: int, born: int, rate: int) -> None:
    """Of those that grow fast and are dear to look at: it is what Python's numbers say, or the most that is said."""
    pace = born * 1024 // (rate * 1000)
    dear = min((live >> 10) * pace, 1 << 53)
    for share in (1000, 500, 1):
        wanted = max(min(math.isqrt(dear * (9 << 20)), live // 16 * 7), dear // share * (1000 - share))
        assert growth_allowed(live, born, rate, 1 << 62, share, False, False) == pytest.approx(wanted, rel=1e-3)


def test_a_share_of_the_time_is_worth_more_than_a_soft_limit() -> None:
    """The limit ends the room; but looking at all for each few bytes more would be all that is done."""
    assert growth_allowed(64 * MIB, 250_000, 1000, 70 * MIB, 1000, False, False) == 6 * MIB
    half = growth_allowed(64 * MIB, 250_000, 1000, 70 * MIB, 500, False, False)
    assert 15 * MIB < half <= 16 * MIB  # looking at 64 takes as long as 16 are born in
    assert growth_allowed(64 * MIB, 250_000, 1000, 1, 500, False, False) == half
    assert growth_allowed(64 * MIB, 0, 1000, 1, 500, False, False) == 1 << 16


def test_what_grows_old_is_counted_by_the_guests_time() -> None:
    """Half of what it was, half of what was seen, but no more than a guest can write; a moment says nothing."""
    assert next_born(1000, 2_000_000, 1_000_000) == (1000 + 2_000_000) // 2
    assert next_born(1000, 5, 99_999) == 1000
    assert next_born(0, 1 << 40, 1_000_000) == 1 << 22  # large ones


def test_each_decision_is_noted_with_what_it_was_made_of() -> None:
    """Made again from the note it is the same; constants, for comparison, are not decisions."""
    decide = dict(enumerate(DECIDED.items(), 1))
    guest = Guest(0, how=SLICES)
    guest.heap.grow_within(32 << 20, 400)
    guest.heap.watch(10_000)
    chain(guest, 2000)
    for _ in range(3):
        for _ in range(1000):
            guest.guest.new(LEAF, 0, 16)
        guest.heap.collect_new()
        guest.heap.collect()
    notes = [note for note in guest.heap.read_journal() if note[0]]
    assert {note[0] for note in notes} >= {1, 2}
    for kind, _, *values in notes:
        told, again = decide[kind]
        again(values[: len(told.__match_args__)])
    assert {values[3:5] == [32 << 20, 400] for kind, _, *values in notes if kind == 2} == {True}
    guest.heap.fix(1 << 20, 100_000, 1000)
    guest.heap.read_journal()
    for _ in range(1000):
        guest.guest.new(LEAF, 0, 16)
    guest.heap.collect_new()
    guest.heap.collect()
    assert {note[0] for note in guest.heap.read_journal()} <= {0, 3}


def test_slices_have_so_much_left_to_look_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """It falls from slice to slice, and each is noted."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    guest = Guest(0, how=SLICES)
    chain(guest, 400)
    guest.heap.collect()
    guest.heap.watch(100_000)
    cycles = guest.heap.cycles[0]
    while guest.heap.cycles[0] < cycles + 2:
        guest.guest.new(LEAF, 0, 16)
    left = [values[0] for kind, _, *values in guest.heap.read_journal() if kind == 3]
    assert len(left) > 40 and max(left) > 400 * 32 // 2
    assert any(later < before for before, later in itertools.pairwise(left))
    guest.forget_unreachable()
    guest.check()


def test_a_policy_of_nothing_is_refused() -> None:
    """No room, no share of the time, or constants of nothing."""
    heap = Heap(described(), 1 << 20)
    for soft, share in ((0, 100), (1, 0), (1, 1001)):
        with pytest.raises(ValueError, match="thousandths of the time"):
            heap.grow_within(soft, share)
    with pytest.raises(ValueError, match="a nursery of"):
        heap.fix(1 << 20, 1000, 1000)  # nobody has said that writes are noted
    heap.by_generations(1000)
    with pytest.raises(ValueError, match="a factor of 0"):
        heap.fix(1 << 20, 1000, 0)


def test_the_nursery_follows_its_pauses() -> None:
    """Smaller where new objects take longer to look at than a third of the pause, larger where they do not, in
    proportion, within bounds; and what can be looked at in a third where a look was given up."""
    size = lambda nursery, took, rate=1000, keeping=18_000, given=False, large=0, survival=899: next_nursery(  # noqa: E731
        nursery, took, 600_000, rate, keeping, given, 1000, large, survival
    )
    assert size(1 << 20, 200_000) == 1 << 20
    assert size(1 << 20, 250_000) == (1 << 20) * 4 // 5
    assert size(1 << 20, 800_000) == 1 << 19
    assert size(1 << 20, 180_000) == (1 << 20) * 10 // 9
    assert size(1 << 20, 100_000) == size(1 << 20, 0) == 5 << 18
    assert size(1 << 16, 900_000) == size(1 << 16, 900_000, given=True) == 1 << 16
    assert size(4 << 20, 0) == 4 << 20
    assert size(4 << 20, 0, keeping=2000) == 600_000
    assert size(4 << 20, 0, keeping=1) == 1 << 16
    assert size(1 << 20, 0, given=True) == 200_000
    assert size(1 << 20, 0, rate=10_000, given=True) == 1 << 19
    assert size(1 << 20, 0, given=True, large=500) == 200_000
    assert size(1 << 20, 0, given=True, large=501) == size(1 << 20, 900_000, large=501) == 1 << 20
    assert size(1 << 20, 100_000, large=501) == 5 << 18
    assert size(1 << 20, 100_000, survival=900) == 1 << 20  # most are kept without a look
    assert size(1 << 20, 0, given=True, survival=900) == 100_000
    assert size(4 << 20, 0, keeping=2000, given=True, large=501) == 600_000


def test_what_is_kept_in_a_pause_is_what_was() -> None:
    """Half of what was believed and half of what was seen, where that is less and took long enough to say something; a
    little more with each look that was not given up."""
    assert next_keeping(10_000, 1_000_000, 250_000, 500_000, 500_000) == 7000
    assert next_keeping(10_000, 1_000_000, 250_000, 500_000, 500_001) == 10_000  # of small ones it says nothing
    assert next_keeping(10_000, 1_000_000, 62_499, 500_000, 0) == 10_000
    assert next_keeping(10_000, 1_000_000, 62_500, 500_000, 0) == 10_000
    assert next_keeping(8192, 1_000_000, 0, 500_000, 1_000_000) == 8192 + 2 + 1
    assert next_keeping(18_000, 0, 0, 500_000, 0) == 18_000
    assert next_keeping(0, 0, 0, 0, 0) == 1 and next_keeping(10_000, 0, 1, 0, 0) == 5000


def test_a_look_leaves_time_to_keep_all() -> None:
    """What that takes, of the pause, but no more than half of it."""
    assert time_to_look(500_000, 1_000_000, 10_000) == 400_000
    assert time_to_look(500_000, 4_000_000, 10_000) == 250_000
    assert time_to_look(500_000, 1 << 50, 0) == 250_000


def test_roots_that_fill_a_pause_leave_new_objects_as_much() -> None:
    """Else the nursery would shrink, and the guest do little but have the same roots looked at (100,000 frames)."""
    assert time_for_new(500_000, 0) == 500_000
    assert time_for_new(500_000, 100_000) == 400_000
    assert time_for_new(500_000, 400_000) == 400_000
    assert time_for_new(500_000, 2_300_000) == 2_300_000
    nursery = 1 << 20
    for _ in range(100):  # roots of 2.3 ms, and nothing new that lives
        nursery = next_nursery(nursery, 1000, time_for_new(500_000, 2_300_000), 1000, 2000, False, 1000, 0, 0)
    assert nursery == 2_300_000


def test_the_witness_misses_what_a_collection_took() -> None:
    """A root that the collector is not told: its object's place is somebody else's, and the witness says so."""
    guest = Guest(0)
    guest.root(0, guest.new(LINK))
    guest.guest.set_root(0, 0)
    guest.heap.collect()
    guest.guest.new(LINK, 0, 32)
    with pytest.raises(AssertionError):
        guest.check_witness()


def test_a_pause_of_no_time_is_refused() -> None:
    """Half of it would be nothing."""
    heap = Heap(described(), 1 << 20)
    for wrong in (0, 1):
        with pytest.raises(ValueError, match="cannot be aimed at"):
            heap.by_generations(wrong)
    heap.by_generations(2)


def test_granules_of_the_largest_heap_have_numbers() -> None:
    """And so has the one behind the last."""
    assert verify(Heap(described(), 1 << 40)) == []


def test_another_guest_takes_over() -> None:
    """What the one before made lies in its hole, which is closed; when that one goes, the roots of the new one stay."""
    heap = Heap(described(), 1 << 20)
    first = Exerciser(heap, 4, 4)
    thing = first.new(LEAF, 0, 16)
    second = Exerciser(heap, 4, 4)
    assert verify(heap) == []
    second.set_word(0, thing)
    del first
    heap.collect()
    assert heap.live_bytes == 16
    assert verify(heap) == []


def test_another_guest_takes_over_while_marks_are_made(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has to tell what it overwrites, too, and the collection ends."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    guest = Guest(0, how=SLICES)
    chain(guest, 300)
    while not guest.heap.is_marking:
        guest.new(LEAF)
    other = Exerciser(guest.heap, 1, 1)
    assert guest.heap.is_marking
    other.set_root(0, guest.roots[0])
    cycles = guest.heap.cycles[0]
    for _ in range(2000):
        other.new(LEAF, 0, 16)
    assert guest.heap.cycles[0] > cycles
    assert verify(guest.heap) == []
    assert guest.heap.live_bytes >= 300 * 32


def test_a_long_array_has_its_marks_part_by_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is no longer a pause than others: where nobody has looked yet its side bytes are as they were."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    guest = Guest(0, how=SLICES)
    length = 200_000
    array = guest.new(REFS, length)
    guest.root(0, array)
    for at in (0, length - 1):
        guest.link(array, 8 + 8 * at, guest.new(LEAF))
    side, end = guest.guest.side_byte(array), length // 2
    while not guest.heap.is_marking:
        guest.new(LEAF)
    while bytes_at(side + 1)[0] & 7 != bytes_at(side)[0] & 7:
        guest.new(LEAF)
    assert guest.heap.is_marking
    assert bytes_at(side + end)[0] & 7 != bytes_at(side)[0] & 7
    while guest.heap.is_marking:
        guest.new(LEAF)
    marks = bytes(bytes_at(side, end + 1))
    assert {mark & 7 for mark in marks} == {marks[0] & 7}
    assert {mark & 0x40 for mark in marks} == {0x40}
    guest.forget_unreachable()
    guest.check()


@pytest.mark.parametrize("how", HOW)
@pytest.mark.usefixtures("unspoiled")
def test_old_numbers_go_without_a_pause(how: str) -> None:
    """The allocator clears the side bytes of what is gone, some blocks each time."""
    guest = Guest(0, how=how, least=8 << 20)
    gone = [guest.new(LEAF) for _ in range(20_000)]
    for at, thing in enumerate(gone[:: 20_000 // 30]):
        guest.root(at, thing)
    array = guest.new(REFS, 20_000)
    guest.root(39, array)
    for at, thing in enumerate(gone):
        guest.link(array, 8 + 8 * at, thing)
    guest.heap.collect()
    guest.root(39, 0)
    guest.heap.collect()
    guest.forget_unreachable()
    sides = [guest.guest.side_byte(thing) for thing in gone if thing not in guest.known]
    assert any(bytes_at(side)[0] & 7 for side in sides)
    collections = guest.heap.collections
    for _ in range(3):
        guest.new(LONGS, 1500)
    assert guest.heap.collections == collections
    assert not any(bytes_at(side)[0] for side in sides)
    guest.check()


@pytest.mark.trace_slow
def test_the_host_drops_what_it_holds_on_another_thread() -> None:
    """While what it holds is looked at: one is there all the time, now the first and now the last."""
    guest = Guest(0)
    others, one, over = guest.new(LEAF), guest.new(LEAF), threading.Event()
    for _ in range(1_000_000):
        guest.heap.hold(others)
    guest.heap.hold(one)
    hold, release = guest.heap.hold, guest.heap.release

    def move() -> None:
        while not over.is_set():
            release(others)  # ``one``, the last, takes the first place
            hold(others)
            hold(one)
            hold(others)
            release(one)

    mover = threading.Thread(target=move)
    mover.start()
    found = set()
    for _ in range(40):
        guest.heap.collect()
        found.add(guest.heap.live_bytes)
    over.set()
    mover.join()
    assert found == {32}
