"""The heap by itself: a guest that draws what it does, and a witness that knows what must be left."""

from __future__ import annotations

import random

from tests.fuzz.oracles import Finding
from tests.unit.heap.model import HOW, Guest


def check_heap(seed: int) -> str:
    """One guest, one heap, one way of collecting."""
    draw = random.Random(seed)
    how = HOW[seed % len(HOW)]
    limit, least = draw.choice([1 << 18, 1 << 20, 8 << 20, 64 << 20]), draw.choice([1 << 14, 1 << 16, 1 << 18])
    guest = Guest(seed, limit, least, draw.choice([3, 10, 40, 200]), how)
    if draw.randrange(3) == 0:
        guest.guest.shorten_stack(draw.choice([1, 2, 5, 50]))
    every = draw.choice([20, 100, 400])
    for step in range(draw.choice([100, 300, 1000])):
        guest.step()
        if draw.randrange(80) == 0:
            draw.choice([guest.heap.collect, guest.heap.collect_new])()
            guest.forget_unreachable()
        if step % every == 0:
            try:
                guest.check()
            except AssertionError as error:
                raise Finding(f"{how}, at step {step}: {error}") from error
    return "collected" if guest.heap.collections else "made"
