"""Random machine IR with structured control flow, and a simulator that runs it: what allocators are tested with."""

from __future__ import annotations

import random
from typing import NamedTuple

from stratavm.machine.mfunc import (
    ANY,
    CALL,
    DEF,
    DEF_EARLY,
    FIXED,
    HOME,
    INVOKE,
    LOC_REMAT,
    LOC_SLOT,
    MOVE,
    NO_VREG,
    REG,
    REMAT,
    SAME,
    SLOT,
    TEMP,
    TERMINATOR,
    USE,
    USE_LATE,
    Block,
    Edge,
    Inst,
    MFunction,
    Operand,
)
from stratavm.machine.target import MAX_REGISTERS, Target


class Cast(NamedTuple):
    """The fixed registers of a target that instructions ask for."""

    arguments: tuple[tuple[int, ...], ...]
    result: int = 0
    count: int = 1
    other: int = 2
    context: int = 14


CASTS = {"x64": Cast(((0, 1, 2, 6, 7, 8), tuple(range(16, 24)))), "null": Cast(((0, 1, 2, 3, 4, 5),), context=8)}
KINDS = {"g": (0, 8), "x": (1, 8), "w": (1, 16)}
WORK, JUMP, BRANCH, RETURN, CALLED = 1100, 1025, 1026, 1027, 1101
EFFECT = 16


