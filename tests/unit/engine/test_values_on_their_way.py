"""What Python gives to a new global, a new table or a grown one is held while these are made, whatever collects; and so
is what guests and host functions give each other."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from stratavm import (
    Config,
    Engine,
    GcConfig,
    Global,
    Linker,
    Module,
    ResourceLimit,
    Store,
    StoreBusy,
    StoreLimits,
    Table,
)
from stratavm.runtime.limits import GcConstants
from stratavm.tiers.oracle import machine


class Thing:
    """Something that guests may hold."""


MADE: dict[str, Callable[[Store, Thing], Callable[[], Any]]] = {
    "a global": lambda store, thing: (lambda made: lambda: made.value)(Global.new(store, "externref", thing)),
    "a table": lambda store, thing: (lambda made: lambda: made[1])(Table.new(store, "externref", 2, value=thing)),
    "a table that may grow": lambda store, thing: (lambda made: lambda: made[1])(
        Table.new(store, "externref", 2, 1 << 20, value=thing)
    ),
}


def growing(store: Store, thing: Thing) -> Callable[[], Any]:
    """A table that grows by a thing."""
    table = Table.new(store, "externref", 1, 9)
    assert table.grow(2, thing) == 1
    return lambda: table[2]


def written(store: Store, thing: Thing) -> Callable[[], Any]:
    """A global that is written to."""
    made = Global.new(store, "externref", None, mutable=True)
    made.value = thing
    return lambda: made.value


def set_in(store: Store, thing: Thing) -> Callable[[], Any]:
    """A table that is written to."""
    table = Table.new(store, "externref", 1)
    table[0] = thing
    return lambda: table[0]


WAYS = {**MADE, "a grown table": growing, "a written global": written, "a written table": set_in}


new: list[object] = []


def traced(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
    """For each line of Python's there are new objects, so that it collects."""
    new.extend([[], []])
    return traced


@pytest.mark.parametrize("trace", [None, traced], ids=["alone", "traced"])
@pytest.mark.parametrize("what", WAYS)
def test_python_may_collect_at_each_allocation(what: str, trace: Callable[..., Any] | None) -> None:
    """And whoever is told of that the store, whose next handle is another thing's."""
    store, busy = Store(), False
    other = Global.new(store, "externref", None, mutable=True)

    def collect(phase: str, info: dict[str, int]) -> None:
        nonlocal busy
        if phase == "stop" and not busy:
            busy = True
            try:
                store.gc()
                other.value = Thing()
            except StoreBusy:
                pass
            finally:
                busy = False

    before, tracer = gc.get_threshold(), sys.gettrace()
    gc.callbacks.append(collect)
    try:
        for _ in range(5):
            thing = Thing()
            sys.settrace(trace)
            gc.set_threshold(1, 1, 1)
            read = WAYS[what](store, thing)
            gc.set_threshold(*before)
            sys.settrace(tracer)
            assert read() is thing
    finally:
        new.clear()
        sys.settrace(tracer)
        gc.set_threshold(*before)
        gc.callbacks.remove(collect)


@pytest.mark.parametrize("hook", ["limiter", "admit"])
def test_who_allows_a_table_may_collect(hook: str) -> None:
    """A limiter and whoever admits are asked while the table is made."""
    asked = 0

    def allow(*arguments: object) -> bool:
        nonlocal asked
        if store is not None:
            asked += 1
            store.gc()
            Global.new(store, "externref", Thing())
        return True

    store: Store | None = None
    limits = StoreLimits(limiter=allow) if hook == "limiter" else StoreLimits(admit=allow)
    store = Store(limits=limits)
    thing, another = Thing(), Thing()
    table = Table.new(store, "externref", 2, 9, value=thing)
    assert table.grow(2, another) == 2
    assert asked
    assert [table[at] for at in range(4)] == [thing] * 2 + [another] * 2


def test_a_subclass_makes_its_own() -> None:
    """Its initialiser runs."""

    class Named(Global):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.name = "named"

    thing = Thing()
    made = Named.new(Store(), "externref", thing)
    assert (made.name, made.value) == ("named", thing)


CALLS = """(module
  (type $node (struct (field $number i32)))
  (type $row (array i8))
  (import "host" "next" (func $next (param (ref $node)) (result (ref $node))))
  (tag $tag (param i32))
  (global $last (mut (ref null $node)) (ref.null $node))
  (global $row (mut (ref null $row)) (ref.null $row))
  (global $first (mut exnref) (ref.null exn))
  (func (export "called") (param i32) (result i32)
    (struct.get $node $number (call $next (struct.new $node (local.get 0)))))
  (func (export "tail_called") (param i32) (result (ref $node)) (return_call $next (struct.new $node (local.get 0))))
  (func (export "caught") (param i32) (result i32) (local $second exnref)
    (local.set $second
      (block $caught (result exnref)
        (try_table (catch_all_ref $caught) (throw $tag (local.get 0)))
        (unreachable)))
    (block $number (result i32)
      (try_table (catch $tag $number) (throw_ref (local.get $second)))
      (unreachable)))
  (func (export "others")
    (global.set $row (array.new_default $row (i32.const 16000)))
    (global.set $row (array.new_default $row (i32.const 16000)))
    (global.set $row (array.new_default $row (i32.const 16000)))
    (global.set $row (array.new_default $row (i32.const 16000)))
    (global.set $row (array.new_default $row (i32.const 16000)))
    (global.set $last (struct.new $node (i32.const -1)))
    (global.set $first
      (block $caught (result exnref)
        (try_table (catch_all_ref $caught) (throw $tag (i32.const -1)))
        (unreachable)))))"""


