"""Machine IR as plain Python values, with a text form: for dumps, the allocation checker and tests. Not the hot arrays.

    vregs g8 g4 x8
    block 0 depth 0 flags 0 ()
      mov_ri.8 [imm=7]  def v0 reg @rax
      add_rr.8 [fd]  def v1 same1 @rcx, use v0 reg @rcx, use v2 any @[3]
      jmp.8 [term]
      edge 1 (v1)
    moves
      before 1: v0 rax -> rcx

A place is a register name, ``[slot]``, or ``=n`` where the value is not kept: instruction n computes it again. Places
and moves are there only after allocation.
"""

from __future__ import annotations

import re

from stratavm.base.forms import Final, dataclass, field
from stratavm.machine.target import Target

NO_VREG: Final = 0xFFFFFFFF
NO_LOC: Final = 0xFFFFFFFF
LOC_SLOT: Final = 0x80000000
LOC_REMAT: Final = 0x40000000

ROLES: Final = ("use", "def", "late", "early", "temp")
CONSTRAINTS: Final = ("any", "reg", "fixed", "same", "slot")
USE, DEF, USE_LATE, DEF_EARLY, TEMP = range(5)
ANY, REG, FIXED, SAME, SLOT = range(5)
FLAGS: Final = {
    "call": 1,
    "term": 2,
    "move": 4,
    "traps": 8,
    "effect": 16,
    "fd": 32,
    "fu": 64,
    "exit": 128,
    "remat": 256,
    "home": 512,
    "invoke": 1024,
}
CALL, TERMINATOR, MOVE = FLAGS["call"], FLAGS["term"], FLAGS["move"]
REMAT, HOME, INVOKE = FLAGS["remat"], FLAGS["home"], FLAGS["invoke"]


@dataclass(slots=True)
class Operand:
    """As ``MOperand``."""

    vreg: int
    role: int
    constraint: int
    reg: int = 0
    loc: int = NO_LOC
    swaps: bool = False
    """Tied definition: operands 1 and 2 may change places."""

    @property
    def reads(self) -> bool:
        """Whether the instruction reads a value here."""
        return self.role in (USE, USE_LATE)

    @property
    def defines(self) -> bool:
        """Whether the instruction writes a value here."""
        return self.role in (DEF, DEF_EARLY)


@dataclass(slots=True)
class Inst:
    """As ``MInst``."""

    op: int
    width: int = 8
    flags: int = 0
    operands: list[Operand] = field(default_factory=list)
    cc: int = 0
    imm: int = 0
    disp: int = 0
    scale: int = 0xFF
    aux: int = 0


@dataclass(slots=True)
class Edge:
    """To a block, with arguments for its parameters."""

    target: int
    args: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Block:
    """A straight run of instructions."""

    first: int
    params: list[int] = field(default_factory=list)
    insts: list[Inst] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    depth: int = 0
    flags: int = 0


@dataclass(slots=True)
class MFunction:
    """A function. ``vregs``: class, width; ``moves``: (before instruction, src, dst, vreg)."""

    target: Target
    vregs: list[tuple[int, int]] = field(default_factory=list)
    blocks: list[Block] = field(default_factory=list)
    moves: list[tuple[int, int, int, int]] = field(default_factory=list)
    slots: int = 0

    def __str__(self) -> str:
        return dump(self)


# ---- printing ----------------------------------------------------------------------------------


def place_name(loc: int, target: Target) -> str:
    """``rax``, ``[3]``, ``=7`` or ``?``."""
    if loc == NO_LOC:
        return "?"
    if loc & LOC_SLOT:
        return f"[{loc - LOC_SLOT}]"
    if loc & LOC_REMAT:
        return f"={loc - LOC_REMAT}"
    return target.names.get(loc) or f"?{loc:#x}"


def vreg_name(vreg: int) -> str:
    """``v3``, or ``-`` for none."""
    return "-" if vreg == NO_VREG else f"v{vreg}"


def operand_text(o: Operand, target: Target) -> str:
    """One operand."""
    how = CONSTRAINTS[o.constraint]
    if o.constraint == FIXED:
        how = f"={place_name(o.reg, target)}"
    elif o.constraint == SAME:
        how = f"same{o.reg}{'~' if o.swaps else ''}"
    place = "" if o.loc == NO_LOC else f" @{place_name(o.loc, target)}"
    return f"{ROLES[o.role]} {vreg_name(o.vreg)} {how}{place}"