class Generator:
    """Builds one function; every value is defined on every path to its uses."""

    def __init__(
        self, target: Target, cast: Cast, seed: int, size: int = 40, wide: bool = True, throws: str = ""
    ) -> None:
        self.random = random.Random(seed)
        self.f = MFunction(target)
        self.cast = cast
        self.kinds = KINDS if len(target.classes) > 1 else dict.fromkeys(KINDS, KINDS["g"])
        self.left = size
        self.wide = wide
        self.throws = throws
        self.count = 0
        self.depth = 0

    def generate(self) -> MFunction:
        """The function."""
        self.open([])
        env: list[int] = []
        params = [self.vreg(self.random.choice("gggx")) for _ in range(self.random.randrange(6))]
        self.arguments(params)
        env += params
        self.body(env, 0)
        self.emit(RETURN, TERMINATOR | 128, self.fixed_uses(env))
        return self.f

    # -- pieces

    def vreg(self, kind: str) -> int:
        """A new value: ``g``, ``x``, or ``w`` (16 bytes)."""
        self.f.vregs.append(self.kinds[kind])
        return len(self.f.vregs) - 1

    def kind(self) -> str:
        """Mostly integers."""
        return self.random.choice("gggggxxw" if self.wide else "gggggxx")

    def open(self, params: list[int]) -> int:
        """Start a block."""
        self.f.blocks.append(Block(self.count, params, depth=self.depth))
        return len(self.f.blocks) - 1

    def emit(self, op: int, flags: int, operands: list[Operand]) -> None:
        """Append an instruction."""
        self.f.blocks[-1].insts.append(Inst(op, 8, flags, operands))
        self.count += 1

    def jump(self, target: int, args: list[int]) -> Edge:
        """End the block with one edge."""
        self.emit(JUMP, TERMINATOR, [])
        edge = Edge(target, args)
        self.f.blocks[-1].edges.append(edge)
        return edge

    def pick(self, env: list[int], kind: str) -> int:
        """A live value of a kind, or a new one."""
        wanted = self.kinds[kind]
        choices = [v for v in env if self.f.vregs[v] == wanted]
        if choices and self.random.random() < 0.9:
            near = choices[-4:] if self.random.random() < 0.6 else choices
            return self.random.choice(near)
        fresh = self.vreg(kind)
        self.emit(WORK, 0, [Operand(fresh, DEF, REG)])
        env.append(fresh)
        return fresh

    def arguments(self, params: list[int]) -> None:
        """Incoming values in their fixed registers."""
        free = [list(r) for r in self.cast.arguments]
        ops = [Operand(p, DEF, FIXED, free[self.f.vregs[p][0]].pop(0)) for p in params]
        self.emit(WORK, 0, ops)

    def fixed_uses(self, env: list[int]) -> list[Operand]:
        """Values in argument registers; some may repeat."""
        free = [list(r) for r in self.cast.arguments]
        ops = []
        for _ in range(self.random.randrange(5)):
            v = self.pick(env, self.random.choice("gggx"))
            ops.append(Operand(v, USE, FIXED, free[self.f.vregs[v][0]].pop(0)))
        return ops

    # -- instructions

    def instruction(self, env: list[int]) -> None:
        """One of the shapes that selection makes."""
        shape = self.random.choice(
            [
                "alu",
                "alu",
                "alu",
                "load",
                "store",
                "div",
                "shift",
                "early",
                "temp",
                "move",
                "call",
                "cross",
                "pin",
                "late",
                "number",
                "number",
            ]
        )
        getattr(self, f"do_{shape}")(env)

    def do_number(self, env: list[int]) -> None:
        """What can be computed again: a number, or a load by a register that never changes."""
        d, load = self.vreg(self.random.choice("ggx")), self.random.random() < 0.5
        base = [Operand(NO_VREG, USE, FIXED, self.cast.context)] if load else []
        self.emit(WORK, REMAT | (HOME if load else 0), [Operand(d, DEF, REG), *base])
        env.append(d)

    def do_alu(self, env: list[int]) -> None:
        """Two-address."""
        kind = self.kind()
        a, b, d = self.pick(env, kind), self.pick(env, kind), self.vreg(kind)
        how = REG if kind == "w" else ANY
        tied = Operand(d, DEF, SAME, 1, swaps=self.random.random() < 0.5)
        self.emit(WORK, 0, [tied, Operand(a, USE, REG), Operand(b, USE, how)])
        env.append(d)

    def do_load(self, env: list[int]) -> None:
        """Address operands."""
        base, index, d = self.pick(env, "g"), self.pick(env, "g"), self.vreg(self.kind())
        self.emit(WORK, 0, [Operand(d, DEF, REG), Operand(base, USE, REG), Operand(index, USE, REG)])
        env.append(d)

    def do_store(self, env: list[int]) -> None:
        """No result; one base register that is not allocated."""
        ops = [Operand(self.pick(env, self.kind()), USE, REG), Operand(NO_VREG, USE, FIXED, self.cast.context)]
        self.emit(WORK, 16, [*ops, Operand(self.pick(env, "g"), USE, REG)])

    def do_div(self, env: list[int]) -> None:
        """Fixed inputs and outputs in the same registers."""
        a, b = self.pick(env, "g"), self.pick(env, "g")
        q, r = self.vreg("g"), self.vreg("g")
        ops = [
            Operand(q, DEF, FIXED, self.cast.result),
            Operand(r, DEF, FIXED, self.cast.other),
            Operand(a, USE, FIXED, self.cast.result),
        ]
        last = self.random.choice([Operand(b, USE, ANY), Operand(b, USE_LATE, REG)])
        if last.role == USE:
            ops.append(Operand(NO_VREG, TEMP, FIXED, self.cast.count))
        self.emit(WORK, 0, [*ops, last])
        env += [q, r]

    def do_shift(self, env: list[int]) -> None:
        """Two-address with a fixed count."""
        a, c, d = self.pick(env, "g"), self.pick(env, "g"), self.vreg("g")
        self.emit(WORK, 0, [Operand(d, DEF, SAME, 1), Operand(a, USE, REG), Operand(c, USE, FIXED, self.cast.count)])
        env.append(d)

    def do_early(self, env: list[int]) -> None:
        """A result written before the inputs are dead."""
        kind = self.random.choice("gx")
        d, a, b = self.vreg(kind), self.pick(env, kind), self.pick(env, "g")
        self.emit(WORK, 0, [Operand(d, DEF_EARLY, REG), Operand(a, USE, ANY), Operand(b, USE, REG)])
        env.append(d)

    def do_temp(self, env: list[int]) -> None:
        """Scratch registers of both classes."""
        a, d = self.pick(env, "g"), self.vreg("g")
        t, u = self.vreg("g"), self.vreg("x")
        ops = [Operand(d, DEF, REG), Operand(a, USE, REG), Operand(t, TEMP, REG), Operand(u, TEMP, REG)]
        self.emit(WORK, 0, ops)
        env.append(d)

    def do_move(self, env: list[int]) -> None:
        """A copy that may be coalesced."""
        kind = self.kind()
        a, d = self.pick(env, kind), self.vreg(kind)
        self.emit(WORK, MOVE, [Operand(d, DEF, REG), Operand(a, USE, REG if kind == "w" else ANY)])
        env.append(d)

    def do_call(self, env: list[int]) -> None:
        """Arguments and results in fixed registers; everything else is lost."""
        ops = self.fixed_uses(env)
        if self.random.random() < 0.3:
            ops.append(Operand(self.pick(env, "g"), USE, ANY))
        results = [self.vreg(self.random.choice("ggx")) for _ in range(self.random.randrange(3))]
        free = [list(r) for r in self.cast.arguments]
        ops += [Operand(d, DEF, FIXED, free[self.f.vregs[d][0]].pop(0)) for d in results]
        self.emit(WORK, CALL | 16, ops)
        env += results

    def do_cross(self, env: list[int]) -> None:
        """Between the classes."""
        a, d = self.pick(env, "g"), self.vreg("x")
        self.emit(WORK, 0, [Operand(d, DEF, REG), Operand(a, USE, ANY)])
        env.append(d)

    def do_pin(self, env: list[int]) -> None:
        """One value in a fixed register and in another operand."""
        a, d = self.pick(env, "g"), self.vreg("g")
        ops = [Operand(d, DEF, FIXED, self.cast.result), Operand(a, USE, FIXED, self.cast.count), Operand(a, USE, REG)]
        self.emit(WORK, 0, ops)
        env.append(d)

    def do_late(self, env: list[int]) -> None:
        """Two-address with an input that outlives the start."""
        a, b, d = self.pick(env, "g"), self.pick(env, "g"), self.vreg("g")
        self.emit(WORK, 0, [Operand(d, DEF, SAME, 1), Operand(a, USE, REG), Operand(b, USE_LATE, REG)])
        env.append(d)

    def do_slot(self, env: list[int]) -> None:
        """An operand that must be in memory."""
        self.emit(WORK, 16, [Operand(self.pick(env, "g"), USE, SLOT), Operand(self.pick(env, "x"), USE, ANY)])

    def do_fixed_temp(self, env: list[int]) -> None:
        """A clobbered register beside a two-address result that is tied to a fixed input."""
        a, b, d, t = self.pick(env, "g"), self.pick(env, "g"), self.vreg("g"), self.vreg("g")
        ops = [
            Operand(d, DEF, SAME, 1),
            Operand(a, USE, FIXED, self.cast.other),
            Operand(t, TEMP, FIXED, self.cast.result),
        ]
        self.emit(WORK, 0, [*ops, Operand(b, USE, ANY)])
        env.append(d)

    def do_fixed_late(self, env: list[int]) -> None:
        """A fixed input that lives through, and a fixed early result."""
        a, b, d = self.pick(env, "g"), self.pick(env, "g"), self.vreg("g")
        ops = [
            Operand(d, DEF_EARLY, FIXED, self.cast.result),
            Operand(a, USE_LATE, FIXED, self.cast.count),
            Operand(b, USE, REG),
        ]
        self.emit(WORK, 0, ops)
        env.append(d)

    # -- control flow

    def body(self, env: list[int], nesting: int) -> None:
        """Instructions and constructs."""
        for _ in range(self.random.randrange(1, 6)):
            if self.left <= 0:
                return
            choice = self.random.random()
            if self.throws and nesting < 4 and choice > 0.6:
                self.invoke(env, nesting)
            elif nesting < 4 and choice < 0.18:
                self.branch(env, nesting)
            elif nesting < 4 and choice < 0.34:
                self.loop(env, nesting)
            else:
                for _ in range(self.random.randrange(1, 6)):
                    self.left -= 1
                    self.instruction(env)

    def arguments_for(self, env: list[int], params: list[int]) -> list[int]:
        """A value for each parameter, often with repeats."""
        kinds = {place: kind for kind, place in KINDS.items()}
        return [self.pick(env, kinds[self.f.vregs[p]]) for p in params]

    def params(self) -> list[int]:
        """New block parameters."""
        return [self.vreg(self.kind()) for _ in range(self.random.randrange(5))]

    def branch(self, env: list[int], nesting: int) -> None:
        """if / else with a join that has parameters."""
        if_block = len(self.f.blocks) - 1
        operands = [Operand(self.pick(env, "g"), USE, REG)] if self.random.random() < 0.6 else []
        if operands and self.random.random() < 0.5:
            operands.append(Operand(self.vreg("g"), TEMP, REG))
        self.emit(BRANCH, TERMINATOR, operands)
        params = self.params()
        exits = []
        for arm in range(2):
            inner = list(env)
            self.f.blocks[if_block].edges.append(Edge(self.open([])))
            if arm == 0 or self.random.random() < 0.6:
                self.body(inner, nesting + 1)
            exits.append(self.jump(0, self.arguments_for(inner, params)))
        join = self.open(params)
        for edge in exits:
            edge.target = join
        env += params

    def invoke(self, env: list[int], nesting: int) -> None:
        """A call with two ways out, which meet. Where it ends with an exception, there is what was there before it."""
        before = list(env)
        self.do_call(env)
        if self.throws == "busily" and self.random.random() < 0.4:  # selection only loads results there
            self.do_store(env)
        last = len(self.f.blocks) - 1
        self.emit(CALLED, TERMINATOR | INVOKE, [])
        self.f.blocks[last].edges = [Edge(0), Edge(0)]
        params, exits = self.params(), []
        for way in self.random.choice([(0, 1), (1, 0)]):
            inner = list(before if way else env)
            self.f.blocks[last].edges[way].target = self.open([])
            if way:
                self.emit(WORK, EFFECT, [])
            if self.random.random() < 0.5:
                self.body(inner, nesting + 1)
            exits.append(self.jump(0, self.arguments_for(inner, params)))
        join = self.open(params)
        for edge in exits:
            edge.target = join
        env[:] = before + params

    def loop(self, env: list[int], nesting: int) -> None:
        """A header with parameters, an exit in the middle or at the end, a back edge with rotated arguments."""
        params = self.params()
        entry = self.jump(0, self.arguments_for(env, params))
        self.depth += 1
        header = self.open(params)
        entry.target = header
        inner = env + params
        self.body(inner, nesting + 1)
        test = len(self.f.blocks) - 1
        self.emit(BRANCH, TERMINATOR, [])
        again = list(inner)
        self.f.blocks[test].edges.append(Edge(self.open([])))
        self.body(again, nesting + 1)
        back = self.arguments_for(again, params)
        if self.random.random() < 0.5:
            self.random.shuffle(back)
            back = self.arguments_for(again, params) if not self.fits(back, params) else back
        swapped = [p for p in params if self.f.vregs[p] == (0, 8)]
        if len(swapped) >= 2 and self.random.random() < 0.5:
            turn = dict(zip(swapped, swapped[1:] + swapped[:1], strict=True))
            back = [turn.get(p, a) for p, a in zip(params, back, strict=True)]
        self.jump(header, back)
        self.depth -= 1
        self.f.blocks[test].edges.append(Edge(self.open([])))
        env[:] = inner

    def fits(self, args: list[int], params: list[int]) -> bool:
        """Whether the kinds agree."""
        return all(self.f.vregs[a] == self.f.vregs[p] for a, p in zip(args, params, strict=True))