@pytest.mark.parametrize("name", ["called", "tail_called", "caught"])
def test_a_guest_without_machine_code_and_the_host_give_each_other_objects(name: str) -> None:
    """A guest that runs between, and collects, leaves what is on its way."""
    config = GcConfig(constants=GcConstants(nursery_bytes=1 << 15))
    engine = Engine(Config(tier="oracle", gc=config))
    module, store, linker = Module(CALLS, engine=engine), Store(engine, limits=StoreLimits(handles=4)), Linker(engine)
    node = module.object_type("node")
    linker.define("host", "next", lambda given: node.new(store, [given[0] + 1]))
    exports = linker.instantiate(store, module).exports
    others = 0

    def lines(frame: FrameType, event: str, argument: object) -> Callable[..., Any] | None:
        nonlocal others
        if frame.f_code.co_filename != machine.__file__:
            return None
        sys.settrace(None)
        with contextlib.suppress(ResourceLimit):  # of exceptions, where it is not known which are held
            exports.others()
        others += 1
        sys.settrace(lines)
        return lines

    tracer = sys.gettrace()
    for _ in range(8):  # from here on each exception that a guest keeps has the handle of another one
        exports.others()
    try:
        sys.settrace(lines)
        found = exports[name](7)
    finally:
        sys.settrace(tracer)
    assert others
    assert (found if isinstance(found, int) else found["number"]) == 7 + (name != "caught")


@pytest.mark.parametrize("inside", [False, True], ids=["between calls", "in a call"])
def test_who_holds_something_is_looked_for_while_there_are_more(inside: bool) -> None:
    """Other threads, and who traces, may make tables and globals meanwhile, or try to."""
    engine = Engine()
    text = """(module
      (tag $tag)
      (global $last (mut exnref) (ref.null exn))
      (func (export "catch") (param $left i32)
        (loop $again
          (global.set $last
            (block $caught (result exnref) (try_table (catch_all_ref $caught) (throw $tag)) (unreachable)))
          (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"""
    store = Store(engine, limits=StoreLimits(handles=4))
    exports = Linker(engine).instantiate(store, Module(text, engine=engine)).exports
    made = [Global.new(store, "anyref", None) for _ in range(3)]
    type_ = made[0].type

    def lines(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
        sys.settrace(None)
        made.append(Global.__new__(Global))
        with contextlib.suppress(StoreBusy):
            made[-1].__init__(store, type_)  # type: ignore[misc]
        sys.settrace(lines)
        return lines

    tracer = sys.gettrace()
    try:
        sys.settrace(lines)
        if inside:
            exports["catch"](8)
        else:
            store.gc()
    finally:
        sys.settrace(tracer)


def test_what_makes_a_number_of_a_value_may_collect() -> None:
    """There is no handle on its way."""

    class Collects:
        def __index__(self) -> int:
            store.gc()
            return 7

    store = Store()
    number = Global.new(store, "i64", Collects(), mutable=True)
    assert number.value == 7
    number.value = 0
    number.value = Collects()
    assert number.value == 7


GROWN = """(module
  (tag $tag (param i32))
  (table $exceptions 1 300000 exnref)
  (func $thrown (param i32) (result exnref)
    (block $caught (result exnref)
      (try_table (catch_all_ref $caught) (throw $tag (local.get 0)))
      (unreachable)))
  (func (export "kept") (param $number i32) (param $more i32) (result i32)
    (block $carried (result i32)
      (try_table (catch $tag $carried)
        (throw_ref (table.get $exceptions
          (table.grow $exceptions (call $thrown (local.get $number)) (local.get $more)))))
      (unreachable)))
  (func (export "others") (local $left i32)
    (local.set $left (i32.const 30))
    (loop $again
      (drop (call $thrown (i32.const -1)))
      (br_if $again (local.tee $left (i32.sub (local.get $left) (i32.const 1)))))))"""


@pytest.mark.parametrize(
    ("how", "more"), [("oracle", 1), ("jit0", 1), ("jit1", 1), ("a fiber", 1), ("a fiber", 200_000)]
)
def test_who_allows_a_guest_s_table_to_grow_may_run_one_that_frees_exceptions(how: str, more: int) -> None:
    """What the table grows by is on its way through C. Until the table has it, it lies in the frame of the guest, which
    needs it for two calls."""
    asked: list[int] = []

    def allow(_: str, now: int, wanted: int) -> bool:
        asked.append(wanted - now)
        with contextlib.suppress(ResourceLimit):  # where it is not known which are held
            exports["others"]()
        return True

    engine = Engine(Config(tier="jit1" if how == "a fiber" else how))
    store = Store(engine, limits=StoreLimits(handles=8, table_elements=1 << 20, limiter=allow))
    exports = Linker(engine).instantiate(store, Module(GROWN, engine=engine)).exports
    exports["others"]()
    for number in (7, 8, 9):
        if how == "a fiber":
            assert asyncio.run(exports["kept"].call_async(number, more)) == number
        else:
            assert exports["kept"](number, more) == number
        more = 1
    assert len(asked) == 3