def op_name(op: int, target: Target) -> str:
    """A row's name, a pseudo operation's (``jcc``), or both (``via.mov_rm``: behind a pointer of the context)."""
    if op >= target.behind:
        return f"via.{op_name(op - target.behind, target)}"
    return target.operation_names.get(op) or str(op)


def op_number(name: str, target: Target) -> int:
    """The number of a name that ``op_name`` gave."""
    if name.startswith("via."):
        return target.behind + op_number(name[4:], target)
    return int(name) if name.isdigit() else target.operations[name]


def inst_text(i: Inst, target: Target) -> str:
    """One instruction."""
    name = op_name(i.op, target)
    notes = [word for word, bit in FLAGS.items() if i.flags & bit]
    notes += [f"{k}={v}" for k in ("cc", "imm", "disp", "aux") if (v := getattr(i, k))]
    notes += [f"scale={i.scale}"] if i.scale != 0xFF else []
    return f"{name}.{i.width} [{' '.join(notes)}]  {', '.join(operand_text(o, target) for o in i.operands)}".rstrip()


def dump(f: MFunction) -> str:
    """The text form."""
    lines = ["vregs " + " ".join(f"{f.target.classes[c].letter}{w}" for c, w in f.vregs)]
    moves: dict[int, list[str]] = {}
    for at, src, dst, vreg in f.moves:
        places = f"{place_name(src, f.target)} -> {place_name(dst, f.target)}"
        moves.setdefault(at, []).append(f"      {vreg_name(vreg)} {places}")
    for number, block in enumerate(f.blocks):
        params = ", ".join(map(vreg_name, block.params))
        lines.append(f"block {number} depth {block.depth} flags {block.flags} ({params})")
        for at, inst in enumerate(block.insts, block.first):
            lines += [*moves.get(at, ()), f"  {inst_text(inst, f.target)}"]
        lines += [f"  edge {e.target} ({', '.join(map(vreg_name, e.args))})" for e in block.edges]
    return "\n".join(lines) + "\n"


# ---- reading -----------------------------------------------------------------------------------

_BLOCK = re.compile(r"block \d+ depth (\d+) flags (\d+) \((.*)\)")
_EDGE = re.compile(r"edge (\d+) \((.*)\)")
_INST = re.compile(r"([\w.]+)\.(\d+) \[(.*?)\]\s*(.*)")


def read_vregs(text: str) -> list[int]:
    """``v1, v2``."""
    return [int(word.strip()[1:]) for word in text.split(",") if word.strip()]


def read_operand(text: str, target: Target) -> Operand:
    """One operand without its place."""
    role, vreg, how = text.split()[:3]
    number = NO_VREG if vreg == "-" else int(vreg[1:])
    if how.startswith("="):
        return Operand(number, ROLES.index(role), FIXED, target.numbers[how[1:]])
    if how.startswith("same"):
        return Operand(number, ROLES.index(role), SAME, int(how[4:].rstrip("~")), swaps=how.endswith("~"))
    return Operand(number, ROLES.index(role), CONSTRAINTS.index(how))


def read_inst(match: re.Match[str], target: Target) -> Inst:
    """One instruction."""
    name, width, notes, operands = match.groups()
    inst = Inst(op_number(name, target), int(width))
    for note in notes.split():
        key, _, value = note.partition("=")
        if value:
            setattr(inst, key, int(value))
        else:
            inst.flags |= FLAGS[key]
    inst.operands = [read_operand(word, target) for word in operands.split(",") if word.strip()]
    return inst


def parse(text: str, target: Target) -> MFunction:
    """Read the text form; moves and places are left out."""
    f = MFunction(target)
    letters = [c.letter for c in target.classes]
    count = 0
    for line in map(str.strip, text.strip().splitlines()):
        if line.startswith("vregs"):
            f.vregs = [(letters.index(word[0]), int(word[1:])) for word in line.split()[1:]]
        elif match := _BLOCK.fullmatch(line):
            f.blocks.append(Block(count, read_vregs(match[3]), depth=int(match[1]), flags=int(match[2])))
        elif match := _EDGE.fullmatch(line):
            f.blocks[-1].edges.append(Edge(int(match[1]), read_vregs(match[2])))
        elif match := _INST.fullmatch(line):
            f.blocks[-1].insts.append(read_inst(match, target))
            count += 1
        elif " -> " not in line:
            raise ValueError(f"machine IR text: cannot read {line!r}")
    return f
