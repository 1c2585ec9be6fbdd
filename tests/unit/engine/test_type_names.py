"""Types of guests in messages: by the names that modules give them, or by index, not by a number of the engine."""

from __future__ import annotations

import gc

import pytest

import stratavm
from stratavm import Engine, Instance, LinkError, Store, WasmException
from stratavm.runtime import typenames
from stratavm.spec.types import I32, FuncType

TEXT = """(module
  (type $point (sub (struct (field $x (mut i32)))))
  (type $chars (array (mut i8)))
  (type $units (array (mut i16)))
  (type $row (array (mut i32)))
  (tag $e (export "e") (param (ref null $point)))
  (global (export "level") (mut (ref null $point)) (ref.null $point))
  (global (export "any") (mut anyref) (ref.null any))
  (table (export "table") 2 (ref null $point))
  (func (export "id") (param (ref null $point)) (result (ref null $point)) (local.get 0))
  (func (export "small") (param i31ref) (result i32) (i31.get_s (ref.cast (ref i31) (local.get 0))))
  (func (export "is_small") (param anyref) (result i32) (ref.test (ref i31) (local.get 0)))
  (func (export "throw") (throw $e (ref.null $point)))
  (func (export "row") (result (ref $row)) (array.new_default $row (i32.const 2))))"""
IMPORTS = {
    "global": '(import "a" "level" (global (mut (ref null $other))))',
    "func": '(import "a" "id" (func (param (ref null $other))))',
    "table": '(import "a" "table" (table 2 (ref null $other)))',
    "tag": '(import "a" "e" (tag (param (ref null $other))))',
}


@pytest.fixture
def instance() -> Instance:
    """An instance in a store of its own."""
    return stratavm.load(TEXT)


def test_what_an_argument_expects_can_be_understood(instance):
    """With the types of the signature, too."""
    guest = instance.exports
    row, wanted = guest.row(), "(ref null $point)"
    assert repr(row) == "<array $row of a guest, 2 values>"
    for use in (
        lambda: guest.id(row),
        lambda: setattr(guest.level, "value", row),
        lambda: guest.table.__setitem__(0, row),
        lambda: guest.id(),
    ):
        with pytest.raises(TypeError) as caught:
            use()
        assert wanted in str(caught.value) and "#" not in str(caught.value)
    assert repr(guest.id) == f"<Func id({wanted}) -> {wanted}>"
    assert repr(guest.table) == f"<Table 2.. {wanted}>"
    with pytest.raises(WasmException) as caught:
        guest.throw()
    assert str(caught.value) == f"unhandled exception: {wanted}"


def test_a_global_of_references_shows_what_it_has(instance):
    """As one of numbers; of a closed store nothing is shown."""
    guest = instance.exports
    assert repr(guest.level) == "<Global mut (ref null $point) = None>"
    guest.level.value = instance.module.object_type("point").new(instance.store, [1])
    guest.any.value = 5
    assert repr(guest.level) == "<Global mut (ref null $point) = <struct $point of a guest, 1 value>>"
    assert repr(guest.any) == "<Global mut anyref = 5>"
    level = guest.level
    instance.store.close()
    assert repr(level) == "<Global mut (ref null $point) = ?>"


@pytest.mark.parametrize("kind", IMPORTS)
@pytest.mark.parametrize("name", ["other", "point"])
def test_an_import_of_another_type_is_named(instance, kind, name):
    """And what the two differ in, which names may not tell."""
    text = f"(module (type ${name} (struct (field i64))) {IMPORTS[kind].replace('other', name)})"
    exports = {export.name: instance.exports[export.name] for export in instance.module.exports}
    with pytest.raises(LinkError) as caught:
        stratavm.load(text, {"a": exports}, store=instance.store)
    said = str(caught.value)
    assert f"(ref null ${name})" in said and "(ref null $point)" in said and "#" not in said
    differ = f": field 0 of the expected type ${name} is i64, of the found type $point (mut i32)"
    assert said.partition("\n")[0].endswith(differ) == (kind != "func")  # it has another signature


