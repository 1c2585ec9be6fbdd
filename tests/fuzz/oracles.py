"""Judges: what must hold for any bytes, and for any valid module. They raise ``Finding`` or return how far the
module got.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any, Final, Literal, get_args

import stratavm
from stratavm.base.errors import LinkError, ModuleError, ResourceLimit, StackOverflow, Trap
from stratavm.codegen.compile import ModuleCompiler
from stratavm.codegen.worker import MACHINE_PASSES
from stratavm.engine import Config, Engine, Module, Store
from stratavm.engine.cache import LoadedModule, ModuleCache, NoModuleCache
from stratavm.engine.config import Allocator, MemoryPlan
from stratavm.engine.instance import Instance
from stratavm.engine.linker import Linker
from stratavm.ir.pipeline import FOR_CHECKS, PASSES
from stratavm.module.decode import decode
from stratavm.module.valid import ValidModule
from stratavm.module.validate import validate
from stratavm.runtime.limits import PoolConfig
from stratavm.spec.types import F32, F64, I32, I64, FuncType, GlobalType, ValType
from stratavm.tiers.jit.tier import Jit
from stratavm.tiers.tier import Tier

Reached = Literal["rejected", "valid", "compiled", "ran"]
SECONDS: Final = 1.0
CALLS: Final = 6
MEMORY_BYTES: Final = 4 << 20
"""Memories may grow to so much: their contents are compared."""
QUOTAS: Final = (0, 30, 300, 3000, 10**9)
"""Fuel of a store, where it is counted."""
INTERESTING: Final = (0, 1, 2, 7, 31, 32, 63, 64, 255, 65535, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
FLOATS: Final = (0.0, -0.0, 1.0, -1.5, 0.1, 1e10, -1e20, 2.0**31, 2.0**32, 2.0**63, 5e-324, float("inf"), float("-inf"))


class Finding(AssertionError):
    """Strata broke a promise."""


def check_bytes(data: bytes, engine: Engine) -> Reached:
    """Any bytes: a typed error, or a module that compiles as a whole."""
    try:
        module = Module(data, engine=engine)
    except (ModuleError, ResourceLimit):
        return "rejected"
    report = module.compile_all()
    if report.functions + len(report.fallbacks) < len(module.model.functions):
        raise Finding(f"compiled {report.functions} of {len(module.model.functions)} functions")
    return "compiled" if report.functions else "valid"


def check_tiers(data: bytes, engines: dict[str, Engine], seed: int) -> Reached:
    """A valid module: every engine does the same with it, and leaves the same state.

    An engine whose machine code is, byte for byte, that of one that has run does not run it again; and none takes a
    step at which the first gave up.
    """
    histories: dict[str, list[Any]] = {}
    known: set[object] = set()
    steps: int | None = None
    try:
        valid = validate(decode(data))
        for name, engine in engines.items():
            code = machine_code(valid, engine)
            if code is None or code not in known:
                histories[name] = found = list(islice(history(valid, engine, seed), steps))
                known.add(code)
                if steps is None:
                    steps = len(found) - (found[-1][-1] == "gave up")
    except (ModuleError, ResourceLimit):
        return "rejected"
    (first, expected), *others = histories.items()
    for name, found in others:
        compare(first, expected, name, found)
    return "ran"


def machine_code(valid: ValidModule, engine: Engine) -> object:
    """What an engine makes of a module; None where that does not settle what happens: on the oracle, in a pool."""
    if not isinstance(engine.tier, Jit) or engine.config.pool is not None:
        return None
    compiler = ModuleCompiler(valid.module, engine.tier.options)
    with compiler.worker() as worker:
        codes = [compiler.compile(valid, i, worker) for i in range(len(valid.module.functions))]
    return engine.config.memory_plan, tuple(codes)


def compare(first: str, expected: list[Any], name: str, found: list[Any]) -> None:
    """Two histories agree as far as both go; a time-out or an exhausted stack ends the comparison."""
    for step, (a, b) in enumerate(zip(expected, found, strict=False)):
        if "gave up" in (a[-1], b[-1]):
            return
        if a != b:
            raise Finding(f"step {step}: {first} {a!r}, {name} {b!r}")


class Validated(NoModuleCache):
    """Gives an engine the form of a binary that another has validated: eighteen engines need not do it again each."""

    def __init__(self) -> None:
        self.tier: Tier | None = None
        self.valid: ValidModule | None = None

    def find(self, binary: bytes) -> LoadedModule | None:
        """The form at hand, with code of this engine's own."""
        assert self.tier is not None and self.valid is not None
        return LoadedModule(self.valid.module, self.valid, self.tier.load(self.valid, "fuzz"))


