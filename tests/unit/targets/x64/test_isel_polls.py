"""Every poll taken, then on: nothing that lives across a poll may change."""

from __future__ import annotations

import pytest

from stratavm.contract import layout
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.native.compile import Options, wasm_compiler
from stratavm.spec.types import FuncType
from stratavm.targets.x64 import stubs
from tests.unit.targets.x64.native import Place, World
from tests.unit.targets.x64.ssa_build import Runner

EVERY_TIME = 2**64 - 1
SOURCE = """(module (memory 1)
(func $fib (param i32) (result i32)
  (if (result i32) (i32.lt_s (local.get 0) (i32.const 2)) (then (local.get 0))
    (else (i32.add
      (call $fib (i32.sub (local.get 0) (i32.const 1))) (call $fib (i32.sub (local.get 0) (i32.const 2)))))))
(func $busy (param i32 i64 i64 f64 f64 f32) (result i64 f64 f32)
  (local $a i64) (local $b i64) (local $x f64) (local $i i32)
  (local.set $a (i64.const 3)) (local.set $b (i64.const 5)) (local.set $x (f64.const 0.5))
  (loop $outer
    (local.set $i (i32.const 3))
    (loop $inner
      (local.set $a (i64.add (i64.mul (local.get $a) (local.get 1)) (local.get $b)))
      (local.set $b (i64.xor (i64.rotl (local.get $b) (i64.const 7)) (local.get 2)))
      (local.set $x (f64.add (f64.mul (local.get $x) (local.get 3)) (local.get 4)))
      (local.set 5 (f32.add (local.get 5) (f32.const 0.25)))
      (local.set 1 (i64.add (local.get 1) (i64.extend_i32_u (local.get $i))))
      (br_if $inner (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
    (br_if $outer (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
  (i64.add (local.get $a) (local.get $b)) (local.get $x) (local.get 5))
(func $many (param i32 i32 i32 i32 i32 i32 i32 i32 i32) (param f64 f64 f64 f64 f64 f64 f64 f64 f64) (result i32 f64)
  (loop $l (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
  (i32.add (local.get 1) (i32.mul (local.get 5) (i32.add (local.get 6) (i32.mul (local.get 7) (local.get 8)))))
  (f64.add (local.get 9) (f64.mul (local.get 16) (local.get 17))))
(func $walk (param i32 i32) (result i32)
  (loop $l
    (i32.store offset=4 (local.get 0) (i32.add (local.get 1) (i32.load (local.get 0))))
    (local.set 1 (i32.add (local.get 1) (local.get 0)))
    (br_if $l (local.tee 0 (i32.sub (local.get 0) (i32.const 4)))))
  (i32.load offset=4 (i32.const 4))))"""
CALLS = {
    0: [12],
    1: [7, 0x123456789ABCDEF, 0xFEDCBA987654321, 0x3FF8000000000000, 0x4000000000000000, 0x3F800000],
    2: [5, *range(10, 18), *(0x4000000000000000 + (i << 48) for i in range(9))],
    3: [24, 5],
}


def answers(world: World, runner: Runner, types: list[FuncType], options: Options) -> dict[int, list[int]]:
    """Results of all calls."""
    valid = validate(parse_module(SOURCE))
    compiler = wasm_compiler(valid, options)
    records = [runner.add(compiler.compile(i), types[i], i) for i in range(len(types))]
    found = {}
    for index, arguments in CALLS.items():
        status, found[index] = world.call(records[index], types[index], arguments)
        assert status == 0
    return found


@pytest.mark.parametrize("allocator", ["linear", "naive"])
@pytest.mark.parametrize("starved", [False, True])
def test_every_poll_is_taken_and_changes_nothing(monkeypatch, allocator, starved):
    """With poll_limit at its maximum every prologue and loop header goes the slow way; results are the same."""
    if starved:
        monkeypatch.setenv("STRATA_REGS", "4")
    module = validate(parse_module(SOURCE)).module
    types = [module.func_type(i) for i in range(4)]
    runner, seen, memory = Runner(), [], Place(32)
    world = runner.world
    runner.vmctx.write(layout.VMCTX.offset("mem0_base"), memory.address)
    world.builtin("poll", lambda exec_, vmctx, lowest: seen.append(vmctx) or 0, 1)
    world.exec.write(layout.EXEC.offset("poll_stub"), world.code(stubs.poll_stub()))
    options = Options(allocator=allocator)
    expected = answers(world, runner, types, options)
    assert not seen
    assert expected[0] == [144] and expected[3] == [85]
    world.exec.write(layout.EXEC.offset("poll_limit"), EVERY_TIME)
    assert answers(world, runner, types, options) == expected
    prologues, loops = 465 + 1 + 1 + 1, 7 + 7 * 3 + 5 + 6
    assert seen == [runner.vmctx.address] * (prologues + loops)
