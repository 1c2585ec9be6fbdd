"""The loop that marks: what it puts on the stack without a question, and what it writes of an object."""

from __future__ import annotations

import ctypes
import random

import pytest

from stratavm.heap.exercise import Exerciser
from stratavm.heap.heap import Heap
from stratavm.heap.layout import layout_of
from stratavm.heap.types import Descriptors
from stratavm.heap.verify import verify
from stratavm.spec import types as T
from tests.unit.heap.model import ANY, SLICES, Guest

LEAF, LINK, WIDE = (T.STRUCT_ID | n for n in (1, 2, 3))
REFS, BYTES = T.ARRAY_ID | 70, T.ARRAY_ID | 71
FULL_STACK = 1 << 18
NUMBER, OLD, START = 7, 0x40, 0x80


@pytest.mark.parametrize("granules", [*range(1, 36), 63, 512, 513])
def test_each_granule_of_an_object_has_the_number_and_none_behind_it(granules: int) -> None:
    """Of garbage on both sides none has; nor of what is as large, but garbage."""
    words = 2 * granules - 1
    descriptors = Descriptors()
    descriptors.describe(LEAF, layout_of(T.StructType(()), lambda t: True))
    fields = tuple(T.FieldType(ANY if at % 5 == 0 else T.I64, True) for at in range(words))
    descriptors.describe(LINK, layout_of(T.StructType(fields), lambda t: True))
    guest = Exerciser(Heap(descriptors, 1 << 24), 1, 0)
    made = [
        guest.new(id_, 0, size) for id_, size in ((LEAF, 8), (LINK, 16 * granules), (LEAF, 8), (LINK, 16 * granules))
    ]
    guest.set_root(0, made[1])
    guest.heap.collect()
    side = (ctypes.c_uint8 * granules).from_address(guest.side_byte(made[1]))
    number = side[0] & NUMBER
    assert number
    assert list(side) == [START | OLD | number, *[OLD | number] * (granules - 1)]
    for garbage in (made[0], made[2], made[3]):
        assert ctypes.c_uint8.from_address(guest.side_byte(garbage)).value & NUMBER != number
    assert verify(guest.heap) == []


@pytest.mark.parametrize("entries", [1, 2, 5, 60, FULL_STACK])
@pytest.mark.parametrize("seed", range(2))
def test_what_many_refer_to_is_counted_once(seed: int, entries: int) -> None:
    """However many entries the stack has room for, and however often an object is there: what is found is what can be
    reached, each once."""
    drawn = random.Random(seed)
    guest = Guest(seed, least=1 << 24, roots=1)
    guest.guest.shorten_stack(entries)
    array = guest.new(REFS, 700)
    guest.root(0, array)
    made = list[int]()
    for type_id in drawn.choices((LEAF, LINK, WIDE, REFS, BYTES), k=900):
        made.append(guest.new(type_id, drawn.choice((0, 3, 300)) if type_id in (REFS, BYTES) else 0))
    for address in made:
        known = guest.known[address]
        slots = {LINK: (16,), WIDE: (16, 32, 48), REFS: range(8, 8 + 8 * known.length, 8)}.get(known.type_id, ())
        for slot in slots:
            guest.link(address, slot, drawn.choice((0, made[0], made[1], drawn.choice(made))))
    for at in range(700):
        guest.link(array, 8 + 8 * at, drawn.choice((0, made[2], drawn.choice(made[:400]))))
    for _ in range(2):
        guest.heap.collect()
        guest.forget_unreachable()
        assert guest.heap.live_bytes == sum(known.size for known in guest.known.values())
        guest.check()


@pytest.mark.parametrize("entries", [3, FULL_STACK])
def test_what_waits_on_the_stack_may_be_gone_when_it_comes_out(entries: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """New objects that a slice saw in an array are garbage, and others in their place, before the slice that takes them
    from the stack: eight at a time, and each allocation collects."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    drawn = random.Random(1)
    guest = Guest(1, how=SLICES, roots=2)
    guest.guest.shorten_stack(entries)
    array = guest.new(REFS, 120)
    guest.root(0, array)
    for step in range(1500):
        type_id = drawn.choice((LEAF, LINK, WIDE, REFS, BYTES))
        guest.root(1, guest.new(type_id, drawn.choice((1, 2, 9)) if type_id in (REFS, BYTES) else 0))
        guest.link(array, 8 + 8 * drawn.randrange(120), guest.roots[1])
        guest.link(array, 8 + 8 * drawn.randrange(120), 0)
        if guest.known[guest.roots[1]].type_id == LINK:
            guest.link(guest.roots[1], 16, guest.known[array].fields.get(8 + 8 * drawn.randrange(120), 0))
        if step % 50 == 0:
            guest.check()
    assert guest.heap.cycles[0] > 5
    guest.check()


@pytest.mark.parametrize("entries", [1, 4, 20])
def test_what_a_slice_had_at_hand_is_not_lost_where_the_stack_is_full(
    entries: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Objects on their way from memory when a slice ends go back, or wait: all of a tree of arrays is there."""
    monkeypatch.setenv("STRATA_CHECK", "2")
    guest = Guest(2, how=SLICES, roots=1)
    guest.guest.shorten_stack(entries)
    level = [guest.new(REFS, 6)]
    guest.root(0, level[0])
    for type_id in (REFS, REFS, LINK):
        slots = [(array, slot) for array in level for slot in range(8, 56, 8)]
        level = []
        for array, slot in slots:
            level.append(guest.new(type_id, 6 if type_id == REFS else 0))
            guest.link(array, slot, level[-1])
    ended = guest.heap.cycles[0]
    while guest.heap.cycles[0] < ended + 3:
        guest.new(LEAF)
    guest.check()