def history(valid: ValidModule, engine: Engine, seed: int) -> Iterator[tuple[Any, ...]]:
    """Instantiate, call exports with fixed pseudo-random arguments, and say what was seen at every step."""
    cache = engine.services.get(ModuleCache)
    assert isinstance(cache, Validated)
    cache.tier, cache.valid = engine.tier, valid
    module = Module(valid.module.binary, engine)
    rng = random.Random(seed)
    with Store(engine, fuel=rng.choice(QUOTAS) if engine.config.fuel else None) as store:
        outcome, instance = _attempt(store, lambda: Linker(engine).instantiate(store, module))
        yield "instantiate", store.fuel, outcome if instance is None else "ok"
        if instance is None:
            return
        functions = [e for e in module.exports if e.kind == "func"]
        for _ in range(CALLS if functions else 0):
            export = rng.choice(functions)
            type_ = module.export_type(export)
            assert isinstance(type_, FuncType)
            arguments = [argument(rng, t) for t in type_.params]
            function = instance.exports[export.name]
            outcome, _result = _attempt(store, lambda f=function, a=arguments: f.call_raw(a))
            if isinstance(outcome, tuple):
                outcome = tuple(map(comparable, type_.results, outcome))
            yield export.name, tuple(arguments), store.fuel, outcome
            if outcome == "gave up":
                return
        yield from _state(module, instance)


def argument(rng: random.Random, type_: ValType) -> int:
    """Raw bits of an argument: interesting values, small ones and random ones."""
    if type_ in (I32, F32):
        bits = rng.choice(INTERESTING) if rng.random() < 0.7 else rng.getrandbits(32)
        return bits & 0x7F7FFFFF if type_ == F32 else bits
    if type_ == I64:
        return rng.choice(INTERESTING) << rng.choice((0, 31, 32)) & (1 << 64) - 1
    if type_ == F64:
        import struct

        return int.from_bytes(struct.pack("<d", rng.choice(FLOATS)), "little")
    return 0  # a null reference


def comparable(type_: ValType, raw: int) -> int | str:
    """Raw bits that mean the same on every engine: a reference is an address, so only whether it is null counts."""
    return raw if type_ in (I32, I64, F32, F64) else "null" if raw == 0 else "a reference"


def _attempt(store: Store, action: Callable[[], Any]) -> tuple[Any, Any]:
    try:
        with store.deadline(SECONDS):
            result = action()
    except (StackOverflow, stratavm.DeadlineExceeded):
        return "gave up", None
    except Trap as trap:
        return trap.kind, None
    except (LinkError, ResourceLimit) as error:
        return type(error).__name__, None
    return tuple(result) if isinstance(result, list) else "ok", result


def _state(module: Module, instance: Instance) -> Iterator[tuple[Any, ...]]:
    for export in module.exports:
        if export.kind == "memory":
            yield "memory", hash(bytes(instance.exports[export.name].view()))
        elif export.kind == "global":
            type_ = module.export_type(export)
            assert isinstance(type_, GlobalType)
            if type_.value in (I32, I64, F32, F64):
                yield export.name, instance.exports[export.name].bits


def variants() -> dict[str, Config]:
    """What is compared: the oracle first, both levels, and each flag of the compiler flipped."""
    jit0 = Config(strict=True, threads=1)
    jit1 = jit0.having(tier="jit1")
    found = {"oracle": Config(tier="oracle", threads=1), "jit0": jit0, "jit1": jit1}
    for name, level in (("jit0", jit0), ("jit1", jit1)):
        found |= {
            f"{name} {a}": level.having(allocator=a) for a in get_args(Allocator) if a != level.register_allocator
        }
        found |= {f"{name} {p}": level.having(memory_plan=p) for p in get_args(MemoryPlan) if p != level.memory_plan}
    found["jit0 pooled"] = jit0.having(pool=PoolConfig(8, when_exhausted="map"), memory_images="always")
    for off in PASSES:
        level = jit1.having(memory_plan="bounded") if off in FOR_CHECKS else jit1
        found[f"jit1 without {off}"] = level.having(passes=tuple(p for p in PASSES if p != off))
    for off in MACHINE_PASSES:
        found[f"jit1 without {off}"] = jit1.having(machine_passes=tuple(p for p in MACHINE_PASSES if p != off))
    return found | {"jit1 machine passes": jit1.having(passes=(), memory_plan="bounded")}


def engines(fuel: bool = False) -> dict[str, Engine]:
    """An engine for each variant, which ``history`` may use."""
    configs = {n: config.having(fuel=fuel, max_memory_bytes=MEMORY_BYTES) for n, config in variants().items()}
    return {name: Engine(config, services={ModuleCache: Validated()}) for name, config in configs.items()}
