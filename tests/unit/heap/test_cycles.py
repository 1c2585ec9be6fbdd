"""Looks at new objects while a full collection goes on in slices, and new objects that grow old without a look."""

from __future__ import annotations

import ctypes

import pytest

from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.pace import averaged, bytes_between, due_after, lives_on, runway_within, share_beside
from stratavm.heap.verify import verify
from stratavm.spec import types as T
from tests.unit.heap.model import SLICES, Guest, described

LEAF, LINK = (T.STRUCT_ID | n for n in (1, 2))
REFS, LONGS = T.ARRAY_ID | 70, T.ARRAY_ID | 400
MIB = 1 << 20


class Lister:
    """A guest with a list in root 0, and no witness."""

    def __init__(self, limit: int = 64 * MIB, pause_ns: int = 200_000) -> None:
        self.heap = Heap(described(), limit, 1 << 16)
        self.guest = Exerciser(self.heap, 4, 4)
        self.heap.by_generations(pause_ns)
        self.first, self.length = 0, 0

    def push(self) -> bool:
        """One more; false: there is no room."""
        link = self.guest.new(LINK, 0, 32)
        if link:
            self.guest.store(link, 16, self.first)
            self.guest.set_root(0, link)
            self.first, self.length = link, self.length + 1
        return link != 0

    def grow(self) -> None:
        """Until slices go on."""
        while not self.heap.is_marking:
            self.push()

    def check(self) -> None:
        """Nothing is wrong, and all of the list is there."""
        assert verify(self.heap) == []
        link, found = self.first, 0
        while link:
            link, found = self.guest.load(link, 16), found + 1
        assert found == self.length


def marking(guest: Guest, count: int = 300) -> int:
    """Let a guest have a list that is looked at just now, a few objects at a time. The last of it."""
    last = guest.new(LINK)
    guest.root(0, last)
    for _ in range(count):
        link = guest.new(LINK)
        guest.link(link, 16, guest.roots[0])
        guest.root(0, link)
    cycles = guest.heap.cycles[0]
    while not guest.heap.is_marking or guest.heap.cycles[0] == cycles:
        guest.new(LEAF)
    return last


def end(guest: Guest) -> None:
    """Until all is known."""
    cycles = guest.heap.cycles[0]
    while guest.heap.cycles[0] == cycles:
        guest.new(LEAF)


def test_what_dies_young_goes_while_marks_are_made() -> None:
    """Much more than the heap grows by is made between a full collection's begin and end, and found as it is outside of
    these."""
    lister = Lister()
    for _ in range(60_000):
        lister.push()
    heap = lister.heap
    heap.fix(1 << 16, 1, 1000)  # slices of a few objects, whatever the clock says
    lister.grow()
    used, minors, cycles, made = heap.used_bytes, heap.minors, heap.cycles[0], 0
    while heap.cycles[0] == cycles:
        lister.guest.new(LEAF, 0, 16)
        made += 16
    assert heap.minors > minors + 100
    assert made > 8 * MIB > 4 * (heap.used_bytes - used)
    lister.check()


