"""Judges of objects of guests: machines of ours and another engine do the same with structs, arrays, i31, casts.

What runs is the oracle's model in plain Python, the engine with each of its tiers, and wasmtime. On most engines new
objects are few and old ones grow old soon; some collect by the default policy, and some all in one pause. Between calls
a full collection goes on for a moment: most calls begin in the midst of one.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from dataclasses import replace
from functools import cache, partial
from typing import Any, Final

from stratavm import GcConfig, GcConstants
from stratavm.engine import Config, Engine, Func, Instance, Linker, Module, Store
from stratavm.module.features import ALL
from stratavm.runtime.limits import StoreLimits
from stratavm.spec.types import FuncType
from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds
from tests.fuzz.oracles import Finding
from tests.fuzz.whims import Whims
from tests.fuzz.windows import windowed
from tests.fuzz.witness import LIMIT, OBJECTS_BYTES, Pair, compare, outcome, to_python, to_raw

LIMITS = StoreLimits(total_bytes=OBJECTS_BYTES + (16 << 20), memory_bytes=64 << 20)
FEW_HANDLES = replace(LIMITS, handles=48)
"""Where exceptions that nobody has any more are soon looked for."""


SEEN_PLACES: Final = 8
"""Of a table: two more than it begins with."""
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
    config = Config(tier=tier, strict=tier in ("jit0", "jit1"), threads=1, features=ALL, gc=collector)
    return Engine(config, services={Policy: policy} if tier == "auto" else {})


class Host:
    """What a module of an engine's imports: one function, which gives back what it gets."""

    def __init__(self, tier: str, draw: random.Random) -> None:
        self.draw = draw
        self.instance: Instance | None = None
        self.waits = tier != "oracle" and draw.random() < 0.5
        """Whether calls wait in it."""

    def run_guest(self) -> None:
        """Another guest makes garbage, and so many objects that there are looks at them, while the first is inside."""
        if self.instance is not None and self.draw.random() < 0.7:
            self.instance.exports["garbage"](self.draw.randrange(16))

    def pass_(self, value: object) -> object:
        """The function: the first thing that another guest makes may be in the place of what nobody held."""
        self.run_guest()
        return value

    async def pass_late(self, value: object) -> object:
        """The same, but others run before it goes on."""
        self.run_guest()
        await asyncio.sleep(0)
        self.run_guest()
        return value

    def call(self, function: Func, type_: FuncType, raws: list[int]) -> list[int | None]:
        """Call an export, on a fiber if the host's function waits."""
        if not self.waits:
            return function.call_raw(raws)
        given = [to_python(t, raw) for t, raw in zip(type_.params, raws, strict=True)]
        values: Any = asyncio.run(function.call_async(*given))
        values = list(values) if isinstance(values, tuple | list) else [values] if type_.results else []
        return [to_raw(t, value) or 0 for t, value in zip(type_.results, values, strict=True)]


class Several(Pair):
    """One module on the model, on wasmtime, and on engines."""

    cuts = False
    host = '(module (func (export "pass") (param externref) (result externref) (local.get 0)))'

    def __init__(self, binary: bytes) -> None:
        super().__init__(binary)
        self.moments = random.Random(len(binary))
        collector, policy = self.moments.choice(COLLECTORS), self.moments.choice(POLICIES)
        engines = {tier: _engine(tier, collector, policy) for tier in TIERS}
        few = self.moments.random() < 0.3  # without machine code it is not known within a step who has exceptions
        limits = {tier: FEW_HANDLES if few and tier != "oracle" else LIMITS for tier in engines}
        self.stores = {tier: Store(engine, limits=limits[tier]) for tier, engine in engines.items()}
        self.hosts = {tier: Host(tier, random.Random(len(binary))) for tier in engines}
        self.ours_too = {tier: self._instance(tier, Module(binary, engine)) for tier, engine in engines.items()}

    def _instance(self, tier: str, module: Module) -> Instance:
        """Of a module that imports the host's function, or nothing."""
        host, linker = self.hosts[tier], Linker(module.engine)
        passing: Callable[..., object] = host.pass_late if host.waits else host.pass_
        linker.define("host", "pass", passing)
        host.instance = linker.instantiate(self.stores[tier], module)
        return host.instance

    def functions(self) -> list[tuple[str, FuncType, bool]]:
        """The module's own more often than what shows what they have done."""
        found = super().functions()
        return found + [function for function in found if not function[0].startswith(("window", "garbage"))] * 2

    def compare_state(self) -> None:
        """Globals and a memory hold the same, and tables in their first places."""
        super().compare_state()
        for name, type_, cut in super().functions():
            if name.startswith(("window of global", "window of memory", "window of table")):
                for place in range(SEEN_PLACES if type_.params else 1):
                    self.call(name, type_, [place] * len(type_.params), cut)

    def call(self, name: str, type_: FuncType, raws: list[int], cut: bool = False) -> str:
        """Call on all of them."""
        moment = self.moments.choice(MOMENTS)
        for store in self.stores.values() if moment else ():
            store.gc_for_at_most(moment)
        ended = super().call(name, type_, raws, cut)
        calls = {t: partial(self.hosts[t].call, i.exports[name], type_, raws) for t, i in self.ours_too.items()}
        found = {tier: outcome(type_, call) for tier, call in calls.items()}
        for tier, said in found.items() if ended != LIMIT else ():
            if said not in (self.came, LIMIT):
                raise Finding(f"{name} {raws}: the model {self.came}, {tier} {said}")
        return LIMIT if LIMIT in (ended, *found.values()) else ended


def check_objects(binary: bytes, seed: int) -> str:
    """``ran``, ``trapped`` or ``nothing``: what a module's calls came to, the same on every machine."""
    if not binary:
        return "nothing"
    try:
        found = compare(windowed(binary, seed), seed, Several)
    except AssertionError as error:
        raise Finding(f"another engine differs: {error}") from error
    return "ran" if "returned" in found else "trapped" if found else "nothing"
