"""Claims about an instance's exports: attributes and a mapping, whatever they are called."""

import threading
from collections.abc import Mapping

import pytest

import stratavm
from stratavm import Closed, Func, Global, Memory, Table
from stratavm.spec.types import I32

ALL = """(module (func (export "f") (result i32) (i32.const 1)) (memory (export "m") 1) (table (export "t") 1 funcref)
(global (export "g") i32 (i32.const 4)))"""
ODD_NAMES = ("get", "items", "keys", "values", "find", "made", "index", "__class__", "__len__", "store", "", "a b")


def test_exports_are_attributes_and_items():
    """One object each, made once, in the module's order."""
    exports = stratavm.load(ALL).exports
    assert [type(exports[name]) for name in exports] == [Func, Memory, Table, Global]
    for name in "fmtg":
        assert getattr(exports, name) is exports[name] is getattr(exports, name) is exports.get(name)
    assert list(exports) == ["f", "m", "t", "g"] == list(exports.keys()) and len(exports) == 4
    assert dict(exports.items()) == dict(zip("fmtg", exports.values(), strict=True)) == dict(exports)
    assert "f" in exports and "x" not in exports and 1 not in exports
    assert exports.get("x") is None and exports.get("x", 5) == 5


def test_who_looks_for_an_export_on_the_instance_is_sent_on():
    """One step further; what is nowhere is only refused, and ``hasattr`` is False."""
    instance = stratavm.load('(module (func (export "add")))')
    with pytest.raises(AttributeError, match=r"no attribute 'add'; the export is instance\.exports\.add$"):
        instance.add()
    with pytest.raises(AttributeError, match=r"an Instance has no attribute 'sub'$"):
        instance.sub()
    assert not hasattr(instance, "add") and instance.exports.add() is None


def test_exports_are_a_mapping():
    """As ``collections.abc`` and ``match`` understand it: compared by content, not hashed, no sequence."""
    exports = stratavm.load(ALL).exports
    assert isinstance(exports, Mapping)
    assert exports == dict(exports) and dict(exports) == exports and exports != {} and exports != 1
    for wrong in (hash, reversed):
        with pytest.raises(TypeError):
            wrong(exports)
    match exports:
        case {"f": function, **others}:
            assert function() == 1 and list(others) == ["m", "t", "g"]
        case _:
            raise AssertionError("a mapping does not match a mapping")


def test_what_is_no_export_is_named_with_those_that_are():
    """As an attribute and as an item; nothing can be set."""
    exports = stratavm.load(ALL).exports
    with pytest.raises(AttributeError, match="no export named 'nothing'; exports: f, m, t, g"):
        exports.nothing  # noqa: B018 - the access is the claim
    with pytest.raises(AttributeError, match="exports: none"):
        stratavm.load("(module)").exports.f  # noqa: B018 - the access is the claim
    with pytest.raises(KeyError, match="nothing"):
        exports["nothing"]
    with pytest.raises(AttributeError, match=r"exports are not set: exports\.g\.value = … sets the global"):
        exports.g = 1
    for name, kind in (("f", "func"), ("m", "memory"), ("t", "table")):
        with pytest.raises(AttributeError, match=f"exports are not set: '{name}' is a {kind} of the instance"):
            setattr(exports, name, 1)
    with pytest.raises(AttributeError, match="no export named 'nothing'; exports: f, m, t, g"):
        exports.nothing = 1
    assert not hasattr(exports, "nothing") and getattr(exports, "nothing", 3) == 3


@pytest.mark.parametrize("name", ODD_NAMES)
def test_an_export_may_have_any_name(name):
    """It is an item; an attribute, too, unless every mapping, or every object, has one of this name."""
    exports = stratavm.load(f'(module (func (export "{name}") (result i32) (i32.const 7)))').exports
    assert exports[name]() == 7 and exports.get(name)() == 7 and list(exports) == [name]
    assert name in dir(exports)
    taken = name in dir(dict) and hasattr(Mapping, name)
    assert (getattr(exports, name) is exports[name]) != taken
    assert isinstance(exports, Mapping) and len(exports) == 1 and [*exports.items()] == [(name, exports[name])]


def test_exports_of_a_closed_store_are_those_that_were_made():
    """Others cannot be made any more."""
    instance = stratavm.load(ALL)
    made = instance.exports.f
    instance.store.close()
    assert instance.exports.f is made and instance.exports["f"] is made
    for use in (lambda: instance.exports.m, lambda: instance.exports["m"], lambda: instance.exports.get("m")):
        with pytest.raises(Closed, match="store of these exports is closed"):
            use()


def test_threads_that_ask_at_once_get_one_object():
    """Whoever comes first has made it."""
    for _ in range(20):
        exports = stratavm.load(ALL).exports
        start, found = threading.Barrier(4), []

        def ask(exports=exports, start=start, found=found):
            start.wait()
            found.append([exports.f, exports.m, exports.t, exports.g])

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(found) == 4 and all(a is b for row in found for a, b in zip(row, found[0], strict=True))


GLOBALS = """(module (import "e" "g" (global $given (mut i32))) (import "e" "h" (global $fixed i32))
(global $a (mut i32) (i32.const 5)) (global $ref (export "ref") (mut externref) (ref.null extern))
(global $b (export "b") (mut i32) (i32.const 0x80000000)) (global $c (export "c") i32 (global.get $fixed))
(global $d (export "d") (mut i64) (i64.const -7)) (export "a" (global $a)) (export "given" (global $given))
(func (export "set") (param externref) (global.set $ref (local.get 0))
  (global.set $a (i32.const 6)) (global.set $given (i32.const 8)))
(func (export "look") (result externref) (global.get $ref)))"""


@pytest.mark.parametrize("tier", ["jit0", "oracle"])
def test_globals_have_their_values_whenever_python_asks(tier):
    """Before and after guests changed them; one cell for guests and Python, own and imported."""
    engine = stratavm.Engine(tier=tier)
    store = stratavm.Store(engine)
    linker = stratavm.Linker(engine)
    given = Global.new(store, I32, 3, mutable=True)
    linker.define("e", "g", given)
    linker.define("e", "h", Global.new(store, I32, 40))
    module = stratavm.Module(GLOBALS, engine=engine)
    early, late = linker.instantiate(store, module).exports, linker.instantiate(store, module).exports
    assert [early[n].value for n in ("a", "b", "c", "d", "ref", "given")] == [5, -(1 << 31), 40, -7, None, 3]
    kept = early.a
    thing = object()
    for exports in (early, late):
        exports.set(thing)
    del thing
    for _ in range(3):
        store.gc()  # also in an instance whose reference nobody in Python has looked at
    assert kept is early.a and kept.value == 6 and given.value == 8 == late.given.value
    assert [late[n].value for n in ("a", "b", "c", "d")] == [6, -(1 << 31), 40, -7]
    assert late.look() is early.look() is late.ref.value is early.ref.value is not None
    late.a.value = 9
    assert (late.a.value, early.a.value) == (9, 6)


def test_an_export_called_get_is_an_item():
    """Whoever calls the method of mappings instead is told."""
    text = '(module (func (export "{}") (result i32) (i32.const 7)))'
    exports = stratavm.load(text.format("get")).exports
    assert exports["get"]() == 7
    with pytest.raises(
        TypeError, match=r'^get\(\) takes the name of an export; exports\["get"\] is what the module exports$'
    ):
        exports.get()
    with pytest.raises(TypeError, match=r"^get\(\) takes the name of an export$"):
        stratavm.load(text.format("put")).exports.get()
