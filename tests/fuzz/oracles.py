"""Judges: what must hold for any bytes, and for any valid module. They raise ``Finding`` or return how far the
module got.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any, Final, Literal

import stratavm
from stratavm.base import switches
from stratavm.base.errors import LinkError, ModuleError, ResourceLimit, StackOverflow, Trap
from stratavm.base.events import Bus
from stratavm.base.forms import dataclass
from stratavm.engine import Config, Engine, Global, Linker, Memory, Module, Store, Tag
from stratavm.engine.cache import LoadedModule, ModuleCache, NoModuleCache
from stratavm.engine.config import ALLOCATORS
from stratavm.engine.shared import SharedMemory
from stratavm.ir.pipeline import FOR_CHECKS, PASSES
from stratavm.module.decode import decode
from stratavm.module.features import ALL
from stratavm.module.model import Export
from stratavm.module.model import Module as Model
from stratavm.module.valid import ValidModule
from stratavm.module.validate import validate
from stratavm.native.worker import MACHINE_PASSES
from stratavm.runtime.core import Runtime
from stratavm.runtime.limits import MemorySlots, StoreLimits
from stratavm.spec.types import F32, F64, FUNC, I32, I64, FuncType, ValType, heap
from stratavm.tiers.jit import lazy
from stratavm.tiers.jit.eager import compile_codes, publish_batch
from stratavm.tiers.jit.tier import Jit, JitModule
from stratavm.tiers.policy import MOST_BYTES, MOST_CALLS, Policy, Thresholds
from stratavm.tiers.tier import TierModule
from tests.fuzz.whims import Beside, Whims

Reached = Literal["rejected", "valid", "compiled", "ran"]
ORACLE_S: Final = 1.0
PATIENCE_S: Final = 10.0
"""How long a module may take on the oracle, and then, for what the oracle has finished, on a compiler."""
ENDLESS: Final = ("stack", "time")
"""Outcomes of what an engine did not finish: no stack or time was left."""
CALLS: Final = 8
LIMITS: Final = StoreLimits(memory_bytes=4 << 20, table_elements=4096)
"""Memories and tables may grow to so much: their contents are compared."""
QUOTAS: Final = (0, 30, 300, 3000, 10**9)
"""Fuel of a store, where it is counted."""
INTERESTING: Final = (0, 1, 2, 7, 31, 32, 63, 64, 255, 65535, 65536, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
FLOATS: Final = (0.0, -0.0, 1.0, -1.5, 0.1, 1e10, -1e20, 2.0**31, 2.0**32, 2.0**63, 5e-324, float("inf"), float("-inf"))

if switches.HELPERS.value():  # threads were asked for: they help from the first call on, since these modules are small
    vars(lazy)["BEGIN_AT"] = (1, 1)


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
    try:
        valid = validate(decode(data, features=ALL), ALL)
    except (ModuleError, ResourceLimit):
        return "rejected"
    work = Work.of(valid.module, seed)
    known: set[object] = set()
    expected: list[Step] | None = None
    for name, engine in engines.items():
        code = load(valid, engine, known)
        if code is None:
            continue
        loaded = LoadedModule(valid.module, valid, code)
        if expected is None:
            expected = [s for s in history(loaded, engine, work, ORACLE_S) if s[-1] not in ENDLESS]
        else:
            compare(expected, name, history(loaded, engine, work, PATIENCE_S))
    return "ran"


def load(valid: ValidModule, engine: Engine, known: set[object]) -> TierModule | None:
    """A module's code, ready to run; None where it is known already. Code settles what happens, but in a pool."""
    if type(engine.tier) is not Jit:
        return engine.tier.load(valid)
    module = JitModule(valid, engine.tier.options, None)
    batch = compile_codes(module.lazy, range(len(valid.module.functions)))
    if module.fallbacks:
        raise Finding(f"valid, but cannot be compiled: {module.fallbacks}")
    plan = engine.config.memory_plan if valid.module.memory_types else None
    key = plan, engine.config.memory_slots is None, tuple(batch.codes)
    if key in known:
        return None
    known.add(key)
    if switches.HELPERS.value():
        return JitModule(valid, engine.tier.options, None, ahead=True)  # compiled by whoever is first, at its calls
    publish_batch(module.lazy, batch)
    return module


def compare(expected: list[Step], name: str, found: Iterator[Step]) -> None:
    """An engine goes the expected steps. Where its stack is exhausted earlier the comparison ends: frames differ."""
    for number, (wanted, step) in enumerate(zip(expected, found, strict=False)):
        if step[-1] == "stack":
            return
        if wanted != step:
            raise Finding(f"step {number}: expected {wanted!r}, {name} {step!r}")


class Validated(NoModuleCache):
    """Gives an engine what was loaded for it: thirty engines need not validate the same binary."""

    loaded: LoadedModule | None = None

    def find(self, binary: bytes) -> LoadedModule | None:
        """What is at hand."""
        return self.loaded


@dataclass(frozen=True, slots=True)
class Work:
    """What is done with a module.

    Attributes:
        calls: export, type, and raw arguments.
        state: exports that hold state.
        fuel: of the store, where it is counted.
    """

    calls: tuple[tuple[str, FuncType, list[int]], ...]
    state: tuple[Export, ...]
    fuel: int

    @classmethod
    def of(cls, module: Model, seed: int) -> Work:
        """Calls of exports with pseudo-random arguments."""
        rng = random.Random(seed)
        fuel = rng.choice(QUOTAS)
        functions = [e for e in module.exports if e.kind == "func"]
        calls = []
        for _ in range(CALLS if functions else 0):
            export = rng.choice(functions)
            type_ = module.func_type(export.index)
            calls.append((export.name, type_, [argument(rng, t) for t in type_.params]))
        return cls(tuple(calls), tuple(e for e in module.exports if e.kind != "func"), fuel)


