"""The one composition root: which services make up an engine of a given configuration, wired by the container."""

from __future__ import annotations

import os
from _collections_abc import Callable, Iterator

from stratavm.base import switches
from stratavm.base.events.core import Bus
from stratavm.base.events.declare import ListenerFailed
from stratavm.base.forms import TYPE_CHECKING, Final, replace
from stratavm.base.importing import importing
from stratavm.engine.cache import CodeCache, ModuleCache, NoModuleCache
from stratavm.engine.composition import Replacements
from stratavm.engine.config import Config
from stratavm.engine.ports import GrowthLimiter, Logger, NoLimiter, PythonLogger
from stratavm.ir.scope import EVERYWHERE, Scope
from stratavm.module.valid import ValidModule
from stratavm.runtime.allocator import MappedMemories, MemoryAllocator
from stratavm.runtime.core import Runtime
from stratavm.services.di import Container, Services
from stratavm.tiers.policy import Policy, policy_of
from stratavm.tiers.tier import CompileExecutor, ThreadExecutor, Tier, TierModule

if TYPE_CHECKING:
    from types import ModuleType

    from stratavm.aot.container import Image
    from stratavm.base.choices import UpdateWhen
    from stratavm.engine.engine import Engine
    from stratavm.engine.instance import Instance
    from stratavm.engine.linker import Namespaces
    from stratavm.engine.metrics import EngineMetrics
    from stratavm.engine.module import Module
    from stratavm.engine.snapshot import Snapshot
    from stratavm.engine.source import SourceLike
    from stratavm.engine.update_plan import Update
    from stratavm.native.compile import Options
    from stratavm.runtime.snapshot import State

SCOPES: Final = ("engine", "guest")


class OracleOnDemand:
    """The oracle as a fallback: imported at the first function that needs it, which for most programs is never."""

    name = "oracle"

    def __init__(self, fuel: bool = False) -> None:
        self.fuel = fuel

    def load(
        self, valid: ValidModule, name: str = "", restore: Callable[[TierModule], None] = lambda code: None
    ) -> TierModule:
        """Prepare a valid module; there is no code to restore."""
        with importing:
            from stratavm.tiers.oracle.tier import Oracle

        return Oracle(fuel=self.fuel).load(valid, name)


def services(config: Config) -> Services:
    """What an engine is made of, by type."""
    box = Services(SCOPES).value(Config, config)
    box.singleton(Bus, make_bus).singleton(Logger, PythonLogger).singleton(GrowthLimiter, NoLimiter)
    box.singleton(ModuleCache, NoModuleCache).singleton(MemoryAllocator, make_allocator)
    if config.tier == "oracle":
        box.singleton(CodeCache, CodeCache)
        return box.singleton(Runtime, make_runtime).singleton(Tier, lambda: OracleOnDemand(config.fuel))
    box.singleton(CodeCache, make_code_cache)
    box.value(Scope, EVERYWHERE).singleton(CompileExecutor, make_executor)
    box.singleton(Runtime, make_native_runtime)
    if config.tier == "auto":
        return box.singleton(Policy, make_policy).singleton(Tier, make_auto)
    return box.singleton(Tier, make_jit)


def compose(config: Config, replaced: Replacements | None = None) -> Container:
    """The container of an engine. What is replaced is used as it is; other types are added for the layers above.

    Raises:
        TypeError: a service of the engine would be none.
    """
    box = services(config)
    for key, value in (replaced or {}).items():
        if key in box:
            check_service(key, value)
            box.replace(key, lambda value=value: value)
        else:
            box.value(key, value)
    return box.build()


def check_service(key: type, value: object) -> None:
    """Raise TypeError for what is no service at all: nothing, a class, no executor in place of one."""
    runs = key is not CompileExecutor or callable(getattr(value, "run", None))
    if value is None or isinstance(value, type) or not runs:
        made = f"; did you mean {value.__name__}()?" if isinstance(value, type) else ""
        raise TypeError(f"services: {key.__name__} must be an object with the methods of one, got {value!r:.60}{made}")


def ssa_passes() -> tuple[str, ...]:
    """Names of the passes over the SSA form."""
    with importing:
        from stratavm.ir.pipeline import PASSES

    return tuple(PASSES)


def machine_passes(level: int) -> tuple[str, ...]:
    """Names of the passes of the machine level that a level runs."""
    with importing:
        from stratavm.native.compile import MACHINE_LEVELS

    return MACHINE_LEVELS[level]


def snapshot(instance: Instance, first: Callable[[Instance], object] | None) -> Snapshot:
    """What an instance holds now; loaded at the first one."""
    with importing:
        from stratavm.engine.snapshot import take

    return take(instance, first)


def update(instance: Instance, source: SourceLike, dry_run: bool, when: UpdateWhen, deadline: float | None) -> Update:
    """Have an instance go on with another version of its module; loaded at the first one."""
    with importing:
        from stratavm.engine import update as updates

    return updates.update(instance, source, dry_run, when, deadline)


async def update_async(
    instance: Instance, source: SourceLike, dry_run: bool, when: UpdateWhen, deadline: float | None
) -> Update:
    """The same for asyncio."""
    with importing:
        from stratavm.engine import update as updates

    return await updates.update_async(instance, source, dry_run, when, deadline)


