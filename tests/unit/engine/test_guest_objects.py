"""What Python has of guests' objects: fields, elements, types, buffers, new ones, and how what is wrong is refused."""

from __future__ import annotations

import array
import builtins
import copy
import ctypes
import gc
import io
import pickle
import random
import sys
import threading
import weakref
from collections.abc import Callable
from typing import Any

import pytest

from stratavm import (
    I31,
    Closed,
    Config,
    Engine,
    Func,
    GcConfig,
    GcConstants,
    Global,
    GuestField,
    GuestObject,
    GuestType,
    Linker,
    Module,
    ResourceLimit,
    Store,
    StoreBusy,
    StoreLimits,
    Table,
    Tag,
    WasmException,
)
from stratavm.engine.instance import Instance
from stratavm.runtime.values import results_from_raw
from stratavm.spec.types import I32, FuncType
from tests import needed

TIERS = ("oracle", "jit0", "jit1", "auto")

TEXT = """(module
  (type $point (sub (struct (field $x (mut i32)) (field $y (mut f64)))))
  (type $named (sub $point (struct (field $x (mut i32)) (field $y (mut f64)) (field $tag i64))))
  (type $bytes (array (mut i8))) (type $chars (array (mut i16))) (type $ints (array (mut i32)))
  (type $longs (array i64)) (type $floats (array (mut f32))) (type $doubles (array (mut f64)))
  (type $lanes (array (mut v128)))
  (type $sig (func (result i32)))
  (rec (type $node (sub (struct
    (field $b (mut i8)) (field $h (mut i16)) (field $l (mut i64)) (field $f (mut f32)) (field $v (mut v128))
    (field $next (mut (ref null $node))) (field $any (mut anyref)) (field $ext (mut externref))
    (field $num (mut i31ref)) (field $fun (mut (ref null $sig))) (field i32)))))
  (type $row (array (mut (ref null $point)))) (type $strict (array (mut (ref $point))))
  (import "env" "ask" (func $ask (param anyref) (result eqref)))
  (func $seven (export "seven") (type $sig) (i32.const 7))
  (tag $e (param (ref $point) i31ref))
  (global (export "g") (mut (ref null $point)) (ref.null $point))
  (global $hold (mut anyref) (ref.null any))
  (table (export "t") 3 (ref null $point))
  (func (export "point") (param i32 f64) (result (ref $point)) (struct.new $point (local.get 0) (local.get 1)))
  (func (export "named") (result (ref $point)) (struct.new $named (i32.const 1) (f64.const 2) (i64.const -3)))
  (func (export "x") (param (ref $point)) (result i32) (struct.get $point $x (local.get 0)))
  (func (export "node") (result (ref $node)) (struct.new_default $node))
  (func (export "bytes") (param i32) (result (ref $bytes)) (array.new_default $bytes (local.get 0)))
  (func (export "sum") (param (ref null $ints)) (result i32) (local $i i32) (local $s i32)
    (block $end (loop $on
      (br_if $end (i32.ge_u (local.get $i) (array.len (local.get 0))))
      (local.set $s (i32.add (local.get $s) (array.get $ints (local.get 0) (local.get $i))))
      (local.set $i (i32.add (local.get $i) (i32.const 1))) (br $on)))
    (local.get $s))
  (func (export "longs") (result (ref $longs)) (array.new_fixed $longs 2 (i64.const 5) (i64.const -6)))
  (func (export "any") (param anyref) (result anyref) (local.get 0))
  (func (export "eq") (param eqref) (result eqref) (local.get 0))
  (func (export "num") (param i31ref) (result i31ref) (local.get 0))
  (func (export "out") (param anyref) (result externref) (extern.convert_any (local.get 0)))
  (func (export "in") (param externref) (result anyref) (any.convert_extern (local.get 0)))
  (func (export "is_num") (param anyref) (result i32) (ref.test (ref i31) (local.get 0)))
  (func (export "asks") (param anyref) (result eqref) (call $ask (local.get 0)))
  (func (export "throw") (param (ref $point)) (throw $e (local.get 0) (ref.i31 (i32.const -9))))
  (func (export "hold") (param anyref) (global.set $hold (local.get 0)))
  (func (export "held") (result anyref) (global.get $hold))
  (func (export "churn") (param $k i32)
    (loop (drop (struct.new_default $node)) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
)"""


def made(tier: str, ask: Callable[..., Any] = lambda given: None, limits: StoreLimits | None = None) -> Instance:
    """An instance in a store of its own."""
    home = Engine(Config(tier=tier))
    linker = Linker(home)
    linker.define("env", "ask", ask)
    return linker.instantiate(Store(home, limits=limits), Module(TEXT, engine=home))


@pytest.mark.parametrize("tier", TIERS)
def test_fields_by_number_and_by_name(tier: str) -> None:
    """What Python writes a guest reads, and the other way round."""
    call = made(tier).exports
    point = call["point"](-3, 2.5)
    assert isinstance(point, GuestObject)
    assert (point[0], point["x"], point[-1], point["y"]) == (-3, -3, 2.5, 2.5)
    assert list(point) == [-3, 2.5]
    assert len(point) == 2
    assert 2.5 in point
    assert not point.is_array
    point["x"] = 0xFFFF_FFFF
    point[1] = 7
    assert call["x"](point) == point[0] == -1
    assert point["y"] == 7.0
    assert repr(point) == "<struct $point of a guest, 2 values>"


