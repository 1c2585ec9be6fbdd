"""Claims about an instance's exports: attributes and a mapping, whatever they are called."""

import threading
from collections.abc import Mapping

import pytest

import stratavm
from stratavm import Closed, Func, Global, Memory, Table

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
    with pytest.raises(AttributeError):
        exports.f = 1
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
