"""Claims about jumps: short where they reach, and everything else follows, alone and in the code of whole functions."""

from __future__ import annotations

import random
from functools import cache
from itertools import pairwise

import capstone
import pytest

from stratavm.ir.pipeline import LEVELS
from stratavm.machine.code import Code
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, compile_function
from stratavm.targets.x64.assemble import sequence
from stratavm.targets.x64.regs import CONDITIONS, CPU_FEATURES
from tests.bench.dwarfs import DWARFS, FOLDER

MACHINE = capstone.Cs(capstone.CS_ARCH_X86, capstone.CS_MODE_64)
MACHINE.detail = True
CPU = frozenset(CPU_FEATURES[1:])
LEVEL = {
    0: Options(features=CPU),
    1: Options(features=CPU, allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1]),
}


@pytest.mark.parametrize("condition", range(-1, 16))
@pytest.mark.parametrize("gap", [0, 1, 100, 124, 125, 126, 127, 128, 129, 130, 5000])
@pytest.mark.parametrize("backward", [True, False])
def test_a_jump_reaches_its_label(gap, condition, backward):
    """Near labels get the two-byte form, whichever side they are on; every form lands on the label."""
    bind, jump, fill = ("bind", 0, 0), ("jump", 0, condition), ("fill", gap, 0)
    code, begins, _ = sequence([bind, fill, jump] if backward else [jump, fill, bind])
    at = begins[2] if backward else 0
    _, size, mnemonic, text = next(MACHINE.disasm_lite(code[at:], at))
    assert mnemonic == ("jmp" if condition < 0 else f"j{CONDITIONS[condition]}")
    assert int(text, 0) == (0 if backward else size + gap)
    assert size == (2 if gap <= (126 if backward else 127) else 5 if condition < 0 else 6)


def steps_of(seed: int) -> list[tuple[str, int, int]]:
    """Jumps to and fro across code and paddings, every label bound once."""
    rng = random.Random(seed)
    labels = rng.randrange(1, 24)
    steps = [("bind", label, 0) for label in range(labels)]
    for _ in range(rng.randrange(80)):
        kind = rng.random()
        if kind < 0.5:
            steps.append(("jump", rng.randrange(labels), rng.randrange(-1, 16)))
        elif kind < 0.9 or seed % 2:
            steps.append(("fill", rng.choice((0, 1, 2, 3, 7, 20, 60)), 0))
        else:
            steps.append(("align", rng.choice((2, 16, 32, 64)), 0))
    rng.shuffle(steps)
    return steps


@pytest.mark.parametrize("seed", range(300))
def test_jumps_positions_and_paddings_agree(seed):
    """Read back step by step: fillings are whole, paddings are no longer than they must be, what was noted as the
    begin and the end of each step is where it is now, and each jump goes to its label."""
    steps = steps_of(seed)
    code, begins, ends = sequence(steps)
    at, labels, jumps, longest, paddings = 0, {}, [], [0], []
    for (kind, a, b), begin, end in zip(steps, begins, ends, strict=True):
        start = at
        if kind == "fill":
            assert code[at : at + a] == b"\xf4" * a
            at += a
        elif kind == "bind":
            labels[a] = at
        elif kind == "align":
            at += -at % a
            moved = False
            if a == 32:
                assert end in (at, at + 32)
                moved, at = end > at, end
            paddings.append((a, moved, at, len(jumps)))
            assert {i[2] for i in MACHINE.disasm_lite(code[start:at], 0)} <= {"nop"}
        else:
            _, size, mnemonic, text = next(MACHINE.disasm_lite(code[at:], at))
            assert mnemonic == ("jmp" if b < 0 else f"j{CONDITIONS[b]}")
            at += size
            jumps.append((start, size, a, int(text, 0), len(longest)))
        longest.append(longest[-1] + (5 + (b >= 0) if kind == "jump" else at - start))
        if kind == "jump" or (kind == "fill" and a):
            assert (begin, end) == (start, at)
    assert at == len(code)
    bound = {a: i for i, (kind, a, _) in enumerate(steps) if kind == "bind"}
    for start, size, label, target, behind in jumps:
        assert target == labels[label]
        if size > 2 and all(
            kind != "align" for kind, *_ in steps[min(behind, bound[label]) : max(behind, bound[label])]
        ):
            assert longest[bound[label]] - longest[behind] > 127 or start - target > 126
    choosing = any(moved for _, moved, *_ in paddings)  # where a jump would not reach, nothing is chosen
    for (a, moved, _, first), (_, _, end, _) in pairwise([*paddings, (0, False, at + 1, 0)]):
        if a == 32:
            split, other = (
                sum(start % 64 == 63 - shift for start, size, *_ in jumps[first:] if size == 2 and start < end)
                for shift in (0, 32)
            )
            assert split < other if moved else split <= other or not choosing


