"""What runs in the middle of an operation (limiters, host functions, finalisers) may do anything but break it."""

import gc
import threading

import pytest

from stratavm.base.errors import Closed, StoreBusy, Trap
from stratavm.engine.store import Store
from stratavm.runtime.limits import StoreLimits

from . import worlds

GROWING = """(module (memory (export "memory") 1 100) (table (export "t") 1 100 funcref)
  (func (export "memory_grow") (param i32) (result i32) (memory.grow (local.get 0)))
  (func $f (export "table_grow") (param i32) (result i32) (table.grow (ref.null func) (local.get 0)))
  (func (export "size") (result i32) (memory.size)) (func (export "length") (result i32) (table.size)))"""


@pytest.mark.parametrize("from_host", [False, True])
@pytest.mark.parametrize("what", ["memory", "table"])
@worlds.every_config
def test_growth_inside_a_limiter_is_never_undone(config, what, from_host):
    """The limiter of an outer growth grows the same object: the outer growth fails, and nothing shrinks."""
    asked = []

    def limiter(kind, now, wanted):
        asked.append((kind, now, wanted))
        if len(asked) == 1:
            assert target.grow(5) == 1
        return True

    store = Store(worlds.engine(config), limits=StoreLimits(limiter=limiter))
    exports = worlds.instance(GROWING, config, store=store).exports
    target = exports.memory if what == "memory" else exports.t
    grow = target.grow if from_host else exports[f"{what}_grow"]
    assert grow(1) == -1
    assert (target.size_pages if what == "memory" else len(target)) == 6
    assert (exports.size() if what == "memory" else exports.length()) == 6
    assert grow(1) == 6


@worlds.every_config
def test_a_host_function_that_grows_is_seen_at_once(config):
    """Memory and table lengths, and bounds, behind a host call; also between the operands of one access."""
    text = """(module (import "m" "h" (func $h (result i32)))
      (memory (export "memory") 1) (table (export "t") 1 funcref) (func (export "f") (result i32)
        (i32.store (i32.const 65536) (call $h))
        (i32.add (i32.load (i32.const 65536)) (i32.add (memory.size) (table.size)))))"""

    def host():
        exports.memory.grow(1)
        exports.t.grow(3)
        return 40

    exports = worlds.instance(text, config, {"m": {"h": host}}).exports
    assert exports.f() == 40 + 2 + 4


@worlds.every_config
def test_nothing_can_be_closed_from_inside(config):
    """A host function cannot close the store it was called from; the call goes on."""
    text = """(module (import "m" "h" (func $h)) (memory 1)
      (func (export "f") (result i32) (call $h) (i32.load (i32.const 0))))"""

    def host():
        for close in (store.close, instance.close):
            with pytest.raises(StoreBusy):
                close()

    store = Store(worlds.engine(config))
    instance = worlds.instance(text, config, {"m": {"h": host}}, store)
    assert instance.exports.f() == 0
    store.close()
    with pytest.raises(Closed):
        instance.exports.f()


class Ending(BaseException):
    """No Exception."""


@pytest.mark.parametrize("error", [Ending, KeyboardInterrupt, SystemExit, GeneratorExit, RecursionError, MemoryError])
@worlds.every_config
def test_any_exception_passes_through_every_level(config, error):
    """Host in guest in host in guest: the same object arrives, and the store works on."""
    text = """(module (import "m" "h" (func $h (param i32) (result i32)))
      (func (export "f") (param i32) (result i32) (i32.add (call $h (local.get 0)) (i32.const 1))))"""
    raised = error("x")

    def host(n):
        if n < 0:
            raise raised
        return 0 if n == 0 else exports.f(n - 1 if n != 9 else -1)

    exports = worlds.instance(text, config, {"m": {"h": host}}).exports
    with pytest.raises(error) as caught:
        exports.f(12)
    assert caught.value is raised
    assert exports.f(0) == 1
    assert exports.f(5) == 6


@pytest.mark.trace_slow  # at the recursion limit the line tracer itself raises, also in polls: that ends a call midway
@worlds.every_config
def test_ping_pong_between_guest_and_host_ends_with_an_error(config):
    """Endless recursion over host functions is a Python exception, at any recursion limit that is set."""
    text = """(module (import "m" "h" (func $h (param i32) (result i32)))
      (func (export "f") (param i32) (result i32) (call $h (local.get 0))))"""
    exports = worlds.instance(text, config, {"m": {"h": lambda n: exports.f(n)}}).exports
    with pytest.raises((Trap, RecursionError)):
        exports.f(0)
    with pytest.raises((Trap, RecursionError)):
        exports.f(0)


