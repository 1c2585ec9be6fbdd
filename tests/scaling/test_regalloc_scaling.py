"""Register allocation is linear on the shapes that break allocators: twice the code, at most 2.6 times as long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import pytest

from stratavm.machine.mfunc import (
    ANY,
    CALL,
    DEF,
    FIXED,
    REG,
    SAME,
    TERMINATOR,
    USE,
    Block,
    Edge,
    Inst,
    MFunction,
    Operand,
)
from stratavm.machine.minst import build
from stratavm.machine.regalloc.allocator import KINDS, Allocator, allocate_function
from stratavm.machine.regalloc.checker import check
from stratavm.machine.target import mask
from stratavm.targets.x64.target import X64
from tests.scaling import measure

pytestmark = [pytest.mark.scaling, pytest.mark.trace_slow]
WORK, JUMP = 1100, 1025
RAX, RCX = 0, 1


class Builder:
    """Appends to a function; all values are general registers."""

    def __init__(self) -> None:
        self.f = MFunction(X64)
        self.count = 0

    def open(self, params: int = 0) -> list[int]:
        """A new block; returns its parameters."""
        values = [self.value() for _ in range(params)]
        self.f.blocks.append(Block(self.count, values))
        return values

    def value(self) -> int:
        """A new value."""
        self.f.vregs.append((0, 8))
        return len(self.f.vregs) - 1

    def emit(self, *operands: Operand, flags: int = 0) -> None:
        """An instruction."""
        self.f.blocks[-1].insts.append(Inst(WORK, 8, flags, list(operands)))
        self.count += 1

    def define(self) -> int:
        """A value from nowhere."""
        v = self.value()
        self.emit(Operand(v, DEF, REG))
        return v

    def add(self, a: int, b: int) -> int:
        """A two-address operation."""
        v = self.value()
        self.emit(Operand(v, DEF, SAME, 1), Operand(a, USE, REG), Operand(b, USE, ANY))
        return v

    def jump(self, *targets: int, args: tuple[int, ...] = ()) -> None:
        """End the block."""
        self.emit(flags=TERMINATOR)
        self.f.blocks[-1].edges = [Edge(t, list(args)) for t in targets]

    def here(self) -> int:
        """Number of the newest block."""
        return len(self.f.blocks) - 1


def live_values(n: int) -> MFunction:
    """n values, all alive at once, used in reverse."""
    b = Builder()
    b.open()
    values = [b.define() for _ in range(n)]
    last = values[-1]
    for v in reversed(values):
        last = b.add(last, v)
    b.jump()
    return b.f


def long_block(n: int) -> MFunction:
    """One block, a chain with a few values alive."""
    b = Builder()
    b.open()
    window = [b.define() for _ in range(8)]
    for i in range(n):
        window[i % 8] = b.add(window[i % 8], window[(i + 3) % 8])
    b.jump()
    return b.f


def nested_loops(n: int) -> MFunction:
    """n loops inside one another, each using a value from outside; back edges at the end."""
    b = Builder()
    b.open()
    value = b.define()
    b.jump(1)
    for i in range(n):
        b.open()
        value = b.add(value, value) if i % 8 else b.define()
        b.jump(i + 2)
    for i in range(n):
        b.open()
        b.emit(Operand(i, USE, ANY))
        b.jump(n - i, b.here() + 1)
    b.open()
    b.jump()
    return b.f


def joins(n: int) -> MFunction:
    """n diamonds; every join has parameters that the arms give in different order."""
    b = Builder()
    b.open()
    x, y = b.define(), b.define()
    for _ in range(n):
        at = b.here()
        b.jump(at + 1, at + 2)
        b.open()
        b.jump(at + 3, args=(x, y))
        b.open()
        b.jump(at + 3, args=(y, x))
        x, y = b.open(2)
    b.jump()
    return b.f


def calls(n: int) -> MFunction:
    """n calls with 50 values alive across all of them."""
    b = Builder()
    b.open()
    values = [b.define() for _ in range(50)]
    for i in range(n):
        result = b.value()
        b.emit(Operand(values[i % 50], USE, FIXED, RAX), Operand(result, DEF, FIXED, RAX), flags=CALL)
        b.add(result, values[(i * 7) % 50])
    for v in values:
        b.emit(Operand(v, USE, ANY))
    b.jump()
    return b.f


def fixed_operands(n: int) -> MFunction:
    """Half of the values live across the other half's fixed operands."""
    b = Builder()
    b.open()
    values = [b.define() for _ in range(n)]
    for v in values:
        d = b.value()
        b.emit(Operand(d, DEF, SAME, 1), Operand(v, USE, REG), Operand(v, USE, FIXED, RCX))
    for v in values:
        b.emit(Operand(v, USE, ANY))
    b.jump()
    return b.f


