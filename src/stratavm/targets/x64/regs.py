"""Register numbers and names of x86-64, as machine IR locations use them: GPR 0–15, XMM 16–31; no register: rip."""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.machine.target import MAX_REGISTERS

GPR_NAMES: Final = (
    "rax", "rcx", "rdx", "rbx", "rsp", "rbp", "rsi", "rdi",
    "r8", "r9", "r10", "r11", "r12", "r13", "r14", "r15",
)  # fmt: skip
XMM_NAMES: Final = tuple(f"xmm{n}" for n in range(16))

XMM_BASE: Final = 16
"""Location of xmm0."""
RIP: Final = MAX_REGISTERS
"""Pseudo register: as the base of an address it means the constant pool (``disp`` = byte offset in the pool)."""

NUMBER: Final[dict[str, int]] = {name: n for n, name in enumerate((*GPR_NAMES, *XMM_NAMES))} | {"rip": RIP}
"""Location of each register by its 64-bit name."""

FRAME_REGISTERS: Final = ("rsp", "rbp")
CONTEXT_REGISTERS: Final = ("r14", "r15")
"""VMContext and ExecContext: fixed for as long as guest code runs."""
SCRATCH_GPR: Final = "r11"
SCRATCH_XMM: Final = "xmm15"
"""They belong to the emitter and to parallel moves; no value lives there across an instruction."""

GPR_ORDER: Final = ("rbx", "rsi", "rdi", "r9", "r10", "r12", "r13", "r8", "rdx", "rcx", "rax")
XMM_ORDER: Final = tuple(f"xmm{n}" for n in (8, 9, 10, 11, 12, 13, 14, 7, 6, 5, 4, 3, 2, 1, 0))
"""In which order values take registers: what fixed operands want comes last."""
ALLOCATABLE: Final = tuple(NUMBER[name] for name in (*GPR_ORDER, *XMM_ORDER))
"""Every register that may hold a value: all but those of the frame, of the contexts, and scratch."""
STARVED: Final = tuple(NUMBER[name] for name in ("rax", "rcx", "rdx", "rbx", "xmm0", "xmm1", "xmm2"))
"""The same under ``STRATA_REGS=4``: what fixed operands need and little more."""


CONDITIONS: Final = ("o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g")
"""Condition codes by number."""

CPU_FEATURES: Final = ("", "sse42", "popcnt", "lzcnt", "bmi1", "bmi2", "avx")
"""Extensions that a row may need, by number; the first is none."""

_BYTE = ("al", "cl", "dl", "bl", "spl", "bpl", "sil", "dil")


def name_of(location: int, width: int = 8) -> str:
    """The assembler's name of a register location at an operand width in bytes."""
    if location >= XMM_BASE:
        return "rip" if location == RIP else XMM_NAMES[location - XMM_BASE]
    full = GPR_NAMES[location]
    if width == 8:
        return full
    if location >= 8:
        return full + {1: "b", 2: "w", 4: "d"}[width]
    return {1: _BYTE[location], 2: full[1:], 4: "e" + full[1:]}[width]
