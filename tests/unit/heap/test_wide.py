"""Structs of thousands of references are large objects: slices come to them bit by bit, as to arrays."""

from __future__ import annotations

import ctypes

import pytest

from stratavm.heap.layout import Layout, layout_of
from stratavm.heap.verify import verify
from stratavm.spec import types as T
from tests.unit.heap.model import ANY
from tests.unit.heap.test_cycles import LEAF, Lister
from tests.unit.heap.test_incremental import MANY, NUMBER, WAITING, Mover

WIDE, FIELDS = T.STRUCT_ID | 5, 2000


def layout() -> Layout:
    """How they lie."""
    return layout_of(T.StructType((T.FieldType(ANY, True),) * FIELDS), lambda storage: True)


def test_fields_are_as_much_work_as_elements(monkeypatch: pytest.MonkeyPatch) -> None:
    """A slice that is over at once looks at one, however few objects that is: it was at 128 of them, and of ten
    thousand fields each that took eight milliseconds."""
    monkeypatch.setenv("STRATA_CHECK", "0")  # slices are counted
    lister = Lister()
    guest, heap, wides = lister.guest, lister.heap, [0]
    heap.descriptors.describe(WIDE, layout())
    for _ in range(50):
        wides.append(guest.new(WIDE, 0, layout().size))
        guest.store(wides[-1], layout().offsets[0], wides[-2])
        guest.set_root(1, wides[-1])
    heap.fix(1 << 16, 1, 1000)  # each slice looks at as little as it can
    first, last = (ctypes.c_ubyte.from_address(guest.side_byte(wide)) for wide in (wides[-1], wides[1]))
    before = first.value & NUMBER
    lister.grow()
    slices = heap.cycles[1]
    while last.value & NUMBER == before or last.value & WAITING:
        guest.new(LEAF, 0, 16)
        if first.value & NUMBER == before or first.value & WAITING:
            slices = heap.cycles[1]
    assert heap.cycles[1] - slices >= len(wides) - 3
    lister.check()


def test_those_that_are_kept_without_a_look_wait_for_slices() -> None:
    """They are gone along by these alone; what only they have by then is found."""
    mover = Mover()
    mover.heap.descriptors.describe(WIDE, layout())
    mover.begin()
    wide = mover.guest.new(WIDE, 0, layout().size)
    mover.guest.store(wide, layout().offsets[FIELDS - 1], mover.thing)
    mover.guest.set_root(3, wide)
    mover.guest.write(mover.last, 16, 0)
    number = mover.side(mover.thing) & NUMBER
    mover.guest.write_all(mover.elements, [0] * MANY)  # what is new grows old
    assert mover.heap.is_marking
    assert mover.side(wide) & WAITING
    assert mover.side(mover.thing) & NUMBER == number != mover.side(wide) & NUMBER
    assert verify(mover.heap) == []
    mover.end()
    assert mover.is_left(mover.thing) and mover.is_left(mover.inner)