@pytest.mark.parametrize("tier", TIERS)
def test_values_of_every_type(tier: str) -> None:
    """Packed ones are unsigned, and signed where somebody asks; references keep what they refer to."""
    instance = made(tier)
    call = instance.exports
    node = call["node"]()
    assert list(node) == [0, 0, 0, 0.0, bytes(16), None, None, None, None, None, 0]
    for key, given, found in (
        ("b", -1, 255),
        ("b", 200, 200),
        ("h", -2, 65534),
        ("l", (1 << 64) - 1, -1),
        ("l", -(1 << 63), -(1 << 63)),
        ("f", 0.1, 0.10000000149011612),
        ("v", bytes(range(16)), bytes(range(16))),
        ("v", 1, b"\1" + bytes(15)),
        ("num", -5, -5),
        ("any", 1 << 29, 1 << 29),
        ("num", None, None),
        ("fun", call["seven"], call["seven"]),
    ):
        node[key] = given
        assert node[key] == found, key
    node["b"], node["h"] = 0x80, 0x7FFF
    assert (node.get("b"), node.get("b", signed=True), node.get("h", signed=True)) == (0x80, -0x80, 0x7FFF)
    assert node.get("l", signed=True) == -(1 << 63)
    own, point = object(), call["point"](1, 2)
    node["next"], node["any"], node["ext"] = node, point, own
    assert node["next"] is node
    assert node["any"] is point
    assert node["ext"] is own
    node["any"] = own
    node["ext"] = point
    assert node["any"] is own
    assert node["ext"] is point
    assert type(node["num"] or I31(1)) is I31
    for given in ((1 << 30) - 1, -(1 << 30), I31((1 << 31) - 1), True):  # as anything, it comes out as it went in
        node["any"] = given
        assert node["any"] == given
    node["num"] = (1 << 31) - 1  # as a number without a sign
    assert (node["num"], I31(True)) == (-1, 1)


@pytest.mark.parametrize("tier", TIERS)
def test_what_python_wrote_is_held_by_the_object(tier: str) -> None:
    """By nobody else: an object of a guest, and one of Python's, through a field that Python wrote."""

    class Thing:
        """Something that can be seen to go."""

    instance = made(tier)
    call, store = instance.exports, instance.store
    node, thing = call["node"](), Thing()
    node["any"], node["ext"] = call["point"](41, 1), thing
    seen = weakref.ref(thing)
    del thing
    for _ in range(3):
        call["churn"](3000)
        store.gc()
    assert node["any"]["x"] == 41
    assert node["ext"] is seen()
    node["ext"] = None
    for _ in range(3):
        store.gc()
        gc.collect()
    assert seen() is None


@pytest.mark.parametrize("tier", TIERS)
def test_arrays(tier: str) -> None:
    """Length, elements from either end, slices, assignment, iteration; a guest sees all of it."""
    instance = made(tier)
    ints = instance.module.object_type("ints")
    row = ints.new(instance.store, [1, 2, -3, 4])
    assert row.is_array
    assert (len(row), row[0], row[-1], row[1:3], row[::-2]) == (4, 1, 4, [2, -3], [4, 2])
    row[-4] = 10
    row[1:3] = (20, 30)
    row[::3] = [11, 41]
    assert list(row) == [11, 20, 30, 41]
    assert instance.exports["sum"](row) == 102
    assert instance.exports["sum"](ints.new(instance.store)) == 0
    assert row[4:] == row[2:1] == []
    assert bool(ints.new(instance.store)) is True
    points = instance.module.object_type("row").new(instance.store, length=2)
    point = instance.exports["point"](5, 6)
    points[1] = point
    assert list(points) == [None, point]


WHOLE = [0, 1, -1, 127, 128, 255, 256, -128, -129, 65_535, 65_536, -32_769, 2**31 - 1, 2**31, -(2**31), 2**32 - 1, True]
REAL = [
    0.0,
    -0.0,
    1.5,
    0.1,
    1e-46,
    3.4028234663852886e38,
    3.4028235e38,
    3.4028236e38,
    1e300,
    float("inf"),
    7,
    float("nan"),
]


@pytest.mark.parametrize("name", ["bytes", "chars", "ints", "floats", "doubles"])
def test_many_numbers_are_what_each_is_by_itself(name: str) -> None:
    """Of Python's own numbers and of a buffer, in a row and apart: the same bytes, or the same error and nothing."""
    instance = made("jit1")
    shape, store = instance.module.object_type(name), instance.store
    for value in REAL if name in ("floats", "doubles") else WHOLE:
        one, many, new = (shape.new(store, length=5) for _ in range(3))
        said = ""
        try:
            one[0] = one[2] = one[4] = value
        except (OverflowError, TypeError) as error:
            said = str(error)
            with pytest.raises(type(error)) as refused:
                many[::2] = [value] * 3
            assert str(refused.value) == said
            with pytest.raises(type(error)) as refused:
                shape.new(store, [value])
            assert str(refused.value) == said
            assert many.tobytes() == bytes(len(many.tobytes()))
            continue
        many[::2] = [value] * 3
        assert many.tobytes() == one.tobytes()
        new[4::-2] = memoryview(one).tolist()[::2]
        assert new.tobytes() == one.tobytes()
        new[:] = memoryview(many)
        new[1:4] = new[0:3]
        assert new.tobytes() == shape.new(store, [value, value, 0, value, value]).tobytes()
        new[::-1] = memoryview(new)
        new[:: 10**30] = [value]
        new[:2] = array.array(memoryview(new).format, [1, 2])
        assert list(new)[:2] == [1, 2]
    with pytest.raises(ValueError, match="a slice of 2 elements takes as many values, got 3"):
        many[:2] = memoryview(many)[:3]


