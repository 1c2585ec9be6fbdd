"""Tail calls in a row in the least stack that there is. ``python -m tests.tail_calls`` makes 10^8 of them on machine
code, and 10^6 on the oracle; the tests make fewer."""

from __future__ import annotations

import time
from typing import Final

from stratavm import Config, Engine, Linker, Module, Store, StoreLimits

LEAST_STACK: Final = StoreLimits(stack_bytes=16 << 10)
"""Of which a guest may use what is above the reserve of handlers."""
PARITY: Final = """(module
  (func $even (export "even") (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 1))
      (else (return_call $odd (i32.sub (local.get 0) (i32.const 1))))))
  (func $odd (param i32) (result i32)
    (if (result i32) (i32.eqz (local.get 0)) (then (i32.const 0))
      (else (return_call $even (i32.sub (local.get 0) (i32.const 1))))))
  (func $sum (export "sum") (param $n i64) (param $sum i64) (result i64) (local $zero i64)
    (if (i64.eqz (local.get $n)) (then (return (i64.add (local.get $sum) (local.get $zero)))))
    (local.set $zero (i64.const 5))
    (return_call $sum (i64.sub (local.get $n) (i64.const 1)) (i64.add (local.get $sum) (local.get $n))))
  (func $forever (export "forever") (param i32) (result i32) (return_call $other (local.get 0)))
  (func $other (param i32) (result i32) (return_call $forever (i32.add (local.get 0) (i32.const 1))))
  (func $alone (export "alone") (return_call $alone)))"""
"""Two functions that call each other, and one that calls itself, whose locals are new each time."""
PONG: Final = """(module
  (type $t (func (param i32 i64) (result i64)))
  (global $own i64 (i64.const 1000)) (table $back (export "back") 1 1 funcref)
  (func (export "pong") (type $t)
    (return_call_indirect $back (type $t) (i32.sub (local.get 0) (i32.const 1))
      (i64.add (local.get 1) (global.get $own)) (i32.const 0))))"""
PING: Final = """(module
  (type $t (func (param i32 i64) (result i64)))
  (import "m" "pong" (func $pong (type $t))) (import "m" "back" (table $back 1 1 funcref))
  (global $own i64 (i64.const 3)) (elem declare func $ping)
  (func (export "join") (table.set $back (i32.const 0) (ref.func $ping)))
  (func $ping (export "ping") (type $t)
    (if (i32.eqz (local.get 0)) (then (return (local.get 1))))
    (return_call $pong (i32.sub (local.get 0) (i32.const 1)) (i64.add (local.get 1) (global.get $own))))
  (func (export "kept") (param i32) (result i64)
    (i64.add (call $ping (local.get 0) (i64.const 0)) (i64.mul (i64.const 7) (global.get $own)))))"""
"""Two instances that call each other: by an import, and through a table. Each adds a global of its own."""


def deep_calls(engine: Engine, count: int) -> None:
    """So many tail calls in a row: of two functions, and of one."""
    store = Store(engine, limits=LEAST_STACK)
    exports = Linker(engine).instantiate(store, Module(PARITY, engine=engine)).exports
    assert exports.even(count) == 1 - count % 2
    assert exports.sum(count, 7) == 7 + count * (count + 1) // 2


def main() -> None:
    """The full form."""
    for tier, count in (("jit0", 10**8), ("jit1", 10**8), ("auto", 10**8), ("oracle", 10**6)):
        begin = time.perf_counter()
        deep_calls(Engine(Config(tier=tier)), count)
        print(f"{tier}: {count:,} tail calls of two functions, and of one: {time.perf_counter() - begin:.2f} s")


if __name__ == "__main__":
    main()
