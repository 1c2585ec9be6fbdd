"""The allocation checker: proves, without running anything, that each use reads its value on every path.

Symbolic execution to a fixed point (as regalloc2's checker): a state maps each place to the values it is known to hold;
moves copy, definitions overwrite, calls forget registers, joins intersect. A block argument makes every place that
holds the argument hold the parameter too, so the checker need not know where an allocator puts parameters. What can be
computed again has a place of its own, which its definition fills and nothing destroys; a move from there recomputes.
Where a call ends with an exception, its results do not exist, no register holds anything, and whatever was moved behind
the call was not.
"""

from __future__ import annotations

from collections import defaultdict

from stratavm.base.remembered import Remembered
from stratavm.machine.mfunc import (
    ANY,
    CALL,
    FIXED,
    FLAGS,
    HOME,
    INVOKE,
    LOC_REMAT,
    LOC_SLOT,
    MOVE,
    NO_LOC,
    NO_VREG,
    REG,
    REMAT,
    SAME,
    SLOT,
    TEMP,
    USE,
    USE_LATE,
    Block,
    Inst,
    MFunction,
    Operand,
    dump,
    inst_text,
    operand_text,
    place_name,
)
from stratavm.machine.target import MAX_REGISTERS

NOT_KEPT = LOC_REMAT | LOC_SLOT
MAX_DUMP = 4000
right = Remembered()
"""Allocations that were checked: most flags of the compiler change few functions."""


class AllocationError(AssertionError):
    """An allocation that would read a wrong value or break a constraint."""

    def __init__(self, f: MFunction, at: int, message: str) -> None:
        text = dump(f)
        self.at = at
        super().__init__(f"instruction {at}: {message}\n{text if len(text) < MAX_DUMP else ''}")


class State:
    """Places and the values they hold, indexed both ways."""

    def __init__(self, f: MFunction) -> None:
        self.f = f
        self.held: dict[int, set[int]] = {}
        self.places: defaultdict[int, set[int]] = defaultdict(set)

    def copy(self) -> State:
        """An independent copy."""
        other = State(self.f)
        for loc, values in self.held.items():
            other.put(loc, set(values))
        return other

    def put(self, loc: int, values: set[int]) -> None:
        """Let an empty place hold values."""
        if values:
            self.held[loc] = values
            for v in values:
                self.places[v].add(loc)

    def forget(self, loc: int) -> None:
        """The place holds nothing known."""
        for v in self.held.pop(loc, ()):
            self.places[v].discard(loc)

    def overwrite(self, loc: int, values: set[int], width: int) -> None:
        """A write: also to the other half of a 16-byte slot pair."""
        self.forget(loc)
        if loc & LOC_SLOT:
            if width == 16:
                self.forget(loc + 1)
            if any(self.f.vregs[v][1] == 16 for v in self.held.get(loc - 1, ())):
                self.forget(loc - 1)
        self.put(loc, values)

    def drop_value(self, vreg: int) -> None:
        """The value gets a new definition: what places held of it is old."""
        for loc in self.places.pop(vreg, ()):
            self.held[loc].discard(vreg)
            if not self.held[loc]:
                del self.held[loc]

    def meet(self, other: State) -> bool:
        """Keep what both know; True if that changed this state."""
        changed = False
        for loc in list(self.held):
            kept = self.held[loc] & other.held.get(loc, set())
            if len(kept) != len(self.held[loc]):
                changed = True
                self.forget(loc)
                self.put(loc, kept)
        return changed

    def keep(self, live: int) -> None:
        """Forget values outside a bit set."""
        for v in [v for v in self.places if not live >> v & 1]:
            self.drop_value(v)


# ---- constraints of single instructions --------------------------------------------------------


def check_again(f: MFunction, at: int, inst: Inst) -> None:
    """What is marked to be computed again depends on nothing, does nothing else, and defines one value."""
    first, *others = inst.operands
    free = FLAGS["remat"] | FLAGS["home"] | FLAGS["fd"]
    if inst.flags & ~free or not first.defines or first.constraint != REG or first.vreg == NO_VREG:
        raise AllocationError(f, at, f"{inst_text(inst, f.target)}: cannot be computed again")
    if any(o.vreg != NO_VREG or o.constraint != FIXED or not o.reads or o.reg not in f.target.constant for o in others):
        raise AllocationError(f, at, f"{inst_text(inst, f.target)}: reads what may change")


def check_unkept(f: MFunction, at: int, o: Operand, insts: list[Inst]) -> None:
    """An operand whose value is in no register and no slot: its own definition, or a load instead of the operand."""
    source = insts[o.loc - LOC_REMAT] if o.loc - LOC_REMAT < len(insts) else None
    if source is None or not source.flags & REMAT:
        raise AllocationError(f, at, f"{operand_text(o, f.target)}: no instruction that can be repeated")
    if o.defines and source is not insts[at]:
        raise AllocationError(f, at, f"{operand_text(o, f.target)}: not its own instruction")
    if o.role == TEMP or (o.reads and (o.constraint != ANY or o.role != USE or not source.flags & HOME)):
        raise AllocationError(f, at, f"{operand_text(o, f.target)}: must be in a register")


