"""Where Python has no memory for something small an operation fails, and the store is as it was: what is not there is
not remembered, and what is remembered is there."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable

import pytest

from stratavm import Config, Linker, Module, Store, load
from stratavm.base.forms import FEW, dataclass
from stratavm.engine.engine import Engine
from tests import needed
from tests.apart import assert_silent

pytestmark = pytest.mark.trace_slow
"""What is traced asks for memory at each call, and who traces it cannot do without."""

TEXT = """(module
  (type $s (struct (field i32)))
  (global (export "g") (mut externref) (ref.null extern))
  (table (export "t") 300 externref)
  (global $o (mut (ref null $s)) (ref.null $s))
  (func (export "make") (global.set $o (struct.new $s (i32.const 7))))
  (func (export "new") (param i32) (result (ref $s)) (struct.new $s (local.get 0)))
  (func (export "get") (result (ref null $s)) (global.get $o)))"""


class Thing:
    """What guests have a handle of."""


def failing(at: int, action: Callable[[], object]) -> bool:
    """Do something of which one allocation of Python's fails; whether it went well."""
    testing = needed.module("_testcapi")
    testing.set_nomemory(at, at + 1)
    try:
        action()
    except MemoryError:
        return False
    finally:
        testing.remove_mem_hooks()
    return True


@pytest.mark.parametrize("first", [0, 300])
@pytest.mark.parametrize("full", [False, True])
def test_a_handle_that_there_is_no_memory_for(full: bool, first: int) -> None:
    """It is in none of the tables; nor where numbers are so large that each takes memory."""
    instance = load(TEXT)
    store, variable = instance.store, instance.exports["g"]
    for at in range(first):
        instance.exports["t"][at] = Thing()
    for _ in range(8 if full else 0):  # places that are free
        variable.value = Thing()
    store.gc()
    at, went_well = 0, 0
    while went_well < 8:
        thing = Thing()

        def give(thing: Thing = thing) -> None:
            variable.value = thing

        given = failing(at, give)
        went_well, at = went_well + given, at + 1
        assert not given or variable.value is thing
        store.gc()
        store.gc()
    variable.value = None
    assert store.gc() == 1  # the last
    assert at > 10


def test_an_object_whose_handle_goes_where_there_is_no_memory() -> None:
    """Who asks for it again gets another handle, not what lies in its place by then."""
    engine = Engine()
    store = Store(engine)
    call = Linker(engine).instantiate(store, Module(TEXT, engine=engine)).exports
    call["make"]()
    for at in range(4):
        had = [call["get"]()]
        failing(at, had.clear)
        others = [call["new"](at) for _ in range(3)]
        found = call["get"]()
        assert found[0] == 7
        assert found is call["get"]()
        assert [other[0] for other in others] == [at] * 3
        del found, others
        store.gc()


def test_a_reference_that_there_is_no_memory_to_look_up() -> None:
    """Is a MemoryError, and not none of the type."""
    engine = Engine()
    store = Store(engine)
    instance = Linker(engine).instantiate(store, Module(TEXT, engine=engine))
    found = instance.exports["new"](7)
    variable = instance.exports["g"]
    raw = store.extern_to_raw(found)

    def give() -> None:
        variable.bits = raw

    at, went_well = 0, 0
    while went_well < 8:
        went_well, at = went_well + failing(at, give), at + 1
    assert at > 8 and variable.value is found


def test_a_run_without_machine_code_whose_results_there_is_no_memory_to_show() -> None:
    """Has ended all the same: what it left can be collected."""
    engine = Engine(Config(tier="oracle"))
    store = Store(engine)
    new = Linker(engine).instantiate(store, Module(TEXT, engine=engine)).exports["new"]

    def call() -> None:
        new(7)

    for _ in range(100):  # what is made as it is first wanted is there
        call()
    at, went_well = 0, 0
    while went_well < 8:
        went_well, at = went_well + failing(at, call), at + 1
        store.gc()
    assert at > 50