Step = tuple[Any, ...]
"""What was done, and what came of it."""


def history(loaded: LoadedModule, engine: Engine, work: Work, seconds: float) -> Iterator[Step]:
    """Instantiate, call exports, and say what was seen at every step; all of it within so many seconds."""
    cache = engine.services.get(ModuleCache)
    assert isinstance(cache, Validated)
    cache.loaded = loaded
    module = Module(loaded.model.binary, engine)
    fuel = work.fuel if engine.config.fuel else None
    with Store(engine, limits=LIMITS, fuel=fuel) as store, store.deadline(seconds):
        outcome, instance = _attempt(lambda: Linker(engine).instantiate(store, module))
        yield "instantiate", store.fuel, outcome
        if instance is None:
            return
        exports = instance.exports
        for name, type_, arguments in work.calls:
            function = exports[name]
            outcome, results = _attempt(lambda f=function, a=arguments: f.call_raw(a))
            if results is not None:
                outcome = [seen(store, t, raw) for t, raw in zip(type_.results, results, strict=True)]
            yield name, arguments, store.fuel, outcome
            if outcome in ENDLESS:
                return
        for export in work.state:
            yield export.name, _state(store, exports[export.name])


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


def seen(store: Store, type_: ValType, raw: int) -> int | str | None:
    """Raw bits that mean the same on every engine: a reference is an address, so it is the function that counts."""
    if type_ in (I32, I64, F32, F64):
        return raw
    function = store.func_from_raw(raw) if heap(type_) == FUNC else None
    return function and f"function {function.native.index}"


def _attempt(action: Callable[[], Any]) -> tuple[Any, Any]:
    try:
        return "ok", action()
    except stratavm.WasmException as error:
        return f"{error} of {error.tag!r}", None
    except StackOverflow:
        return "stack", None
    except stratavm.DeadlineExceeded:
        return "time", None
    except Trap as trap:
        return trap.kind, None
    except (LinkError, ResourceLimit) as error:
        return type(error).__name__, None


def _state(store: Store, export: Any) -> Any:
    """What a memory, a table or a global holds."""
    if isinstance(export, Memory):
        return hash(bytes(export.view()))
    if isinstance(export, SharedMemory):
        return hash(export.read(0, export.size_pages * export.page_size))
    if isinstance(export, Tag):
        return repr(export)
    if isinstance(export, Global):
        return seen(store, export.type.value, export.bits)
    raws, element = list(map(export.get, range(len(export)))), export.type.element
    names = {raw: seen(store, element, raw) for raw in set(raws)}
    return [names[raw] for raw in raws]


LOOPS = (1, 2, 5)
"""After how many polls at level 0 a loop goes on at level 1, each time: before its first round, and later."""


def variants() -> dict[str, Config]:
    """What is compared: the oracle first, both levels, and each flag of the compiler flipped."""
    jit0 = Config(tier="jit0", strict=True, threads=1, features=ALL)
    jit1 = jit0.having(tier="jit1")
    found = {"oracle": jit0.having(tier="oracle", strict=False), "jit0": jit0, "jit1": jit1}
    for name, level in (("jit0", jit0), ("jit1", jit1)):
        found |= {f"{name} {a}": level.having(allocator=a) for a in ALLOCATORS if a != level.register_allocator}
        found |= {f"{name} {p}": level.having(memory_plan=p) for p in ("guard", "bounded") if p != level.memory_plan}
    found["jit0 pooled"] = jit0.having(memory_slots=MemorySlots(8, when_exhausted="map"), memory_images="always")
    for off in PASSES:
        level = jit1.having(memory_plan="bounded") if off in FOR_CHECKS else jit1
        found[f"jit1 without {off}"] = level.having(passes=tuple(p for p in PASSES if p != off))
    for off in MACHINE_PASSES:
        found[f"jit1 without {off}"] = jit1.having(machine_passes=tuple(p for p in MACHINE_PASSES if p != off))
    auto = jit0.having(tier="auto", strict=False)
    for after in (0, 1):
        found[f"auto {after}"] = auto.having(lift_after=after)
        found[f"auto {after} bounded"] = auto.having(lift_after=after, memory_plan="bounded")
    found["auto beside"] = auto.having(threads=2)
    found["auto random"] = auto
    for polls in LOOPS:
        found[f"auto loops {polls}"] = auto
        found[f"auto loops {polls} bounded"] = auto.having(memory_plan="bounded")
    found["auto random beside"] = auto.having(threads=2)
    found["auto loops 1 beside"] = auto.having(threads=2)
    return found | {"jit1 machine passes": jit1.having(passes=(), memory_plan="bounded")}


def engines(fuel: bool = False) -> dict[str, Engine]:
    """An engine for each variant, which ``history`` may use. Those without a pool share what none of them changes:
    stubs and numbers by function type.
    """
    made: dict[str, Engine] = {}
    for name, config in variants().items():
        services: dict[Any, Any] = {ModuleCache: Validated()}
        if name.startswith("auto random"):
            services[Policy] = Whims()
        elif name.startswith("auto loops"):
            polls = (Beside if name.endswith("beside") else int)(name.split()[2])
            services[Policy] = Thresholds(MOST_CALLS, ticks=False, polls=polls)
        elif name == "auto beside":
            services[Policy] = Thresholds(1, 1, calls_waited=1, call_bytes=MOST_BYTES)
        if "jit0" in made and config.memory_slots is None:
            services |= {Bus: made["jit0"].bus, Runtime: made["jit0"].runtime}
        made[name] = Engine(config.having(fuel=fuel), services=services)
    return made