def rollback(instance: Instance, when: UpdateWhen, deadline: float | None) -> Update:
    """And with the one that it had before."""
    with importing:
        from stratavm.engine import update as updates

    return updates.rollback(instance, when, deadline)


async def rollback_async(instance: Instance, when: UpdateWhen, deadline: float | None) -> Update:
    """The same for asyncio."""
    with importing:
        from stratavm.engine import update as updates

    return await updates.rollback_async(instance, when, deadline)


def state_in(module: Module, image: Image) -> State:
    """What an image has for the instances of its module to begin with."""
    with importing:
        from stratavm.engine.keptsnapshot import checked_state_in

    return checked_state_in(module, image)


def sections_of(module: Module, state: State) -> dict[str, bytes]:
    """What an image has of that."""
    with importing:
        from stratavm.engine import keptsnapshot

    return keptsnapshot.sections_of(module, state)


def state_behind(module: Module, init: str, imports: Namespaces | None) -> State:
    """What an instance of a module holds when an exported function has run."""
    with importing:
        from stratavm.engine.snapshot import behind

    return behind(module, init, imports)


def metrics(engine: Engine) -> EngineMetrics:
    """What an engine has done since this was asked for first, and does now."""
    with importing:
        from stratavm.engine.metrics import snapshot, tally

    if engine.tally is None:
        engine.tally = tally(engine)
    return snapshot(engine, engine.tally)


def make_bus(logger: Logger) -> Bus:
    """A bus whose failing listeners are logged."""
    bus = Bus()
    bus.subscribe(ListenerFailed, lambda e: logger.warning(f"event listener {e.listener}, {e.event}: {e.error}"))
    return bus


def make_allocator(config: Config, bus: Bus) -> MemoryAllocator:
    """A mapping for each memory, or slots."""
    if config.memory_slots is None:
        return MappedMemories()
    with importing:
        from stratavm.runtime.slots import SlotAllocator

    slots: MemoryAllocator = SlotAllocator(config.memory_slots, config.memory_plan == "guard", bus)
    return slots


def asynchronous() -> ModuleType:
    """What drives asynchronous calls, loaded at the first one."""
    with importing:
        from stratavm.engine import asynchronous

    return asynchronous


def things() -> ModuleType:
    """What Python has of guests' objects, loaded when a store has some."""
    with importing:
        from stratavm.engine import guestobjects
    return guestobjects


def make_runtime(bus: Bus, allocator: MemoryAllocator) -> Runtime:
    """A runtime without machine code."""
    return Runtime(None, bus, allocator, asynchronous, things)


def make_native_runtime(bus: Bus, allocator: MemoryAllocator) -> Runtime:
    """A runtime with the stubs of this processor."""
    with importing:
        from stratavm.tiers.jit.tier import machine_stubs

    return Runtime(machine_stubs(), bus, allocator, asynchronous, things)


def make_code_cache(config: Config, bus: Bus) -> CodeCache:
    """A directory of this user's, unless the configuration or the environment says that there is none."""
    if config.cache is False or switches.CACHE.value():
        return CodeCache()
    with importing:
        from stratavm.engine.codecache import DiskCodeCache

    folder = None if config.cache is True else os.fspath(config.cache)
    return DiskCodeCache(folder, bus.source("code_cache"))


def make_executor() -> CompileExecutor:
    """The caller and the threads of the process."""
    return ThreadExecutor(helped=True)


def make_jit(config: Config, scope: Scope, bus: Bus, executor: CompileExecutor) -> Tier:
    """Our compiler, at one level."""
    with importing:
        from stratavm.tiers.jit.tier import Jit

    return Jit(*jit_parts(config, scope), config.tier, bus, executor)


def make_auto(config: Config, scope: Scope, bus: Bus, executor: CompileExecutor, policy: Policy) -> Iterator[Tier]:
    """Our compiler, at two levels, for as long as its engine is open."""
    with importing:
        from stratavm.tiers.jit.tier import Jit

    def upper() -> Options:  # few programs want it, and it loads the passes
        return jit_parts(config.having(tier="jit1", profile=None, lift_after=None), scope)[2]

    fallback, strict, options, threads = jit_parts(config, scope)
    options = replace(options, polling=policy.polls != 0)
    key = repr((config.allocator, config.passes, config.machine_passes))
    waits = config.lift_after is not None
    tier = Jit(fallback, strict, options, threads, "auto", bus, executor, upper, key, policy, waits)
    yield tier
    tier.close()


def make_policy(config: Config) -> Policy:
    """What decides when functions change their level."""
    return policy_of(config.lift_after)


def jit_parts(config: Config, scope: Scope) -> tuple[Tier, bool, Options, int]:
    """What our compiler is made of: what runs what it cannot compile, whether that is an error, its options, and how
    many threads it has."""
    with importing:
        from stratavm.native.compile import Options

    features = None
    if config.cpu != "native":
        with importing:
            from stratavm.native.processor import features_of

        features = features_of(config.cpu)
    options = Options(
        memory_plan=config.memory_plan,
        allocator=config.register_allocator,
        passes=config.ssa_passes,
        machine=config.codegen_passes,
        features=features,
        scope=scope,
        fuel=config.fuel,
        max_bytes=config.compile_bytes,
        level=int(config.tier == "jit1"),
    )
    return OracleOnDemand(config.fuel), config.strict, options, config.worker_threads
