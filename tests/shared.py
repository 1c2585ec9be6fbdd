"""Guests that share a memory, and threads that run them, for tests."""

import threading
import time
from collections.abc import Callable
from typing import Any

from stratavm import Engine, Linker, Module, SharedMemory, Store

SOURCE = """(module
  (import "m" "memory" (memory 1 100 shared))
  (export "memory" (memory 0))
  (func (export "add") (param i32 i32) (result i32) (i32.atomic.rmw.add (local.get 0) (local.get 1)))
  (func (export "load") (param i32) (result i32) (i32.load (local.get 0)))
  (func (export "store") (param i32 i32) (i32.store (local.get 0) (local.get 1)))
  (func (export "size") (result i32) (memory.size))
  (func (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func (export "wait") (param i32 i32 i64) (result i32)
    (memory.atomic.wait32 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "wait64") (param i32 i64 i64) (result i32)
    (memory.atomic.wait64 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "notify") (param i32 i32) (result i32) (memory.atomic.notify (local.get 0) (local.get 1)))
  (func (export "count") (param $n i32)
    (loop $next
      (drop (i32.atomic.rmw.add (i32.const 64) (i32.const 1)))
      (br_if $next (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))
  (func (export "spin") (param $me i32) (param $turns i32)
    (loop $next
      (loop $again (br_if $again (i32.ne (i32.atomic.load (i32.const 128)) (local.get $me))))
      (i32.atomic.store (i32.const 128) (i32.sub (i32.const 1) (local.get $me)))
      (br_if $next (local.tee $turns (i32.sub (local.get $turns) (i32.const 1))))))
  (func (export "ping") (param $me i32) (param $turns i32)
    (loop $next
      (block $mine
        (loop $again
          (br_if $mine (i32.eq (i32.atomic.load (i32.const 192)) (local.get $me)))
          (drop (memory.atomic.wait32 (i32.const 192) (i32.sub (i32.const 1) (local.get $me)) (i64.const -1)))
          (br $again)))
      (i32.atomic.store (i32.const 192) (i32.sub (i32.const 1) (local.get $me)))
      (drop (memory.atomic.notify (i32.const 192) (i32.const 1)))
      (br_if $next (local.tee $turns (i32.sub (local.get $turns) (i32.const 1))))))
  (func (export "walk") (param $turns i32) (local $at i32)
    (loop $next
      (local.set $at (i32.shl (memory.size) (i32.const 16)))
      (i32.store (i32.sub (local.get $at) (i32.const 4)) (local.get $turns))
      (drop (i32.atomic.rmw.add (i32.sub (local.get $at) (i32.const 8)) (i32.const 1)))
      (br_if $next (local.tee $turns (i32.sub (local.get $turns) (i32.const 1)))))))"""
TIERS = ("oracle", "jit0", "jit1", "auto")
_modules: dict[Engine, Module] = {}


def guest(engine: Engine, memory: SharedMemory, store: Store | None = None) -> Any:
    """An instance in a store of its own, unless one is given."""
    if engine not in _modules:
        _modules[engine] = Module(SOURCE, engine=engine)
    linker = Linker(engine)
    linker.define("m", "memory", memory)
    return linker.instantiate(store or Store(engine), _modules[engine])


def until(true: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait for something that other threads bring about."""
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.001)


class Threads:
    """Threads that call functions, what these returned, and what they raised instead."""

    def __init__(self, *calls: Callable[[], Any]) -> None:
        self.results: list[Any] = [None] * len(calls)
        self.threads = [threading.Thread(target=self._run, args=item, daemon=True) for item in enumerate(calls)]
        for thread in self.threads:
            thread.start()

    def _run(self, index: int, call: Callable[[], Any]) -> None:
        try:
            self.results[index] = call()
        except BaseException as error:
            self.results[index] = error

    def join(self, seconds: float = 60.0) -> list[Any]:
        """What came of all of them."""
        end = time.monotonic() + seconds
        for thread in self.threads:
            thread.join(max(0.0, end - time.monotonic()))
            assert not thread.is_alive(), f"a thread goes on; so far {self.results}"
        return self.results
