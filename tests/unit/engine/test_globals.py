"""What is said of a global that is given what it cannot have: which one it is, what was expected and found, what to
do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pytest

import stratavm
from stratavm import Engine, Global, LinkError, Module, Store, Table
from stratavm.engine import Linker

if TYPE_CHECKING:
    from stratavm.engine.instance import Instance

ENGINE: Final = Engine()
SOURCE: Final = """(module
  (type $p (struct (field i32)))
  (import "env" "base" (global $base i32))
  (import "env" "level" (global $level (mut i64)))
  (export "again" (global $level))
  (global $count (export "count") (mut i32) (i32.const 1))
  (global (export "limit") i32 (i32.const 1))
  (global (export "\\1b[1m") (mut f32) (f32.const 1))
  (global (export "point") (mut (ref null $p)) (ref.null $p))
  (global (export "whole") (mut (ref $p)) (struct.new $p (i32.const 1)))
  (global (export "any") (mut anyref) (ref.null any))
  (global (export "call") (mut funcref) (ref.null func))
  (global (export "v") (mut v128) (v128.const i64x2 0 0))
  (func (export "f")))"""
MODULE: Final = Module(SOURCE, engine=ENGINE)


def linked(store: Store, **items: Any) -> Instance:
    """An instance with the globals that it imports, or something else."""
    made = {"base": Global.new(store, "i32", 5), "level": Global.new(store, "i64", 6, mutable=True)}
    linker = Linker(ENGINE)
    linker.define_namespaces({"env": {**made, **items}})
    return linker.instantiate(store, MODULE)


@pytest.mark.parametrize(
    ("name", "value", "kind", "words"),
    [
        ("count", 1.5, TypeError, "global count: expected i32, got float"),
        ("count", "1", TypeError, "global count: expected i32, got str; text and bytes go through the guest's memory"),
        ("count", 1 << 40, OverflowError, "global count: 1099511627776 does not fit i32"),
        ("again", None, TypeError, "global again: expected i64, got None"),
        ("\x1b[1m", "x", TypeError, "global \\x1b[1m: expected f32, got str"),
        ("point", 3, TypeError, "global point: expected (ref null $p), got int; GuestType.new makes one"),
        ("whole", None, TypeError, "global whole: expected (ref $p), got None"),
        ("any", 1 << 50, OverflowError, "global any: 1125899906842624 does not fit anyref: numbers there are from"),
        ("call", 3, TypeError, "global call: expected a function of this store or None, got int"),
        ("v", b"123", TypeError, "global v: expected 16 bytes or an int (v128), got 3 bytes"),
    ],
)
def test_a_value_that_a_global_cannot_have_is_said_with_its_name(name, value, kind, words):
    """The export's; it keeps what it had."""
    variable = linked(Store(ENGINE)).exports[name]
    before = variable.bits
    with pytest.raises(kind) as caught:
        variable.value = value
    assert str(caught.value).startswith(words)
    assert variable.bits == before
    assert caught.value.__cause__ is None and caught.value.__suppress_context__


def test_a_global_is_called_as_whoever_has_it_calls_it():
    """By an export, else by what an instance imports it as, else by its name in the module; else by nothing."""
    store = Store(ENGINE)
    alone = Global.new(store, "i64", 7, mutable=True)
    source = """(module (import "env" "level" (global (mut i64)))
      (global $own (mut i32) (i32.const 1)) (global (mut i32) (i32.const 1)))"""
    for words in ("the global", "global env.level"):
        with pytest.raises(TypeError, match=f"^{words}: expected i64, got str"):
            alone.value = "x"
        instance = stratavm.load(source, {"env": {"level": alone}}, store=store)
    for at, words in ((1, r"\$own"), (2, "2")):
        with pytest.raises(TypeError, match=f"^global {words}: expected i32, got str"):
            instance.globals[at].value = "x"
    linked(store, level=alone)
    with pytest.raises(TypeError, match=r"^global (env\.level|again): expected i64"):
        alone.value = 1.5
    store.close()
    with pytest.raises(stratavm.Closed):
        alone.value = "x"


def test_what_cannot_be_set_says_how_it_could_be():
    """A global of a module is declared there; one of the host was made by it."""
    store = Store(ENGINE)
    limit, alone = linked(store).exports.limit, Global.new(store, "i32", 7)
    with pytest.raises(AttributeError) as caught:
        limit.value = 3
    assert str(caught.value) == "global limit is immutable; to be set it has to be (mut i32) in the module"
    with pytest.raises(AttributeError) as caught:
        alone.value = 3
    assert str(caught.value) == "the global is immutable; Global.new(…, mutable=True) makes one that can be set"
    point = stratavm.load('(module (type $p (struct)) (global (export "g") (ref null $p) (ref.null $p)))').exports.g
    with pytest.raises(AttributeError, match=r"has to be \(mut \(ref null \$p\)\) in the module"):
        point.value = None
    store.close()
    with pytest.raises(AttributeError, match=r"^the global is immutable"):
        limit.value = 3


