"""What a row of the encoder's tables is. ``encodings.py`` says how an instruction is built from one."""

from __future__ import annotations

from stratavm.base.forms import Final, dataclass
from stratavm.targets.x64.regs import NUMBER

USE, DEF, USE_LATE, DEF_EARLY, TEMP = range(5)
"""Roles, as in minst.pxd."""
ANY, REG, FIXED, SAME = range(4)
"""Constraints, as in minst.pxd."""
GPR, XMM = 0, 1

W_NONE, W_INT, W_SCALAR, W_PACKED = range(4)
"""What the width does: nothing; 1: opcode less one, 2: prefix 66, 8: REX.W; prefix F3/F2 for 4/8; none/66 for 4/8."""
IMM_NONE, IMM_8, IMM_WIDTH, IMM_32, IMM_MOV, IMM_16 = range(6)
"""Size of the immediate: WIDTH = 1, 2, 4, 4 bytes; MOV = the shortest form of a register load."""
NO_OPERAND: Final = 0xFF

F_RM8, F_CC, F_PLUS_R, F_VEX, F_FLAGS_DEF, F_FLAGS_USE, F_EFFECT, F_COMMUTES = (1 << n for n in range(8))
F_MERGES, F_RESULT, F_AVX = 1 << 8, 1 << 9, 1 << 10
"""MERGES: keeps the upper half of its result's register. RESULT: the zero flag tells whether operand 0 became zero.
AVX: there is a form with a VEX prefix, which all rows have that name an XMM register."""


@dataclass(frozen=True, slots=True)
class Operand:
    """What a row asks of one operand."""

    role: int
    constraint: int
    rclass: int
    reg: int = 0


@dataclass(frozen=True, slots=True)
class Row:
    """One instruction form."""

    name: str
    asm: str
    """Mnemonic; ``{cc}``, and ``{s}`` = ss/sd, ``{p}`` = ps/pd by width."""
    syntax: tuple[str, ...]
    """The assembler's operands: ``<operand>:<size>``, ``m:<size>``, ``i``, ``cl``; sizes b h d q w x."""
    operands: tuple[Operand, ...]
    opcode: int
    escape: int = 0
    """Opcode map: 0 none, 1 = 0F, 2 = 0F 38, 3 = 0F 3A."""
    prefix: int = 0
    digit: int = 0
    reg: int = NO_OPERAND
    rm: int = NO_OPERAND
    vvvv: int = NO_OPERAND
    """Operand numbers that fill the fields; a memory row has its address in ``rm``."""
    mem: bool = False
    modrm: bool = True
    wmode: int = W_INT
    widths: tuple[int, ...] = (4, 8)
    imm: int = IMM_NONE
    short: int = 0
    """Opcode of the form with a sign-extended imm8 (0 = none)."""
    flags: int = 0
    cpu: str = ""
    load: str = ""
    """Row to use when the ``rm`` operand is in a spill slot and this opcode would read more than its value."""

    @property
    def bits(self) -> int:
        """The row's flags."""
        vex = any(o.rclass == XMM for o in self.operands) and not self.flags & F_VEX
        return self.flags | (F_AVX if vex else 0)

    @property
    def other(self) -> int:
        """With a VEX prefix, the operand that goes into its field of a register: the input that the result is tied to
        without, the result where its upper half is kept or an input has its place; none of the rest."""
        if not self.bits & F_AVX or not self.operands:
            return NO_OPERAND
        first = self.operands[0]
        if first.constraint == SAME:
            return 0 if self.rm == 0 else first.reg
        return 0 if self.flags & F_MERGES and first.rclass == XMM else NO_OPERAND

    @property
    def constant(self) -> str:
        """Name of the row's number."""
        return f"MOP_{self.name.upper()}"


D, U, A = Operand(DEF, REG, GPR), Operand(USE, REG, GPR), Operand(USE, ANY, GPR)
DX, UX, AX = Operand(DEF, REG, XMM), Operand(USE, REG, XMM), Operand(USE, ANY, XMM)
SWAP = (Operand(DEF, SAME, GPR, 2), Operand(DEF, SAME, GPR, 3), U, U)
D_SAME, DX_SAME = Operand(DEF, SAME, GPR, 1), Operand(DEF, SAME, XMM, 1)


def fixed(role: int, name: str) -> Operand:
    """An operand in exactly one register."""
    return Operand(role, FIXED, GPR, NUMBER[name])
