"""Objects of guests in exceptions: who has them between the frame that throws and whoever catches."""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator

import pytest

from stratavm import Config, Engine, GcConfig, GcConstants, Linker, Module, Store, WasmException

OFTEN = GcConfig(generations=True, constants=GcConstants(nursery_bytes=1 << 15, slice_us=5, factor=0.01))
"""A look at new objects for every block."""

TEXT = """(module
  (type $s (struct (field $v (mut i32))))
  (tag $e (param (ref $s)))
  (tag $other)
  (func $churn (param $k i32)
    (loop (drop (struct.new $s (i32.const 5))) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func $down (param $k i32) (param $v i32)
    (if (i32.eqz (local.get $k)) (then
      (if (local.get $v) (then (throw $e (struct.new $s (local.get $v)))))
      (throw $other)))
    (call $down (i32.sub (local.get $k) (i32.const 1)) (local.get $v)))
  (func (export "within")
    (block $h (try_table (catch $other $h) (call $down (i32.const 2) (i32.const 0))))
    (call $churn (i32.const 2100)))
  (func (export "throws") (param i32) (call $down (i32.const 400) (local.get 0)))
  (func (export "catches") (param i32) (result i32) (local exnref)
    (block $h (result (ref $s) exnref)
      (try_table (catch_ref $e $h) (call $down (i32.const 400) (local.get 0)))
      unreachable)
    (local.set 1)
    (struct.get $s $v)))"""


class Going:
    """Garbage of Python's that runs a guest as it goes, and leaves as much, while Python collects at each chance."""

    def __init__(self, run: Callable[[], object]) -> None:
        self.run, self.circle = run, self

    def __del__(self) -> None:
        if gc.get_threshold()[0] == 1:
            self.run()
            Going(self.run)


@pytest.fixture
def threshold() -> Iterator[None]:
    """As it was, afterwards."""
    before = gc.get_threshold()
    gc.collect()
    yield
    gc.set_threshold(*before)
    gc.collect()


@pytest.mark.usefixtures("threshold")
@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_nobody_collects_before_python_has_what_was_thrown(tier: str) -> None:
    """The frame that threw is gone, and Python's collector runs a guest, which throws something else and makes much:
    what was thrown is there all the same, for a handler that takes a reference to it and for Python."""
    home = Engine(Config(tier=tier, gc=OFTEN))
    instance = Linker(home).instantiate(Store(home), Module(TEXT, engine=home))
    within, throws, catches = (instance.exports[name] for name in ("within", "throws", "catches"))
    kept, found, wanted = list[object](), list[object](), list[object]()
    gc.set_threshold(1)
    Going(within)
    for at in range(40):
        kept.append([[] for _ in range(90)])  # none is left that was dropped: making the next one is a chance
        kept.append([(at, 1) for _ in range(3)])
        for _ in range(at % 5):
            kept.append({at: []})
        try:
            throws(at + 9)
        except WasmException as error:
            (thing,) = error.values
            found.append(thing["v"])
        found.append(catches(at + 9))
        wanted += [at + 9] * 2
    gc.set_threshold(10_000)
    assert found == wanted
