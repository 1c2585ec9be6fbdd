"""Claims about functions as Python calls them: conversion, errors, identity, what CPython is told of the type."""

import gc
import inspect
import math
import struct
import sys
import weakref

import pytest
from hypothesis import given
from hypothesis import strategies as st

import stratavm
from stratavm.base.errors import Closed, StoreBusy, Trap
from stratavm.engine.cells import unboxed
from stratavm.engine.func import Func
from stratavm.runtime.values import to_raw
from stratavm.spec.types import F32, F64, I32, I64, FuncType, type_name
from tests import needed

NUMBERS = (I32, I64, F32, F64)
ECHO = " ".join(
    f"""(func (export "{n}") (param {n}) (result {n}) (local.get 0))
    (func (export "{n}s") (param {n} {n} {n}) (result {n} {n} {n}) (local.get 2) (local.get 1) (local.get 0))"""
    for n in ("i32", "i64", "f32", "f64", "externref", "funcref")
)
MODULE = f"""(module {ECHO}
  (func (export "nothing"))
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "six") (param i32 i64 f32 f64 i32 i64) (result i64 f64 f32 i32)
    (local.get 5) (local.get 3) (local.get 2) (local.get 4))
  (func (export "many") {"(param i64)" * 40} (result {"i64 " * 20})
    {" ".join(f"(local.get {39 - i})" for i in range(20))})
  (func (export "trap") unreachable))"""


@pytest.fixture(scope="module", params=["jit0", "oracle"])
def exports(request):
    """The exports of one instance, on either tier."""
    return stratavm.load(MODULE, tier=request.param).exports


ANYTHING = st.one_of(
    st.integers(-(1 << 65), 1 << 65),
    st.sampled_from([s * (1 << b) + d for b in (31, 32, 63, 64) for s in (1, -1) for d in (-1, 0, 1)]),
    st.floats(),
    st.booleans(),
    st.none(),
    st.text(max_size=2),
)


@given(st.sampled_from(NUMBERS), ANYTHING)
def test_the_quick_path_agrees_with_the_rules(type_, value):
    """Whatever the quick path accepts has the bits that ``values`` gives; it refuses only what ``values`` looks at."""
    quick = unboxed((type_,), (value,))
    if quick is not None:
        assert quick == [to_raw(type_, value, None)]
    elif isinstance(value, int) and type_ in (I32, I64):
        with pytest.raises(OverflowError):
            to_raw(type_, value, None)


@given(st.lists(st.tuples(st.sampled_from(NUMBERS), ANYTHING), max_size=6))
def test_several_values_are_unboxed_one_by_one(pairs):
    """Cells do not disturb each other."""
    types, values = tuple(t for t, _ in pairs), tuple(v for _, v in pairs)
    singles = [unboxed((t,), (v,)) for t, v in pairs]
    expected = None if None in singles else [bits for [bits] in singles]
    assert unboxed(types, values) == expected


@pytest.mark.parametrize(
    ("name", "value", "result"),
    [
        ("i32", 0xFFFFFFFF, -1), ("i32", -(1 << 31), -(1 << 31)), ("i32", 1 << 31, -(1 << 31)), ("i32", True, 1),
        ("i64", (1 << 64) - 1, -1), ("i64", 1 << 63, -(1 << 63)), ("i64", -(1 << 63), -(1 << 63)), ("i64", 7, 7),
        ("f64", 0.1, 0.1), ("f64", 3, 3.0), ("f64", math.inf, math.inf), ("f32", 0.5, 0.5), ("f32", 1e300, math.inf),
        ("f32", 0.1, struct.unpack("<f", struct.pack("<f", 0.1))[0]),
        ("externref", None, None), ("funcref", None, None),
    ],
)  # fmt: skip
def test_values_cross(exports, name, value, result):
    """Both ranges of integers go in, signed ones come out; f32 is rounded."""
    got = exports[name](value)
    assert got == result and type(got) is type(result)
    assert exports[f"{name}s"](value, value, value) == (result,) * 3


def test_objects_with_index_and_float_cross(exports):
    """Anything that says what it is: ``__index__`` and ``__float__``."""
    numpy = needed.module("numpy")
    assert exports.add(numpy.int32(-3), numpy.uint64(5)) == 2
    assert exports.f64(numpy.float32(0.5)) == 0.5