@worlds.every_native
def test_arguments_that_close_the_store_while_they_are_converted(config):
    """``__index__`` and ``__float__`` may run anything."""
    text = '(module (func (export "f") (param i32 f64) (result i32) (local.get 0)))'
    store = Store(worlds.engine(config))
    function = worlds.instance(text, config, store=store).exports.f

    class Closer:
        def __index__(self):
            store.close()
            gc.collect()
            return 1

        __float__ = __index__

    with pytest.raises(Closed):
        function(Closer(), 1.0)
    with pytest.raises(Closed):
        function(1, 1.0)


@worlds.every_native
def test_a_store_is_busy_for_other_threads_while_a_guest_is_inside(config):
    """Calls, memory, tables and globals: StoreBusy, whatever the other thread tries."""
    text = """(module (import "m" "h" (func $h)) (memory (export "memory") 1) (table (export "t") 1 2 funcref)
      (global (export "g") (mut i32) (i32.const 0)) (func (export "f") (call $h)))"""
    refused = []

    def attempt():
        for act in (
            lambda: exports.f(), lambda: exports.memory.grow(1), lambda: exports.memory.read(0, 1),
            lambda: exports.memory[0], lambda: exports.memory.write(0, b"x"), lambda: memoryview(exports.memory),
            lambda: exports.t.grow(1), lambda: exports.t[0], lambda: exports.g.value,
            lambda: setattr(exports.g, "value", 1), lambda: store.close(), lambda: store.gc(),
        ):  # fmt: skip
            try:
                act()
            except StoreBusy:
                refused.append(1)

    def host():
        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()

    store = Store(worlds.engine(config))
    exports = worlds.instance(text, config, {"m": {"h": host}}, store).exports
    exports.f()
    assert len(refused) == 12


def test_externrefs_live_exactly_as_long_as_a_guest_holds_them():
    """In a table, a global, a result on its way out; the wrong object never comes back."""
    text = """(module (table (export "t") 4 externref) (global $g (export "g") (mut externref) (ref.null extern))
      (func (export "id") (param externref) (result externref) (local.get 0))
      (func (export "put") (param i32 externref) (table.set (local.get 0) (local.get 1)))
      (func (export "take") (param i32) (result externref) (table.get (local.get 0)))
      (func (export "keep") (param externref) (global.set $g (local.get 0))))"""
    store = Store(worlds.engine("jit0"))
    exports = worlds.instance(text, store=store).exports
    for i in range(4):
        exports.put(i, ["table", i])
    exports.keep(["global"])
    for i in range(3000):  # enough to collect in between
        assert exports.id(["passing", i]) == ["passing", i]
    store.gc()
    for i in range(50):
        exports.id(["again", i])
    assert [exports.take(i) for i in range(4)] == [["table", i] for i in range(4)]
    assert exports.g.value == ["global"]
    assert store.gc() <= 50


class First(Exception):
    """What a limiter raises."""


@pytest.mark.parametrize("then", ["host", "trap", "nothing"])
@worlds.every_config
def test_what_a_limiter_raises_ends_that_call_and_no_other(config, then):
    """Whatever the guest does next, its caller gets the limiter's exception; the caller's own guest goes on."""
    instruction = {"host": "(call $h)", "trap": "unreachable", "nothing": "nop"}[then]
    text = f"""(module (import "m" "h" (func $h)) (import "m" "n" (func $n)) (memory 1)
      (func (export "inner") (drop (memory.grow (i32.const 1))) {instruction})
      (func (export "outer") (result i32) (local i32) (call $n)
        (loop (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 1))) (i32.const 10))))
        (local.get 0)))"""
    caught, ran = [], []

    def limiter(kind, now, wanted):
        raise First

    def calls_the_guest():
        with pytest.raises(First) as error:
            exports.inner()
        caught.append(error)

    store = Store(worlds.engine(config), limits=StoreLimits(limiter=limiter))
    host = {"h": lambda: ran.append(1), "n": calls_the_guest}
    exports = worlds.instance(text, config, {"m": host}, store).exports
    assert exports.outer() == 10
    with pytest.raises(First):
        exports.inner()
    assert (len(caught), ran) == (1, [])


def test_a_table_of_a_closed_store_says_so():
    """Its functions are gone: reading or setting one is Closed, and never a crash."""
    store = Store(worlds.engine("jit0"))
    exports = worlds.instance(GROWING, store=store).exports
    table, function = exports.t, exports.size
    table[0] = function
    store.close()
    gc.collect()
    with pytest.raises(Closed):
        assert table[0] is None
    with pytest.raises(Closed):
        table[0] = function