def wide_switch(n: int) -> MFunction:
    """One block with n successors, which meet again with an argument each."""
    b = Builder()
    b.open()
    v = b.define()
    b.jump(*range(1, n + 1))
    for _ in range(n):
        b.open()
        b.jump(n + 1, args=(v,))
    b.open(1)
    b.jump()
    return b.f


def parameters(n: int) -> MFunction:
    """A loop that rotates n parameters: one cycle of moves."""
    b = Builder()
    b.open()
    values = tuple(b.define() for _ in range(n))
    b.jump(1, args=values)
    params = b.open(n)
    b.emit(*(Operand(p, USE, ANY) for p in params[:3]))
    b.jump(2, 3)
    b.open()
    b.jump(1, args=(*params[1:], params[0]))
    b.open()
    for p in params:
        b.emit(Operand(p, USE, ANY))
    b.jump()
    return b.f


def calls_in_loops(n: int) -> MFunction:
    """n loops one after another, with a call in one of two ways; 30 values alive everywhere, some used in each."""
    b = Builder()
    b.open()
    values = [b.define() for _ in range(30)]
    b.jump(1)
    for i in range(n):
        at = b.here() + 1
        b.open()
        b.emit(Operand(values[i % 30], USE, REG), Operand(values[(i * 7) % 30], USE, ANY))
        b.jump(at + 1, at + 2)
        b.open()
        b.emit(flags=CALL)
        b.jump(at + 3)
        b.open()
        b.jump(at + 3)
        b.open()
        b.emit(Operand(values[(i * 11) % 30], USE, REG))
        b.jump(at + 4, at + 5)
        b.open()
        b.jump(at)
        b.open()
        b.jump(at + 6)
    b.open()
    for v in values:
        b.emit(Operand(v, USE, ANY))
    b.jump()
    return b.f


def pressure(n: int) -> MFunction:
    """One block in which 40 values take turns in the registers."""
    b = Builder()
    b.open()
    values = [b.define() for _ in range(40)]
    for i in range(n):
        b.emit(Operand(values[i % 40], USE, REG), Operand(values[(i * 7) % 40], USE, REG))
    b.jump()
    return b.f


def switches(n: int) -> MFunction:
    """n switches of eight ways over 20 values that live across the call of each."""
    b = Builder()
    b.open()
    values = [b.define() for _ in range(20)]
    b.emit(flags=CALL)
    for i in range(n):
        at = b.here()
        b.jump(*(at + 1 + k for k in range(8)))
        for k in range(8):
            b.open()
            b.emit(Operand(values[(i + k) % 20], USE, REG), flags=CALL if k == i % 8 else 0)
            b.jump(at + 9)
        b.open()
    for v in values:
        b.emit(Operand(v, USE, ANY))
    b.jump()
    return b.f


SHAPES: Final[tuple[tuple[Callable[[int], MFunction], int], ...]] = (
    (live_values, 100_000),
    (long_block, 100_000),
    (nested_loops, 20_000),
    (joins, 20_000),
    (calls, 40_000),
    (fixed_operands, 20_000),
    (wide_switch, 50_000),
    (parameters, 20_000),
    (calls_in_loops, 4_000),
    (pressure, 60_000),
    (switches, 4_000),
)


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(("shape", "n"), SHAPES, ids=lambda p: getattr(p, "__name__", ""))
def test_allocation_is_linear(shape, n, kind):
    """And linear scan does not give any of these to the naive allocator."""
    allocator = Allocator(X64, kind)

    def allocating(f: MFunction) -> Callable[[], None]:
        built = build(f)
        return lambda: allocator.run(built)

    measure.check(allocating, shape, n // 2)
    assert allocator.fallbacks == 0


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize("registers", [X64.allocatable, mask(X64.starved)], ids=["all", "starved"])
@pytest.mark.parametrize("shape", [shape for shape, _ in SHAPES], ids=lambda shape: shape.__name__)
def test_the_shapes_are_allocated_rightly(shape, registers, kind):
    """The same shapes, small, through the checker."""
    check(allocate_function(shape(120), kind, registers), registers)