def test_references_cross(exports):
    """Any object is an externref; functions of the store are funcrefs and stay callable."""
    things = (object(), [1], "text")
    assert exports.externrefs(*things) == things[::-1]
    assert exports.funcref(exports.add)(2, 3) == 5
    assert exports.funcref(exports.add) == exports.add and hash(exports.funcref(exports.add)) == hash(exports.add)
    with pytest.raises(TypeError, match="expected a function of this store or None, got int"):
        exports.funcref(3)
    with pytest.raises(TypeError, match="belongs to another store"):
        exports.funcref(stratavm.load(MODULE).exports.add)


def test_many_values_cross(exports):
    """Beyond what the quick path keeps on the stack."""
    assert exports.many(*range(40)) == tuple(range(39, 19, -1))
    assert exports.six(1, 2, 0.5, 0.25, -5, -6) == (-6, 0.25, 0.5, -5)
    assert exports.nothing() is None


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda e: e.add(1), TypeError, "add(i32, i32) -> i32 takes 2 arguments, got 1"),
        (lambda e: e.nothing(1), TypeError, "nothing() takes 0 arguments, got 1"),
        (lambda e: e.add(1, b=2), TypeError, "add(i32, i32) -> i32 takes no keyword arguments"),
        (lambda e: e.add(1, 2.0), TypeError, "add(i32, i32) -> i32, argument 2: expected i32, got float"),
        (lambda e: e.add(1, []), TypeError, "add(i32, i32) -> i32, argument 2: expected i32, got list"),
        (lambda e: e.add(1 << 32, 0), OverflowError, "add(i32, i32) -> i32, argument 1: 4294967296 does not fit i32"),
        (lambda e: e.i64(-(1 << 63) - 1), OverflowError, "i64(i64) -> i64: -9223372036854775809 does not fit i64"),
        (lambda e: e.f64("1"), TypeError, "f64(f64) -> f64: expected f64, got str"),
        (lambda e: e.f32(None), TypeError, "f32(f32) -> f32: expected f32, got None"),
    ],
)  # fmt: skip
def test_errors_name_the_function_and_its_signature(exports, call, error, message):
    """What was called, what it wants, which argument of several is wrong, what it got."""
    with pytest.raises(error) as caught:
        call(exports)
    assert str(caught.value) == message


def test_all_arguments_are_converted_before_anything_runs(exports):
    """An ``__index__`` that calls into the same instance, or fails, finds the store idle."""

    class Index:
        def __index__(self) -> int:
            return exports.add(20, 1)

    class Fails:
        def __index__(self) -> int:
            raise LookupError

    assert exports.add(Index(), Index()) == 42
    with pytest.raises(LookupError):
        exports.add(Index(), Fails())
    assert not exports.add.store.busy


def test_arguments_survive_the_collection_of_handles(exports):
    """Calls made while later arguments are converted may collect handles, not those of earlier arguments."""

    class Index:
        def __index__(self) -> int:
            for i in range(3000):
                exports.externref([i])
            return 3

    text = '(module (func (export "f") (param externref i32) (result externref i32) (local.get 0) (local.get 1)))'
    linker = stratavm.Linker(exports.add.store.engine)
    f = linker.instantiate(exports.add.store, stratavm.Module(text, linker.engine)).exports.f
    thing = object()
    assert f(thing, Index()) == (thing, 3)
    before = sum(1 for o in gc.get_objects() if type(o) is list and len(o) == 1 and type(o[0]) is int)
    for i in range(5000):
        exports.externref([i])
    after = sum(1 for o in gc.get_objects() if type(o) is list and len(o) == 1 and type(o[0]) is int)
    assert after - before < 4500  # most of the 5,000 are gone again


def test_python_tools_understand_functions(exports):
    """``inspect.signature``, ``help``, names, ``repr``, weak references."""
    assert str(inspect.signature(exports.add)) == "(p0: 'i32', p1: 'i32', /) -> 'i32'"
    assert inspect.signature(exports.six).return_annotation == ("i64", "f64", "f32", "i32")
    assert exports.add.__name__ == exports.add.name == "add"
    assert repr(exports.add) == "<Func add(i32, i32) -> i32>"
    assert "call it like a Python function" in inspect.getdoc(exports.add)
    assert callable(exports.add) and weakref.ref(exports.add)() is exports.add
    assert exports.add.type == FuncType((I32, I32), (I32,)) and type_name(I32) == "i32"
    with pytest.raises(AttributeError, match="no attribute 'nothing_like_it'"):
        _ = exports.add.nothing_like_it


