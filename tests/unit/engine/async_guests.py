"""Guests that are called from asyncio, for tests."""

import asyncio
import gc

from stratavm import Engine, Linker, Module, Store, load
from stratavm.runtime.stacks import stack_status

SOURCE = """(module
  (import "h" "f" (func $f (param i32) (result i32)))
  (memory (export "memory") 1 4)
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "call") (param i32) (result i32) (i32.add (call $f (local.get 0)) (i32.const 1)))
  (func (export "steps") (param $n i32) (result i32) (local $sum i32)
    (loop $again
      (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1)))
      (local.set $sum (i32.add (local.get $sum) (call $f (local.get $n))))
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum))
  (func (export "spin") (param i32)
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1))))))
  (func (export "forever") (loop (br 0)))
  (func (export "fill") (memory.fill (i32.const 0) (i32.const 1) (i32.const 65536)))
  (func (export "read") (param i32) (result i32) (drop (call $f (i32.const 0))) (i32.load (local.get 0)))
  (func (export "size") (result i32) (drop (call $f (i32.const 0))) (memory.size))
  (func $deep (export "deep") (param i32) (result i32)
    (if (result i32) (local.get 0) (then (i32.add (i32.const 1) (call $deep (i32.sub (local.get 0) (i32.const 1)))))
      (else (call $f (i32.const 0))))))"""

TIERS = ("jit0", "jit1", "auto")
_engines: dict[str, Engine] = {}
_modules: dict[str, Module] = {}


def module_of(tier):
    """The guest, compiled once per tier."""
    if tier not in _engines:
        _engines[tier] = Engine(tier=tier)
        _modules[tier] = Module(SOURCE, _engines[tier])
    return _modules[tier]


class World:
    """An instance of the guest in a store of its own."""

    def __init__(self, f=lambda x: x, tier="jit0", **options):
        module = module_of(tier)
        self.store = Store(module.engine, **options)
        linker = Linker(module.engine)
        linker.define("h", "f", f)
        self.instance = linker.instantiate(self.store, module)
        self.exports = self.instance.exports


async def nap(x):
    """A host function that lets the loop run."""
    await asyncio.sleep(0)
    return x


def run(coroutine):
    """``asyncio.run`` in debug mode."""
    return asyncio.run(coroutine, debug=True)


def stacks_given_back():
    """A fixture: the test gives back the stacks that it took."""
    before = stack_status()["taken"]
    yield
    gc.collect()
    assert stack_status()["taken"] == before


def clean(world):
    """The store is usable; a fresh instance in it runs."""
    assert not world.store.busy and world.store.parked is None
    assert load('(module (func (export "one") (result i32) (i32.const 1)))', store=world.store).exports.one() == 1
