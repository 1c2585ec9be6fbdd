"""Judges of objects of guests: machines of ours and another engine do the same with structs, arrays, i31, casts.

What runs is the oracle's model in plain Python, the engine with each of its tiers, and wasmtime. On most engines new
objects are few and old ones grow old soon; some collect by the default policy, and some all in one pause. Between calls
a full collection goes on for a moment: most calls begin in the midst of one.
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
from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds
from tests.fuzz.oracles import Finding
from tests.fuzz.whims import Whims
from tests.fuzz.windows import windowed
from tests.fuzz.witness import LIMIT, OBJECTS_BYTES, Pair, compare, outcome

LIMITS = StoreLimits(total_bytes=OBJECTS_BYTES + (16 << 20), memory_bytes=64 << 20)


TIERS: Final = ("oracle", "jit0", "jit1", "auto")
LOOPS: Final = Thresholds(MOST_CALLS, ticks=False, polls=2)
"""Each loop goes on at level 1 in its second round."""
POLICIES: Final[tuple[Policy, ...]] = (LOOPS, Whims())
"""How functions change their level on ``auto``."""


def often(nursery_bytes: int, slice_us: int, factor: float) -> GcConfig:
    """Constants in the place of decisions."""
    return GcConfig(constants=GcConstants(nursery_bytes=nursery_bytes, slice_us=slice_us, factor=factor))


COLLECTORS: Final = (
    *(often(1 << 15, 1, 0.01), often(1 << 15, 20, 0.5), often(1 << 17, 1, 0.01)),
    *(GcConfig(pause_us=20), GcConfig(generations=False)),
)
MOMENTS: Final = (0, 0, 1e-9, 1e-5, 1.0)
"""Seconds of a collection between two calls; 0: none, 1e-9: it begins and does not get far."""


@cache
def _engine(tier: str, collector: GcConfig, policy: Policy) -> Engine:
    config = Config(tier=tier, strict=tier in ("jit0", "jit1"), threads=1, features=INTERPRETED, gc=collector)
    return Engine(config, services={Policy: policy} if tier == "auto" else {})


class Several(Pair):
    """One module on the model, on wasmtime, and on engines."""

    cuts = False

    def __init__(self, binary: bytes) -> None:
        super().__init__(binary)
        self.moments = random.Random(len(binary))
        collector, policy = self.moments.choice(COLLECTORS), self.moments.choice(POLICIES)
        engines = {tier: _engine(tier, collector, policy) for tier in TIERS}
        self.stores = {tier: Store(engine, limits=LIMITS) for tier, engine in engines.items()}
        self.ours_too = {
            tier: Linker(engine).instantiate(self.stores[tier], Module(binary, engine))
            for tier, engine in engines.items()
        }

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
