"""Functions without a frame: who has none, and what traps in them tell."""

from __future__ import annotations

import pytest

import stratavm
from stratavm.contract import layout
from stratavm.machine.code import NO_FRAME
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import Options, wasm_compiler

FRAME = b"\x55\x48\x8b\xec"
"""``push rbp; mov rbp, rsp``."""
LEVELS = ["jit0", "jit1"]


def code_of(body: str, types: str = "(param i64) (result i64)", **options: bool) -> bytes:
    """The code of a module's first function."""
    valid = validate(parse_module(f"(module (memory 1) (func {types} {body}) (func $f))"))
    return bytes(wasm_compiler(valid, Options(**options)).compile(0).code)


def chain(steps: int) -> str:
    """A body of so many dependent steps."""
    return "local.get 0" + " i64.const 3 i64.xor" * steps


def test_a_short_function_that_calls_nothing_has_none():
    """It does not poll either, and returns at once."""
    code = code_of(chain(20))
    assert not code.startswith(FRAME)
    assert code.endswith(b"\xc3")


@pytest.mark.parametrize(
    ("body", "types"),
    [
        (chain(80), "(param i64) (result i64)"),
        ("(call $f) i64.const 1", "(param i64) (result i64)"),
        ("(loop (br_if 0 (i64.eqz (local.get 0)))) i64.const 1", "(param i64) (result i64)"),
        ("(drop (memory.grow (i32.const 1))) i64.const 1", "(param i64) (result i64)"),
        ("local.get 6", "(param i64 i64 i64 i64 i64 i64 i64) (result i64)"),
    ],
    ids=["long", "calls", "loops", "builtin", "parameters on the stack"],
)
def test_others_have_one(body, types):
    """A million calls of one in a row may be written down; between them there is a poll, or little time passes."""
    assert code_of(body, types).startswith(FRAME)


def test_compiler_and_runtime_mean_the_same_bit():
    """The one marks traps with it, the other looks for return addresses by it."""
    assert NO_FRAME == layout.NO_FRAME


def test_who_is_counted_has_one():
    """A tick finds functions by their polls."""
    assert code_of(chain(20), counting=True).startswith(FRAME)


@pytest.mark.parametrize("tier", LEVELS)
def test_a_trap_without_a_frame_names_all_callers(tier):
    """Through a table, so that nothing is inlined; the instance of the middle one is another."""
    engine = stratavm.Engine(stratavm.Config(tier=tier))
    store = stratavm.Store(engine)
    table = stratavm.Table.new(store, "funcref", 1, 1)
    inner = stratavm.Module(
        """(module (import "m" "t" (table 1 1 funcref)) (memory 1) (elem (i32.const 0) $load)
        (func $load (param i32) (result i32) (i32.load (local.get 0))))""",
        engine,
    )
    linker = stratavm.Linker(engine)
    linker.define("m", "t", table)
    linker.instantiate(store, inner)
    outer = linker.instantiate(store, stratavm.Module(
        """(module (import "m" "t" (table 1 1 funcref))
        (func $middle (param i32) (result i32) (i32.add (i32.const 1)
          (call_indirect (param i32) (result i32) (local.get 0) (i32.const 0))))
        (func (export "run") (param i32) (result i32) (i32.add (i32.const 1) (call $middle (local.get 0)))))""", engine,
    ))  # fmt: skip
    assert outer.exports.run(0) == 2
    with pytest.raises(stratavm.Trap) as caught:
        outer.exports.run(65536)
    assert [frame.func for frame in caught.value.frames] == [0, 0, 1]
