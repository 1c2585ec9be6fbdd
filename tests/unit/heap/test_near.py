"""Full collections near the limit of a heap: slices begin and come so soon that they end before it is reached."""

from __future__ import annotations

import pytest

from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.layout import layout_of
from stratavm.heap.pace import bytes_between, bytes_near, due_near, nursery_near, runway_near
from stratavm.heap.verify import verify
from stratavm.spec import types as T
from tests.unit.heap.model import ANY, described
from tests.unit.heap.test_cycles import LEAF, MIB, Lister

PAIR = T.STRUCT_ID | 9
NODE = 32


def queued(limit: int, length: int, count: int) -> Heap:
    """A heap after a guest put so many nodes at the end of a list, and took as many from its beginning, with a journal
    of that; until then the list only grew."""
    heap = Heap(described(), limit)
    heap.descriptors.describe(PAIR, layout_of(T.StructType((T.FieldType(ANY, True),) * 2), lambda t: True))
    guest = Exerciser(heap, 2, 2)
    heap.by_generations(1_000_000)
    assert guest.load_queue(PAIR, length, length) == length
    heap.watch(1 << 16)
    assert guest.load_queue(PAIR, length, count) == length
    assert verify(heap) == []
    return heap


def at_limit(heap: Heap, limit: int) -> int:
    """How many of the pauses noted ended with a heap that had no block left, as the one does that ends a full
    collection because there is no room."""
    return sum(values[2] == limit for kind, _, *values in heap.read_journal() if kind == 0)


@pytest.mark.trace_slow
def test_a_guest_of_which_two_thirds_live_does_not_reach_the_limit() -> None:
    """Though as much as lives, and more, is made and dropped: full collections end before; and few do so near it."""
    heap = queued(24 * MIB, 16 * MIB // NODE, 48 * MIB // NODE)
    cycles, slices = heap.cycles
    assert 5 < cycles < 40 and slices > 2 * cycles
    assert at_limit(heap, 24 * MIB) <= 1  # a clock that stands still for a moment is possible


def test_where_the_limit_is_far_nothing_is_otherwise() -> None:
    """What is decided for heaps that have room is decided; near it, for what is left."""
    room = 1 << 40
    assert runway_near(7, room, 64 * MIB, 2000, 250_000, 1000, 2_000_000, 0) == 7
    assert due_near(9, 7, room) == 9
    assert nursery_near(MIB, room) == MIB
    assert bytes_near(5, 64 * MIB, 1 << 40, 2000, 250_000, 1000, 2_000_000, 0, room) == 5


def test_near_the_limit_slices_leave_guests_less() -> None:
    """A third of the room is theirs while slices go on, but a fortieth of the time, or 32 KiB, if that is more; what is
    left before these begin has an eighth for what finds no place."""
    near = lambda room, live=64_000_000: runway_near(  # noqa: E731
        1 << 40, room, live, 2000, 250_000, 1000, 2_000_000, 0
    )
    assert near(300 * MIB) == 100 * MIB
    assert near(9_000_000) == pytest.approx(129 * (1 << 15), rel=1e-3)
    assert near(1_000_000) == 1_000_000
    assert near(0) == 0
    assert due_near(1 << 40, 100 * MIB, 300 * MIB) == 300 * MIB - 100 * MIB - 300 * MIB // 8
    assert due_near(1 << 40, 300 * MIB, 300 * MIB) == 100 * MIB and due_near(1 << 40, 0, 0) == 1 << 16
    assert nursery_near(4 * MIB, 8 * MIB) == 2 * MIB
    assert nursery_near(4 * MIB, 0) == nursery_near(0, 0) == 1 << 16


def test_near_the_limit_slices_end_before_it() -> None:
    """So many bytes between two that all is looked at with what is left; at least a quarter of all that may live is
    expected to; and a guest has a fortieth of the time, or 32 KiB."""
    near = lambda room, left=64_000_000, unseen=0, survival=1000, speed=200_000: bytes_near(  # noqa: E731
        1 << 40, left, unseen, 2000, 250_000, survival, speed, 0, room
    )
    assert near(129 * 100_000) == 100_000
    assert near(129 * 100_000, survival=500) == 200_000
    assert near(129 * 100_000, left=0, unseen=256_000_000) == 100_000
    assert near(0) == near(129 * 1000) == 1 << 15
    assert near(0, speed=8_000_000) == 2_000_000 * 1000 // 39_000
    assert bytes_near(1 << 63, 1 << 63, 1 << 63, 0, 0, 0, 1 << 63, 1 << 63, 1 << 63) > 0


@pytest.mark.parametrize(("live", "room"), [(280, 290), (280, 120), (100, 40), (16, 8)])
def test_a_guest_that_makes_more_than_is_looked_at_has_room_until_slices_end(live: int, room: int) -> None:
    """By the numbers of one that makes 8 MB in a millisecond, all of which lives, where 2 MB are looked at: from what
    is decided at the end of a full collection to the end of the next, of which everything that lived is found."""
    live, room, nursery = live * MIB, room * MIB, 300_000
    given = 2000, 250_000, 1000, 8_000_000, 200
    left = room - 2 * nursery
    runway = runway_near(1 << 40, left, live, *given)
    grown, seen = due_near(1 << 40, runway, left) + nursery, 0
    while seen < live:
        seen += 500_000
        ahead = room - grown - 2 * nursery
        usual = bytes_between(live - min(seen, live), *given[:2], max(runway - grown, 0), *given[2:], 275)
        grown += bytes_near(usual, live - min(seen, live), live - min(seen, live), *given, max(ahead, 0))
    assert grown + nursery < room


def test_what_lives_is_known_where_slices_end_in_one_pause() -> None:
    """It is what that pause has found, too."""
    lister = Lister()
    for _ in range(60_000):
        lister.push()
    lister.heap.collect()
    lister.grow()
    lister.heap.watch(1 << 12)
    lister.heap.collect()
    growth = [values[0] for kind, _, *values in lister.heap.read_journal() if kind == 2]
    assert len(growth) == 2  # of the one that was under way, and of the one that was asked for
    assert growth[0] > growth[1] * 9 // 10
    lister.check()


def test_what_dies_young_dies_near_the_limit() -> None:
    """Looks at new objects find it, though less is left than a nursery has elsewhere: no full collection does."""
    limit = 4 * MIB
    lister = Lister(limit, pause_ns=500_000)
    while lister.length * 32 < limit - MIB:
        lister.push()
    heap = lister.heap
    heap.collect()
    full = heap.collections - heap.minors
    for _ in range(500_000):
        lister.guest.new(LEAF, 0, 16)
    assert heap.collections - heap.minors <= full + 2
    assert heap.minors > 8
    lister.check()
