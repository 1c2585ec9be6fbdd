"""Finished machine code: bytes and the tables that belong to them. Position-independent; publishing it is the runtime's
business.
"""

from __future__ import annotations

from array import array
from typing import NamedTuple

from stratavm.base.data import dataclass, field

NO_POSITION = 0xFFFFFFFF
"""Stands for "no position in the binary" in the tables (stubs)."""
INLINED = 0x80000000
"""The bit of a position that stands in inlined code."""


class TrapSite(NamedTuple):
    """An instruction that may fault: its offset in the code, the trap kind's number, its place in the wasm binary."""

    pc: int
    kind: int
    position: int


class ReturnSite(NamedTuple):
    """The return address of a call, as an offset in the code, and where the call stands in the wasm binary."""

    pc: int
    position: int


def _words() -> array[int]:
    return array("I")


@dataclass(frozen=True, slots=True)
class Code:
    """One function or stub.

    ``traps`` holds three words per faulting instruction (offset, kind, position), ``returns`` two per call (offset of
    the return address, position); both sorted by offset. A position with the highest bit stands in inlined code: the
    rest of it is an index into ``sites``, three words each (function index, position there, position of the call that
    was inlined).
    """

    code: bytes
    traps: array[int] = field(default_factory=_words)
    returns: array[int] = field(default_factory=_words)
    frame_bytes: int = 0
    sites: array[int] = field(default_factory=_words)

    def __len__(self) -> int:
        return len(self.code)

    @property
    def trap_sites(self) -> tuple[TrapSite, ...]:
        """The trap table as tuples."""
        t = self.traps
        return tuple(TrapSite(*t[i : i + 3]) for i in range(0, len(t), 3))

    @property
    def return_sites(self) -> tuple[ReturnSite, ...]:
        """The position map as tuples."""
        t = self.returns
        return tuple(ReturnSite(*t[i : i + 2]) for i in range(0, len(t), 2))

    def offset_of(self, position: int) -> int:
        """The byte offset in the module that a position of the tables stands for: of the innermost function."""
        return position if position < INLINED or position == NO_POSITION else self.sites[3 * (position - INLINED) + 1]