A = '(func $f (export "f") (param (ref null $a)) (unreachable))'
DIFFERENCES = {
    "(type $a (struct (field i32)))": {
        "(type $b (array i32))": "the expected type $b is an array, the found type $a a struct",
        "(type $b (struct (field i32 i32)))": "the expected type $b has 2 fields, the found type $a has 1",
        "(type $b (sub (struct (field i32))))": "the expected type $b is open, the found type $a is final",
        "(type $b (struct (field (ref null any))))": (
            "field 0 of the expected type $b is anyref, of the found type $a i32"
        ),
        "(rec (type $b (struct (field i32))) (type (struct)))": (
            "they differ only in the groups (rec …) in which they are"
        ),
        "(rec (type $b (func)) (type (func)))": "the expected type $b is a function, the found type $a a struct",
        "(type $c (sub (struct))) (type $b (sub final $c (struct (field i32))))": (
            "the expected type $b is declared below another one, the found type $a is declared below no other one"
        ),
    },
    "(type $in (array (mut i8))) (type $a (struct (field i32 (ref $in))))": {
        "(type $on (array (mut i16))) (type $b (struct (field i32 (ref $on))))": (
            "the element of the expected type $on is (mut i16), of the found type $in (mut i8)"
        ),
        "(type $b (struct (field i32 (ref null array))))": "field 1 of the expected type $b is arrayref, of the found",
        "(type $b (struct (field i32 (ref array))))": "field 1 of the expected type $b is (ref array), of the found",
    },
    "(type $in (func (param i32))) (type $a (struct (field (ref $in))))": {
        "(type $on (func (result i32))) (type $b (struct (field (ref $on))))": "",
    },
    "(rec (type $a (struct (field (ref null $a)))))": {
        "(rec (type $b (struct (field (ref null $b) i64))))": (
            "the expected type $b has 2 fields, the found type $a has 1"
        ),
    },
    "(rec (type $in (func (param (ref null $a)))) (type $a (struct (field (ref $in)))))": {
        "(rec (type $on (func (result (ref null $b)))) (type $b (struct (field (ref $on)))))": (
            "the expected type $on is func [] -> [(ref null $b)], the found type $in is func [(ref null $a)] -> []"
        ),
    },
}
"""What is said of an import by the type that is found, and by the one that is expected."""


@pytest.mark.parametrize(
    ("found", "wanted", "words"), [(found, *row) for found, rows in DIFFERENCES.items() for row in rows.items()]
)
def test_what_two_types_differ_in_is_said(found: str, wanted: str, words: str) -> None:
    """The nearest of it, in them or in types that they refer to; functions of numbers have no more to be said."""
    store = Store(Engine())
    made = stratavm.load(f"(module {found} {A})", store=store).exports
    text = f'(module {wanted} (import "a" "f" (func (param (ref null $b)))))'
    with pytest.raises(LinkError) as caught:
        stratavm.load(text, {"a": {"f": made.f}}, store=store)
    line = str(caught.value).partition("\n")[0]
    head = "expected func [(ref null $b)] -> [], found func [(ref null $a)] -> []"
    assert head in line
    assert line.partition(head)[2].startswith(f": {words}" if words else "")
    assert bool(words) == (": " in line.partition(head)[2])


def test_a_search_for_what_differs_ends() -> None:
    """However many types refer to each other."""
    names = range(3000)
    rows = "".join(f"(type $t{i} (struct (field (ref null $t{i + 1}))))" for i in names)
    text = f"(module (rec {rows} (type $t3000 (struct (field WHAT)))) (type $a (struct (field (ref null $t0)))) MORE)"
    store = Store(Engine())
    made = stratavm.load(text.replace("WHAT", "i32").replace("MORE", A), store=store).exports
    wanted = text.replace("WHAT", "i64").replace("MORE", '(import "a" "f" (func (param (ref null $a))))')
    with pytest.raises(LinkError, match=r"types of one name that differ$"):
        stratavm.load(wanted, {"a": {"f": made.f}}, store=store)


def test_types_without_a_name_have_an_index():
    """As the text format has it."""
    text = '(module (type (struct)) (type (array i8)) (func (export "f") (param (ref null 1)) (result (ref 0))\n'
    store = Store(Engine())
    guest = stratavm.load(f"{text} (struct.new 0)))", store=store).exports
    assert repr(guest.f(None)) == "<struct type 0 of a guest, 0 values>"
    with pytest.raises(TypeError, match=r"f\(\(ref null 1\)\) -> \(ref 0\): expected \(ref null 1\), got int"):
        guest.f(5)