def test_arguments_of_a_host_function_that_there_is_no_memory_for() -> None:
    """Their list cannot grow: no argument is let go of that is another's."""
    seen: list[object] = []
    parameters = "(param " + "anyref " * 40 + ")"
    text = f"""(module (import "h" "f" (func $f {parameters}))
      (func (export "g") (param anyref) (call $f {"(local.get 0)" * 40})))"""
    instance = load(text, imports={"h": {"f": lambda *values: seen.append(len(values))}})
    thing = Thing()
    held = [thing] * 1000
    instance.exports["g"](thing)  # it is compiled before
    at, went_well = 0, 0
    while went_well < 8:
        given = failing(at, lambda: instance.exports["g"](thing))
        instance.store.gc()
        instance.store.gc()
        assert sys.getrefcount(thing) == len(held) + 2, at
        went_well = went_well + 1 if given else 0
        at += 1
    assert set(seen) == {40}


def test_a_call_that_there_is_no_memory_for_has_its_arguments_or_is_none() -> None:
    """Nothing of Python's is made to look at a number, so that nothing can fail there unseen: no guest ever runs with
    what lay on the stack instead, at its first calls, which go through C, or with what a host function returned."""
    seen = list[int]()
    text = """(module (import "m" "f" (func $f (param i32) (result i32)))
      (func (export "sub") (param i32 i32) (result i32) (i32.sub (local.get 0) (local.get 1)))
      (func (export "ask") (param i32) (result i32) (call $f (local.get 0))))"""
    for at in range(12):
        instance = load(text, {"m": {"f": lambda x: 3000}})
        sub, ask = instance.exports.sub, instance.exports.ask
        assert sub(4000, 1000) == ask(7) == 3000  # compiled

        def both(sub: Callable[..., int] = sub, ask: Callable[..., int] = ask) -> None:
            seen.append(sub(4000, 1000))
            seen.append(ask(7))

        failing(at, both)
    assert len(seen) > 2
    assert set(seen) == {3000}


def test_a_table_with_a_large_number_grows_or_does_not() -> None:
    """Its number is taken apart without an int of Python's: a failure there would be no one's, and the growth a success
    that did not happen."""
    tables = "(table 1 100 externref)" * 299
    text = f"""(module {tables} (table $t (export "t") 1 100 externref)
      (func (export "more") (result i32) (table.grow $t (ref.null extern) (i32.const 1))))"""
    grown = list[int]()
    for at in range(6):
        exports = load(text).exports
        more, table = exports.more, exports.t
        assert more() == 1

        def grow(more: Callable[..., int] = more) -> None:
            grown.append(more())

        went_well = failing(at, grow)
        assert not went_well or (grown[-1], len(table)) in ((2, 3), (-1, 2))
    assert grown


def test_a_constructor_that_there_is_no_memory_for() -> None:
    """It is compiled when an instance is made, by a compiler that may say SystemError where it has no memory."""
    refused = 0
    for at in range(200):

        @dataclass(frozen=True, slots=True)
        class Figures:
            """As those of a configuration."""

            first: int
            second: int = 2
            name: str = "none"
            rest: tuple[int, ...] = ()

            def __post_init__(self) -> None:
                """None of the templates has one."""

        for _ in range(FEW):
            Figures(5)
        refused += not failing(at, functools.partial(Figures, 1, rest=()))
        assert Figures(5).second == 2
    assert refused > 50


LATE = """
import _testcapi
from stratavm import load
from stratavm.base.importing import importing
store = load("(module)").store
for length in (50, 3, 1):
    for at in range(60):
        _testcapi.set_nomemory(at, at + length)
        try:
            store.heap_dump()
        except (MemoryError, ImportError, RuntimeError):  # "can't allocate lock", says importlib
            pass
        finally:
            _testcapi.remove_mem_hooks()
        assert not importing._is_owned(), (length, at)
assert store.heap_dump().rows == ()
"""


def test_an_import_inside_of_a_call_that_there_is_no_memory_for() -> None:
    """Not even for its traceback: it leaves its lock to other threads, and is done another time. In a process apart,
    where what is imported has not been before."""
    needed.module("_testcapi")
    assert_silent(LATE)
