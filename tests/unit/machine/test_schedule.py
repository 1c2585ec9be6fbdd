"""Claims about the scheduler: a new order computes the same, traps the same, and keeps what belongs together."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any, NamedTuple

import pytest

from stratavm.machine.mfunc import DEF, FIXED, FLAGS, NO_VREG, REG, SAME, USE, Block, Inst, MFunction, Operand
from stratavm.machine.minst import build, snapshot
from stratavm.machine.schedule import Scheduler
from stratavm.machine.target import Target
from stratavm.targets.x64._gen_pseudo import PSEUDO
from stratavm.targets.x64.encodings import ROWS
from stratavm.targets.x64.target import X64
from stratavm.targets.x64.timing import CONTROL, PSEUDO_TIMINGS, Timing, timing
from tests.unit.machine.null import NULL

TRAPS, EFFECT, TERM, SETS, READS = (FLAGS[k] for k in ("traps", "effect", "term", "fd", "fu"))


class Ops(NamedTuple):
    """Operations of a target by what they do."""

    target: Target
    load: int
    store: int
    folded: int
    add: int
    multiply: int
    compare: int
    number: int
    address: int
    set: int
    params: int
    ret: int


def ops_of(target: Target, behind: str, plain: str) -> Ops:
    """By name: those that read memory are behind a pointer of the context."""
    numbers = target.operations
    return Ops(
        target,
        *(target.behind + numbers[name] for name in behind.split()),
        *(numbers[name] for name in plain.split()),
        *(numbers[name] for name in ("setcc", "params", "return")),
    )


OPS = (
    ops_of(X64, "mov_rm mov_mr add_rm", "add_rr imul_rr cmp_rr mov_ri lea_rm"),
    ops_of(NULL, "load store add_load", "add multiply compare number sum"),
)


@pytest.fixture(params=OPS, ids=lambda ops: ops.target.name)
def ops(request):
    """Operations of a processor, and of what is none."""
    return request.param


class Writer:
    """One block of random instructions in which every value is defined before it is used."""

    def __init__(self, ops: Ops, seed: int, size: int) -> None:
        self.rng = random.Random(seed)
        self.ops = ops
        self.f = MFunction(ops.target)
        self.block = Block(0, [])
        self.f.blocks.append(self.block)
        self.env: list[int] = []
        self.add(self.ops.params, EFFECT, *(Operand(self.fresh(), DEF, FIXED, reg) for reg in (0, 1, 2)))
        self.env += [0, 1, 2]
        for _ in range(size):
            self.step()
        self.add(self.ops.ret, TERM | FLAGS["exit"], *(self.use() for _ in range(3)))

    def fresh(self) -> int:
        self.f.vregs.append((0, 8))
        return len(self.f.vregs) - 1

    def add(self, op: int, flags: int, *operands: Operand, **more: int) -> None:
        self.block.insts.append(Inst(op, 8, flags, list(operands), imm=len(self.block.insts), **more))

    def use(self) -> Operand:
        recent = self.env[-6:] if self.rng.random() < 0.7 else self.env
        return Operand(self.rng.choice(recent), USE, REG)

    def step(self) -> None:
        kind = self.rng.randrange(12)
        new = self.fresh()
        if kind < 4:
            op = self.rng.choice((self.ops.add, self.ops.multiply))
            self.add(op, SETS, Operand(new, DEF, SAME, 1), self.use(), self.use())
        elif kind < 5:
            self.add(self.ops.number, 0, Operand(new, DEF, REG))
        elif kind < 7:
            self.add(self.ops.load, TRAPS | EFFECT, Operand(new, DEF, REG), self.use(), scale=0)
        elif kind < 8:
            self.add(
                self.ops.folded, TRAPS | EFFECT | SETS, Operand(new, DEF, SAME, 1), self.use(), self.use(), scale=0
            )
        elif kind < 9:
            self.add(self.ops.store, TRAPS | EFFECT, self.use(), self.use(), scale=0)
            return
        elif kind < 10:
            self.add(self.ops.address, 0, Operand(new, DEF, REG), self.use())
        else:
            self.add(self.ops.compare, SETS, self.use(), self.use())
            if self.rng.random() < 0.3:
                between = self.fresh()
                self.add(self.ops.address, 0, Operand(between, DEF, REG), self.use())
                self.env.append(between)
            if self.rng.random() < 0.2:
                self.add(
                    self.ops.store, TRAPS | EFFECT, self.use(), self.use(), scale=0
                )  # flags alive across an effect
            self.add(self.ops.set, READS, Operand(new, DEF, REG), cc=4)
        self.env.append(new)


def behaviour(f: MFunction, ops: Ops) -> tuple[dict[int, Any], list[Any]]:
    """Run one block symbolically: what each value is made of, and what traps, writes and returns in which order."""
    values: dict[int, Any] = {}
    events: list[Any] = []
    flags: Any = None
    memory = 0
    for inst in f.blocks[0].insts:
        inputs = tuple(values[o.vreg] for o in inst.operands if o.reads)
        meaning = hash((inst.op, inst.imm, inputs, flags if inst.flags & READS else 0))
        if inst.flags & TRAPS:
            meaning = hash((meaning, memory))
            events.append(meaning)
        if inst.op == ops.store:
            memory = meaning
        if inst.flags & SETS:
            flags = hash(("flags", meaning))
        for o in inst.operands:
            if o.defines:
                assert o.vreg not in values
                values[o.vreg] = hash((meaning, o.reg if o.constraint == FIXED else 0))
        if inst.flags & TERM:
            events.append(inputs)
    return values, events


@pytest.mark.parametrize("chunk", range(8))
def test_a_schedule_computes_traps_and_writes_the_same(ops, chunk):
    """Random blocks with registers, flags and memory behave the same before and after; many did change."""
    scheduler = Scheduler()
    for seed in range(chunk * 60, chunk * 60 + 60):
        f = Writer(ops, seed, 4 + seed % 97).f
        m = build(f)
        scheduler.schedule(m)
        after = snapshot(m)
        assert behaviour(after, ops) == behaviour(f, ops), seed
        assert sorted(map(str, after.blocks[0].insts)) == sorted(map(str, f.blocks[0].insts)), seed
    assert scheduler.moved > 30


def test_a_schedule_is_the_same_every_time_whatever_came_before(ops):
    """One scheduler for many functions and a fresh one for each agree."""
    shared = Scheduler()
    for seed in range(40):
        first, second = build(Writer(ops, seed, 80).f), build(Writer(ops, seed, 80).f)
        shared.schedule(first)
        Scheduler().schedule(second)
        assert str(snapshot(first)) == str(snapshot(second))


def test_what_is_compared_with_zero_stays_before_the_comparison(ops):
    """Flags that a computation leaves can be used only there: nothing comes between the two."""
    scheduler, found = Scheduler(), 0
    for seed in range(60):
        f = Writer(ops, seed, 60).f
        rng, insts = random.Random(seed), []
        for inst in f.blocks[0].insts:
            insts.append(inst)
            if inst.flags == SETS and inst.operands[0].defines and rng.random() < 0.5:
                f.vregs.append((0, 8))
                insts.append(Inst(ops.compare, 8, SETS, [Operand(inst.operands[0].vreg, USE, REG)]))
                insts.append(Inst(ops.set, 8, READS, [Operand(len(f.vregs) - 1, DEF, REG)], cc=4))
        f.blocks[0].insts = insts
        m = build(f)
        scheduler.schedule(m)
        after = snapshot(m).blocks[0].insts
        assert behaviour(snapshot(m), ops) == behaviour(f, ops), seed
        for before, test in pairwise(after):
            if test.op == ops.compare and len(test.operands) == 1:
                assert before.operands[0].vreg == test.operands[0].vreg, seed
                found += 1
    assert scheduler.moved > 30
    assert found > 300


def test_a_long_latency_starts_early(ops):
    """A load whose result ends the longest chain goes before arithmetic that can wait."""
    f = MFunction(ops.target)
    f.vregs = [(0, 8)] * 12
    block = Block(0, [])
    f.blocks.append(block)

    def add(op: int, flags: int, *operands: Operand, **more: int) -> None:
        block.insts.append(Inst(op, 8, flags, list(operands), **more))

    def use(v: int) -> Operand:
        return Operand(v, USE, REG)

    add(ops.params, EFFECT, Operand(0, DEF, FIXED, 0), Operand(1, DEF, FIXED, 1))
    for new in range(2, 8):
        add(ops.multiply, SETS, Operand(new, DEF, SAME, 1), use(max(new - 1, 1)), use(1))
    add(ops.load, TRAPS | EFFECT, Operand(8, DEF, REG), use(0), scale=0)
    add(ops.multiply, SETS, Operand(9, DEF, SAME, 1), use(8), use(0))
    add(ops.multiply, SETS, Operand(10, DEF, SAME, 1), use(9), use(9))
    add(ops.multiply, SETS, Operand(11, DEF, SAME, 1), use(10), use(10))
    add(ops.ret, TERM | FLAGS["exit"], use(7), use(11))
    m = build(f)
    Scheduler().schedule(m)
    order = [inst.op for inst in snapshot(m).blocks[0].insts]
    assert order.index(ops.load) <= 2
    assert behaviour(snapshot(m), ops) == behaviour(f, ops)


def test_pressure_does_not_grow_beyond_the_registers(ops):
    """Twenty loads that are summed at once stay where they are: to load them all first would spill."""
    f = MFunction(ops.target)
    block = Block(0, [])
    f.blocks.append(block)
    f.vregs = [(0, 8)] * 41
    block.insts.append(Inst(ops.params, 8, EFFECT, [Operand(0, DEF, FIXED, 0)]))
    last = 0
    for i in range(20):
        loaded, total = 2 * i + 1, 2 * i + 2
        block.insts.append(
            Inst(ops.load, 8, TRAPS | EFFECT, [Operand(loaded, DEF, REG), Operand(0, USE, REG)], scale=0)
        )
        operands = [Operand(total, DEF, SAME, 1), Operand(loaded, USE, REG), Operand(last, USE, REG)]
        block.insts.append(Inst(ops.multiply, 8, SETS, operands))
        last = total
    block.insts.append(Inst(ops.ret, 8, TERM | FLAGS["exit"], [Operand(last, USE, REG), Operand(0, USE, REG)]))
    m = build(f)
    Scheduler().schedule(m)
    alive, peak = 0, 0
    remaining = {v: sum(o.vreg == v and o.reads for i in block.insts for o in i.operands) for v in range(41)}
    for inst in snapshot(m).blocks[0].insts:
        for o in inst.operands:
            if o.reads:
                remaining[o.vreg] -= 1
                alive -= remaining[o.vreg] == 0
            elif o.vreg != NO_VREG:
                alive += 1
        peak = max(peak, alive)
    assert peak <= len(ops.target.classes[0].order) - 2


def test_every_row_and_computing_pseudo_operation_has_a_timing():
    """A row without a timing would be an error at generation; latencies are positive and somebody's port is free."""
    for row in ROWS:
        found = timing(row.name)
        assert isinstance(found, Timing) and found.latency >= 1 and found.ports
        assert row.name.partition("_")[0] not in CONTROL or found == Timing(1)
    assert timing("add_rm").latency == timing("add_rr").latency + 5
    assert set(PSEUDO_TIMINGS) <= set(PSEUDO)