@pytest.mark.parametrize("tier", TIERS)
def test_types(tier: str) -> None:
    """They know names, fields and what they are declared below; of two modules they are equal by structure."""
    instance = made(tier)
    module, call = instance.module, instance.exports
    point, named = module.object_type("point"), module.object_type(1)
    assert (point.name, point.index, point.is_array, point.is_final) == ("point", 0, False, False)
    assert point.fields == (GuestField("x", "i32", True), GuestField("y", "f64", True))
    assert module.object_type("node").fields[5] == GuestField("next", "(ref null $node)", True)
    assert module.object_type("node").fields[10] == GuestField("", "i32", False)
    assert module.object_type("bytes").fields == (GuestField("", "i8", True),)
    assert (call["named"]().type, call["point"](1, 2).type) == (named, point)
    assert named.is_subtype_of(point)
    assert named.is_subtype_of(named)
    assert not point.is_subtype_of(named)
    assert call["named"]().is_instance(point)
    assert not call["point"](1, 2).is_instance(named)
    assert repr(point) == "<struct $point: mut i32 x, mut f64 y>"
    assert repr(module.object_type("longs")) == "<array $longs: i64>"
    assert [t.name for t in module.object_types][:3] == ["point", "named", "bytes"]
    assert all(isinstance(t, GuestType) for t in module.object_types)
    other = Module(
        "(module (type (func)) (type (sub (struct (field (mut i32)) (field (mut f64))))))", engine=module.engine
    )
    twin = other.object_type(1)
    assert twin == point
    assert hash(twin) == hash(point)
    assert twin != named
    assert twin != "point"
    assert call["named"]().is_instance(twin)
    assert twin.new(instance.store, [3, 4])["x"] == 3


@pytest.mark.parametrize("tier", TIERS)
def test_new_objects(tier: str) -> None:
    """In order, by name, with defaults, of a buffer; a guest takes them as its own."""
    instance = made(tier)
    store, call = instance.store, instance.exports
    kind = instance.module.object_type
    assert call["x"](kind("point").new(store, [-7, 1.5])) == -7
    assert list(kind("point").new(store)) == [0, 0.0]
    assert list(kind("named").new(store, {"tag": 5, "x": 2})) == [2, 0.0, 5]
    assert call["x"](kind("named").new(store, (4, 0, 0))) == 4
    assert kind("bytes").new(store, b"\0\xff").tobytes() == b"\0\xff"
    assert kind("chars").new(store, array.array("H", [0x61, 0xF100])).tobytes() == b"\x61\0\0\xf1"
    assert list(kind("longs").new(store, [5, (1 << 64) - 1])) == [5, -1]
    assert list(kind("doubles").new(store, array.array("d", [0.5, -1.5]))) == [0.5, -1.5]
    assert list(kind("floats").new(store, array.array("d", [0.5, -1.5]))) == [0.5, -1.5]
    point = call["point"](1, 2)
    assert kind("strict").new(store, [point, point])[1] is point
    node = kind("node").new(store, {"next": kind("node").new(store), "any": 3})
    assert node["next"]["any"] is None
    assert node["any"] == 3
    for _ in range(3):
        call["churn"](3000)
    assert node["next"]["l"] == 0


@pytest.mark.parametrize("tier", TIERS)
def test_references_cross_as_what_they_are(tier: str) -> None:
    """As arguments, results, globals, elements of tables, values of host functions and of exceptions."""
    asked: list[Any] = []

    def ask(given: object) -> object:
        asked.append(given)
        return given

    instance = made(tier, ask)
    call, store = instance.exports, instance.store
    point, own = call["point"](4, 5), object()
    for given in (None, point, own, 12, -(1 << 30), "text"):
        assert call["any"](given) == given
    assert call["any"](own) is own
    assert (call["eq"](point), call["eq"](-6), call["eq"](None)) == (point, -6, None)
    assert type(call["num"](7)) is I31
    assert call["num"](0x7FFF_FFFF) == -1
    assert (call["is_num"](7), call["is_num"](I31(-7)), call["is_num"](own), call["is_num"](None)) == (1, 1, 0, 0)
    number = call["out"](9)
    assert (type(number), number, call["is_num"](call["in"](number))) == (I31, 9, 1)
    assert call["in"](9) == 9
    assert call["is_num"](call["in"](own)) == 0
    assert (call["asks"](point), call["asks"](5)) == (point, 5)
    assert asked == [point, 5]
    with pytest.raises(TypeError, match=r"host function env\.ask.*expected eqref, got object"):
        call["asks"](own)
    variable, table = call["g"], call["t"]
    assert isinstance(variable, Global)
    assert isinstance(table, Table)
    variable.value = point
    table[1] = point
    assert variable.value is table[1] is point
    assert table[0] is None
    with pytest.raises(WasmException) as caught:
        call["throw"](point)
    assert caught.value.values == (point, -9)
    with pytest.raises(WasmException) as again:
        raise WasmException(caught.value.tag, (call["named"](), 3))
    assert again.value.values[1] == 3
    for name in ("anyref", "eqref", "i31ref", "structref", "arrayref"):
        assert Global.new(store, name, None).value is None
    held = Global.new(store, "anyref", point, mutable=True)
    held.value = 5
    assert held.value == 5