CROSSING = [("align", 32, 0), ("fill", 31, 0), ("jump", 1, 4), ("bind", 1, 0)]
"""At half a line a short jump lies across the end of the line, at a whole one not."""


@pytest.mark.parametrize(
    ("before", "at"),
    [
        (1, 95),  # the next place for the loop is half a line: it goes on to the whole one
        (33, 95),  # that is the next one
        (64, 95),
        (65, 159),
    ],
)
def test_a_loop_begins_at_the_half_of_a_line_where_its_jumps_are_whole(before, at):
    """A short jump across the end of a line costs time."""
    code, begins, _ = sequence([("fill", before, 0), *CROSSING])
    assert begins[3] == at
    assert next(MACHINE.disasm_lite(code[at:], at))[1:3] == (2, "je")


def test_a_loop_goes_nowhere_where_jumps_across_its_head_would_not_reach():
    """They are short already, so the nearest place is taken, whatever lies across lines there."""
    back = [("bind", 0, 0), *[("jump", 0, -1)] * 9]
    inner = [("align", 32, 0), ("fill", 63, 0), ("jump", 2, 4), ("bind", 2, 0)]
    code, begins, _ = sequence([*back, ("jump", 1, 4), ("fill", 13, 0), *inner, ("bind", 1, 0)])
    assert begins[14] == 127
    assert next(MACHINE.disasm_lite(code[18:], 18)) == (18, 2, "je", "0x81")
    free = sequence([*back, ("fill", 2, 0), ("fill", 13, 0), *inner])
    assert free[1][14] == 159


@cache
def functions(name: str, level: int) -> list[tuple[Code, list[capstone.CsInsn]]]:
    """Each function of a program: what was made of it, and its instructions up to its tables and constants."""
    valid = validate(parse_module((FOLDER / f"{name}.wat").read_text()))
    found = []
    for index in range(len(valid.bodies)):
        code = compile_function(valid, index, options=LEVEL[level])
        found.append((code, instructions(code.code)))
    return found


def instructions(code: bytes) -> list[capstone.CsInsn]:
    """Up to the first place that an instruction names by its distance: tables and constants are behind the code."""
    found, end = [], len(code)
    for inst in MACHINE.disasm(code, 0):
        if inst.address >= end or inst.mnemonic == "int3":
            break
        found.append(inst)
        for o in inst.operands:
            if o.type == capstone.x86.X86_OP_MEM and o.mem.base == capstone.x86.X86_REG_RIP:
                end = min(end, inst.address + inst.size + o.mem.disp)
    return found


def jumps(insts: list[capstone.CsInsn]) -> list[capstone.CsInsn]:
    """Direct jumps."""
    return [i for i in insts if i.mnemonic[0] == "j" and i.operands[0].type == capstone.x86.X86_OP_IMM]


@pytest.mark.parametrize("level", LEVEL)
@pytest.mark.parametrize("name", DWARFS)
def test_every_jump_lands_on_an_instruction_and_is_as_short_as_it_can_be(name, level):
    """A long one is out of reach, but for what paddings between may have made of it."""
    for _, insts in functions(name, level):
        starts = {i.address for i in insts}
        for jump in jumps(insts):
            target = jump.operands[0].imm
            assert target in starts
            if jump.size > 2:
                low, high = sorted((jump.address, target))
                padded = sum(i.mnemonic == "nop" or not i.address % 32 for i in insts if low <= i.address < high)
                assert high - low > 100 or padded


@pytest.mark.parametrize("level", LEVEL)
@pytest.mark.parametrize("name", DWARFS)
def test_the_tables_follow(name, level):
    """A return site is behind a call, a trap site at an instruction that divides, stops or reads or writes memory."""
    for code, insts in functions(name, level):
        at = {i.address: i for i in insts}
        calls = {i.address + i.size for i in insts if i.mnemonic == "call"}
        assert {site.pc for site in code.return_sites} <= calls
        assert len(calls) == len(code.return_sites)
        for site in code.trap_sites:
            fault = at[site.pc]
            assert fault.mnemonic in ("hlt", "div", "idiv") or "[" in fault.op_str, fault
        assert sum(i.mnemonic == "hlt" for i in insts) == sum(at[s.pc].mnemonic == "hlt" for s in code.trap_sites)


def test_padding_still_ends_where_it_should():
    """Behind padding in the body, a loop begins at a multiple of 32; there is much of it that shrank or grew."""
    found = 0
    for name in DWARFS:
        for _, insts in functions(name, 1):
            for pad, loop in pairwise(insts):
                if pad.mnemonic == "nop" and loop.mnemonic != "nop":
                    assert loop.address % 32 == 0, name
                    found += 1
    assert found > 50
