"""Code and its tables depend on nothing that lies before a body in the binary; backtraces name places in the binary."""

from __future__ import annotations

import pytest

import stratavm
from stratavm.machine.code import Code
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import Options, wasm_compiler
from tests.unit.front.test_stack_language import LEVEL_1

BODIES = """
(func $divide (param i32) (result i32) (i32.div_u (i32.const 1) (local.get 0)))
(func (export "run") (param i32) (result i32) (i32.add (call $divide (local.get 0)) (i32.load (local.get 0))))"""
BEFORE = '(func $first (result f64) (f64.const 1.5)) (func (export "other") (result f64) (call $first))'


def compiled(text: str, functions: int, options: Options) -> list[Code]:
    """The last functions of a module."""
    valid = validate(parse_module(text))
    count = len(valid.module.functions)
    return [wasm_compiler(valid, options).compile(i) for i in range(count - functions, count)]


@pytest.mark.parametrize("options", [Options(), LEVEL_1], ids=["level 0", "level 1"])
def test_what_lies_before_a_body_changes_neither_its_code_nor_its_tables(options):
    """Types, exports, names and whatever else comes first may grow: the code can be taken as it is."""
    plain = f"(module (memory 1) {BODIES})"
    moved = f'(module (memory (export "memory") 1) (global (export "g{"x" * 300}") i32 (i32.const 1)) {BODIES})'
    codes = compiled(plain, 2, options)
    assert codes == compiled(moved, 2, options)
    assert codes[0].trap_sites and codes[1].trap_sites


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1"])
@pytest.mark.parametrize("before", ["", BEFORE], ids=["first", "behind others"])
def test_frames_name_places_in_the_binary(tier, before):
    """Wherever the bodies lie, the offset of a frame is that of its instruction, inlined or not."""
    module = parse_module(f"(module (memory 1) {before} {BODIES})")
    binary = module.binary
    with pytest.raises(stratavm.Trap) as caught:
        stratavm.load(binary, tier=tier).exports.run(0)
    assert [binary[frame.offset] for frame in caught.value.frames] == [0x6E, 0x10]  # i32.div_u, call