@pytest.mark.parametrize("tier", TIERS)
def test_buffers_of_arrays_of_numbers(tier: str) -> None:
    """Without a copy, with the type of the elements; a view holds the array, and can be read after the store closed."""
    instance = made(tier)
    store, call = instance.store, instance.exports
    kind = instance.module.object_type
    for name, format, size in (
        ("bytes", "B", 1),
        ("chars", "H", 2),
        ("ints", "i", 4),
        ("longs", "q", 8),
        ("floats", "f", 4),
        ("doubles", "d", 8),
    ):
        view = memoryview(kind(name).new(store, [1, 2, 3]))
        assert (view.format, view.itemsize, view.shape, view.tolist()) == (format, size, (3,), [1, 2, 3])
        assert view.readonly == (name == "longs")
    lanes = memoryview(kind("lanes").new(store, [1, 2]))
    assert (lanes.format, lanes.shape, lanes.nbytes, lanes[1, 0]) == ("B", (2, 16), 32, 2)
    row = kind("ints").new(store, length=5)
    view = memoryview(row)
    view[2] = 42
    assert (row[2], call["sum"](row)) == (42, 42)
    row[0] = 8
    assert (view[0], bytes(row)[:4], row.tobytes() == bytes(view)) == (8, b"\x08\0\0\0", True)
    numpy = needed.module("numpy")
    seen = numpy.asarray(row)
    seen += 1
    assert (seen.dtype.name, row[:]) == ("int32", [9, 1, 43, 1, 1])
    assert not numpy.asarray(call["longs"]()).flags.writeable
    del row, seen
    for _ in range(3):
        call["churn"](3000)
        store.gc()
    assert view.tolist() == [9, 1, 43, 1, 1]
    empty = memoryview(kind("bytes").new(store))
    assert bytes(empty) == b""


def test_results_of_a_store_that_was_closed_meanwhile_say_so() -> None:
    """By another thread, between the end of a call and the moment at which Python gets what it returned."""
    instance = made("auto")
    store, call = instance.store, instance.exports
    found = {name: call[name].call_raw([1, 2] if name == "point" else []) for name in ("point", "node", "longs")}
    types = {name: call[name].native.type for name in found}
    handle = store.extern_to_raw(object())
    assert repr(results_from_raw(types["point"], found["point"], store)) == "<struct $point of a guest, 2 values>"
    assert repr(instance.module.object_type("longs").new(store, [7])) == "<array $longs of a guest, 1 value>"
    store.close()
    for name, raws in found.items():
        with pytest.raises(Closed, match="the store is closed"):
            results_from_raw(types[name], raws, store)
    for raw in (handle, I31(5).raw):
        with pytest.raises(Closed, match="the store is closed"):
            store.extern_from_raw(raw)
    assert store.extern_from_raw(0) is None


@pytest.mark.parametrize("tier", TIERS)
def test_views_outlive_their_store(tier: str) -> None:
    """Bytes stay as long as a view of them; objects say that the store is closed."""
    instance = made(tier)
    store = instance.store
    row = instance.module.object_type("bytes").new(store, b"stays")
    view, other = memoryview(row), memoryview(instance.module.object_type("ints").new(store, [7]))
    store.close()
    del store, instance
    gc.collect()
    view[0] = ord("S")
    assert (bytes(view), other[0]) == (b"Stays", 7)
    for use in (lambda: row[0], lambda: len(row), lambda: row.tobytes(), lambda: memoryview(row)):
        with pytest.raises(Closed, match="the store of this object is closed"):
            use()
    other.release()
    assert bytes(view) == b"Stays"
    view.release()
    assert repr(row) == "<array $bytes of a guest, ? values>"
    assert row.type.name == "bytes"
    assert row.is_instance(row.type)


@pytest.mark.parametrize("use", [memoryview, len, repr, list, bytes, lambda row: row[0], lambda row: row.tobytes()])
def test_a_store_that_closes_in_the_midst_of_an_access(use: Callable[[Any], object]) -> None:
    """By whoever Python runs between two steps, here a profiler at the first call of any function of Python's."""
    for when in range(1, 30):
        instance = made("auto")
        row, left = instance.module.object_type("ints").new(instance.store, [1, 2, 3]), [when]

        def close(frame: object, event: str, _: object, instance: Instance = instance, left: list[int] = left) -> None:
            if event == "call":
                left[0] -= 1
                if left[0] == 0:
                    sys.setprofile(None)
                    instance.store.close()

        sys.setprofile(close)
        try:
            found = use(row)
        except Closed:
            found = None
        finally:
            sys.setprofile(None)
        if isinstance(found, memoryview):
            assert found.tolist() == [1, 2, 3]
        if left[0] > 0:
            break


class Buffer(ctypes.Structure):
    """``Py_buffer``."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("buf", "obj")),
        *((name, ctypes.c_ssize_t) for name in ("len", "itemsize")),
        *((name, ctypes.c_int) for name in ("readonly", "ndim")),
        *((name, ctypes.c_void_p) for name in ("format", "shape", "strides", "suboffsets", "internal")),
    )


@pytest.mark.parametrize(
    ("kind", "length", "order", "there"),
    [
        ("lanes", 2, 0x40, False),
        ("lanes", 1, 0x40, True),
        ("lanes", 2, 0x20, True),
        ("lanes", 2, 0x80, True),
        ("ints", 2, 0x40, True),
    ],
)
def test_a_view_by_columns_is_refused_where_there_is_none(kind: str, length: int, order: int, there: bool) -> None:
    """Who asks for Fortran's order would read the bytes of vectors crosswise."""
    instance = made("auto")
    row, found = instance.module.object_type(kind).new(instance.store, length=length), Buffer()
    asked = (row, ctypes.byref(found), 0x18 | order)
    if there:
        ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(row), *asked[1:])
        ctypes.pythonapi.PyBuffer_Release(ctypes.byref(found))
    else:
        with pytest.raises(BufferError, match="by columns"):
            ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(row), *asked[1:])


def test_a_store_that_is_forgotten_keeps_what_a_view_shows() -> None:
    """As one that is closed."""
    instance = made("auto")
    view = memoryview(instance.module.object_type("bytes").new(instance.store, bytes(100_000)))
    view[99_999] = 5
    del instance
    gc.collect()
    assert view[99_999] == 5


