"""Old words on stacks hold little of what guests have dropped: ``python -m tests.retained`` measures it."""

from __future__ import annotations

import pytest

from tests.retained import SHAPES, TIERS, rounds


@pytest.mark.parametrize("tier", TIERS)
def test_old_words_on_stacks_hold_little(tier: str) -> None:
    """Guests without machine code have no such words. Elsewhere one may hold a whole list, a fortieth of what a seed
    makes, and which old word stays is luck: how much does is measured (``docs/ideas/heap.md``), and here it is only
    that no shape is always held, which would be a fourth. What a long array is filled with is measured only."""
    oracle = tier == "oracle"
    found = [one for seed in (1, 2, 3) for one in rounds(tier, 2 if oracle else 40, SHAPES[:-1], seed)]
    share = sum(one.left for one in found) / sum(one.made for one in found)
    assert share == 0 if oracle else share < 0.1