def check_place(f: MFunction, at: int, o: Operand, registers: int, insts: list[Inst]) -> None:
    """The place of one operand fits its constraint and class."""
    ops = insts[at].operands

    def fail(reason: str) -> None:
        raise AllocationError(f, at, f"{operand_text(o, f.target)}: {reason}")

    if o.loc == NO_LOC:
        fail("no place")
    if o.constraint == FIXED:
        if o.loc != o.reg:
            fail("not in its fixed register")
        return
    if o.vreg == NO_VREG:
        fail("only a fixed operand may be without a value")
    rclass, width = f.vregs[o.vreg]
    if o.loc & NOT_KEPT == LOC_REMAT:
        check_unkept(f, at, o, insts)
        return
    if o.loc & LOC_SLOT:
        slot = o.loc - LOC_SLOT
        if o.constraint not in (ANY, SLOT) or o.role == TEMP:
            fail("must be in a register")
        if slot + width // 16 >= f.slots or (width == 16 and slot % 2):
            fail(f"outside the frame of {f.slots} slots, or unaligned")
        return
    if o.constraint == SLOT:
        fail("must be in its slot")
    if not f.target.masks[rclass] >> o.loc & 1:
        fail("wrong register class")
    tied = o.constraint == SAME and ops[o.reg].constraint == FIXED
    if not registers >> o.loc & 1 and not tied:
        fail("register is not allocatable")
    if o.constraint == SAME and o.loc != ops[o.reg].loc:
        fail("not in the place of the operand it is tied to")


def check_conflicts(f: MFunction, at: int, ops: list[Operand]) -> None:
    """No two operands that are alive at the same moment of the instruction share a register."""
    for early in (True, False):
        taken: dict[int, Operand] = {}
        for o in ops:
            if o.vreg == NO_VREG and o.reg not in range(MAX_REGISTERS):
                continue
            alive = o.role != 1 if early else o.role != USE
            if not alive or o.loc & NOT_KEPT:
                continue
            other = taken.get(o.loc)
            if other is not None and not (early and o.reads and other.reads and o.vreg == other.vreg):
                both_reads = o.role in (USE, USE_LATE) and other.role in (USE, USE_LATE)
                if not (both_reads and o.vreg == other.vreg):
                    raise AllocationError(
                        f, at, f"{operand_text(o, f.target)} and {operand_text(other, f.target)} share a register"
                    )
            taken[o.loc] = o


# ---- data flow ---------------------------------------------------------------------------------


def liveness(f: MFunction) -> list[int]:
    """Bit set of the values live at each block's head (parameters excluded)."""
    used, defined = [0] * len(f.blocks), [0] * len(f.blocks)
    for number, block in enumerate(f.blocks):
        local = sum({1 << p for p in block.params})
        use = 0
        for inst in block.insts:
            for o in inst.operands:
                if o.vreg != NO_VREG and o.reads and not local >> o.vreg & 1:
                    use |= 1 << o.vreg
            for o in inst.operands:
                if o.vreg != NO_VREG and o.defines:
                    local |= 1 << o.vreg
        for edge in block.edges:
            for v in edge.args:
                use |= 0 if local >> v & 1 else 1 << v
        used[number], defined[number] = use, local
    live = used[:]
    predecessors: list[list[int]] = [[] for _ in f.blocks]
    for number, block in enumerate(f.blocks):
        for edge in block.edges:
            predecessors[edge.target].append(number)
    pending = list(range(len(f.blocks)))
    while pending:
        number = pending.pop()
        for p in predecessors[number]:
            grown = live[p] | live[number] & ~defined[p]
            if grown != live[p]:
                live[p] = grown
                pending.append(p)
    return live


def run_moves(f: MFunction, state: State, at: int, moves: list[tuple[int, int, int]]) -> None:
    """Moves before an instruction."""
    for src, dst, vreg in moves:
        if src & dst & LOC_SLOT or NO_LOC in (src, dst) or dst & NOT_KEPT == LOC_REMAT:
            raise AllocationError(
                f, at, f"move {place_name(src, f.target)} -> {place_name(dst, f.target)}: no such instruction"
            )
        width = max(8, f.vregs[vreg][1])
        if width == 16 and any(loc < MAX_REGISTERS and not f.target.masks[-1] >> loc & 1 for loc in (src, dst)):
            raise AllocationError(f, at, f"move of 16 bytes {place_name(src, f.target)} -> {place_name(dst, f.target)}")
        for loc in (src, dst):
            if loc & LOC_SLOT and loc - LOC_SLOT + width // 16 >= f.slots:
                raise AllocationError(
                    f, at, f"move to or from {place_name(loc, f.target)}: the frame has {f.slots} slots"
                )
        values = {v for v in state.held.get(src, ()) if f.vregs[v][1] <= width}
        if src & NOT_KEPT == LOC_REMAT and dst & LOC_SLOT:
            for loc in f.target.scratch:  # it may pass through one
                state.forget(loc)
        state.overwrite(dst, values, width)