def test_a_large_array_of_bytes_comes_at_once() -> None:
    """Of a buffer that has the bytes, and of one that is none of numbers."""
    instance = made("auto")
    kind, store = instance.module.object_type, instance.store
    content = bytes(range(256)) * 4096
    assert kind("bytes").new(store, content).tobytes() == content
    assert kind("bytes").new(store, memoryview(content)[::2]).tobytes() == content[::2]
    assert kind("ints").new(store, array.array("I", [1 << 31])).tobytes() == (1 << 31).to_bytes(4, "little")
    row = kind("ints").new(store, length=5)
    row[1:3] = array.array("i", [-1, 7])
    assert row[:] == [0, -1, 7, 0, 0]
    row[::2] = array.array("i", [1, 2, 3])
    row[3:] = memoryview(row)[:2]  # of itself, and over itself
    row[1:4] = memoryview(row)[:3]
    row[5:] = array.array("i")
    assert row[:] == [1, 1, -1, 2, -1]
    with pytest.raises(ValueError, match="a slice of 2 elements takes as many values, got 1"):
        row[:2] = array.array("i", [5])
    assert row[:] == [1, 1, -1, 2, -1]
    with pytest.raises(ResourceLimit, match=r"an array \$bytes of"):
        small = made("auto", limits=StoreLimits(total_bytes=1 << 20))
        small.module.object_type("bytes").new(small.store, length=2 << 20)


MISUSE = """
point[2]                    | IndexError    | struct \\$point has no field 2: it has 2 fields
point[-3]                   | IndexError    | struct \\$point has no field -3
point[1 << 70]              | IndexError    | struct \\$point has no field 1180591620717411303424
point["z"]                  | KeyError      | struct \\$point has no field named 'z'; fields: x, y
point["X"]                  | KeyError      | did you mean 'x'
point[1.0]                  | TypeError     | an index of a field must be a whole number, got 1.0
point[0:1]                  | TypeError     | struct \\$point has fields one by one: only arrays have slices
point[None]                 | TypeError     | an index of a field must be a whole number, got None
row["x"]                    | TypeError     | array \\$ints has elements by number, got the name 'x'
row[3]                      | IndexError    | array \\$ints has no element 3: it has 3 elements
row[True]                   | TypeError     | an index of an array must be a whole number, got True
put(point, "x", 1.5)        | TypeError     | field 0 \\(x\\) of struct \\$point: expected i32, got float
put(point, "y", 10**400)    | OverflowError | field 1 \\(y\\) of struct \\$point: a number of 1329 bits does not fit f64
put(point, 0, 1 << 32)      | OverflowError | field 0 \\(x\\) of struct \\$point: 4294967296 does not fit i32
put(point, "y", "1")        | TypeError     | field 1 \\(y\\) of struct \\$point: expected f64, got str
put(named, "tag", 1)        | TypeError     | field 2 \\(tag\\) of struct \\$named is immutable
put(longs, 0, 1)            | TypeError     | element 0 of array \\$longs is immutable
put(longs, slice(0, 1), [1])| TypeError     | element 0 of array \\$longs is immutable
put(node, "b", 256)         | OverflowError | field 0 \\(b\\) of struct \\$node: 256 does not fit i8
put(node, "b", -129)        | OverflowError | -129 does not fit i8
put(node, "h", 1 << 16)     | OverflowError | 65536 does not fit i16
put(node, "num", 1 << 31)   | OverflowError | field 8 \\(num\\) of struct \\$node: 2147483648 does not fit i31
put(node, "num", "1")       | TypeError     | expected i31ref, got str
put(node, "next", point)    | TypeError     | struct \\$node: expected \\(ref null \\$node\\), got <struct \\$point
put(node, "next", 5)        | TypeError     | got int
put(node, "fun", print)     | TypeError     | expected a function of this store or None
put(node, "any", foreign)   | TypeError     | field 6 \\(any\\) of struct \\$node: .* belongs to another store
put(node, "v", b"1")        | TypeError     | expected 16 bytes
put(node, 10, 1)            | TypeError     | field 10 of struct \\$node is immutable
put(row, slice(0, 2), [1])  | ValueError    | a slice of 2 elements takes as many values, got 1
put(row, slice(0, 2), 5)    | TypeError     | array \\$ints takes elements in order, got int
put(row, slice(0, 2), point)| TypeError     | element 1 of array \\$ints: expected i32, got float
put(strict, 0, None)        | TypeError     | element 0 of array \\$strict: expected \\(ref \\$point\\), got None
delete(row, 0)              | TypeError     | as many values as they were made with
call["x"](row)              | TypeError     | expected \\(ref \\$point\\), got <array \\$ints of a guest, 3 values>
call["x"](foreign)          | TypeError     | belongs to another store
call["x"](None)             | TypeError     | got None
call["num"](1 << 31)        | OverflowError | does not fit i31
call["any"](1 << 31)        | OverflowError | 2147483648 does not fit anyref
point.tobytes()             | TypeError     | struct \\$point is a struct: only arrays of numbers have bytes
refs.tobytes()              | TypeError     | array \\$row has references: only arrays of numbers have bytes
memoryview(point)           | BufferError   | struct \\$point is no array of numbers
memoryview(refs)            | BufferError   | array \\$row is no array of numbers
frozen(longs)               | TypeError     | read-write bytes-like object
point.get("b")              | KeyError      | no field named 'b'
point.get(0, signed=1)      | TypeError     | signed must be True or False
point.is_instance("point")  | TypeError     | expected a GuestType, which Module.object_type\\('name'\\) gives, got str
point.is_instance(alien)    | TypeError     | is of another engine
alien.new(store)            | TypeError     | is of another engine
kind("point").new(None)     | TypeError     | a new object needs a Store, got NoneType
kind("point").new(store, [1])           | ValueError    | struct \\$point has 2 fields, got 1 value$
kind("point").new(store, {"z": 1})      | KeyError      | no field named 'z'
kind("point").new(store, {1: 1})        | TypeError     | names of fields are text, got int
kind("point").new(store, "ab")          | TypeError     | takes values in order, or by the names of fields, got str
kind("point").new(store, ["1", 2])      | TypeError     | field 0 \\(x\\) of struct \\$point: expected i32, got str
kind("point").new(store, length=1)      | TypeError     | struct \\$point is a struct, which has no length
kind("ints").new(store, [1], length=2)  | ValueError    | 1 value for an array of 2 elements
kind("ints").new(store, [1 << 32])      | OverflowError | element 0 of array \\$ints: 4294967296 does not fit i32
kind("ints").new(store, flat)           | TypeError     | elements in order, got Scalar of 0 dimensions
kind("ints").new(store, view)           | TypeError     | elements in order, got memoryview of 2 dimensions
kind("ints").new(store, length=1 << 32) | ValueError    | length must be between 0 and 4294967295 elements
kind("ints").new(store, length=-1)      | ValueError    | length must be between 0
kind("strict").new(store, length=1)     | TypeError     | has no default: it needs a value of type \\(ref \\$point\\)
kind("pint")                | KeyError      | the module has no type named 'pint'; did you mean 'point'
kind("elephant")            | KeyError      | types: point, named, bytes
kind("sigh")                | KeyError      | no type named 'sigh'; types: point, named, bytes
kind(None)                  | TypeError     | a type is given by its name or its index, got NoneType
kind(99)                    | IndexError    | there is no type 99: the module has \\d+ types; Module.object_types
kind(-1)                    | IndexError    | there is no type -1
kind("sig")                 | TypeError     | type 9 is one of functions
kind(1.5)                   | TypeError     | a type is given by its name or its index, got float; Module.object_types
GuestType()                 | TypeError     | Module.object_type
GuestObject()               | TypeError     | made by guests
Tag.new(store, kind("point"))           | TypeError     | got <struct \\$point.*Tag.new\\(store, \\[type\\]\\)
Tag.new(store, FuncType())  | TypeError     | got a FuncType: Tag.new\\(store, type.params\\)
Tag.new(store, 5)           | TypeError     | a sequence of types, got 5
host(store, FuncType(kind("point"), ()), print) | TypeError | are tuples of value types, got <struct \\$point
put(node, "any", 1 << 30)   | OverflowError | 1073741824 does not fit anyref: numbers there are from -1073741824 to
put(node, "any", -2 ** 30 - 1)          | OverflowError | does not fit anyref
I31(1 << 31)                | OverflowError | does not fit i31
I31(1.5)                    | TypeError     | an i31 must be a whole number
"""


