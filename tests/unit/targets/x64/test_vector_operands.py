"""What an instruction reads where an operand is in a slot: never more bytes than the value has there."""

from __future__ import annotations

import pytest

from stratavm.machine.mfunc import ANY, Inst, MFunction, op_name
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.spec.index import BY_ID
from stratavm.spec.record import Row as Operation
from stratavm.targets.x64.encodings import ROWS
from stratavm.targets.x64.encodings_row import Row

NUMBERS = {"i": "i32", "I": "i64", "f": "f32", "F": "f64", "v": "v128", "a": "i32"}
IMMEDIATES = {
    (): "", ("lane",): "0", ("memarg",): "", ("memarg", "lane"): "0", ("v128",): "i64x2 1 2",
    ("lanes16",): "0 17 2 19 4 21 6 23 8 25 10 27 12 29 14 31",
}  # fmt: skip
SIZES = {"b": 1, "h": 2, "d": 4, "q": 8, "x": 16}
SLOT = 8
OLD = frozenset({"sse42", "popcnt"})
BY_NAME = {row.name: row for row in ROWS}


def text() -> str:
    """A function for each operation of vectors: of its parameters, and of what is computed, stored and loaded first."""
    functions = []
    for row in BY_ID.values():
        if row.prefix != 0xFD:
            continue
        params = " ".join(NUMBERS[letter] for letter in row.operands)
        results = " ".join(NUMBERS[letter] for letter in row.results)
        call = (
            f"({row.mnemonic} {IMMEDIATES[row.imms]} {' '.join(f'(local.get {i})' for i in range(len(row.operands)))})"
        )
        functions.append(f"(func (param {params}) (result {results}) {call})")
        functions.append(f"(func (param {params}) (result {results}) (call $away) {call})")
        functions += [f"(func (param {params}) (result v128) {twice(row)})"] if row.results == "v" else []
    return f"(module (memory 1) (func $away) {' '.join(functions)})"


def twice(row: Operation) -> str:
    """The operation of what it gave, where it takes a vector first; constants and lanes beside it."""
    gets = [f"(local.get {i})" for i in range(len(row.operands))]
    once = f"({row.mnemonic} {IMMEDIATES[row.imms]} {' '.join(gets)})"
    if row.operands[:1] != "v":
        return f"(i8x16.add {once} (f32x4.splat (f32.load (i32.const 4))))"
    return f"({row.mnemonic} {IMMEDIATES[row.imms]} {' '.join([once, *gets[1:]])})"


def form(row: Row) -> tuple[int, ...]:
    """What tells an instruction from others, whatever its operands are."""
    return row.opcode, row.escape, row.prefix, row.wmode, row.imm, row.digit


def read_of(row: Row, number: int, width: int) -> int:
    """Bytes that an instruction reads in the place of an operand that is in memory."""
    if number != row.rm:
        raise AssertionError(f"{row.name}: operand {number} cannot be in memory")
    twins = [r for r in ROWS if r.mem and form(r) == form(row) and (r.reg == row.reg or row.reg > 200)]
    twins = [r for r in twins if width in r.widths]
    sizes = {word[2:] for r in twins for word in r.syntax if word.startswith("m:")}
    sizes = sizes or {word[2:] for word in row.syntax if word.startswith(f"{number}:")}
    return max(width if size == "w" else SIZES[size] for size in sizes)


def wrong(function: MFunction, inst: Inst) -> list[str]:
    """Operands of which more would be read than there is."""
    row = BY_NAME.get(op_name(inst.op, function.target))
    if row is None or row.load:
        return []
    found = []
    for number, operand in enumerate(inst.operands[: len(row.operands)]):
        if operand.constraint == ANY and operand.reads:
            have = max(SLOT, function.vregs[operand.vreg][1])
            if read_of(row, number, inst.width) > have:
                found.append(f"{row.name}.{inst.width}: operand {number} has {have} bytes")
    return found


@pytest.mark.parametrize("features", [None, OLD], ids=["native", "v2"])
@pytest.mark.parametrize("level", [0, 1])
def test_no_operand_is_read_beyond_its_slot(level, features):
    """Else a guest would see what others left on the stack, and a slot of eight bytes may lie anywhere."""
    valid = validate(parse_module(text()))
    compiler = wasm_compiler(valid, Options(machine=MACHINE_LEVELS[level], level=level, features=features))
    looked_at = 0
    with compiler.worker() as worker:
        for index in range(len(valid.module.functions)):
            worker.build(compiler.front, index)
            function = worker.machine_ir("minst")
            for block in function.blocks:
                for inst in block.insts:
                    assert not wrong(function, inst), f"function {index}"
                    looked_at += any(o.constraint == ANY and function.vregs[o.vreg][1] == 16 for o in inst.operands)
    assert looked_at > 200


def test_a_planted_one_is_found():
    """The number of a splat, read from its slot as 16 bytes."""
    source = "(module (func (param f32) (result v128) (f32x4.splat (local.get 0))))"
    compiler = wasm_compiler(validate(parse_module(source)), Options(features=OLD))
    with compiler.worker() as worker:
        worker.build(compiler.front, 0)
        function = worker.machine_ir("minst")
    splats = [i for b in function.blocks for i in b.insts if op_name(i.op, function.target) == "pshufd_rri"]
    assert [wrong(function, inst) for inst in splats] == [[]]
    splats[0].operands[1].constraint = ANY
    assert wrong(function, splats[0]) == ["pshufd_rri.16: operand 1 has 8 bytes"]
