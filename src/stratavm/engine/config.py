"""How an engine behaves: one frozen object, checked when it is made."""

from __future__ import annotations

import os
from _collections_abc import Iterable

from stratavm.base.choices import ALLOCATORS, TIERS, WORDS, Allocator, TierName
from stratavm.base.forms import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypedDict, Unpack, dataclass, replace
from stratavm.base.importing import importing
from stratavm.base.numbers import seconds_or_none, truth, whole, whole_or_none
from stratavm.base.words import did_you_mean
from stratavm.engine.composition import composition
from stratavm.module.features import DEFAULT, FEATURES
from stratavm.module.limits import DEFAULT_LIMITS, Limits
from stratavm.runtime.introspect import OfInit
from stratavm.runtime.limits import GcConfig, MemorySlots

if TYPE_CHECKING:
    from stratavm.aot.profile import Profile

MemoryPlan: TypeAlias = Literal["guard", "bounded"]
Calls: TypeAlias = Literal["machine", "generic"]
MemoryImages: TypeAlias = Literal["again", "always", "never"]
Cpu: TypeAlias = Literal["native", "v2", "v3"]
CPUS: Final[tuple[Cpu, ...]] = ("native", "v2", "v3")
MOST_CALLS: Final = (1 << 32) - 1
"""Of a function that are counted."""


DEFAULT_GC: Final = GcConfig()


class Options(TypedDict, total=False):
    """The options of ``Config`` as keyword arguments of ``Engine`` and ``load``."""

    tier: TierName
    strict: bool
    features: frozenset[str]
    limits: Limits
    memory_plan: MemoryPlan
    max_memory_bytes: int | None
    allocator: Allocator | None
    passes: tuple[str, ...] | None
    machine_passes: tuple[str, ...] | None
    calls: Calls
    fuel: bool
    compile_bytes: int
    threads: int
    memory_slots: MemorySlots | None
    memory_images: MemoryImages
    load_timeout: float | None
    cache: bool | str | os.PathLike[str]
    lift_after: int | None
    cpu: Cpu
    profile: Profile | None
    gc: GcConfig