def test_names_are_those_of_modules_that_are_there():
    """The engine keeps none for their sake; where no store has a type, those that have declared it say its name."""
    engine = Engine()
    store = Store(engine)
    for _ in range(3):
        stratavm.Module("(module (type $t (struct)) (func (param (ref $t))))", engine=engine).blueprint  # noqa: B018
        gc.collect()
    assert len(engine.runtime.declared) <= 2  # numbers are given again
    assert typenames.named("type#77 and type#x, type#", store) == "type#77 and type#x, type#"
    text = "(module (type (struct (field i64))) (type $u (struct (field i32))))"
    module = stratavm.Module(text, engine=engine)
    said = [typenames.named(f"type#{number}", store) for number in module.blueprint.ids]
    assert said == ["0", "$u"]
    again = stratavm.Module(text.replace("$u", "$v").replace("(type (", "(type $w ("), engine=engine)
    said = [typenames.named(f"type#{number}", store) for number in again.blueprint.ids]
    assert said == ["$w", "$u"]


def test_values_of_objects_are_given_in_order(instance):
    """One by itself, text, and what has no order are refused, with what is meant perhaps."""
    store, type_of = instance.store, instance.module.object_type
    row, point, chars, units = (type_of(name) for name in ("row", "point", "chars", "units"))
    for of, values, said in (
        (row, 3, "array $row takes elements in order, got int; new(store, length=3) makes"),
        (row, {0: 5}, "array $row takes elements in order, got dict"),
        (row, {5, 6}, "array $row takes elements in order, got set"),
        (row, "ab", "array $row takes elements in order, got str"),
        (chars, "ab", "array $chars takes elements in order, got str; text goes as its bytes: text.encode()"),
        (units, "ab", 'got str; text goes as its units of 16 bits: memoryview(text.encode("utf-16-le")).cast("H")'),
        (point, 3, "struct $point takes values in order, or by the names of fields, got int"),
        (point, {3}, "struct $point takes values in order, or by the names of fields, got set"),
    ):
        with pytest.raises(TypeError) as caught:
            of.new(store, values)
        assert said in str(caught.value)
    made = row.new(store, [1, 2])
    with pytest.raises(TypeError, match=r"^array \$row takes elements in order, got int$"):
        made[0:2] = 5
    text = chars.new(store, b"ab")
    text[:] = b"AB"
    assert text.tobytes() == b"AB"
    with pytest.raises(TypeError, match=r"^element 0 of array \$chars: expected i8, got str$"):
        text[0] = "A"
    assert units.new(store, memoryview("ab".encode("utf-16-le")).cast("H"))[:] == [97, 98]


def test_whole_numbers_are_small_numbers(instance):
    """Whatever an i32 takes an i31 takes; as anyref, where anything goes, only an int is one."""

    class Number:
        def __index__(self) -> int:
            return 5

    guest = instance.exports
    assert [guest.small(value) for value in (5, True, Number())] == [5, 1, 5]
    assert [guest.is_small(value) for value in (5, True, Number())] == [1, 1, 0]


def test_types_of_objects_are_types_of_values(instance):
    """Of references that may be null: those of a global, a table, a tag, a function; guests and messages see that."""
    point, store = instance.module.object_type("point"), instance.store
    one = point.new(store, [7])
    assert point.ref() == instance.exports.level.type.value
    variable = stratavm.Global.new(store, point, None, mutable=True)
    variable.value = one
    table = stratavm.Table.new(store, point, 2)
    table[1] = one
    assert variable.value is table[1] is one and table[0] is None
    assert variable.type.value == table.type.element == point.ref()
    raised = stratavm.WasmException(stratavm.Tag.new(store, ["i32", point]), (5, one))
    assert raised.values == (5, one)
    same = stratavm.Func.from_callable(store, FuncType((point,), (point, I32)), lambda given: (given, 3))
    assert same(one) == (one, 3) and same(None) == (None, 3)
    assert str(FuncType((point,))) == f"[{point}] -> []"
    for wrong in (lambda: setattr(variable, "value", 5), lambda: table.__setitem__(0, 5), lambda: same(5)):
        with pytest.raises(TypeError, match=r"expected \(ref null \$point\), got int"):
            wrong()


