"""Claims about life and death: nothing leaks, also not in cycles that pass through guests."""

import gc
import os
import weakref
from pathlib import Path

import pytest

from stratavm.base.errors import Trap
from stratavm.native.execmem import arena_usage

from . import guest

MODULE = """(module (import "e" "f" (func (param i32) (result i32))) (memory 1) (table 4 funcref)
  (global (mut i32) (i32.const 0)) (elem (i32.const 0) 0 1) (data (i32.const 0) "abc") (data "passive")
  (func (param i32) (result i32) unreachable))"""


def rss() -> int:
    """Resident bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_arena_says_how_large_it_is():
    """In bytes: more than fits 31 bits."""
    usage = arena_usage()
    assert usage["bytes"] == 1 << 31 and usage["base"] > 0 <= usage["chunks"]


def cycle() -> weakref.ref:
    """A store whose host function refers to its own instance: host function → instance → store → host function."""
    store = guest.store()
    box = []

    def call_back(args):
        assert box[0].memories[0].read(0, 3) == b"abc"
        return args

    imported = guest.host(store, call_back)
    offset = guest.IMPORTED_FUNC + 16 + 16 + 16
    instance = guest.make(MODULE, [guest.call_import(offset)], (imported,), store)
    box.append(instance)
    assert instance.callee(1).call_raw([3]) == [3]
    view = instance.memories[0].view()
    view[0] = 97
    return weakref.ref(instance)


def test_cycles_through_host_functions_are_collected():
    """Every owned reference is visible to the collector."""
    refs = [cycle() for _ in range(5)]
    gc.collect()
    assert [r() for r in refs] == [None] * 5


def test_an_exception_of_a_host_function_is_not_kept():
    """Neither by the store nor by a frame."""

    class Boom(Exception):
        pass

    store = guest.store()

    def fail(args):
        raise Boom

    module = '(module (import "e" "f" (func (param i32) (result i32))) (func (param i32) (result i32) unreachable))'
    call = guest.make(module, [guest.call_import(guest.IMPORTED_FUNC)], (guest.host(store, fail),), store).callee(1)
    refs = []
    for _ in range(10):
        try:
            call.call_raw([1])
        except Boom as error:
            refs.append(weakref.ref(error))
    gc.collect()
    assert [r() for r in refs] == [None] * 10


def test_ten_thousand_stores_leave_nothing_behind():
    """Memory, mappings, descriptors and code chunks stay flat, traps and host-function cycles included."""

    def once(i: int) -> None:
        ref = cycle()
        if i % 100 == 0:
            with pytest.raises(Trap):
                guest.make("(module (func unreachable))", [guest.unreachable()]).callee(0).call_raw([])
            gc.collect()
            assert ref() is None

    for i in range(1000):
        once(i)
    gc.collect()
    before = rss(), len(os.listdir("/proc/self/fd")), arena_usage()["chunks"]
    maps = len(Path("/proc/self/maps").read_text().splitlines())
    for i in range(9000):
        once(i)
    gc.collect()
    assert rss() - before[0] < 8 << 20
    assert len(os.listdir("/proc/self/fd")) == before[1]
    assert arena_usage()["chunks"] == before[2]
    assert len(Path("/proc/self/maps").read_text().splitlines()) - maps < 50


def test_code_is_freed_with_its_last_user():
    """Instances, functions and tracebacks hold the tier's module, which holds the code."""
    gc.collect()
    before = arena_usage()["chunks"]
    instance = guest.make("(module (func unreachable))", [guest.unreachable()])
    function = instance.callee(0)
    assert arena_usage()["chunks"] == before + 1
    del instance
    gc.collect()
    with pytest.raises(Trap):
        function.call_raw([])
    del function
    gc.collect()
    assert arena_usage()["chunks"] == before
