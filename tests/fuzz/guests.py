"""Judges of objects of guests: machines of ours and another engine do the same with structs, arrays, i31, casts.

What runs is the oracle's model in plain Python, the engine with each of its tiers, and wasmtime.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Final

from stratavm.engine import Config, Engine, Linker, Module, Store
from stratavm.module.features import INTERPRETED
from stratavm.runtime.limits import StoreLimits
from stratavm.spec.types import FuncType
from tests.fuzz.oracles import Finding
from tests.fuzz.windows import windowed
from tests.fuzz.witness import LIMIT, OBJECTS_BYTES, Pair, compare, outcome

LIMITS = StoreLimits(total_bytes=OBJECTS_BYTES + (16 << 20), memory_bytes=64 << 20)


TIERS: Final = ("oracle", "jit0", "jit1")


@cache
def _engine(tier: str) -> Engine:
    return Engine(Config(tier=tier, strict=tier != "oracle", threads=1, features=INTERPRETED))


class Several(Pair):
    """One module on the model, on wasmtime, and on engines."""

    cuts = False

    def __init__(self, binary: bytes) -> None:
        super().__init__(binary)
        self.ours_too = {
            tier: Linker(engine).instantiate(Store(engine, limits=LIMITS), Module(binary, engine))
            for tier, engine in ((tier, _engine(tier)) for tier in TIERS)
        }

    def call(self, name: str, type_: FuncType, raws: list[int], cut: bool = False) -> str:
        """Call on all of them."""
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
