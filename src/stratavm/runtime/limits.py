"""Limits of a store and how its heap is collected, as data; the process-wide budgets of address space and mappings."""

from __future__ import annotations

import os
from _collections_abc import Callable

from stratavm.base.errors import ResourceLimit
from stratavm.base.forms import Final, Literal, dataclass, replace
from stratavm.base.importing import importing, lru_cache, resource
from stratavm.base.keywords import checks_keywords
from stratavm.base.numbers import real, truth, whole, whole_or_none

GUARD_RESERVATION: Final = (8 << 30) + (64 << 10)
"""Address space of a guard-plan memory: every 32-bit base + 32-bit offset + width stays inside."""
ADDRESS_SPACE: Final = 1 << 47
BLOCK: Final = 1 << 15
"""What a heap of guests' objects grows by."""
MOST_HEAP_BYTES: Final = 8 << 30
"""Address space of such a heap, unless a hard bound asks for more."""


MIN_STACK: Final = 16 << 10
"""The least that a guest can do anything with."""
BESIDE_MEMORY: Final = 1 << 30
"""What a store may hold beside one memory of the largest size, where nobody says how much in all."""


BESIDE_LIMITED: Final = 64 << 20
"""What a program's tables, listings of folders and the like may take besides its memory, where that has a limit."""


LEAST_PAUSE_US: Final = 10
MOST_PAUSE_US: Final = 60_000_000
"""The longest pause that a collector may aim at."""


COUNTS: Final = (
    "memory_bytes",
    "memories_bytes",
    "table_elements",
    "instances",
    "memories",
    "tables",
    "handles",
    "total_bytes",
    "bounded_reservation",
    "stack_bytes",
    "heap_bytes",
)
"""Limits that are numbers."""
MAY_BE_NONE: Final = frozenset({"memories_bytes", "heap_bytes", "total_bytes", "stack_bytes"})
LEAST: Final = {"stack_bytes": MIN_STACK}