def test_every_way_of_calling_is_the_same(exports):
    """Vectorcall, a tuple, ``__call__``, ``functools.partial``, ``map``."""
    import functools

    assert exports.add(*(1, 2)) == exports.add.__call__(1, 2) == type(exports.add).__call__(exports.add, 1, 2) == 3
    assert functools.partial(exports.add, 1)(2) == 3
    assert list(map(exports.add, (1, 2), (3, 4))) == [4, 6]
    with pytest.raises(TypeError, match="takes no keyword arguments"):
        exports.add(1, x=2)


def test_cpython_knows_the_vectorcall_pointer():
    """The assumptions on the type object, in this version of Python: flag, offset inside the object, no subclasses."""
    have_vectorcall, base_type = 1 << 11, 1 << 10
    assert Func.__flags__ & have_vectorcall
    assert not Func.__flags__ & base_type
    offset = type_field_vectorcall_offset()
    assert 0 < offset <= Func.__basicsize__ - 8 and offset % 8 == 0
    with pytest.raises(TypeError, match="not an acceptable base type"):
        type("Sub", (Func,), {})
    with pytest.raises(TypeError):
        Func.__call__ = None
    with pytest.raises(TypeError):
        Func()
    with pytest.raises(TypeError):
        Func.__new__(Func)


def type_field_vectorcall_offset() -> int:
    """``tp_vectorcall_offset`` as ``ctypes`` sees it: the sixth word of a type object after its variable-size head."""
    import ctypes

    assert sys.version_info[:2] in ((3, 11), (3, 12), (3, 13)), "check the layout of PyTypeObject for this version"
    head = 3 * 8  # ob_refcnt, ob_type, ob_size; then tp_name, tp_basicsize, tp_itemsize, tp_dealloc
    return ctypes.c_ssize_t.from_address(id(Func) + head + 4 * 8).value


def test_calls_leave_reference_counts_alone(exports):
    """Arguments, results, the function, None: exact after a thousand calls of every kind."""
    text, number = object(), 1 << 40
    watched = (exports.externref, exports.i64, exports.nothing, exports.add, text, number)

    def calls() -> None:
        for _ in range(1000):
            exports.externref(text)
            exports.i64(number)
            exports.nothing()
            for bad in ((1,), ("x", 1)):
                try:
                    exports.add(*bad)
                except TypeError:
                    continue
                raise AssertionError(bad)

    calls()
    exports.add.store.gc()
    gc.collect()
    before = [sys.getrefcount(w) for w in watched]
    nones = sys.getrefcount(None)
    calls()
    exports.add.store.gc()
    assert [sys.getrefcount(w) for w in watched] == before
    assert abs(sys.getrefcount(None) - nones) < 100  # (from 3.12 on it has no count)


def test_a_closed_store_refuses_calls(exports):
    """The function stays an object, and raises."""
    instance = stratavm.load(MODULE)
    add = instance.exports.add
    instance.store.close()
    for _ in range(2):
        with pytest.raises(Closed):
            add(1, 2)
    assert repr(add) == "<Func add(i32, i32) -> i32>"


def test_an_instance_is_closed_at_the_end_of_its_block():
    """Its functions raise then; the store and its other instances go on."""
    with stratavm.load(MODULE) as instance:
        add = instance.exports.add
        assert add(1, 2) == 3
    with pytest.raises(Closed, match="instance"):
        add(1, 2)
    assert stratavm.load(MODULE, store=instance.store).exports.add(1, 2) == 3


def test_a_trap_leaves_the_function_usable(exports):
    """Traps come as exceptions and leave no activation behind."""
    for _ in range(100):
        with pytest.raises(Trap, match="unreachable"):
            exports.trap()
    assert exports.add(1, 2) == 3 and not exports.add.store.busy


def test_another_thread_is_refused_while_a_call_is_inside():
    """Exactly one proceeds."""
    import threading

    inside, leave, results = threading.Event(), threading.Event(), []

    def wait() -> None:
        inside.set()
        assert leave.wait(60)

    source = '(module (import "e" "wait" (func $w)) (func (export "run") (call $w)) (func (export "nop")))'
    exports = stratavm.load(source, imports={"e": {"wait": wait}}).exports
    thread = threading.Thread(target=lambda: results.append(exports.run()))
    thread.start()
    assert inside.wait(60)
    with pytest.raises(StoreBusy):
        exports.nop()
    leave.set()
    thread.join()
    assert results == [None] and exports.nop() is None
