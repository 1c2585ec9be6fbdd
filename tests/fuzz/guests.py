"""Judges of objects of guests: machines of ours and another engine do the same with structs, arrays, i31, casts.

What runs is the oracle's model in plain Python, the engine with each of its tiers, and wasmtime. On the engine new
objects are few, old ones grow old soon, and between calls a full collection goes on for a moment: most calls begin in
the midst of one.
"""

from __future__ import annotations

import random
from functools import cache, partial
from typing import Final

from stratavm import GcConfig, GcConstants
from stratavm.engine import Config, Engine, Linker, Module, Store
from stratavm.module.features import INTERPRETED
from stratavm.runtime.limits import StoreLimits
from stratavm.spec.types import FuncType
from tests.fuzz.oracles import Finding
from tests.fuzz.windows import windowed
from tests.fuzz.witness import LIMIT, OBJECTS_BYTES, Pair, compare, outcome

LIMITS = StoreLimits(total_bytes=OBJECTS_BYTES + (16 << 20), memory_bytes=64 << 20)


TIERS: Final = ("oracle", "jit0", "jit1")
OFTEN: Final = GcConfig(generations=True, constants=GcConstants(nursery_bytes=1 << 15, slice_us=1, factor=0.01))
MOMENTS: Final = (0, 0, 1e-9, 1e-5, 1.0)
"""Seconds of a collection between two calls; 0: none, 1e-9: it begins and does not get far."""


@cache
def _engine(tier: str) -> Engine:
    return Engine(Config(tier=tier, strict=tier != "oracle", threads=1, features=INTERPRETED, gc=OFTEN))


class Several(Pair):
    """One module on the model, on wasmtime, and on engines."""

    cuts = False

    def __init__(self, binary: bytes) -> None:
        super().__init__(binary)
        engines = {tier: _engine(tier) for tier in TIERS}
        self.stores = {tier: Store(engine, limits=LIMITS) for tier, engine in engines.items()}
        self.ours_too = {
            tier: Linker(engine).instantiate(self.stores[tier], Module(binary, engine))
            for tier, engine in engines.items()
        }
        self.moments = random.Random(len(binary))

    def call(self, name: str, type_: FuncType, raws: list[int], cut: bool = False) -> str:
        """Call on all of them."""
        moment = self.moments.choice(MOMENTS)
        for store in self.stores.values() if moment else ():
            store.gc_for_at_most(moment)
        ended = super().call(name, type_, raws, cut)
        found = {t: outcome(type_, partial(i.exports[name].call_raw, raws)) for t, i in self.ours_too.items()}
        if LIMIT in (ended, *found.values()):
            return LIMIT
        for tier, said in found.items():
            if said != self.came:
                raise Finding(f"{name} {raws}: the model {self.came}, {tier} {said}")
        return ended


def check_objects(binary: bytes, seed: int) -> str:
    """``ran``, ``trapped`` or ``nothing``: what a module's calls came to, the same on every machine."""
    if not binary:
        return "nothing"
    try:
        found = compare(windowed(binary, seed), seed, Several)
    except AssertionError as error:
        raise Finding(f"another engine differs: {error}") from error
    return "ran" if "returned" in found else "trapped" if found else "nothing"