@dataclass(frozen=True, slots=True)
class StoreLimits:
    """What a store may hold. ``limiter(kind, now, wanted)`` may refuse a growth that the numbers allow."""

    _decorate = checks_keywords

    memory_bytes: int = 4 << 30
    """Of each memory; growth beyond fails with -1, a larger minimum does not instantiate."""
    memories_bytes: int | None = None
    """Of all memories together, in the same way: a module may have several. None: ``total_bytes`` bounds them."""
    table_elements: int = 10_000_000
    instances: int = 10_000
    memories: int = 10_000
    tables: int = 10_000
    handles: int = 1_000_000
    """Python objects that the guests of the store may hold as externref."""
    total_bytes: int | None = None
    """Of everything together that guests make the store hold: memories, tables, instances, the heap of structs and
    arrays, externref handles, and what the host charges for them with ``Store.charge_bytes`` (WASI: directory listings,
    captured output). Growth beyond fails with -1, anything else with ``ResourceLimit``. None: ``memory_bytes`` and
    1 GiB."""
    bounded_reservation: int = 4 << 30
    """Address space of a bounded-plan memory without a maximum."""
    limiter: Callable[[Literal["memory", "table"], int, int], bool] | None = None
    admit: Callable[[Literal["instances", "memories", "tables"], int], bool] | None = None
    """``admit(kind, now)`` may refuse one more of what the numbers allow: then there is none, and ``ResourceLimit``."""
    stack_bytes: int | None = None
    """Stack that the guests of one outermost call may use in compiled code, nested calls included; None: what the
    thread has. Beyond it the call ends with ``StackOverflow``."""
    heap_bytes: int | None = None
    """Of the heap of structs and arrays: the least of this and ``GcConfig.hard_bytes`` counts. Beyond it
    ``ResourceLimit``. None: ``GcConfig.hard_bytes`` and ``total_bytes`` bound it."""

    def __post_init__(self) -> None:
        for name in COUNTS:
            value = getattr(self, name)
            if value is not None or name not in MAY_BE_NONE:
                object.__setattr__(self, name, whole(f"StoreLimits: {name}", value, LEAST.get(name, 0)))
        for name in ("limiter", "admit"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                raise TypeError(f"StoreLimits: {name} must be callable, got {getattr(self, name)!r}")

    @property
    def memories_budget_bytes(self) -> int:
        """``memories_bytes``, or what bounds memories where it is not given."""
        return self.budget_bytes if self.memories_bytes is None else self.memories_bytes

    @property
    def budget_bytes(self) -> int:
        """``total_bytes``, or what it is where it is not given."""
        return self.memory_bytes + BESIDE_MEMORY if self.total_bytes is None else self.total_bytes


@dataclass(frozen=True, slots=True)
class MemorySlots:
    """Slots for linear memories, reserved when the engine is made.

    Attributes:
        memories: how many memories may live at once, in all stores of the engine.
        max_memory_bytes: the most that each may have: a larger minimum does not instantiate, growth beyond fails.
        when_exhausted: ``error`` raises ``SlotsExhausted``; ``map`` maps further memories as an engine without slots
            does. Both emit ``SlotsRanOut``.
        keep_pages: up to so many written host pages of a returned slot are overwritten and kept instead of given back
            to the system, where the kernel tells which they are (Linux 6.7); the next tenant writes to them without a
            page fault. 0 gives all back.
    """

    _decorate = checks_keywords

    memories: int = 100
    max_memory_bytes: int = 4 << 30
    when_exhausted: Literal["error", "map"] = "error"
    keep_pages: int = 256

    def __post_init__(self) -> None:
        bounds = {"memories": (1, 16_000), "max_memory_bytes": (1, ADDRESS_SPACE), "keep_pages": (0, 1 << 20)}
        for name, (least, most) in bounds.items():
            object.__setattr__(self, name, whole(f"MemorySlots: {name}", getattr(self, name), least, most))
        if self.when_exhausted not in ("error", "map"):
            raise ValueError(f"when_exhausted must be error or map, got {self.when_exhausted!r}")


@dataclass(frozen=True, slots=True)
class GcConstants:
    """Constants in the place of what the collector works out by itself: to compare, or to repeat a run.

    Attributes:
        nursery_bytes: look at new objects after so many bytes were handed out.
        slice_us: how long a slice of a full collection takes, in microseconds of the thread's processor time.
        factor: begin a full collection when so many times the bytes that were reachable have grown old.
    """

    _decorate = checks_keywords

    nursery_bytes: int = 4 << 20
    slice_us: int = 300
    factor: float = 1.0

    def __post_init__(self) -> None:
        nursery = whole("GcConstants: nursery_bytes", self.nursery_bytes, 1 << 15, 1 << 40, unit="bytes")
        slices = whole("GcConstants: slice_us", self.slice_us, 1, MOST_PAUSE_US, unit="microseconds")
        factor = real("GcConstants: factor", self.factor)
        if not 0.01 <= factor <= 100:
            raise ValueError(f"GcConstants: factor must be 0.01 to 100, got {factor}")
        for name, value in (("nursery_bytes", nursery), ("slice_us", slices), ("factor", factor)):
            object.__setattr__(self, name, value)


@dataclass(frozen=True, slots=True)
class GcConfig:
    """How the structs and arrays of guests are collected, in each store of an engine.

    Attributes:
        pause_us: what a guest should stand still for at most, in microseconds of its thread's processor time: looks at
            new objects are spaced by it, and slices of full collections take half of it. An aim, no promise.
        soft_bytes: what a store's heap should take at most: full collections come more often near it, until they would
            take seven tenths of the time. None: ``hard_bytes``.
        hard_bytes: what it may take at most, beside what ``StoreLimits.total_bytes`` says; beyond it guests end with
            ``ResourceLimit``. None: 8 GiB.
        generations: collect new objects by themselves, and all objects in slices; without it every collection is a full
            one, in one pause, which is how long that takes.
        constants: constants in the place of what is worked out while guests run.
        large_pages: have the parts of a heap beyond 8 MiB on pages of 2 MiB, where a thread beside the guests has some
            ready. It makes up to four ahead for all heaps of a process.
        concurrent: have full collections that go on in slices, and look at 2 MiB or more, marked by a thread beside the
            guest where the process has more than one processor all the time (affinity and quotas); a process has one
            thread for it less than it has processors. Slices do what it does not keep up with.
        journal_entries: so many of the last pauses and decisions of each store are kept for ``Store.gc_journal``, at
            128 bytes each, beside the store's limits.
    """

    _decorate = checks_keywords

    pause_us: int = 500
    soft_bytes: int | None = None
    hard_bytes: int | None = None
    generations: bool = True
    constants: GcConstants | None = None
    journal_entries: int = 0
    large_pages: bool = True
    concurrent: bool = True

    def __post_init__(self) -> None:
        numbers = {
            "pause_us": whole("GcConfig: pause_us", self.pause_us, LEAST_PAUSE_US, MOST_PAUSE_US, unit="microseconds"),
            "soft_bytes": whole_or_none("GcConfig: soft_bytes", self.soft_bytes, 1, unit="bytes"),
            "hard_bytes": whole_or_none("GcConfig: hard_bytes", self.hard_bytes, 1, unit="bytes"),
            "journal_entries": whole("GcConfig: journal_entries", self.journal_entries, 0, 1 << 20),
        }
        for name, value in numbers.items():
            object.__setattr__(self, name, value)
        truth("GcConfig: generations", self.generations)
        truth("GcConfig: large_pages", self.large_pages)
        truth("GcConfig: concurrent", self.concurrent)
        if self.constants is not None and not isinstance(self.constants, GcConstants):
            raise TypeError(f"GcConfig: constants must be GcConstants or None, got {self.constants!r:.60}")
        if self.constants is not None and not self.generations:
            raise ValueError("GcConfig: constants are of generations and slices; generations=True has these")
        if self.hard_bytes is not None and (self.soft_bytes or 0) > self.hard_bytes:
            raise ValueError(f"GcConfig: soft_bytes={self.soft_bytes} is beyond hard_bytes={self.hard_bytes}")


def within(gc: GcConfig, most: int | None) -> GcConfig:
    """The same, with a heap of so many bytes at most; None: there is no bound but its own."""
    if most is None or (gc.hard_bytes is not None and gc.hard_bytes <= most):
        return gc
    soft = None if gc.soft_bytes is None else min(gc.soft_bytes, most)
    return replace(gc, soft_bytes=soft or None, hard_bytes=max(most, 1))


@lru_cache(maxsize=1)
def max_map_count() -> int:
    """The kernel's limit on mappings of a process."""
    try:
        with open("/proc/sys/vm/max_map_count") as file:
            return int(file.read())
    except (OSError, ValueError):
        return 65530


def processors_beside() -> int:
    """Processors that are ours all the time besides one (``base.processors``)."""
    with importing:
        from stratavm.base.processors import beside
    return beside(len(os.sched_getaffinity(0)))


def name_the_limit() -> str:
    """Which budget of address space an mmap that just failed ran into."""
    soft, _ = resource.getrlimit(resource.RLIMIT_AS)
    if soft != resource.RLIM_INFINITY:
        return "RLIMIT_AS"
    try:
        with open("/proc/self/maps", "rb") as maps:
            if sum(1 for _ in maps) >= max_map_count() - 16:
                return "vm.max_map_count"
    except OSError:
        pass
    return "address space"


def no_room(what: str, size: int, held: tuple[int, int, int], heap_bytes: int | None, gc: GcConfig) -> ResourceLimit:
    """The error for an object that does not fit. It names the bound that was met; and a number where one more of it is
    what somebody may want to allow: the object is large, or is the first one.

    Args:
        what: it is, with its article.
        size: its bytes.
        held: bytes of blocks of the heap, of all that the store holds, and of the most that it may hold.
        heap_bytes: of the store's limits.
        gc: how the heap is made.
    """
    with importing:
        from stratavm.base.words import amount, exactly

    def bound(most: int, wanted: int) -> str:
        """A bound that was met, with why where what was wanted looks as if there were room for it."""
        return exactly(most) + (f", and a heap grows by {amount(BLOCK)}" if wanted <= most else "")

    charged, of_store, total = held
    blocks = (size // BLOCK + 1) * BLOCK
    hard, needed = gc.hard_bytes, charged + blocks
    beyond = hard is None and needed > MOST_HEAP_BYTES
    if hard is not None and needed > hard:
        own = heap_bytes is not None and hard == max(heap_bytes, 1)  # as in ``within``
        limit, owner = ("heap_bytes", "StoreLimits") if own else ("hard_bytes", "GcConfig")
        there = heap_bytes if own and heap_bytes is not None else hard
        found = f"objects take {amount(charged)} of {bound(there, charged + size)}"
    elif of_store + blocks > total:
        limit, owner, needed = "total_bytes", "StoreLimits", of_store + blocks
        found = f"the store holds {amount(of_store)} of {bound(total, of_store + size)}"
    elif beyond:
        limit, owner = "hard_bytes", "GcConfig"
        found = f"a heap has {amount(MOST_HEAP_BYTES)} of address space where nobody asks for more"
    else:
        return ResourceLimit(f"{what} of {size} bytes does not fit: no blocks of the heap are left", limit="heap")
    wanted = f"{needed}) allows it" if size >= BLOCK else "…) sets the limit"
    if charged == 0 and size < BLOCK:
        wanted = f"{needed}) is the least that allows one"
    if beyond and limit == "total_bytes":
        wanted += f", with GcConfig(hard_bytes={charged + blocks})"
    said = f"{what} of {size} bytes does not fit: {found}; {owner}({limit}={wanted}"
    return ResourceLimit(said, limit=limit, needed=needed)
