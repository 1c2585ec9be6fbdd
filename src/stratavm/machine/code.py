"""Finished machine code: bytes and the tables that belong to them. Position-independent; publishing it is the runtime's
business.
"""

from __future__ import annotations

from _struct import iter_unpack, unpack_from

from stratavm.base.forms import NamedTuple, dataclass

NO_POSITION = 0xFFFFFFFF
"""Stands for "no position in the binary" in the tables (stubs)."""
INLINED = 0x80000000
"""The bit of a position that stands in inlined code."""
NO_FRAME = 0x80000000
"""The bit beside a trap's kind of functions without a frame: ``contract.layout`` says the same to the runtime."""
KIND_BITS = 0xFF
"""Those of a trap's kind; what stands between says where a reference is, as said there."""


class TrapSite(NamedTuple):
    """An instruction that may fault: its offset in the code, the trap kind's number, its place in the wasm binary."""

    pc: int
    kind: int
    position: int


class ReturnSite(NamedTuple):
    """The return address of a call, as an offset in the code, and where the call stands in the wasm binary."""

    pc: int
    position: int


@dataclass(frozen=True, slots=True)
class Code:
    """One function or stub.

    The tables are 32-bit words in the order of the machine. ``traps`` holds three per faulting instruction (offset,
    kind with what ``contract.layout`` has beside it, position), ``returns`` two per call (offset of the return address,
    position); both sorted by offset. A position with the highest bit stands in inlined code: the rest of it is an index
    into ``sites``, three words each (function index, position there, position of the call that was inlined).
    ``landings`` holds two words for each call whose exceptions may be caught: the offset of its return address, sorted,
    and where the code for that begins.
    ``level``: of the compiler that made it; higher is faster.
    """

    code: bytes
    traps: bytes = b""
    returns: bytes = b""
    frame_bytes: int = 0
    sites: bytes = b""
    level: int = 0
    landings: bytes = b""

    def __len__(self) -> int:
        return len(self.code)

    @property
    def trap_sites(self) -> tuple[TrapSite, ...]:
        """The trap table as tuples."""
        return tuple([TrapSite(pc, kind & KIND_BITS, at) for pc, kind, at in iter_unpack("=3I", self.traps)])

    @property
    def return_sites(self) -> tuple[ReturnSite, ...]:
        """The position map as tuples."""
        return tuple(map(ReturnSite._make, iter_unpack("=2I", self.returns)))

    @property
    def landing_sites(self) -> tuple[tuple[int, int], ...]:
        """The landing table as tuples."""
        return tuple(iter_unpack("=2I", self.landings))

    def place_of(self, position: int, func: int) -> tuple[int, int]:
        """What a position of the tables of function ``func`` stands for: the innermost function, and the position in
        its body."""
        if position < INLINED or position == NO_POSITION:
            return func, position
        origin, at = unpack_from("=2I", self.sites, 12 * (position - INLINED))
        return origin, at
