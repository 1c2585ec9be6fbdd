"""Ctrl-C in loops that are no ``loop``: tail calls, and exceptions that a guest throws and catches for ever."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import stratavm

LOOPS = """(module
  (import "env" "host" (func $host))
  (type $none (func)) (table 1 funcref) (elem (i32.const 0) $table) (elem declare func $reference)
  (tag $e (export "e") (param i32))
  (func $throw (throw $e (i32.const 1)))
  (func $self (export "a tail call of itself") (return_call $self))
  (func $there (export "two that call each other") (return_call $back))
  (func $back (return_call $there))
  (func $table (export "through a table") (return_call_indirect (type $none) (i32.const 0)))
  (func $reference (export "through a reference") (return_call_ref $none (ref.func $reference)))
  (func (export "thrown and caught in a frame")
    (loop $l (block $h (result i32) (try_table (catch $e $h) (throw $e (i32.const 1))) (unreachable)) (drop) (br $l)))
  (func (export "thrown by a callee")
    (loop $l (block $h (try_table (catch_all $h) (call $throw)) (unreachable)) (br $l)))
  (func (export "kept and thrown again")
    (loop $l
      (block $h
        (try_table (catch_all $h)
          (block $r (result exnref) (try_table (catch_all_ref $r) (call $throw)) (unreachable))
          (throw_ref))
        (unreachable))
      (br $l)))
  (func (export "in the older form")
    (loop $l (try (do (try (do (call $throw)) (catch_all (rethrow 0)))) (catch $e (drop))) (br $l)))
  (func (export "thrown by the host")
    (loop $l (block $h (try_table (catch_all $h) (call $host)) (unreachable)) (br $l)))
  (func $down (export "a tail call out of a handler")
    (block $h (try_table (catch_all $h) (call $throw)) (unreachable)) (return_call $down)))"""
SCRIPT = """
import os, signal, sys
import stratavm
from tests.threads import in_a_call
from tests.unit.engine.test_ctrl_c import LOOPS

signal.signal(signal.SIGINT, signal.default_int_handler)  # nohup and jobs in the background come with it ignored
engine = stratavm.Engine(tier=sys.argv[1])
module = stratavm.Module(LOOPS, engine=engine)

def host():
    raise stratavm.WasmException(instance.exports.e, (1,))

for export in module.exports:
    if export.kind != "func":
        continue
    store = stratavm.Store(engine)
    linker = stratavm.Linker(engine)
    linker.define("env", "host", host)
    instance = linker.instantiate(store, module)
    thread = in_a_call(store, lambda: os.kill(os.getpid(), signal.SIGINT), 0.05)
    try:
        instance.exports[export.name]()
    except KeyboardInterrupt:
        print("ended:", export.name)
    thread.join()
"""


@pytest.mark.trace_slow
@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1", "auto"])
def test_ctrl_c_ends_each_loop(tier):
    """KeyboardInterrupt comes out of the call: no handler of a guest sees it, and no loop goes without a poll."""
    root = Path(stratavm.__file__).parents[2]
    environment = {**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"}
    command = [sys.executable, "-c", SCRIPT, tier]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, env=environment)
    assert done.returncode == 0, done.stderr
    names = [export.name for export in stratavm.Module(LOOPS).exports if export.kind == "func"]
    assert done.stdout.splitlines() == [f"ended: {name}" for name in names]
