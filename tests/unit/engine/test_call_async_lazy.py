"""Functions that take long to compile, met by guests on fibers: they wait, and the loop goes on."""

import asyncio
import threading

import pytest

from stratavm import DeadlineExceeded, Engine, InstancePoisoned, Interrupted, Linker, Module, Store
from stratavm.tiers.jit import lazy
from tests.unit.engine.async_guests import TIERS, run, stacks_given_back

LARGE = "(local.set $x (i32.add (i32.mul (local.get $x) (i32.const 3)) (i32.const 1)))" * 300
SOURCE = f"""(module
  (func $large (param $x i32) (param $y i64) (param $z f64) (result f64) {LARGE}
    (f64.add (f64.convert_i32_s (local.get $x)) (f64.add (local.get $z) (f64.convert_i64_s (local.get $y)))))
  (table funcref (elem $large))
  (func (export "direct") (param i32 i64 f64) (result f64)
    (call $large (local.get 0) (local.get 1) (local.get 2)))
  (func (export "indirect") (param i32 i64 f64) (result f64)
    (call_indirect (param i32 i64 f64) (result f64) (local.get 0) (local.get 1) (local.get 2) (i32.const 0)))
  (export "itself" (func $large))
  (func (export "small") (result i32) (i32.const 7)))"""
ARGUMENTS = (5, -7, 0.25)


@pytest.fixture(autouse=True)
def stacks_come_back():
    """Every test gives back the stacks that it took."""
    yield from stacks_given_back()


@pytest.fixture(autouse=True)
def little_is_large(monkeypatch):
    """So that these tests need no large functions."""
    monkeypatch.setattr(lazy, "BRIEF_BYTES", (1024, 1024))


@pytest.fixture(params=TIERS)
def tier(request):
    return request.param


@pytest.fixture
def compiled(monkeypatch):
    """Whether each compilation at a call was in the main thread."""
    seen, plainly = [], lazy.LazyCode.make

    def code(self, index, worker):
        if index == 0:
            seen.append(threading.current_thread() is threading.main_thread())
        return plainly(self, index, worker)

    monkeypatch.setattr(lazy.LazyCode, "make", code)
    return seen


def instance_of(tier):
    """A guest of which nothing is compiled."""
    engine = Engine(tier=tier)
    return Linker(engine).instantiate(Store(engine), Module(SOURCE, engine))


@pytest.mark.parametrize("way", ["direct", "indirect", "itself"])
def test_a_large_function_is_compiled_beside_the_loop(tier, way, compiled):
    """Called directly, through a table and from the host: with all arguments, and what it returns; once."""
    wanted = instance_of(tier).exports[way](*ARGUMENTS)
    assert compiled == [True]
    compiled.clear()

    async def main():
        instance = instance_of(tier)
        assert await instance.exports[way].call_async(*ARGUMENTS) == wanted
        assert compiled == [False]
        assert await instance.exports[way].call_async(*ARGUMENTS) == wanted
        assert compiled == [False] and instance.exports[way](*ARGUMENTS) == wanted

    run(main())


@pytest.mark.parametrize("how", ["cancel", "interrupt", "deadline"])
def test_a_guest_that_waits_for_code_can_be_ended(tier, how, monkeypatch):
    """The store is free, and the instance poisoned, for its function had begun."""
    begun, go_on = threading.Event(), threading.Event()
    plainly = lazy.LazyCode.make
    wanted = {"cancel": asyncio.CancelledError, "interrupt": Interrupted, "deadline": DeadlineExceeded}

    def slowly(self, index, worker):
        if index == 0:
            begun.set()
            go_on.wait(60)
        return plainly(self, index, worker)

    async def main():
        instance = instance_of(tier)
        store = instance.exports.small.store
        monkeypatch.setattr(lazy.LazyCode, "make", slowly)
        task = asyncio.create_task(instance.exports.direct.call_async(*ARGUMENTS))
        await asyncio.to_thread(begun.wait, 60)
        assert not task.done() and store.busy
        {"cancel": task.cancel, "interrupt": store.interrupt, "deadline": lambda: store.set_deadline(0)}[how]()
        asyncio.get_running_loop().call_later(0.02, go_on.set)
        with pytest.raises(wanted[how]):
            await task
        assert not store.busy
        with pytest.raises(InstancePoisoned):
            instance.exports.small()

    run(main())


def test_an_error_of_the_compiler_ends_the_call(tier, monkeypatch):
    """As in a synchronous call."""

    def fails(self, index, worker):
        raise MemoryError("none left")

    async def main():
        instance = instance_of(tier)
        monkeypatch.setattr(lazy.LazyCode, "make", fails)
        with pytest.raises(MemoryError, match="none left"):
            await instance.exports.itself.call_async(*ARGUMENTS)

    run(main())


def test_a_synchronous_call_compiles_where_it_is(tier, compiled):
    """Nothing can wait there."""
    assert instance_of(tier).exports.direct(*ARGUMENTS) and compiled == [True]
