"""Claims about packed code of which some functions are exchanged."""

from __future__ import annotations

import random
import struct
from collections.abc import Iterable

import pytest

from stratavm import Module
from stratavm.aot.container import read
from stratavm.native.codeimage import Rows

COUNT = 12


def packed(seed: int) -> bytes:
    """The code of some functions, which are shorter or longer by chance."""
    numbers = random.Random(seed)
    bodies = ["(drop (i32.load (local.get 0)))" * numbers.randrange(9) for _ in range(COUNT)]
    text = "".join(f"(func (param i32) {body})" for body in bodies)
    data: bytes = read(Module.build(f"(module (memory 1) {text})", tier="jit0").serialize()).section("code")
    return data


def nothing(data: bytes) -> Rows:
    """No code of the same module."""
    return Rows(data[:8] + struct.pack("<I", 0) + data[12:16])


def only(data: bytes, some: Iterable[int]) -> Rows:
    """The code of some functions."""
    return Rows(Rows(data).having(nothing(data), {*range(COUNT)} - {*some}))


@pytest.mark.parametrize("seed", range(8))
def test_what_is_exchanged_in_place_is_what_is_exchanged_in_a_copy(seed: int):
    """Some become longer, some shorter, some go and some come; nobody else has the bytes, or somebody has."""
    numbers = random.Random(seed)
    old, new = packed(seed), packed(seed + 100)
    before = [i for i in range(COUNT) if numbers.random() < 0.8]
    fresh = [i for i in range(COUNT) if numbers.random() < 0.5]
    again = {*fresh, *numbers.sample(range(COUNT), 2)}
    kept = only(old, before)
    held = kept.having(nothing(old), ())  # all of it, in place: nothing is in there any more
    assert kept.count == 0
    rows = Rows(held)
    copy = rows.having(only(new, fresh), again)
    assert rows.count == COUNT and held == only(old, before).having(nothing(old), ())
    alone = only(old, before)
    made = alone.having(only(new, fresh), again)
    assert made == copy and alone.count == 0
    parts = [
        (only(new, [i]) if i in fresh else only(old, [i]))
        for i in range(COUNT)
        if i in {*fresh, *before} - ({*again} - {*fresh})
    ]
    whole = nothing(old)
    for part in parts:
        there = [i for i in range(COUNT) if i not in part.missing()]
        whole = Rows(whole.having(part, there))
    assert whole.having(nothing(old), ()) == made


def test_of_another_module_nothing_is_taken():
    """Nor is code that has no place."""
    data = packed(1)
    other = data[:4] + struct.pack("<I", COUNT + 1) + data[8:]
    with pytest.raises(ValueError, match="of another module"):
        Rows(data).having(Rows(other), ())
    with pytest.raises(ValueError, match="not compiled again"):
        Rows(data).having(only(data, [3]), {2})
