"""``Engine.metrics()``: counts from the first time that somebody asks, of what the engine's events tell."""

import dataclasses
import gc

import pytest

import stratavm
from stratavm import Engine, Linker, Module, Pool, Store
from stratavm.engine.events import StoreCreated, Trapped

SOURCE = """(module (func (export "trap") unreachable) (func (export "one") (result i32) (i32.const 1))
  (func (export "div") (param i32) (result i32) (i32.div_s (i32.const 1) (local.get 0))))"""


def test_nothing_is_heard_before_somebody_asks():
    """So nothing is paid for."""
    engine = Engine()
    assert not engine.source.hears(Trapped) and not engine.source.hears(StoreCreated)
    engine.metrics()
    assert engine.source.hears(Trapped)


def test_what_calls_do_is_counted():
    """Traps by kind, instances, functions that were compiled; all from the first question on."""
    engine = Engine()
    module = Module(SOURCE, engine)
    before = engine.metrics()
    assert before.modules == {"loaded": 0, "refused": 0} and before.traps == {}
    exports = Linker(engine).instantiate(Store(engine), module).exports
    for name, arguments in (("trap", ()), ("trap", ()), ("div", (0,))):
        with pytest.raises(stratavm.Trap):
            exports[name](*arguments)
    with pytest.raises(stratavm.ModuleError):
        Module(b"\0asm", engine)
    seen = engine.metrics()
    assert seen.traps == {"unreachable": 2, "div_by_zero": 1} and seen.calls["trapped"] == 3
    assert (seen.stores, seen.instances, seen.modules["refused"]) == (1, 1, 1)
    assert seen.compiled["0"] >= 2 and seen.compile_seconds["0"] > 0
    assert before.traps == {} and before.stores == 0


def test_metrics_are_frozen():
    """They are what was, whatever comes."""
    seen = Engine().metrics()
    with pytest.raises(dataclasses.FrozenInstanceError):
        seen.stores = 3
    with pytest.raises(TypeError):
        seen.traps["x"] = 1


def test_pools_of_an_engine_are_in_its_metrics_as_long_as_they_live():
    """By name; two of one name are told apart."""
    engine = Engine()
    pre = Linker(engine).instantiate_pre(Module(SOURCE, engine))
    pools = [Pool(pre, name="scripts"), Pool(pre, name="scripts"), Pool(pre)]
    seen = engine.metrics().pools
    assert list(seen) == ["scripts", "scripts-2", "pool"] and seen["pool"].running == 0
    del pools[1:]
    gc.collect()
    assert list(engine.metrics().pools) == ["scripts"]


def test_an_engine_that_counts_is_garbage_when_nobody_has_it():
    """What counts does not keep it."""
    import weakref

    engine = Engine()
    engine.metrics()
    bus = weakref.ref(engine.tally)
    del engine
    gc.collect()
    assert bus() is None