@dataclass(frozen=True, slots=True)
class Config:
    """Options of an engine.

    Attributes:
        tier: ``auto`` begins as ``jit0`` and compiles functions that run much again as ``jit1`` does; ``jit0`` compiles
            each function at its first call; ``jit1`` does so with optimising passes; ``oracle`` interprets (slow,
            the reference).
        strict: refuse a module with a function that ``tier`` cannot compile instead of running it on the oracle.
        features: names of the proposals that modules may use (``stratavm.module.features``): all that Strata has, but
            for those that are there on request; less what somebody wants switched off.
        limits: limits on what a module may contain.
        memory_plan: ``guard`` lets the MMU check bounds (8 GiB of address space per memory), ``bounded`` checks
            in code.
        max_memory_bytes: cap on each linear memory, or None.
        memory_slots: reserve slots for linear memories beforehand; None maps each memory when it is made.
        memory_images: lay data segments out in a file that instances map copy-on-write: ``again`` at a module's second
            instance, ``always`` at its first (``instantiate_pre`` does so too), or ``never``.
        allocator: register allocator: ``linear`` (one place per value), ``splitting`` (values change places around
            calls and loops) or ``naive`` (all in memory); None means ``splitting`` for ``jit1``, else ``linear``.
        passes: passes that ``jit1`` runs (``stratavm.ir.pipeline.PASSES``); None means all.
        machine_passes: passes of the machine level that ``jit1`` runs (``native.worker.MACHINE_PASSES``); None
            means all.
        calls: ``machine`` gives functions that Python calls often machine code of their own for that, ``generic`` does
            not.
        fuel: count what guests execute, the same on every tier, and stop them when ``Store.fuel`` is used up. Costs
            run time; off, it costs nothing.
        compile_bytes: scratch memory for compiling one function, in bytes. A function that takes more with the passes
            of ``jit1`` is compiled as ``jit0`` does; one that takes more even so ends the call that needs it with
            ResourceLimit. The default is enough for any function that the default ``limits`` allow.
        threads: threads that validate and compile; 0 = one per core. With more than one, what will probably be called
            next is compiled ahead, on threads that the whole process shares.
        load_timeout: seconds that loading a module may take (decoding or parsing it, validating it, laying out its
            images), or None. Loading that takes longer ends with DeadlineExceeded, and nothing is kept of it.
        cache: keep the machine code of binaries of 64 KiB and more on disk, for the next process that loads them:
            in the user's cache directory, or in one that is named, which must be this user's alone. What lies there is
            used only if this user's processes wrote it. ``STRATA_CACHE=off`` in the environment turns it off.
        lift_after: with ``auto``, compile each function again at exactly so many calls, which wait for it, and 0: at
            its first call. None: when calls and ticks say that it pays.
        cpu: what machine code may use: ``native``, all that this processor has; ``v2``, what Strata asks of each;
            ``v3``, AVX and BMI besides. For images that run elsewhere, and to compare.
        profile: with ``auto``, what an earlier run of the module has found hot (``Module.profile``, ``Profile.load``):
            that is compiled as ``jit1`` does before it is counted hot here. Other modules are refused.
        gc: how structs and arrays of guests are collected, and what their heaps may take.
    """

    tier: TierName = "auto"
    strict: bool = False
    features: frozenset[str] = DEFAULT
    limits: Limits = DEFAULT_LIMITS
    memory_plan: MemoryPlan = "guard"
    max_memory_bytes: int | None = None
    allocator: Allocator | None = None
    passes: tuple[str, ...] | None = None
    machine_passes: tuple[str, ...] | None = None
    calls: Calls = "machine"
    fuel: bool = False
    compile_bytes: int = 1 << 30
    threads: int = 0
    memory_slots: MemorySlots | None = None
    memory_images: MemoryImages = "again"
    load_timeout: float | None = None
    cache: bool | str | os.PathLike[str] = True
    lift_after: int | None = None
    cpu: Cpu = "native"
    profile: Profile | None = None
    gc: GcConfig = DEFAULT_GC

    __signature__ = OfInit()

    def __new__(cls, *values: object, **options: object) -> Config:
        """Refuse options that there are not, and say which is near."""
        check_options("Config()", options)
        return object.__new__(cls)

    def __post_init__(self) -> None:
        _one_of("tier", self.tier, TIERS)
        _one_of("cpu", self.cpu, CPUS)
        _one_of("memory_plan", self.memory_plan, ("guard", "bounded"))
        _one_of("memory_images", self.memory_images, ("again", "always", "never"))
        _one_of("calls", self.calls, ("machine", "generic"))
        if self.allocator is not None:
            _one_of("allocator", self.allocator, ALLOCATORS)
        object.__setattr__(self, "features", frozenset(_names("features", self.features, FEATURES)))
        self._check_passes()
        self._check_numbers()

    def _check_numbers(self) -> None:
        numbers = {
            "max_memory_bytes": whole_or_none("max_memory_bytes", self.max_memory_bytes, unit="bytes"),
            "compile_bytes": whole("compile_bytes", self.compile_bytes, 1, unit="bytes"),
            "threads": whole("threads", self.threads),
            "lift_after": whole_or_none("lift_after", self.lift_after, most=MOST_CALLS, unit="calls"),
            "load_timeout": seconds_or_none("load_timeout", self.load_timeout),
        }
        for name, value in numbers.items():
            object.__setattr__(self, name, value)
        if not isinstance(self.cache, bool):
            object.__setattr__(self, "cache", _folder("cache", self.cache))
        for name in ("strict", "fuel"):
            units = "; the units are for Store(fuel=…), or for store.fuel of what load gives" if name == "fuel" else ""
            truth(name, getattr(self, name), units)
        if not isinstance(self.limits, Limits):
            raise TypeError(f"limits must be Limits, got {self.limits!r:.60}")
        if self.lift_after is not None and self.tier != "auto":
            raise ValueError(f"lift_after is for the tier auto; the engine's is {self.tier}, which lifts nothing")
        if self.profile is not None:
            with importing:
                from stratavm.engine.profiles import checked

            checked(self.profile)
            if self.tier != "auto":
                alike = "which compiles all functions alike"
                raise ValueError(f"a profile is for the tier auto; the engine's is {self.tier}, {alike}")
            if self.lift_after is not None:
                raise ValueError("profile and lift_after: what a profile names would be compiled before its call")
        if not isinstance(self.gc, GcConfig):
            raise TypeError(f"gc must be GcConfig, got {self.gc!r:.60}")
        if self.memory_slots is not None and not isinstance(self.memory_slots, MemorySlots):
            raise TypeError(f"memory_slots must be MemorySlots or None, got {self.memory_slots!r:.60}")

    def _check_passes(self) -> None:
        if self.passes is not None:
            object.__setattr__(self, "passes", _names("passes", self.passes, composition().ssa_passes()))
        if self.machine_passes is not None:
            known = dict.fromkeys(composition().machine_passes(1) + composition().machine_passes(0))
            object.__setattr__(self, "machine_passes", _names("machine_passes", self.machine_passes, known))

    @property
    def ssa_passes(self) -> tuple[str, ...]:
        """The passes of the SSA form that the tier runs; ``auto``: at first."""
        if self.tier != "jit1":
            return ()
        return composition().ssa_passes() if self.passes is None else self.passes

    @property
    def codegen_passes(self) -> tuple[str, ...]:
        """The passes of the machine level that the tier runs; ``auto``: at first."""
        if self.tier != "jit1":
            return () if self.tier == "oracle" else composition().machine_passes(0)
        return composition().machine_passes(1) if self.machine_passes is None else self.machine_passes

    @property
    def register_allocator(self) -> Allocator:
        """The register allocator that the tier runs; ``auto``: at first."""
        return self.allocator or ("splitting" if self.tier == "jit1" else "linear")

    @property
    def worker_threads(self) -> int:
        """Number of threads to use, at least one."""
        return self.threads or len(os.sched_getaffinity(0))

    def having(self, **changes: Unpack[Options]) -> Config:
        """A copy with some options changed."""
        return replace(self, **changes)