@pytest.mark.parametrize("noted", [True, False])
@pytest.mark.parametrize("looked_at", [True, False])
def test_an_old_object_gets_a_new_one_while_marks_are_made(
    noted: bool, looked_at: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether a slice has been there or not, the next look at new objects finds that by the note; without one the
    verifier says so."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    guest = Guest(0, how=SLICES)
    last = marking(guest)
    other = guest.new(LINK)
    guest.root(1, other)
    end(guest)
    while not guest.heap.is_marking:
        guest.new(LEAF)
    holder = other if looked_at else last
    for _ in range(4 if looked_at else 0):
        guest.new(LEAF)
    assert guest.heap.is_marking
    new = guest.new(LINK)
    if noted:
        guest.link(holder, 16, new)
        guest.link(new, 16, guest.new(LEAF))
        guest.check()
        end(guest)
        guest.check()
        return
    guest.guest.store(holder, 16, new)
    assert any("nobody noted it" in found for found in verify(guest.heap))


def test_what_lives_on_grows_old_without_a_look() -> None:
    """Three nurseries of four, when all that was made has lived; what is dropped from then on is in three, and goes
    with the next full collection."""
    lister = Lister()
    for _ in range(200_000):
        lister.push()
    heap = lister.heap
    made = lister.length * 32
    assert heap.live_bytes > made // 2
    assert heap.minors < made // (64 << 10) // 2
    lister.check()
    used = heap.used_bytes
    for _ in range(400_000):
        lister.guest.new(LEAF, 0, 16)
    assert heap.used_bytes < used + 16 * MIB
    heap.collect()
    assert lister.length * 32 <= heap.live_bytes < lister.length * 32 + (1 << 15)
    lister.check()


def test_a_nursery_that_is_kept_leaves_nothing_noted() -> None:
    """What was written into old objects is forgotten, and the next write is noted again."""
    lister = Lister()
    for _ in range(120_000):
        lister.push()
    lister.heap.collect()
    old, kept = lister.first, False
    side = ctypes.cast(lister.guest.side_byte(old), ctypes.POINTER(ctypes.c_ubyte))
    for _ in range(60):  # a nursery each: of some there is a look, until it is seen that all lives on
        collections, marking = lister.heap.collections, lister.heap.is_marking
        assert side[1] & 0x40
        lister.guest.write(old, 16, lister.guest.load(old, 16))
        assert not side[1] & 0x40
        while not side[1] & 0x40:
            lister.push()
        kept = not marking and lister.heap.collections == collections
        if kept:
            break
    assert kept
    lister.check()


def test_arrays_that_are_kept_without_a_look() -> None:
    """Each has its own length; and writes into a large one, which has grown old as well, are noted."""
    lister = Lister(pause_ns=500_000)
    guest, made = lister.guest, list[int]()
    holder = guest.new(REFS, 70_000, 8 + 8 * 70_000)
    guest.set_root(1, holder)
    while len(made) < 20_000:
        length = 1 + len(made) % 7
        made.append(guest.new(REFS, length, 8 + 8 * length))
        guest.write(holder, 8 * len(made), made[-1])
    assert lister.heap.minors < len(made) * 40 // (64 << 10)  # some were kept without a look
    lister.check()
    assert all(guest.load(array, 0) == REFS | 1 + at % 7 << 32 for at, array in enumerate(made))
    large = guest.new(REFS, 5_000, 8 + 8 * 5_000)
    guest.set_root(2, large)
    guest.write_all(holder, [0] * 70_000)  # what is new grows old
    collections = lister.heap.minors
    guest.write(large, 8 + 8 * 4_000, guest.new(LEAF, 0, 16))
    lister.heap.collect_new()
    assert lister.heap.minors == collections + 1
    lister.check()


@pytest.mark.parametrize("harsh", [True, False])
def test_the_end_where_roots_are_not_known(harsh: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Slices go on, no look at new objects does, and so the collection does not end; where memory is exhausted there is
    no object. Once roots are known again there is, nothing is missing, and all garbage goes."""
    if harsh:
        monkeypatch.setenv("STRATA_CHECK", "2")
    lister = Lister(limit=2 * MIB if not harsh else 1 << 17, pause_ns=20_000)
    for _ in range(100):
        lister.push()
    lister.grow()
    lister.guest.lose_roots(True)
    minors = lister.heap.minors
    for at in range(1 << 20):
        if not (lister.push() if at & 1 else lister.guest.new(LEAF, 0, 16)):
            break
    assert lister.heap.minors == minors
    assert lister.heap.is_marking
    lister.check()
    lister.guest.lose_roots(False)
    assert lister.push()
    assert not lister.heap.is_marking
    lister.heap.collect()
    assert lister.heap.live_bytes == lister.length * 32
    lister.check()


def test_a_stack_that_is_full_of_what_slices_have_left() -> None:
    """A look at new objects has its own part of it, and its own objects that wait."""
    guest = Guest(5, how=SLICES)
    guest.guest.shorten_stack(2)
    seen = 0
    for step in range(4000):
        guest.step()
        if guest.heap.is_marking and step % 3 == 0:
            guest.heap.collect_new()
            guest.forget_unreachable()
            seen += 1
            if seen % 20 == 0:
                guest.check()
    guest.check()
    assert seen > 40


@pytest.mark.parametrize("live", [0, 100_000])
def test_large_ones_that_are_dropped_take_no_room(live: int) -> None:
    """Arrays of a MiB that a word of the stack holds a moment longer, and no more: neither nurseries that are kept nor
    slices that come by the speed of small ones let garbage grow."""
    lister = Lister(limit=512 * MIB, pause_ns=500_000)
    for _ in range(live):
        lister.push()
    for _ in range(1500):
        lister.guest.set_word(0, lister.guest.new(LONGS, MIB // 8, 8 + MIB))
        for _ in range(500):
            lister.guest.new(LEAF, 0, 16)
    assert lister.heap.used_bytes < 100 * MIB
    lister.check()


def test_a_long_array_behind_many_others_is_looked_at_in_parts() -> None:
    """Though so many of these have parts left that there is room for no other's."""
    lister = Lister()
    guest, length, holder = lister.guest, 300_000, 0
    last = guest.new(REFS, length, 8 + 8 * length)
    guest.set_root(1, last)
    for link in range(3200):
        array = guest.new(REFS, 300, 8 + 8 * 300)
        guest.store(array, 8, holder if link else last)
        guest.set_root(1, array)
        holder = array
    side = ctypes.cast(guest.side_byte(last), ctypes.POINTER(ctypes.c_ubyte))
    lister.heap.fix(1 << 16, 1, 1000)  # each slice looks at as little as it can
    lister.grow()
    while side[1] & 7 != side[0] & 7 or side[1] & 7 == side[length // 2] & 7:
        if not lister.heap.is_marking:
            lister.grow()
        guest.new(LONGS, 100, 808)
    while lister.heap.is_marking:
        guest.new(LONGS, 100, 808)
    assert {side[at] & 7 for at in range(length // 2)} == {side[0] & 7}
    lister.check()


def test_who_only_writes_has_slices_go_on() -> None:
    """One for each 8,192 notes, until they have found all, though nothing is made; what is made then ends the
    collection with a look. What is written to again is not noted."""
    lister = Lister(pause_ns=20_000_000)
    for _ in range(150_000):
        lister.push()
    lister.heap.collect()
    lister.grow()
    (cycles, slices), minors, notes, before = lister.heap.cycles, lister.heap.minors, 0, -1
    while before != lister.heap.cycles[1]:
        link, before = lister.first, lister.heap.cycles[1]
        while link:
            next = lister.guest.load(link, 16)
            for _ in range(2):
                lister.guest.write(link, 16, next)
            link, notes = next, notes + 1
    assert lister.heap.cycles[0] == cycles
    assert 1 <= lister.heap.cycles[1] - slices <= notes // 8192 + 1
    assert lister.heap.minors == minors
    while lister.heap.cycles[0] == cycles:
        lister.guest.new(LEAF, 0, 16)
    assert lister.heap.minors == minors + 1
    lister.check()


@pytest.mark.parametrize("slices", [True, False])
def test_many_words_that_are_written_at_once(slices: bool) -> None:
    """What is new grows old instead of a note for each; while marks are made what they took the place of is found."""
    lister = Lister(pause_ns=20_000)
    guest, heap, length = lister.guest, lister.heap, 70_000
    array = guest.new(REFS, length, 8 + 8 * length)
    guest.set_root(1, array)
    kept = guest.new(LINK, 0, 32)
    guest.write_all(array, [0] * (length - 1) + [kept])  # where slices come to at last
    heap.collect()
    for _ in range(60_000):
        lister.push()
    if slices:
        lister.grow()
    heap.collect_new()
    cycles, minors = heap.cycles[0], heap.minors
    new = guest.new(LINK, 0, 32)
    guest.set_root(2, kept if slices else 0)  # it moves to where nobody looks any more
    guest.write_all(array, [new] * length)
    while (slices and heap.cycles[0] == cycles) or heap.minors < minors + 2:
        guest.new(LEAF, 0, 16)
    assert guest.load(guest.load(array, 8), 0) == LINK
    assert verify(heap) == []
    number = ctypes.c_ubyte.from_address(guest.side_byte(array)).value & 7
    assert not slices or ctypes.c_ubyte.from_address(guest.side_byte(kept)).value & 7 == number
    lister.check()


@pytest.mark.parametrize("at_once", [True, False])
def test_words_that_are_written_while_marks_are_made(at_once: bool) -> None:
    """What they took the place of is told of each, also behind one in the same granule: an array at the end of a list,
    to which slices come at last, had the only reference to an object that has moved to where nobody looks any more."""
    lister = Lister(pause_ns=20_000)
    guest, heap = lister.guest, lister.heap
    array, kept = guest.new(REFS, 500, 8 + 8 * 500), guest.new(LINK, 0, 32)
    guest.set_root(1, array)
    guest.write_all(array, [0] * 498 + [kept, 0])
    for _ in range(60_000):
        link = guest.new(LINK, 0, 32)
        guest.store(link, 16, lister.first or array)
        guest.set_root(0, link)
        lister.first = link
    guest.set_root(1, 0)
    heap.collect()
    grown = 0
    while not heap.is_marking:  # a list of its own grows old
        link = guest.new(LINK, 0, 32)
        guest.store(link, 16, grown)
        guest.set_root(2, link)
        grown = link
    cycles = heap.cycles[0]
    guest.set_root(2, kept)
    if at_once:
        guest.write_all(array, [0] * 500)
    for at in () if at_once else (497, 498):
        guest.write(array, 8 + 8 * at, 0)
    while heap.cycles[0] == cycles:
        guest.new(LEAF, 0, 16)
    numbers = [ctypes.c_ubyte.from_address(guest.side_byte(thing)).value & 7 for thing in (array, kept)]
    assert numbers[0] == numbers[1]
    assert verify(heap) == []


def test_handles_in_arrays_are_found() -> None:
    """Whether these are short or long."""
    lister = Lister()
    guest = lister.guest
    guest.expect_handles(1000)
    holder = guest.new(REFS, 2, 24)
    guest.set_root(1, holder)
    for at, length in enumerate((3, 700)):
        guest.write(holder, 8 + 8 * at, guest.new(REFS, length, 8 + 8 * length))
        guest.store(guest.load(holder, 8 + 8 * at), 8 * length, 100 + at)
    lister.heap.collect()
    assert guest.handles == [100, 101]


def test_no_number_comes_back() -> None:
    """What died many collections ago is free, though nothing was made since that would have cleaned its side bytes."""
    lister = Lister()
    guest, holder = lister.guest, lister.guest.new(REFS, 20_000, 8 + 8 * 20_000)
    guest.set_root(1, holder)
    for at in range(20_000):
        guest.write(holder, 8 + 8 * at, guest.new(LEAF, 0, 16))
    for turn in range(20):
        guest.write_all(holder, [guest.load(holder, 8 + 8 * at) if at % 20 > turn else 0 for at in range(20_000)])
        lister.heap.collect()
        assert lister.heap.live_bytes < (20_000 * (19 - turn) // 20 + 1) * 16 + (1 << 18)
        assert verify(lister.heap) == []


def test_small_holes_are_passed_by_once() -> None:
    """Where every other granule is free, objects of two are made elsewhere, and nobody looks there for room again."""
    lister = Lister(pause_ns=500_000)
    guest, count = lister.guest, 100_000
    array = guest.new(REFS, count, 8 + 8 * count)
    guest.set_root(1, array)
    for at in range(count):
        guest.write(array, 8 + 8 * at, guest.new(LEAF, 0, 16))
        guest.new(LEAF, 0, 16)
    lister.heap.collect()
    collections = lister.heap.collections - lister.heap.minors
    for _ in range(300_000):
        guest.new(LINK, 0, 32)
    assert lister.heap.collections - lister.heap.minors == collections
    assert guest.first_block >= count * 32 >> 15
    lister.check()


def test_a_log_is_not_as_long_as_the_heap() -> None:
    """What is new grows old instead, and the next write of an old word is noted again."""
    lister = Lister(pause_ns=500_000)
    for _ in range(120_000):
        lister.push()
    lister.heap.collect()
    link, noted = lister.first, 0
    side = ctypes.cast(lister.guest.side_byte(lister.first), ctypes.POINTER(ctypes.c_ubyte))
    while link:
        next = lister.guest.load(link, 16)
        lister.guest.write(link, 16, next)
        link, noted = next, noted + 1
        if noted == 1:
            assert not side[1] & 0x40
        elif noted == 1 << 15:  # so many are looked at in what a pause has, and no more are forgotten at once
            assert side[1] & 0x40
    lister.check()


def test_slices_leave_guests_their_time() -> None:
    """They take no more of it than that, and no less than a tenth of what guests have; and so much may grow old
    meanwhile. Numbers of any size are ones that have an answer."""
    between = lambda **given: bytes_between(  # noqa: E731
        *(
            {
                "left": 64 * MIB,
                "rate": 2000,
                "slice": 250_000,
                "runway": 1,
                "survival": 1000,
                "speed": 2_000_000,
                "looking": 500,
                "guests": 340,
            }
            | given
        ).values()
    )
    assert between() == between(runway=0) == 500_000 * 1000 // (1_000_000 // 340 - 1000 - 500)
    assert between(looking=2100) == between(looking=1 << 63) == 500_000 * 1000 // 900
    assert between(guests=180) < between(guests=275) < between()
    assert between(guests=0) == 1 << 15
    assert between(survival=0, runway=1 << 40) == 500_000 * 10
    assert between(speed=0) == 1 << 15
    assert between(speed=1 << 63, slice=1 << 63, rate=1 << 63) > 0
    within = lambda allowed, survival: runway_within(  # noqa: E731
        allowed, 64 * MIB, 2000, 250_000, survival, 2_000_000, 500, 340
    )
    assert within(1 << 40, 1000) == within(1 << 40, 5000)
    assert 134 * 346_981 <= within(300 * MIB, 1000) <= 135 * 346_981
    assert within(16 * MIB, 1000) == 32 * MIB
    assert within(16 * MIB, 0) == 2 * MIB
    assert within(16 * MIB, 10) == pytest.approx(135 * 62_500, rel=0.01)
    assert runway_within(1 << 62, 1 << 40, 1, 1, 1000, 1 << 63, 1 << 63, 0) <= 1 << 62


def test_slices_stay_seldom_where_little_grows_old() -> None:
    """However short the runway was: while a slice looks at twice as much as grows old before the next what they end
    with is little, and guests have their time. Where more does they hurry to end before the runway does."""
    between = lambda survival, runway=0, guests=240: bytes_between(  # noqa: E731
        64 * MIB, 2000, 250_000, runway, survival, 2_000_000, 100, guests
    )
    seldom, dense = 500_000 * 10, 500_000 * 1000 // (1_000_000 // 240 - 1000 - 100)
    assert between(4) == between(50) == between(4, runway=1 << 62) == seldom
    assert between(51) == between(1000) == between(1 << 63) == dense
    slices = 64 * MIB * 1000 // (2000 * 250_000) + 1
    assert between(100, runway=slices * 100_000) == 1_000_000  # as seldom as ends in time
    assert between(100, runway=1 << 62) == seldom
    assert bytes_between(64 * MIB, 4000, 250_000, 0, 100, 2_000_000, 100, 240) == seldom  # marks are twice as fast
    assert bytes_between(1 << 63, 1, 1 << 63, 0, 1 << 63, 1 << 63, 0, 0) > 0


def test_what_a_guest_makes_says_its_share_of_long_collections() -> None:
    """Beside slices that go on for long a guest has so much of the time that as many bytes grow old meanwhile as may,
    whatever its speed and theirs; but bounds, the least where far more grew old than was to. Slices that are over soon
    leave it less: what it did not have then it has before."""
    beside = lambda whole_ms, speed=2_500_000, grown=0, survival=1000, looking=800: share_beside(  # noqa: E731
        whole_ms * 3_000_000, 3000, 100, grown, survival, speed, looking, False, False
    )
    for speed in (2_000_000, 2_500_000, 2_900_000):
        share, whole = beside(40, speed), 120_000_000
        taken = 1_000_000 // share - 1000 - 800  # thousandths of the guest's time, in 40 ms of slices
        assert 200 < share < 300
        assert speed * 40 * 1000 // taken == pytest.approx(0.34 * whole, rel=0.01)
    assert beside(40, looking=400) > beside(40) > beside(40, looking=1000)
    assert beside(40, survival=500) == beside(40, speed=0) == beside(40, survival=0) == 300
    assert beside(40, speed=6_000_000) == beside(40, speed=1 << 63) == beside(40, looking=1 << 63) == 200
    assert [beside(ms, survival=0) for ms in (0, 5, 10, 40)] == [150, 150, 300, 300]
    assert 150 < beside(6) < beside(8) < beside(10)
    assert beside(40, survival=0, grown=403) == 300 and beside(40, survival=0, grown=404) == 200
    assert share_beside(1 << 63, 0, 0, 1 << 63, 1 << 63, 1 << 63, 1 << 63, False, False) == 200
    due = lambda **given: due_after(  # noqa: E731
        *(
            {
                "allowed": 8 * MIB,
                "runway": 0,
                "live": 15_000_000,
                "rate": 3000,
                "survival": 1000,
                "speed": 2_000_000,
                "looking": 0,
                "guests": 240,
            }
            | given
        ).values()
    )
    assert due() == 8 * MIB
    assert due(runway=3 * MIB) == 5 * MIB
    assert due(runway=15 * MIB // 2) == due(runway=1 << 62) == MIB
    assert due(runway=7 * MIB, guests=40) == pytest.approx(10_000_000 * 200 / 760, rel=1e-3)  # 5 ms of slices
    assert due(runway=7 * MIB, guests=40, looking=500) == pytest.approx(10_000_000 * 200 / 640, rel=1e-3)
    assert due(runway=7 * MIB, guests=40, survival=900) == pytest.approx(9_000_000 * 200 / 760, rel=1e-3)
    assert due(guests=0, speed=1 << 63, live=1 << 63, rate=0, looking=1 << 63) == 16 * MIB


def test_a_nursery_that_lives_on_is_kept_as_soon_as_that_ends_a_collection() -> None:
    """When slices have left nothing: what is made until then and dies would be garbage. One of four is looked at, when
    it is full."""
    lister = Lister(limit=512 * MIB, pause_ns=500_000)
    for _ in range(100_000):
        lister.push()
    soon = 0
    for _ in range(12):  # on a full machine some looks are given up, and rates are those of a slow one
        if soon == 3:
            break
        lister.grow()
        cycles, slices, made = *lister.heap.cycles, 0
        while lister.heap.cycles[0] == cycles:
            lister.push()
            made = made + 1 if lister.heap.cycles[1] == slices else 0
            slices = lister.heap.cycles[1]
        soon += made * 32 <= 2 << 15
    assert soon == 3
    lister.check()


def test_what_is_believed_follows_what_is_seen() -> None:
    """By a quarter each time; and nurseries are kept whole only where that is so, and not for ever."""
    assert [averaged(1000, seen) for seen in (0, 1000, 2000)] == [750, 1000, 1250]
    assert [lives_on(survival, kept) for survival, kept in ((1000, 0), (900, 2), (899, 0), (1000, 3))] == [1, 1, 0, 0]


def looks_before(heap: Heap, guest: Exerciser) -> list[int]:
    """How many looks at new objects there are before each of seven collections in slices, sorted."""
    gaps = list[int]()
    for _ in range(7):
        minors, link = heap.minors, 0
        while not heap.is_marking:
            before, link = link, guest.new(LINK, 0, 32)
            guest.store(link, 16, before)
            guest.set_root(0, link)
        gaps.append(heap.minors - minors)
        while heap.is_marking:
            guest.new(LEAF, 0, 16)
    return sorted(gaps)


def test_the_last_number_waits_until_all_is_clean() -> None:
    """Before a collection in slices takes the last number or the first, side bytes of a heap of many blocks are
    cleaned, a few of them in each pause: it begins later. The others begin at once."""
    heap = Heap(described(), 256 * MIB, 1 << 16)
    guest = Exerciser(heap, 2, 0)
    heap.by_generations(500_000)
    kept = guest.new(REFS, 2048, 8 + 8 * 2048)
    guest.set_root(1, kept)
    for at in range(8192):  # 2,048 blocks, each with one that lives
        array = guest.new(LONGS, 1000, 8 + 8 * 1000)
        if at % 4 == 0:
            guest.write(kept, 8 + 2 * at, array)
    heap.fix(1 << 16, 10_000, 1)
    gaps = looks_before(heap, guest)
    assert gaps[4] < 6
    assert gaps[5] > 12
    assert verify(heap) == []


def test_what_is_made_without_roots_is_collected_as_soon_as_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where each allocation collects, none that cannot leaves room for the next."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    lister = Lister()
    lister.guest.lose_roots(True)
    for _ in range(10):
        lister.push()
    lister.guest.lose_roots(False)
    collections = lister.heap.collections
    lister.push()
    assert lister.heap.collections == collections + 1
    lister.check()


def test_blocks_that_nobody_uses_are_cleaned_as_others_are_but_once() -> None:
    """Their side bytes are cleared, which takes as long: as few of them in one pause. When numbers come round the next
    time nothing is left to clear."""
    heap = Heap(described(), 512 * MIB, 1 << 16)
    guest = Exerciser(heap, 2, 0)
    heap.by_generations(500_000)
    kept = guest.new(REFS, 8192, 8 + 8 * 8192)
    guest.set_root(1, kept)
    for at in range(8192):  # 2,048 blocks
        guest.write(kept, 8 + 8 * at, guest.new(LONGS, 1000, 8 + 8 * 1000))
    guest.set_root(1, 0)
    heap.fix(1 << 16, 1, 1)  # a slice has no time: as few blocks as may be
    assert looks_before(heap, guest)[6] > 20
    assert looks_before(heap, guest)[6] < 6
    assert verify(heap) == []