def test_types_of_objects_without_null(instance):
    """A global has its value, and a new table is told what its elements are."""
    point, store = instance.module.object_type("point"), instance.store
    one, never = point.new(store, [7]), point.ref(nullable=False)
    assert stratavm.Global.new(store, never, one).value is one
    table = stratavm.Table.new(store, never, 2, 5, value=one)
    assert list(table) == [one, one] and table.grow(1, one) == 2
    assert list(stratavm.Table.new(store, point, 2, value=one)) == [one, one]
    assert list(stratavm.Table.new(store, "externref", 2, value="x")) == ["x", "x"]
    with pytest.raises(ValueError, match=r"null elements, which is no \(ref \$point\): it needs a value"):
        stratavm.Table.new(store, never, 2)
    for wrong in (
        lambda: stratavm.Global.new(store, never, None),
        lambda: stratavm.Table.new(store, never, 2, value=5),
        lambda: table.__setitem__(0, None),
        lambda: table.grow(1),
    ):
        with pytest.raises(TypeError, match=r"expected \(ref \$point\), got"):
            wrong()


def test_a_type_of_objects_of_another_engine_is_none(instance):
    """Its number may be another type's there."""
    point = stratavm.Module(TEXT, engine=Engine()).object_type("point")
    for make in (
        lambda: stratavm.Global.new(instance.store, point, None),
        lambda: stratavm.Table.new(instance.store, point, 1),
        lambda: stratavm.Tag.new(instance.store, [point]),
        lambda: stratavm.Func.from_callable(instance.store, FuncType((), (point,)), print),
    ):
        with pytest.raises(TypeError, match="is of another engine than"):
            make()


def test_a_store_s_own_names_come_first():
    """Before those of other modules of the engine, which may be somebody else's; an import's type has the names of the
    module that asks for it."""
    engine = Engine()
    shape = '(type ${} (struct (field i64) (field i64))) (func (export "f") (param (ref null ${})))'
    others, mine = (f"(module {shape.replace('{}', name)})" for name in ("theirs", "mine"))
    kept = stratavm.load(others, store=Store(engine))
    instance = stratavm.load(mine, store=Store(engine))
    with pytest.raises(TypeError, match=r"expected \(ref null \$mine\), got int"):
        instance.exports.f(5)
    assert repr(instance.exports.f) == "<Func f((ref null $mine))>"
    assert repr(kept.exports.f) == "<Func f((ref null $theirs))>"
    late = stratavm.load(f"(module {shape.replace('{}', 'late')})", store=instance.store)
    assert repr(late.exports.f) == "<Func f((ref null $mine))>"
    given = '(module (type $more (struct (field f32))) (global (export "g") (ref null $more) (ref.null $more)))'
    more = stratavm.load(given, store=instance.store)
    assert repr(more.exports.g) == "<Global (ref null $more) = None>"  # what came since it was asked last counts too
    wants = '(module (type $own (struct (field i64) (field i64))) (import "a" "g" (global (ref null $own))))'
    with pytest.raises(LinkError, match=r"expected global \(ref null \$own\), found global \(ref null \$more"):
        stratavm.load(wants, {"a": {"g": more.exports.g}}, store=instance.store)


def test_messages_ask_no_module_of_other_stores(monkeypatch):
    """However many the engine has: what a message costs no neighbour makes more."""
    engine = Engine()
    text = '(module (type $t (struct (field i32))) (func (export "f") (param (ref null $t))))'
    kept = [stratavm.load(text.replace("$t", f"$t{n}"), store=Store(engine)) for n in range(20)]
    asked = []

    def noted(name: str) -> str:
        asked.append(name)
        return name

    monkeypatch.setattr(typenames, "printable", noted)
    for _ in range(3):
        with pytest.raises(TypeError, match=r"expected \(ref null \$t19\)"):
            kept[19].exports.f(5)
    assert set(asked) == {"t19"}
    assert all(len(known) <= typenames.FEW for known in engine.runtime.declared.values())
