"""Which holes new objects go into: what lies between objects that live on may not be worth it."""

from __future__ import annotations

import pytest

from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.verify import verify
from tests.unit.heap.model import described
from tests.unit.heap.test_heap import LEAF, REFS

MIB = 1 << 20
COUNT = 20_000


def comb(limit: int) -> tuple[Exerciser, set[int]]:
    """A heap in which every other object lives on, and where those were that do not."""
    guest = Exerciser(Heap(described(), limit), 2, 1)
    kept = guest.new(REFS, COUNT, 8 + 8 * COUNT)
    guest.set_root(0, kept)
    gone = set[int]()
    for at in range(COUNT):
        guest.write(kept, 8 + 8 * at, guest.new(LEAF, 0, 16))
        gone.add(guest.new(LEAF, 0, 16))
    # From here on: no look, which may come early on a slow machine, makes room midway.
    guest.heap.by_generations(500_000)
    guest.heap.collect()
    assert verify(guest.heap) == []
    return guest, gone


def test_small_holes_are_passed_over() -> None:
    """While there are blocks that nobody uses; a hole costs as much as some objects do."""
    guest, gone = comb(64 * MIB)
    made = [guest.new(LEAF, 0, 16) for _ in range(2 * COUNT)]
    assert len(gone.intersection(made)) <= 1  # the last has room behind it
    assert verify(guest.heap) == []


def test_small_holes_are_used_where_few_blocks_are_left() -> None:
    """All of them, before there is said to be no room."""
    guest, gone = comb(MIB)
    made = {guest.new(LEAF, 0, 16) for _ in range(COUNT)}
    assert len(gone & made) > COUNT // 2
    assert verify(guest.heap) == []


def test_who_looks_for_a_hole_asks_no_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is a pause but collections, whether somebody reads a journal or not: who looks for a hole has no note in
    it, unless that took so long as to be a pause."""
    monkeypatch.delenv("STRATA_CHECK", raising=False)
    for entries in (0, 1 << 16):
        guest = Exerciser(Heap(described(), 64 * MIB), 1, 1)
        guest.heap.by_generations(500_000)
        if entries:
            guest.heap.watch(entries)
        for _ in range(100_000):
            guest.new(LEAF, 0, 16)
        assert sum(guest.heap.pauses.values()) < 100_000 * 16 >> 17  # one for a few of the blocks that were looked for


def test_what_is_found_ahead_may_be_too_small() -> None:
    """Where holes wait that have room for ten granules, an object of thirty-one gets another one."""
    guest = Exerciser(Heap(described(), 64 * MIB), 3, 1)
    guest.heap.by_generations(5_000_000)
    kept, gone = guest.new(REFS, COUNT, 8 + 8 * COUNT), guest.new(REFS, COUNT, 8 + 8 * COUNT)
    guest.set_root(0, kept)
    guest.set_root(1, gone)
    for at in range(COUNT):
        guest.write(kept, 8 + 8 * at, guest.new(LEAF, 0, 16))
        guest.write(gone, 8 + 8 * at, guest.new(REFS, 19, 8 + 8 * 19))
    guest.set_root(1, 0)
    guest.heap.collect()
    for _ in range(20_000):
        guest.new(LEAF, 0, 16)
    long = guest.new(REFS, 60, 8 + 8 * 60)
    guest.set_root(1, long)
    for word in range(60):
        guest.store(long, 8 + 8 * word, kept)
    assert verify(guest.heap) == []
    assert {guest.load(guest.load(kept, 8 + 8 * at), 0) for at in range(COUNT)} == {LEAF}


@pytest.mark.parametrize("words", [1, 19, 60, 500, 1500])
def test_what_is_made_in_a_hole_is_zero(words: int) -> None:
    """Nobody clears holes, in which lies what was there before: who makes an object does (ADR-0091)."""
    guest = Exerciser(Heap(described(), 64 * MIB), 2, 1)
    guest.heap.by_generations(5_000_000)
    kept, size = guest.new(REFS, 1, 16), 8 + 8 * words
    guest.set_root(0, kept)
    used = set[int]()
    for _ in range(2):
        for _ in range(3 * MIB // size):
            made = guest.new(REFS, words, size)
            assert [guest.load(made, 8 + 8 * at) for at in (0, words // 2, words - 1)] == [0, 0, 0]
            for at in range(words):
                guest.store(made, 8 + 8 * at, kept)
            if made in used:
                return
            used.add(made)
        guest.heap.collect()
    pytest.fail("no room was used again")
