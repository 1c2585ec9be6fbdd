"""Claims about greenlets: the activations of guests stay a stack, or the call is refused.

Greenlets need a C extension that is not a dependency. What Strata asks it for is simulated here: which greenlet runs,
and whether that one has a parent; the calls of a second greenlet are made by a host function that says it has switched.
"""

import sys
from types import SimpleNamespace

import pytest

import stratavm
from stratavm import Engine, Linker, Module, Store, StoreBusy
from tests import needed

SOURCE = """(module (import "env" "f" (func $f))
  (export "again" (func $f)) (func (export "outer") (call $f)) (func (export "inner") (result i32) (i32.const 7)))
"""


class Greenlets:
    """The module ``greenlet``, as far as it is asked."""

    def __init__(self):
        self.main = SimpleNamespace(parent=None)
        self.other = SimpleNamespace(parent=self.main)
        self.now = self.main

    def getcurrent(self):
        """The greenlet that runs."""
        return self.now


@pytest.fixture
def greenlets(monkeypatch):
    """As if imported."""
    found = Greenlets()
    monkeypatch.setitem(sys.modules, "greenlet", found)
    return found


@pytest.fixture(params=[("jit0", "outer"), ("oracle", "outer"), ("jit0", "again"), ("oracle", "again")])
def world(request):
    """An instance whose import does what ``world.act`` says; ``world.outer`` calls it, through a guest or directly."""
    tier, way = request.param
    space = SimpleNamespace(act=lambda: None, results=[])
    linker = Linker(Engine(tier=tier))
    linker.define("env", "f", lambda: space.act())
    space.store = Store(linker.engine)
    space.module = Module(SOURCE, engine=linker.engine)
    space.linker = linker
    space.exports = linker.instantiate(space.store, space.module).exports
    space.outer = space.exports[way]
    return space


def test_the_same_greenlet_may_nest(greenlets, world):
    """Main or not."""
    world.act = lambda: world.results.append(world.exports.inner())
    world.outer()
    greenlets.now = greenlets.other
    world.outer()
    assert world.results == [7, 7]


def test_another_greenlet_is_refused_while_a_guest_waits(greenlets, world):
    """In the same store and in any other of the thread; afterwards everything works."""
    second = world.linker.instantiate(Store(world.linker.engine), world.module).exports

    def switch():
        greenlets.now = greenlets.other
        for exports in (world.exports, second):
            with pytest.raises(StoreBusy, match="greenlet"):
                exports.inner()
        greenlets.now = greenlets.main
        world.results.append(world.exports.inner())

    world.act = switch
    world.outer()
    assert world.results == [7]
    greenlets.now = greenlets.other
    assert world.exports.inner() == second.inner() == 7  # nobody waits any more


def test_greenlets_that_are_imported_while_a_guest_waits(monkeypatch, world):
    """The guest has run in the thread's first greenlet: only that one may nest."""
    monkeypatch.delitem(sys.modules, "greenlet", raising=False)  # another test may have imported the real one
    Store(world.linker.engine)  # each new store looks
    found = Greenlets()

    def act():
        monkeypatch.setitem(sys.modules, "greenlet", found)
        world.results.append(world.exports.inner())
        found.now = found.other
        with pytest.raises(StoreBusy, match="greenlet"):
            world.exports.inner()
        found.now = found.main

    world.act = act
    world.outer()
    assert world.results == [7]


def test_real_greenlets_are_refused_as_well():
    """Where the extension is installed."""
    greenlet = needed.module("greenlet")
    refused = []

    def call_again():
        try:
            exports.inner()
        except StoreBusy as error:
            refused.append(str(error))

    exports = stratavm.load(SOURCE, imports={"env": {"f": lambda: greenlet.greenlet(call_again).switch()}}).exports
    exports.outer()
    assert len(refused) == 1
    assert exports.inner() == 7