def way_of(config: Config) -> str:
    """Under what features and limits a binary is valid."""
    limits = config.limits
    return repr((sorted(config.features), [getattr(limits, name) for name in type(limits).__match_args__]))


def check_options(where: str, options: Iterable[str], *others: str) -> None:
    """TypeError for an option that ``Config`` does not have; says which is near, ``others`` of the call included."""
    for name in options:
        known = (*Config.__match_args__, *others)
        if name not in known:
            near = did_you_mean(name, known) or f"options: {', '.join(known)}"
            raise TypeError(f"{where} has no option {name!r}; {near}")


def _folder(name: str, given: object) -> str:
    """The path of a directory."""
    if not isinstance(given, (str, os.PathLike)):
        raise TypeError(f"{name} must be True, False or the path of a directory, got {given!r:.60}")
    path = os.fspath(given)
    if not isinstance(path, str) or not path:
        raise ValueError(f"{name} must be True, False or the path of a directory, got {given!r:.60}")
    if path in WORDS:
        raise ValueError(f"{name} must be {WORDS[path]}, got {path!r:.80}; a folder of that name is './{path}'")
    return os.path.abspath(path)


def _one_of(name: str, value: str, allowed: tuple[str, ...]) -> None:
    if value not in allowed:
        near = did_you_mean(value, allowed) if isinstance(value, str) else ""
        raise ValueError(
            f"{name} must be one of {', '.join(allowed)}, got {value!r:.80}" + (f"; {near}" if near else "")
        )


def _names(option: str, given: Any, known: Iterable[str]) -> tuple[str, ...]:
    """Names that are known, in the order given. A lone string is no sequence of names."""
    if isinstance(given, str) or not isinstance(given, Iterable):
        raise TypeError(f"{option} must be a set or sequence of names, got {given!r:.80}")
    names, allowed = tuple(given), tuple(known)
    for name in names:
        if name not in allowed:
            near = did_you_mean(str(name), allowed)
            raise ValueError(f"unknown {option}: {name!r}; {near or 'known: ' + ', '.join(allowed)}")
    return names
