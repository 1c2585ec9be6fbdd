"""A small assembler for stubs: rows of ``encodings`` by name, labels, trap and return sites. Not for hot paths."""

from __future__ import annotations

import _struct as struct
from _collections_abc import Sequence

from stratavm.machine.code import NO_POSITION, Code
from stratavm.targets.x64.assemble import instruction

_JUMP = 5
_INT3 = 0xCC


def words(numbers: Sequence[int], format: str = "I") -> bytes:
    """Numbers as 32-bit words in the order of the machine; ``format`` is that of one in ``struct``."""
    return struct.pack(f"{len(numbers)}{format}", *numbers)


class Asm:
    """Appends instructions; ``finish`` patches the jumps and returns the code."""

    def __init__(self) -> None:
        self._code = bytearray()
        self._labels: dict[str, int] = {}
        self._jumps: list[tuple[int, str]] = []
        self._traps: list[int] = []
        self._returns: list[int] = []

    def ins(
        self,
        row: str,
        *registers: str,
        width: int = 8,
        base: str | None = None,
        index: str | None = None,
        disp: int = 0,
        imm: int = 0,
        cc: str = "o",
    ) -> None:
        """One instruction: registers as an assembler lists them, and the address ``[base + 8 index + disp]`` of memory
        rows."""
        self._code += instruction(row, width, registers, base, index, disp, imm, cc)

    def jump(self, cc: str) -> str:
        """A conditional jump forward; returns its label, to be placed with ``label``."""
        name = f"L{len(self._jumps)}"
        self.ins("jcc_i", imm=0, cc=cc)
        self._jumps.append((len(self._code), name))
        return name

    def jump_to_offset(self, target: int) -> None:
        """Jump to an offset from the start of the code."""
        self.ins("jmp_i", imm=target - (len(self._code) + _JUMP))

    def label(self, name: str) -> None:
        """The label means this place."""
        self._labels[name] = len(self._code)

    def here(self) -> int:
        """The offset of this place."""
        return len(self._code)

    def align(self, size: int) -> None:
        """Fill with traps up to a multiple of ``size``."""
        self._code += bytes([_INT3]) * (-len(self._code) % size)

    def append(self, code: bytes) -> None:
        """Instructions made elsewhere."""
        self._code += code

    def trap(self, kind: int) -> None:
        """An explicit trap."""
        self._traps.extend((len(self._code), kind, NO_POSITION))
        self.ins("hlt")

    def returned(self) -> None:
        """Note the return address of the call just emitted."""
        self._returns.extend((len(self._code), NO_POSITION))

    def finish(self, frame_bytes: int = 0) -> Code:
        """The code; every label must have its place."""
        for end, name in self._jumps:
            self._code[end - 4 : end] = (self._labels[name] - end).to_bytes(4, "little", signed=True)
        return Code(bytes(self._code), words(self._traps), words(self._returns), frame_bytes)