def generate(target: Target, seed: int, size: int = 40, wide: bool = True, throws: str = "") -> MFunction:
    """A random function. ``throws``: calls may end with an exception; "busily": something reads values behind them."""
    return Generator(target, CASTS[target.name], seed, size, wide, throws).generate()


# ---- simulation --------------------------------------------------------------------------------


class WrongValue(AssertionError):
    """The machine read something else than the program means."""


class Machine:
    """Runs an allocated function along one random path: values are tokens, registers are poisoned by calls."""

    def __init__(self, f: MFunction, seed: int) -> None:
        self.f = f
        self.random = random.Random(seed)
        self.cells: dict[object, object] = {}
        self.values: dict[int, object] = {}
        self.moves: dict[int, list[tuple[int, int, int, int]]] = {}
        self.time = 0
        for move in f.moves:
            self.moves.setdefault(move[0], []).append(move)

    def halves(self, loc: int, width: int) -> list[object]:
        """The 8-byte cells of a place."""
        return [loc + k if loc & LOC_SLOT else (loc, k) for k in range(width // 8)]

    def token(self, what: object, width: int) -> list[object]:
        """A fresh value."""
        self.time += 1
        return [(what, self.time, k) for k in range(width // 8)]

    def step(self, at: int, inst: Inst, returns: bool = True) -> None:
        """Moves, then the instruction; a call may end with an exception instead of results."""
        for _, src, dst, vreg in self.moves.get(at, ()):
            width = self.f.vregs[vreg][1]
            values = [self.cells.get(c) for c in self.halves(src, width)]
            if not src & LOC_SLOT and src & LOC_REMAT and dst & LOC_SLOT:
                self.poison(*self.f.target.scratch)
            self.cells.update(zip(self.halves(dst, width), values, strict=True))
        for o in inst.operands:
            if o.reads and o.vreg != NO_VREG:
                found = [self.cells.get(c) for c in self.halves(o.loc, self.f.vregs[o.vreg][1])]
                if found != self.values[o.vreg]:
                    raise WrongValue(f"instruction {at} reads v{o.vreg}: {found}, not {self.values[o.vreg]}")
        result = self.values[inst.operands[1].vreg] if inst.flags & MOVE else None
        doomed = (
            range(MAX_REGISTERS)
            if inst.flags & CALL
            else [*self.f.target.scratch, *(o.loc for o in inst.operands if o.role == TEMP)]
        )
        self.poison(*doomed)
        for o in inst.operands if returns else ():
            if o.defines and o.vreg != NO_VREG:
                width = self.f.vregs[o.vreg][1]
                self.values[o.vreg] = result or self.token(o.vreg, width)
                self.cells.update(zip(self.halves(o.loc, width), self.values[o.vreg], strict=True))
        if inst.flags & REMAT:
            value = self.values[inst.operands[0].vreg]
            self.cells.update(zip(self.halves(LOC_REMAT | at, 8 * len(value)), value, strict=True))

    def poison(self, *registers: int) -> None:
        """Nobody may read these any more."""
        for loc in registers:
            self.cells[loc, 0] = self.cells[loc, 1] = "poison"

    def run(self, blocks: int = 200) -> None:
        """A random walk from the entry."""
        number = 0
        for _ in range(blocks):
            block = self.f.blocks[number]
            edge = self.random.choice(block.edges) if block.edges else None
            throws = bool(block.insts[-1].flags & INVOKE) and edge is block.edges[1]
            last = max((n for n, inst in enumerate(block.insts) if inst.flags & CALL), default=-1)
            for n, inst in enumerate(block.insts[: last + 1] if throws else block.insts):
                self.step(block.first + n, inst, not (throws and n == last))
            if edge is None:
                return
            number = edge.target
            values = [self.values[a] for a in edge.args]
            self.values.update(zip(self.f.blocks[number].params, values, strict=True))
