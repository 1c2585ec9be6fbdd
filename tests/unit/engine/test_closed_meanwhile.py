"""Claims about a store that is closed in the middle of an operation, by a finaliser that the collector runs there."""

import gc
import sys

import pytest

import stratavm
from stratavm import Closed, Engine, Global, Linker, Module, Store
from tests.unit.engine.test_overtaken import in_a_process

ENGINE = Engine()
MODULE = Module(
    """(module
    (import "e" "f" (func $f)) (import "e" "g" (global i32)) (import "e" "same" (func $same (param externref)))
    (memory (export "m") 1 8) (table (export "t") 2 20 funcref) (table (export "x") 2 20 externref)
    (elem (i32.const 0) func $f $h) (data (i32.const 3) "abc")
    (global (export "gf") (mut funcref) (ref.func $h)) (global (export "gi") (mut i32) (i32.const 1))
    (export "f" (func $f)) (func $h (export "h"))
    (func (export "give") (param externref) local.get 0 call $same))""",
    engine=ENGINE,
)
THRESHOLDS = range(1, 26)
"""At which allocation of a collected object the collector runs."""


class Last:
    """Garbage whose end closes a store."""

    def __init__(self, store):
        self.store, self.me = store, self

    def __del__(self):
        self.store.close()


OPERATIONS = {
    "an export is looked up": lambda store, pre, exports: (exports["f"], exports["h"], exports["gf"], exports["m"]),
    "all exports are looked up": lambda store, pre, exports: dict(exports.items()),
    "a module is instantiated": lambda store, pre, exports: pre.instantiate(store),
    "a function is read from a table": lambda store, pre, exports: (exports["t"][1], exports["t"][0]),
    "a function is read from a global": lambda store, pre, exports: exports["gf"].value,
    "a function is written to a table": lambda store, pre, exports: exports["t"].__setitem__(0, exports["h"]),
    "an object is given to a guest": lambda store, pre, exports: (exports["give"]({}), exports["x"].grow(2, [])),
    "a memory is read and grows": lambda store, pre, exports: (exports["m"].grow(1), bytes(exports["m"][0:4])),
    "everything is shown": lambda store, pre, exports: repr((exports, list(exports.values()), store)),
}


def operate(operation, threshold, looked_up):
    """The operation, in whose middle the store may be closed; what came of it."""
    linker, store = Linker(ENGINE), Store(ENGINE)
    linker.define("e", "f", lambda: None)
    linker.define("e", "same", lambda it: None)
    linker.define("e", "g", Global.new(store, "i32", 1))
    pre = linker.instantiate_pre(MODULE)
    exports = pre.instantiate(store).exports
    if looked_up:
        list(exports.values())
    # Free lists of tuples and dicts are used up: what is made next is counted.
    kept = [*([] for _ in range(200)), *({} for _ in range(200)), *((i,) * n for n in (1, 2, 3) for i in range(2500))]
    gc.collect()
    Last(store)
    gc.set_threshold(threshold)
    gc.enable()
    try:
        OPERATIONS[operation](store, pre, exports)
    except Closed:
        return "closed"
    finally:
        gc.disable()
        del kept
    return "done"


@pytest.mark.trace_slow  # the tracer makes objects as well: the thresholds mean other places
@pytest.mark.skipif(
    sys.version_info >= (3, 12), reason="from CPython 3.12 on the collector runs between bytecodes only"
)
@pytest.mark.parametrize("looked_up", [False, True], ids=["fresh", "looked up before"])
@pytest.mark.parametrize("operation", OPERATIONS)
def test_a_store_that_the_collector_closes_ends_what_is_under_way_with_closed(operation, looked_up):
    """At each of the allocations in its middle: Closed or done, never a crash nor another error."""
    gc.disable()
    try:
        ends = {in_a_process(operate, operation, threshold, looked_up) for threshold in THRESHOLDS}
    finally:
        gc.enable()
    assert ends <= {"closed", "done"}


def test_buffers_of_a_memory_take_no_references_to_none():
    """As many as were handed out were lost."""
    memory = stratavm.load('(module (memory (export "m") 1))').exports.m
    before = sys.getrefcount(None)
    for _ in range(1000):
        memoryview(memory)
    assert sys.getrefcount(None) - before < 500


def test_entries_of_an_instance_that_are_none_are_refused():
    """By index or address, also where machine code would follow it."""
    instance = stratavm.load('(module (global (export "g") i32 (i32.const 7)) (func (export "f")))')
    instance.globals.clear()
    assert instance.exports.g.value == 7
    with pytest.raises(IndexError, match="global 99 of 1"):
        instance.export("global", 99)
    with pytest.raises(ValueError, match="no function of this instance"):
        instance.function_of(12345)
    with pytest.raises(ValueError, match="items of no bytes"):
        stratavm.load('(module (memory (export "m") 1))').exports.m.view("")