class Scalar:
    """An array of another library, of no dimension: it has a method to be gone through, which refuses."""

    ndim = 0

    def __iter__(self) -> None:
        raise TypeError("iteration over a 0-d array")


ROWS = [tuple(part.strip() for part in line.split("|")) for line in MISUSE.strip().splitlines()]


@pytest.fixture(scope="module")
def given() -> dict[str, Any]:
    """What the table of misuse is about."""
    instance = made("auto")
    other = Module(TEXT, engine=Engine())
    kind, call, store = instance.module.object_type, instance.exports, instance.store

    def put(thing: GuestObject, key: Any, value: object) -> None:
        thing[key] = value

    def delete(thing: Any, key: object) -> None:
        del thing[key]

    def frozen(thing: Any) -> object:
        return io.BytesIO(bytes(16)).readinto(thing)

    second = made("auto")
    return {
        "call": call,
        "kind": kind,
        "store": store,
        "put": put,
        "delete": delete,
        "frozen": frozen,
        "alien": other.object_type("point"),
        "foreign": second.exports["point"](1, 2),
        "point": call["point"](1, 2),
        "named": kind("named").new(store),
        "node": call["node"](),
        "row": kind("ints").new(store, [1, 2, 3]),
        "longs": call["longs"](),
        "refs": kind("row").new(store, length=1),
        "strict": kind("strict").new(store, [call["point"](1, 2)]),
        "flat": Scalar(),
        "view": memoryview(bytes(8)).cast("B", (2, 4)),
        "Tag": Tag,
        "FuncType": FuncType,
        "host": Func.from_callable,
        "GuestType": GuestType,
        "GuestObject": GuestObject,
        "I31": I31,
    }


@pytest.mark.parametrize(("use", "error", "words"), ROWS, ids=[use for use, *_ in ROWS])
def test_misuse(given: dict[str, Any], use: str, error: str, words: str) -> None:
    """Each is refused, by what is wrong and where, and nothing has changed."""
    before = [list(given[name]) for name in ("point", "named", "node", "row", "longs", "strict")]
    kind: type[BaseException] = getattr(builtins, error)
    with pytest.raises(kind, match=words):
        eval(use, dict(given))
    assert [list(given[name]) for name in ("point", "named", "node", "row", "longs", "strict")] == before


@pytest.mark.parametrize("tier", TIERS)
def test_objects_of_a_closed_store(tier: str) -> None:
    """Nothing is read and nothing is written; a conversion that closes the store is found out in time."""
    instance = made(tier)
    store, kind = instance.store, instance.module.object_type
    point, row = instance.exports["point"](1, 2), kind("ints").new(store, [1, 2, 3])

    class Closes:
        """A number that closes the store as it is asked for."""

        def __index__(self) -> int:
            store.close()
            return 0

    values = iter(row)
    assert next(values) == 1
    with pytest.raises(Closed, match="the store of this object is closed"):
        row[1] = Closes()
    for use in (
        lambda: row[0],
        lambda: point["x"],
        lambda: point.get(0),
        lambda: len(point),
        lambda: row[:],
        lambda: list(row),
        lambda: next(values),
        lambda: row[Closes()],
        lambda: row.__setitem__(0, 1),
        lambda: row.__setitem__(slice(0, 1), [1]),
        lambda: kind("point").new(store),
    ):
        with pytest.raises(Closed, match=r"store.* is closed"):
            use()
    assert repr(point) == "<struct $point of a guest, ? values>"


