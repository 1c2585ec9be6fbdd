"""Judges of objects of guests: two machines of ours and another engine do the same with structs, arrays, i31, casts.

Machine code has none of it yet: what runs is the engine's oracle, its model in plain Python, and wasmtime.
"""

from __future__ import annotations

from functools import cache

from stratavm.engine import Config, Engine, Linker, Module, Store
from stratavm.module.features import INTERPRETED
from stratavm.runtime.limits import StoreLimits
from stratavm.spec.types import FuncType
from tests.fuzz.oracles import Finding
from tests.fuzz.windows import windowed
from tests.fuzz.witness import LIMIT, OBJECTS_BYTES, Pair, compare, outcome

LIMITS = StoreLimits(total_bytes=OBJECTS_BYTES + (16 << 20), memory_bytes=64 << 20)


@cache
def _oracle() -> Engine:
    return Engine(Config(tier="oracle", threads=1, features=INTERPRETED))


class Three(Pair):
    """One module on the model, on wasmtime, and on an engine."""

    cuts = False

    def __init__(self, binary: bytes) -> None:
        super().__init__(binary)
        engine = _oracle()
        self.ours_too = Linker(engine).instantiate(Store(engine, limits=LIMITS), Module(binary, engine))

    def call(self, name: str, type_: FuncType, raws: list[int], cut: bool = False) -> str:
        """Call on all of them."""
        ended = super().call(name, type_, raws, cut)
        found = outcome(type_, lambda: self.ours_too.exports[name].call_raw(raws))
        if LIMIT in (ended, found):
            return LIMIT
        if found != self.came:
            raise Finding(f"{name} {raws}: the model {self.came}, the engine {found}")
        return ended


def check_objects(binary: bytes, seed: int) -> str:
    """``ran``, ``trapped`` or ``nothing``: what a module's calls came to, the same on every machine."""
    if not binary:
        return "nothing"
    try:
        found = compare(windowed(binary, seed), seed, Three)
    except AssertionError as error:
        raise Finding(f"another engine differs: {error}") from error
    return "ran" if "returned" in found else "trapped" if found else "nothing"
