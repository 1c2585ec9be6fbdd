"""A target that is no processor: ten registers of one class, and code that a page of Python runs.

Eight of the registers hold values. It shows that the machine knows no processor, and is the first step towards a
second one.
"""

from __future__ import annotations

from struct import pack, unpack_from
from typing import Final

from stratavm.machine.mfunc import CALL, LOC_REMAT, LOC_SLOT, MOVE, REMAT, TEMP, TERMINATOR, Inst, MFunction, Operand
from stratavm.machine.target import RegisterClass, Target, Timings

CONTEXT, SCRATCH = 8, 9
ROWS: Final = ("number", "load", "store", "add", "multiply", "compare", "sum", "add_load")
PSEUDO: Final = ("params", "jump", "branch", "return", "setcc")
FIRST_PSEUDO: Final = 1024

NULL: Final = Target(
    name="null",
    classes=(RegisterClass("g", tuple(range(10)), (7, 6, 5, 4, 3, 2, 1, 0), SCRATCH),),
    names={n: f"r{n}" for n in range(10)},
    starved=(0, 1, 2, 3),
    constant=frozenset((CONTEXT,)),
    operations={name: 1 + n for n, name in enumerate(ROWS)} | {name: FIRST_PSEUDO + n for n, name in enumerate(PSEUDO)},
    pseudo=FIRST_PSEUDO,
    behind=2048,
    crosses=False,
    timings=Timings(
        latency=bytes((1, 1, 8, 1, 1, 3, 1, 1, 9, *(1 for _ in PSEUDO))),
        ports=bytes((1, 3, 2, 2, 3, 1, 3, 3, 2, *(3 for _ in PSEUDO))),
        busy=bytes(1 for _ in range(1 + len(ROWS) + len(PSEUDO))),
        reads=bytes((0, 0, 1, 0, 0, 0, 0, 0, 1)),
        port_count=2,
        issue=1,
    ),
    reach=1 << 16,
    padding=(b"\0",),
)

# ---- the encoder: a byte that says what follows, then fixed fields -------------------------------

MOVES, WORKS, LEAVES = range(3)
_AGAIN, _SLOT = 1 << 14, 1 << 15
_COMMUTES: Final = 1 << 15
"""The bit of the flags that says that inputs may change places."""


def place(loc: int) -> int:
    """A location in sixteen bits."""
    if loc & LOC_SLOT:
        return _SLOT | loc - LOC_SLOT
    return _AGAIN | loc - LOC_REMAT if loc & LOC_REMAT else loc


def operand(o: Operand) -> bytes:
    """What is done at a place: 1 read, 2 written, 4 only destroyed."""
    return pack("<BH", 4 if o.role == TEMP else 1 if o.reads else 2, place(o.loc))


def instruction(inst: Inst) -> bytes:
    """An instruction without its targets; ``imm`` says which one it is."""
    flags = inst.flags | (_COMMUTES if inst.operands and inst.operands[0].swaps else 0)
    return pack("<BqHB", WORKS, inst.imm, flags, len(inst.operands)) + b"".join(map(operand, inst.operands))


def encode(f: MFunction) -> bytes:
    """An allocated function. Targets of a branch stand behind it: a count, and where each block begins."""
    moves: dict[int, list[bytes]] = {}
    for at, src, dst, _ in f.moves:
        moves.setdefault(at, []).append(pack("<BHH", MOVES, place(src), place(dst)))
    blocks = []
    for block in f.blocks:
        parts = []
        for at, inst in enumerate(block.insts, block.first):
            parts += [*moves.get(at, ()), instruction(inst)]
        blocks.append(b"".join(parts))
    starts = [0]
    for code, block in zip(blocks, f.blocks, strict=True):
        starts.append(starts[-1] + len(code) + 2 + 4 * len(block.edges))
    leaving = (
        pack("<BB", LEAVES, len(b.edges)) + b"".join(pack("<I", starts[e.target]) for e in b.edges) for b in f.blocks
    )
    return b"".join(code + end for code, end in zip(blocks, leaving, strict=True))


# ---- what instructions mean: a result is made of the instruction and of what it read --------------


def meaning(number: int, result: int, inputs: tuple[int, ...]) -> int:
    """The value that an instruction gives to its n-th result."""
    return hash((number, result, inputs))


class Processor:
    """Runs encoded functions; records what instructions with effects and the end of a function read."""

    def __init__(self, ways: list[int]) -> None:
        self.ways = ways
        self.words: dict[int, int] = {}
        self.events: list[tuple[int, ...]] = []

    def read(self, at: int) -> int:
        """A register, a slot, or what is computed again."""
        return meaning(at - _AGAIN, 0, ()) if at & (_AGAIN | _SLOT) == _AGAIN else self.words.get(at, -1)

    def run(self, code: bytes) -> list[tuple[int, ...]]:
        """From the first byte to a block that leads nowhere, or to the end of ``ways``."""
        at = 0
        while True:
            if code[at] == MOVES:
                _, src, dst = unpack_from("<BHH", code, at)
                self.words[dst] = self.read(src)
                at += 5
            elif code[at] == WORKS:
                at = self.work(code, at)
            elif code[at + 1] == 0 or not self.ways:
                return self.events
            else:
                [at] = unpack_from("<I", code, at + 2 + 4 * (self.ways.pop() % code[at + 1]))

    def work(self, code: bytes, at: int) -> int:
        """One instruction; returns where the next begins."""
        _, number, flags, count = unpack_from("<BqHB", code, at)
        operands = [unpack_from("<BH", code, at + 12 + 3 * k) for k in range(count)]
        read = (self.read(where) for what, where in operands if what == 1)
        inputs = tuple(sorted(read) if flags & _COMMUTES else read)
        for register in range(10) if flags & CALL else (SCRATCH, *(where for what, where in operands if what == 4)):
            if register != CONTEXT:
                self.words[register] = -2
        step(number, flags, inputs, self.events)
        for n, where in enumerate(where for what, where in operands if what == 2):
            self.words[where] = inputs[0] if flags & MOVE else meaning(number, n, () if flags & REMAT else inputs)
        return at + 12 + 3 * count


def step(number: int, flags: int, inputs: tuple[int, ...], events: list[tuple[int, ...]]) -> None:
    """What others can see of an instruction."""
    if flags & (16 | TERMINATOR):
        events.append((number, *inputs))


def evaluate(f: MFunction, ways: list[int]) -> list[tuple[int, ...]]:
    """The same of a function that nobody has allocated."""
    values: dict[int, int] = {}
    events: list[tuple[int, ...]] = []
    block = f.blocks[0]
    while True:
        for inst in block.insts:
            read = (values.get(o.vreg, -1) for o in inst.operands if o.reads)
            inputs = tuple(sorted(read) if inst.operands and inst.operands[0].swaps else read)
            step(inst.imm, inst.flags, inputs, events)
            for n, o in enumerate(o for o in inst.operands if o.defines):
                again = inst.flags & REMAT
                values[o.vreg] = inputs[0] if inst.flags & MOVE else meaning(inst.imm, n, () if again else inputs)
        if not block.edges or not ways:
            return events
        edge = block.edges[ways.pop() % len(block.edges)]
        block = f.blocks[edge.target]
        values.update(zip(block.params, [values[a] for a in edge.args], strict=True))
