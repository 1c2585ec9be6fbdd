"""Switches of the environment, for those who work on Strata: each is declared here, and whoever obeys one asks it.

They are for tests and for looking for faults; what users may choose are arguments and options. ``strata doctor`` lists
those that are set.
"""

from __future__ import annotations

import os
from _collections_abc import Mapping

from stratavm.base.forms import Final, Generic, TypeVar

T = TypeVar("T", covariant=True)
PREFIX: Final = "STRATA_"
SWITCHES: Final[dict[str, Switch[object]]] = {}
"""All of them, by name."""
OF_THE_BUILD: Final = ("STRATA_BUILD", "STRATA_BUILD_CACHE", "STRATA_BUILD_JOBS", "STRATA_LINES", "STRATA_SPEC_TESTS",
                       "STRATA_BLESS", "STRATA_WITNESSES")  # fmt: skip
"""Variables that are no switches of the package: its build and its tests obey them."""


class Switch(Generic[T]):
    """One variable.

    Attributes:
        name: of the variable.
        values: what its texts mean; the empty one is the default.
        meaning: what the other values do.
    """

    def __init__(self, name: str, values: Mapping[str, T], meaning: str) -> None:
        self.name, self.values, self.meaning = name, values, meaning
        SWITCHES[name] = self

    def value(self) -> T:
        """What the environment says now.

        Raises:
            ValueError: something that the switch does not know.
        """
        text = os.environ.get(self.name, "")
        if text not in self.values:
            known = " or ".join(filter(None, self.values))
            raise ValueError(f"{self.name}={text}: expected {known}, or nothing")
        return self.values[text]


def check() -> None:
    """Raise ValueError for the first that is set to what it does not know, before somebody asks for it."""
    for switch in SWITCHES.values():
        switch.value()


CHECK: Final = Switch(
    "STRATA_CHECK",
    {"": 0, "0": 0, "1": 1, "2": 2},
    "1: no host function runs on a fiber; 2: also verify the SSA form after the builder and after every pass, and each "
    "register allocation, look at who holds exceptions whenever a guest keeps one, and collect guests' objects at each "
    "allocation",
)
REGS: Final = Switch("STRATA_REGS", {"": False, "4": True}, "4: leave the register allocators four registers")
POISON: Final = Switch(
    "STRATA_POISON",
    {"": False, "0": False, "1": True},
    "1: fill dead registers, fresh slots and freed objects of guests with garbage",
)
POLL: Final = Switch(
    "STRATA_POLL",
    {"": "", "always": "always", "never": "never"},
    "always: take the slow path at every poll; never: leave the polls of loops out (such code cannot be stopped)",
)
CACHE: Final = Switch(
    "STRATA_CACHE", {"": "", "on": "", "off": "off"}, "off: keep no machine code on disk, and use none"
)
STALE: Final = Switch(
    "STRATA_STALE",
    {"": "", "defer": "defer"},
    "defer: import a checkout that is not built, all but its stale modules (obeyed by stratavm._build)",
)
HELPERS: Final[Switch[int | None]] = Switch(
    "STRATA_HELPERS",
    {"": None, "0": 0, "1": 1, "2": 2},
    "how many threads may compile in the background, whatever processors there are; 0: none",
)
