"""x86-64 as the machine sees it."""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.machine.target import RegisterClass, Target
from stratavm.targets.x64._gen_mops import MOPS
from stratavm.targets.x64._gen_pseudo import PSEUDO
from stratavm.targets.x64._gen_timing import TIMINGS
from stratavm.targets.x64.regs import (
    CONTEXT_REGISTERS,
    FRAME_REGISTERS,
    GPR_NAMES,
    GPR_ORDER,
    NUMBER,
    RIP,
    SCRATCH_GPR,
    SCRATCH_XMM,
    STARVED,
    XMM_NAMES,
    XMM_ORDER,
)


def _class(letter: str, names: tuple[str, ...], order: tuple[str, ...], scratch: str) -> RegisterClass:
    """A class by names of registers."""
    numbers = tuple(NUMBER[name] for name in names)
    return RegisterClass(letter, numbers, tuple(NUMBER[name] for name in order), NUMBER[scratch])


X64: Final = Target(
    name="x64",
    classes=(_class("g", GPR_NAMES, GPR_ORDER, SCRATCH_GPR), _class("x", XMM_NAMES, XMM_ORDER, SCRATCH_XMM)),
    names={location: name for name, location in NUMBER.items()},
    starved=STARVED,
    constant=frozenset((RIP, *(NUMBER[name] for name in (*CONTEXT_REGISTERS, *FRAME_REGISTERS)))),
    operations={name: row[0] for name, row in MOPS.items()} | {n: v for n, v in PSEUDO.items() if n != "via"},
    pseudo=PSEUDO["params"],
    behind=PSEUDO["via"],
    crosses=True,
    timings=TIMINGS,
    reach=1 << 28,
    padding=(
        b"\x90",
        b"\x66\x90",
        b"\x0f\x1f\0",
        b"\x0f\x1f\x40\0",
        b"\x0f\x1f\x44\0\0",
        b"\x66\x0f\x1f\x44\0\0",
        b"\x0f\x1f\x80\0\0\0\0",
        b"\x0f\x1f\x84\0\0\0\0\0",
        b"\x66\x0f\x1f\x84\0\0\0\0\0",
    ),
)
"""Jumps and the constant pool are reached with 31 bits; 28 are kept for one function."""