def run_inst(f: MFunction, state: State, at: int, inst: Inst) -> None:
    """One instruction: check what it reads, forget what it destroys, note what it writes."""
    ops = inst.operands
    for o in ops:
        if o.reads and o.vreg != NO_VREG and o.vreg not in state.held.get(o.loc, ()):
            held = ", ".join(f"v{v}" for v in sorted(state.held.get(o.loc, ()))) or "nothing known"
            where = ", ".join(place_name(loc, f.target) for loc in sorted(state.places.get(o.vreg, ()))) or "nowhere"
            message = (
                f"{inst_text(inst, f.target)}: {place_name(o.loc, f.target)} holds {held}; v{o.vreg} is in {where}"
            )
            raise AllocationError(f, at, message)
    copied: set[int] = set()
    if inst.flags & MOVE:
        copied = set(state.held.get(ops[1].loc, ()))
    for o in ops:
        if not o.reads and o.loc < MAX_REGISTERS:
            state.forget(o.loc)
    for loc in range(MAX_REGISTERS) if inst.flags & CALL else f.target.scratch:
        state.forget(loc)
    for o in ops:
        if o.defines and o.vreg != NO_VREG:
            state.drop_value(o.vreg)
            copied.discard(o.vreg)
            state.overwrite(o.loc, {o.vreg} | copied, f.vregs[o.vreg][1])
    if inst.flags & REMAT:
        state.overwrite(LOC_REMAT | at, {ops[0].vreg}, f.vregs[ops[0].vreg][1])


def thrown(f: MFunction, state: State, inst: Inst) -> State:
    """The state where a call that was just run does not return, but lands."""
    after = state.copy()
    for loc in range(MAX_REGISTERS):
        after.forget(loc)
    for o in inst.operands:
        if o.defines and o.vreg != NO_VREG:
            after.drop_value(o.vreg)
    return after


def pass_arguments(state: State, target: Block, args: list[int]) -> State:
    """The state at the head of a successor."""
    after = state.copy()
    places = [(p, set(state.places.get(a, ()))) for p, a in zip(target.params, args, strict=True)]
    for p, _ in places:
        after.drop_value(p)
    for p, locs in places:
        for loc in locs:
            after.held.setdefault(loc, set()).add(p)
            after.places[p].add(loc)
    return after


def check_shape(f: MFunction, registers: int) -> dict[int, list[tuple[int, int, int]]]:
    """Everything that needs no data flow; returns the moves by instruction."""
    moves: dict[int, list[tuple[int, int, int]]] = {}
    last = 0
    for at, src, dst, vreg in f.moves:
        if at < last:
            raise AllocationError(f, at, "moves are not sorted")
        last = at
        moves.setdefault(at, []).append((src, dst, vreg))
    insts = [inst for block in f.blocks for inst in block.insts]
    for block in f.blocks:
        ways_out = block.insts and block.insts[-1].flags & INVOKE
        if ways_out and (len(block.edges) != 2 or not any(inst.flags & CALL for inst in block.insts)):
            raise AllocationError(f, block.first, "ends with two ways out of a call, and has not both")
    for at, inst in enumerate(insts):
        if inst.flags & REMAT:
            check_again(f, at, inst)
        for o in inst.operands:
            check_place(f, at, o, registers, insts)
        check_conflicts(f, at, inst.operands)
    return moves


def check(f: MFunction, registers: int) -> None:
    """Raise ``AllocationError`` unless the allocation is right; ``registers`` is the mask that was allocatable."""
    moves = check_shape(f, registers)
    live = liveness(f)
    if live and live[0]:
        raise AllocationError(f, 0, f"v{live[0].bit_length() - 1} is used but not defined on some path")
    entry: list[State | None] = [None] * len(f.blocks)
    entry[0] = State(f)
    pending = [0]
    while pending:
        number = pending.pop()
        block = f.blocks[number]
        known = entry[number]
        assert known is not None
        state = known.copy()
        landing: State | None = None
        for at, inst in enumerate(block.insts, block.first):
            run_moves(f, state, at, moves.get(at, []))
            run_inst(f, state, at, inst)
            if inst.flags & CALL and block.insts[-1].flags & INVOKE:
                landing = thrown(f, state, inst)
        for edge in block.edges:
            leaving = state if landing is None or edge is not block.edges[-1] else landing
            after = pass_arguments(leaving, f.blocks[edge.target], edge.args)
            target = f.blocks[edge.target]
            after.keep(live[edge.target] | sum(1 << p for p in target.params))
            before = entry[edge.target]
            if before is None:
                entry[edge.target] = after
            elif not before.meet(after):
                continue
            pending.append(edge.target)