def test_objects_whose_store_another_thread_is_in() -> None:
    """StoreBusy, as for memories; afterwards all is as before."""
    inside, go = threading.Event(), threading.Event()

    def ask(_: object) -> None:
        inside.set()
        assert go.wait(30)

    instance = made("auto", ask)
    point, row = instance.exports["point"](1, 2), instance.module.object_type("ints").new(instance.store, [1])
    thread = threading.Thread(target=instance.exports["asks"], args=(None,))
    thread.start()
    assert inside.wait(30)
    try:
        for use in (
            lambda: point["x"],
            lambda: point.__setitem__("x", 5),
            lambda: list(row),
            lambda: row[:],
            lambda: row.tobytes(),
            lambda: memoryview(row),
            lambda: instance.module.object_type("point").new(instance.store),
        ):
            with pytest.raises(StoreBusy, match="another thread"):
                use()
        assert point.is_instance(point.type)
    finally:
        go.set()
        thread.join()
    assert list(point) == [1, 2.0]


@pytest.mark.parametrize("tier", TIERS)
def test_objects_inside_of_a_host_function(tier: str) -> None:
    """It reads, writes and makes them while the guest waits."""

    def ask(given: GuestObject) -> GuestObject:
        given["x"] += 1
        for _ in range(200):
            instance.exports["churn"](20)
        return instance.module.object_type("point").new(instance.store, [given["x"] * 2, 0])

    instance = made(tier, ask)
    point = instance.exports["point"](20, 0)
    assert instance.exports["asks"](point)["x"] == 42
    assert point["x"] == 21


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1"])
def test_what_python_writes_into_old_objects_is_noted(tier: str) -> None:
    """Collections by generations and in slices go on beside it: a witness knows what must be in each list."""
    config = GcConfig(generations=True, constants=GcConstants(nursery_bytes=1 << 15, slice_us=1, factor=0.01))
    home = Engine(Config(tier=tier, gc=config))
    linker, store, draw = Linker(home), Store(home), random.Random(7)
    linker.define("env", "ask", lambda given: None)
    instance = linker.instantiate(store, Module(TEXT, engine=home))
    node, row = instance.module.object_type("node"), instance.module.object_type("row")
    point = instance.module.object_type("point")
    heads = [node.new(store) for _ in range(40)]
    lists: list[list[int]] = [[] for _ in heads]
    points = row.new(store, length=300)
    known: list[int | None] = [None] * 300
    for step in range(400):
        at, place = draw.randrange(40), draw.randrange(300)
        what = draw.randrange(4)
        if what < 2:
            heads[at]["next"] = node.new(store, {"l": step, "next": heads[at]["next"], "ext": (step,)})
            lists[at].insert(0, step)
        elif what == 2:
            heads[at]["next"], lists[at] = None, []
        points[place] = point.new(store, [step, 0])
        known[place] = step
        points[place // 2 : place // 2 + 2] = points[place : place + 2] if place < 299 else [None, None]
        known[place // 2 : place // 2 + 2] = known[place : place + 2] if place < 299 else [None, None]
        instance.exports["churn"](draw.randrange(1, 400) if tier != "oracle" else 20)
        if step % 40 == 39:
            store.gc_for_at_most(0.00001)
            for head, expected in zip(heads, lists, strict=True):
                found, here = [], head["next"]
                while here is not None:
                    assert here["ext"] == (here["l"],)
                    found.append(here["l"])
                    here = here["next"]
                assert found == expected
            assert [None if p is None else p["x"] for p in points] == known
    metrics = store.gc_metrics()
    assert metrics is not None
    assert metrics.minors > 3
    assert metrics.slices > 0


def test_names_of_fields_are_shown_safely() -> None:
    """A module may call them anything."""
    engine = Engine()
    text = '(module (type $"\\u{202e}\\n" (struct (field $"\\u{1b}[2J" i32))))'
    kind, store = Module(text, engine=engine).object_type(0), Store(engine)
    thing = kind.new(store)
    assert thing["\x1b[2J"] == 0
    assert repr(kind) == r"<struct $\u202e\x0a: i32 \x1b[2J>"
    assert repr(thing) == r"<struct $\u202e\x0a of a guest, 1 value>"
    with pytest.raises(KeyError, match="x1b"):
        thing["\x1b[2"]


def test_an_i31_is_an_int() -> None:
    """In all that Python does with one, and keeps its kind where it is copied."""
    number = I31(0x7FFF_FFFF)
    assert (number, number.raw, hash(number), f"{number}", number + 1) == (
        -1,
        (1 << 63) | 0x7FFF_FFFF,
        hash(-1),
        "-1",
        0,
    )
    assert type(copy.copy(number)) is type(pickle.loads(pickle.dumps(number))) is I31


def test_an_object_keeps_its_store() -> None:
    """As functions and memories do, whenever Python's collector runs."""
    instance = made("auto")
    point = instance.exports["point"](3, 0.5)
    another = instance.module.object_type("point").new(Store(instance.store.engine), [1, 2.0])
    del instance
    gc.collect()
    assert list(point) == [3, 0.5]
    assert list(another) == [1, 2.0]


def test_what_a_store_has_and_has_it_goes_with_it() -> None:
    """An object of Python that a guest's object holds, and that holds one of the guest's; a raw result."""
    instance = made("auto")
    instance.exports["point"].call_raw([1, 2])

    class Listener:
        """Of Python."""

        node: object = None

    listener = Listener()
    listener.node = instance.module.object_type("node").new(instance.store, {"ext": listener})
    assert gc.isenabled()  # which it is not while an object of the guest's is held by nobody: see test_object_heap
    gone = weakref.ref(listener), weakref.ref(instance.store)
    del instance, listener
    gc.collect()
    gc.collect()
    assert [one() for one in gone] == [None, None]


@pytest.mark.parametrize("name", ["complex64", "complex128"])
@pytest.mark.filterwarnings("ignore")  # of NumPy: what is said is an error
def test_complex_numbers_of_numpy_are_none_of_guests(name: str) -> None:
    """As Python's are not: NumPy would let go of a part."""
    numpy = needed.module("numpy")
    instance = made("auto")
    kind, store = instance.module.object_type, instance.store
    given = numpy.array([1 + 2j], dtype=name)
    row = kind("doubles").new(store, [0.5])
    for use in (
        lambda: kind("doubles").new(store, given),
        lambda: kind("floats").new(store, given),
        lambda: row.__setitem__(0, given[0]),
        lambda: row.__setitem__(slice(None), given),
        lambda: instance.exports["point"](1, given.reshape(())),
    ):
        with pytest.raises(
            TypeError, match=rf"expected f(32|64), got {name}: a complex number; its real part is \.real"
        ):
            use()
    assert list(row) == [0.5]


def test_numpy_is_told_that_a_store_is_closed_or_busy() -> None:
    """And makes no array of one object; of what is no buffer it makes what a list of the values gives."""
    numpy = needed.module("numpy")
    instance = made("auto", lambda given: used(given))
    said: list[type] = []

    def used(given: Any) -> None:
        thread = threading.Thread(target=ask, args=(given,))
        thread.start()
        thread.join()

    def ask(given: Any) -> None:
        try:
            numpy.asarray(given)
        except StoreBusy as error:
            said.append(type(error))

    kind, store = instance.module.object_type, instance.store
    row, point = kind("ints").new(store, [1, 2]), kind("point").new(store, [1, 2.5])
    instance.exports["asks"](row)
    assert said == [StoreBusy]
    assert numpy.asarray(point).tolist() == [1, 2.5]
    assert numpy.array(point, dtype="f4").dtype == "f4"
    assert numpy.sum(row) == 3
    with pytest.raises(ValueError, match="copy"):
        numpy.array(point, copy=False)
    store.close()
    for use in (numpy.asarray, numpy.array, numpy.sum):
        for thing in (row, point):
            with pytest.raises(Closed):
                use(thing)


def test_numpy_does_not_follow_references() -> None:
    """Objects that refer to themselves, or to very many others one behind the other, are values of an array."""
    numpy = needed.module("numpy")
    text = """(module
      (type $node (struct (field i32) (field $next (mut (ref null $node)))))
      (type $row (array (mut anyref))) (type $bytes (array i8)) (type $point (struct (field i32) (field f32)))
      (func (export "points") (result (ref $row)) (array.new_fixed $row 2
        (struct.new $point (i32.const 1) (f32.const 2)) (struct.new $point (i32.const 3) (f32.const 4))))
      (func (export "list") (param i32) (result (ref null $node)) (local $at (ref null $node))
        (loop
          (local.set $at (struct.new $node (local.get 0) (local.get $at)))
          (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
        (local.get $at))
      (func (export "row") (result (ref $row)) (local $row (ref $row))
        (local.set $row (array.new $row (ref.null any) (i32.const 2)))
        (array.set $row (local.get $row) (i32.const 0) (local.get $row))
        (local.get $row))
      (func (export "rows") (result (ref $row)) (array.new_fixed $row 2
        (array.new $bytes (i32.const 1) (i32.const 3)) (array.new $bytes (i32.const 2) (i32.const 3)))))"""
    engine = Engine()
    instance = Linker(engine).instantiate(Store(engine), Module(text, engine=engine))
    long, row = instance.exports["list"](2000), instance.exports["row"]()
    ring = instance.exports["list"](1)
    ring["next"] = ring
    for given, values in ((long, [1, long["next"]]), (row, [row, None]), (ring, [1, ring])):
        for dtype in (None, object):
            made = numpy.array(given, dtype)
            assert made.dtype == object
            assert made.shape == (2,)
            assert made.tolist() == values
        assert numpy.asarray([given, given], dtype=object).shape == (2, 2)
    for given in (long, row):
        with pytest.raises(TypeError, match=r"refers to refers to more: that is no array of float64"):
            numpy.array(given, "f8")
    assert numpy.array(instance.exports["points"](), "f8").tolist() == [[1, 2], [3, 4]]
    assert numpy.array(instance.exports["rows"]()).tolist() == [[1] * 3, [2] * 3]


class Liar(list[int]):
    """A list that says it is longer than any memory."""

    def __len__(self) -> int:
        return 1 << 40


def test_the_values_are_those_that_come() -> None:
    """Whatever length a sequence says it has."""
    instance = made("auto")
    row = instance.module.object_type("ints").new(instance.store, Liar([1, 2, 3]))
    assert list(row) == [1, 2, 3]
    row[1:] = Liar([4, 5])
    assert list(row) == [1, 4, 5]


def test_a_function_type_shows_what_is_no_sequence() -> None:
    """Until a store looks at it, it may have anything."""
    point = made("auto").module.object_type("point")
    shown = repr(FuncType(point, (I32,)))  # type: ignore[arg-type]
    assert shown == f"FuncType({point!r} -> [i32])"
