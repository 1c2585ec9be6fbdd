"""Guest frames of a backtrace."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class GuestFrame:
    """One frame: ``offset`` is the position in the wasm binary, ``pc`` the machine address (0 outside machine code)."""

    module: str
    func: int
    name: str
    offset: int
    pc: int = 0

    def __str__(self) -> str:
        return f"{self.module or '<module>'}!{self.name}+{self.offset:#x}"