def test_a_new_global_says_that_its_value_is_wrong():
    """As every parameter does that is wrong; and so does a table, whose type may be as wrong."""
    store = Store(ENGINE)
    with pytest.raises(TypeError, match=r"^value: expected i32, got float$"):
        Global.new(store, "i32", 1.5)
    with pytest.raises(OverflowError, match=r"^value: -2147483649 does not fit i32$"):
        Global.new(store, "i32", -(1 << 31) - 1)
    table = Table.new(store, "funcref", 1, 9)
    for use in (lambda: Table.new(store, "funcref", 1, value=5), lambda: table.grow(1, 5)):
        with pytest.raises(TypeError, match=r"^value: expected a function of this store or None, got int"):
            use()


def test_a_value_that_a_table_cannot_have_is_said_with_its_place():
    """And the table's name, where it has one; with types by their names."""
    source = """(module (type $p (struct)) (table (export "t") 2 (ref null $p)) (table $own 1 funcref))"""
    instance = stratavm.load(source)
    wanted = r"expected \(ref null \$p\), got dict; GuestType.new makes one$"
    for table, at, words in (
        (instance.exports.t, 1, rf"^element 1 of table t: {wanted}"),
        (instance.tables[1], 0, r"^element 0 of table \$own: expected a function of this store or None, got dict"),
        (Table.new(instance.store, "funcref", 3), 2, "^element 2 of the table: expected a function of this store"),
    ):
        with pytest.raises(TypeError, match=words):
            table[at] = {}


class Mine(OverflowError):
    """An error that takes two things."""

    def __init__(self, one: int, other: int) -> None:
        super().__init__(one, other)


def test_an_error_of_the_value_itself_comes_out_as_it_is():
    """What somebody raises in a conversion is his."""

    class Odd:
        def __index__(self) -> int:
            raise Mine(1, 2)

    store = Store(ENGINE)
    variable = Global.new(store, "i32", 1, mutable=True)
    text = """(module (type $s (struct (field $a (mut i32)))) (import "host" "f" (func $f (result i32)))
        (func (export "g") (param i32) (result i32) (local.get 0)) (func (export "h") (result i32) (call $f))
        (func (export "s") (result (ref $s)) (struct.new $s (i32.const 1))))"""
    instance = stratavm.load(text, imports={"host": {"f": Odd}})
    exports = instance.exports
    made = exports["s"]()
    for use in (
        lambda: setattr(variable, "value", Odd()),
        lambda: Global.new(store, "i32", Odd()),
        lambda: exports["g"](Odd()),
        lambda: exports["h"](),
        lambda: made.__setitem__("a", Odd()),
        lambda: instance.module.object_type("s").new(instance.store, [Odd()]),
    ):
        with pytest.raises(Mine) as caught:
            use()
        assert caught.value.args == (1, 2)


@pytest.mark.parametrize(
    ("items", "words"),
    [
        (lambda store, other: {"base": Global.new(store, "i64", 5)}, "expected global i32, found global i64"),
        (lambda store, other: {"base": len}, "expected global i32, found a function"),
        (lambda store, other: {"base": other.exports.f}, "expected global i32, found func [] -> []"),
        (lambda store, other: {"base": other.exports}, "expected global i32, found Exports"),
        (lambda store, other: {"base": Table.new(store, "funcref", 1)}, "expected global i32, found table 1 funcref"),
        (lambda store, other: {"level": Global.new(store, "i64", 5)}, "expected global mut i64, found global i64"),
        (lambda store, other: {"level": 5}, "expected global mut i64, found int"),
        (lambda store, other: {"level": None}, "expected global mut i64, found None"),
    ],
)
def test_an_import_of_another_kind_says_which_type_is_wanted(items, words):
    """And what it found, whatever that is."""
    store = Store(ENGINE)
    given = items(store, linked(store))
    with pytest.raises(LinkError) as caught:
        linked(store, **given)
    assert f"incompatible import type for env.{next(iter(given))}: {words}" in str(caught.value)


def test_a_value_in_place_of_a_global_is_told_how_it_becomes_one():
    """With what was meant."""
    with pytest.raises(LinkError) as caught:
        stratavm.load(SOURCE, {"env": {"base": 5, "level": 6}})
    assert str(caught.value) == (
        "incompatible import type: 2 of 2 imports do not fit\n"
        "  module env\n"
        "    base: expected global i32, found int\n"
        "    level: expected global mut i64, found int\n"
        '  define it: {"env": {"base": …}} as imports; the item is stratavm.Global.new(store, "i32", 5)'
    )


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        ("(global (ref null $p))", "global (ref null $p)"),
        ("(global (mut (ref 1)))", "global mut (ref 1)"),
        ("(func (param (ref $p)) (result i32))", "func ((ref $p)) -> i32"),
        ("(table 1 (ref null $p))", "table 1.. (ref null $p)"),
        ("(tag (param (ref $p)))", "tag ((ref $p))"),
        ("(memory 1)", "memory 1.. pages"),
    ],
)
def test_a_type_that_is_imported_is_called_as_its_module_calls_it(wanted, words):
    """Where nothing is defined, and where something else is."""
    text = f"""(module (type $p (struct)) (type (struct (field i32))) (import "e" "x" {wanted}))"""
    for items, said in (({}, f"{words} is not defined"), ({"x": 5}, f"expected {words}, found int")):
        with pytest.raises(LinkError) as caught:
            stratavm.load(text, {"e": items})
        assert f"e.x: {said}" in str(caught.value) and "#" not in str(caught.value)
