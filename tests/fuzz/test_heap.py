"""The campaign of the heap, in a short form."""

from __future__ import annotations

import pytest

from tests.fuzz.heap import check_heap
from tests.fuzz.oracles import Finding
from tests.unit.heap.model import HOW, Guest

SEEDS = 30


@pytest.mark.trace_slow
def test_guests_of_a_heap_find_what_must_be_left() -> None:
    """Whatever is drawn: limits, stacks, ways of collecting."""
    assert {check_heap(seed) for seed in range(1, SEEDS)} >= {"collected"}


def test_a_guest_that_notes_no_writes_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    """So the campaign would see a collector that loses objects."""

    def link(guest: Guest, address: int, offset: int, word: int) -> None:
        guest.guest.store(address, offset, word)
        guest.known[address].fields[offset] = word

    monkeypatch.setattr(Guest, "link", link)
    with pytest.raises(Finding, match="by generations, at step"):
        for seed in range(1, len(HOW) * SEEDS, len(HOW)):
            check_heap(seed)
