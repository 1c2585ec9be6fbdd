"""What the heap of a store's guests has and has done, as numbers that do not change."""

from __future__ import annotations

from collections.abc import Mapping

from stratavm.base.forms import dataclass
from stratavm.base.frozendict import FrozenDict


@dataclass(frozen=True, slots=True)
class GcMetrics:
    """The heap of a store at one moment (``Store.gc_metrics``).

    Attributes:
        live_bytes: bytes of objects that the last collection found reachable, or that it did not look at.
        used_bytes: bytes of the blocks that are in use.
        collections: how often garbage was collected, the empty heap when it was made included: once by generations, and
            once more with constants.
        minors: of these, looks at new objects only.
        cycles: and full collections that went on in slices.
        slices: how many of these there were.
        marking: whether a full collection goes on just now.
        pauses: how many pauses took so many nanoseconds or more, and less than twice as many, of the thread's processor
            time.
        stood_ns: what all pauses took together.
        longest_ns: what the longest took.
        large_pages: how many pages of 2 MiB the heap has (``GcConfig.large_pages``).
        concurrent_bytes: bytes of objects that threads have looked at beside guests, ever (``GcConfig.concurrent``).
    """

    live_bytes: int
    used_bytes: int
    collections: int
    minors: int
    cycles: int
    slices: int
    marking: bool
    pauses: Mapping[int, int]
    stood_ns: int
    longest_ns: int
    large_pages: int = 0
    concurrent_bytes: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "pauses", FrozenDict(self.pauses))
