"""Claims about typed function references where Python and modules meet."""

import gc

import pytest

from stratavm.base.errors import LinkError, Trap
from stratavm.engine import Config, Engine, Func, Global, Linker, Module, Store, Table
from stratavm.spec.types import (
    CONCRETE,
    FIRST_RESOLVED,
    I8,
    I32,
    FuncType,
    GlobalType,
    Limits,
    TableType,
    ref,
    type_name,
)

TIERS = ["oracle", "jit0", "jit1", "auto"]
DEFINES = """(module
  (type $op (func (param i32 i32) (result i32)))
  (type $apply (func (param (ref $op) i32 i32) (result i32)))
  (func $add (export "add") (type $op) (i32.add (local.get 0) (local.get 1)))
  (func $sub (export "sub") (type $op) (i32.sub (local.get 0) (local.get 1)))
  (func (export "other") (param i32) (result i32) (local.get 0))
  (func $apply (export "apply") (type $apply) (call_ref $op (local.get 1) (local.get 2) (local.get 0)))
  (func (export "maybe") (param (ref null $op)) (result i32) (call_ref $op (i32.const 7) (i32.const 2) (local.get 0)))
  (func (export "some") (param i32) (result (ref null $op))
    (select (result (ref null $op)) (ref.func $add) (ref.null $op) (local.get 0)))
  (func (export "solid") (param (ref null $op)) (result (ref $op)) (ref.as_non_null (local.get 0)))
  (func (export "twice") (param (ref null $apply)) (result i32)
    (call_ref $apply (ref.func $sub) (i32.const 9) (i32.const 4) (local.get 0)))
  (table (export "t") 3 (ref null $op))
  (table (export "full") 2 (ref $op) (ref.func $sub))
  (global (export "g") (mut (ref null $op)) (ref.func $add))
  (global (export "c") (ref $op) (ref.func $add)))"""
USES = """(module
  (type $unrelated (func (param f64)))
  (type $mine (func (param i32 i32) (result i32)))
  (type $over (func (param (ref $mine) i32 i32) (result i32)))
  (import "a" "apply" (func $apply (type $over)))
  (import "a" "t" (table 3 (ref null $mine)))
  (import "a" "g" (global $g (mut (ref null $mine))))
  (import "a" "c" (global $c (ref null $mine)))
  (func $mul (export "mul") (type $mine) (i32.mul (local.get 0) (local.get 1)))
  (func (export "f") (result i32) (call $apply (ref.func $mul) (i32.const 6) (i32.const 7)))
  (func (export "put") (table.set 0 (i32.const 1) (ref.func $mul)) (global.set $g (ref.func $mul)))
  (func (export "got") (result i32) (call_ref $mine (i32.const 5) (i32.const 3) (global.get $c))))"""


@pytest.fixture(params=TIERS)
def engine(request):
    """An engine with each tier."""
    return Engine(Config(tier=request.param))


@pytest.fixture
def store(engine):
    """A store of it."""
    return Store(engine)


def instance_of(store, text, **imports):
    """An instance with other instances' exports."""
    linker = Linker(store.engine)
    for name, instance in imports.items():
        linker.define_instance(name, instance)
    return linker.instantiate(store, Module(text, engine=store.engine))


@pytest.fixture
def exports(store):
    """Of the module above."""
    return instance_of(store, DEFINES).exports


def test_functions_are_arguments_and_results_where_their_type_is_wanted(exports):
    """Of the module itself; what comes back is the same function."""
    assert exports.apply(exports.add, 2, 3) == 5
    assert exports.apply(exports.sub, 2, 3) == -1
    assert exports.some(1) == exports.add and exports.some(0) is None
    assert exports.solid(exports.sub) == exports.sub
    assert exports.maybe(exports.sub) == 5
    assert exports.twice(exports.apply) == 5


@pytest.mark.parametrize("name", ["apply", "maybe", "solid"])
def test_a_function_of_another_type_is_refused(exports, name):
    """Machine code jumps through it without another look."""
    with pytest.raises(TypeError, match=r"expected \(ref (null )?\[i32 i32\] -> \[i32\]\), got <Func other"):
        exports[name](*[exports.other, 1, 2][: len(exports[name].type.params)])
    with pytest.raises(ValueError, match="is no"):
        exports[name].call_raw([exports.other.native.raw, 1, 2][: len(exports[name].type.params)])


def test_none_is_a_value_only_of_nullable_types(exports):
    """Where it is one, the guest traps when it calls it."""
    with pytest.raises(TypeError, match="got None"):
        exports.apply(None, 1, 2)
    with pytest.raises(ValueError, match="0 is no"):
        exports.apply.call_raw([0, 1, 2])
    with pytest.raises(Trap, match="null function reference") as caught:
        exports.maybe(None)
    assert caught.value.kind == "null_function"
    with pytest.raises(Trap) as caught:
        exports.solid(None)
    assert caught.value.kind == "null_reference"


def test_types_are_shown_by_what_they_mean(exports):
    """A type index would mean nothing outside of its module."""
    assert str(exports.apply.type) == "[(ref [i32 i32] -> [i32]) i32 i32] -> [i32]"
    assert type_name(exports.t.type.element) == "(ref null [i32 i32] -> [i32])"
    assert str(exports.twice.type) == "[(ref null $apply)] -> [i32]", "of a type that has no number of its own"


def test_tables_and_globals_take_functions_of_their_type(exports):
    """And null where that is a value."""
    exports.t[0] = exports.sub
    assert exports.t[0] == exports.sub and exports.t[1] is None
    exports.g.value = exports.sub
    assert exports.g.value == exports.sub
    exports.g.value = None
    assert exports.c.value == exports.add
    assert list(exports.full) == [exports.sub, exports.sub]
    exports.full.grow(1, exports.add)
    assert exports.full[2] == exports.add
    for change in (
        lambda: exports.t.__setitem__(0, exports.other),
        lambda: setattr(exports.g, "value", exports.other),
        lambda: exports.full.__setitem__(0, None),
        lambda: exports.full.grow(1),
        lambda: exports.full.grow(1, exports.other),
    ):
        with pytest.raises(TypeError):
            change()
    with pytest.raises(ValueError, match="is no"):
        exports.t.set(0, exports.other.native.raw)
    with pytest.raises(ValueError, match="0 is no"):
        exports.full.set(0, 0)
    with pytest.raises(ValueError, match="is no"):
        exports.g.bits = exports.other.native.raw


def test_imports_fit_by_what_types_mean_whatever_their_index(store):
    """Functions over typed references, tables and globals of them, between modules that number types differently."""
    first = instance_of(store, DEFINES)
    second = instance_of(store, USES, a=first)
    assert second.exports.f() == 42
    second.exports.put()
    assert first.exports.t[1] == second.exports.mul == first.exports.g.value
    assert second.exports.got() == 8
    assert first.exports.apply(second.exports.mul, 4, 5) == 20


@pytest.mark.parametrize(
    "wanted",
    [
        '(import "a" "t" (table 3 (ref null $x)))',
        '(import "a" "t" (table 3 funcref))',
        '(import "a" "t" (table 3 (ref $op)))',
        '(import "a" "g" (global (mut (ref null $x))))',
        '(import "a" "g" (global (mut funcref)))',
        '(import "a" "c" (global (ref $x)))',
        '(import "a" "apply" (func (param (ref null $op) i32 i32) (result i32)))',
        '(import "a" "apply" (func (param (ref $x) i32 i32) (result i32)))',
        '(import "a" "apply" (func (param funcref i32 i32) (result i32)))',
    ],
)
def test_imports_of_other_types_do_not_fit(store, wanted):
    """Type 0 here is another one than there."""
    types = "(type $x (func (param i64 i32) (result i32))) (type $op (func (param i32 i32) (result i32)))"
    with pytest.raises(LinkError, match="incompatible import type"):
        instance_of(store, f"(module {types} {wanted})", a=instance_of(store, DEFINES))


HOST = """(module
  (type $op (func (param i32) (result i32)))
  (type $deep (func (param (ref $op))))
  (import "h" "call" (func $call (param (ref $op) (ref null $deep)) (result (ref null $op))))
  (func $inc (export "inc") (type $op) (i32.add (local.get 0) (i32.const 1)))
  (func (export "other") (param i64))
  (func (export "f") (result i32)
    (call_ref $op (i32.const 10) (call $call (ref.func $inc) (ref.null $deep)))))"""


def test_host_functions_get_and_give_them(store):
    """A result of another type is an error of the host function, which the guest never sees."""
    given = []
    answers = []

    def call(function, deep):
        given.append((function, deep))
        return answers.pop()

    module = Module(HOST, engine=store.engine)
    linker = Linker(store.engine)
    linker.define("h", "call", call)
    instance = linker.instantiate(store, module)
    del linker
    gc.collect()
    answers.append(instance.exports.inc)
    assert instance.exports.f() == 11
    assert given == [(instance.exports.inc, None)]
    answers.append(instance.exports.other)
    with pytest.raises(TypeError, match="expected"):
        instance.exports.f()
    answers.append(None)
    with pytest.raises(Trap, match="null function reference"):
        instance.exports.f()


def test_numbers_of_types_live_as_long_as_host_functions_that_name_them():
    """A host function of a module's type keeps what that type names, also when the module is gone."""
    engine = Engine()
    types = engine.runtime.types
    before = types.live
    store = Store(engine)
    linker = Linker(engine)
    linker.define("h", "call", lambda function, deep: None)
    linker.instantiate(store, Module(HOST, engine=engine))
    assert types.live > before
    store.close()
    del store, linker
    gc.collect()
    assert types.live == before


SELVES = """(module
  (type $self (func (param (ref null $self)) (result i32)))
  (type $of (func (param (ref null $self)) (result f32)))
  (import "h" "self" (func $self (type $self)))
  (import "h" "of" (func $of (type $of)))
  (elem declare func $self $of)
  (func (export "made") (param (ref null $self)) (result i32)
    (call_ref $self (ref.null $self) (local.get 0)))
  (func (export "f") (result i32)
    (drop (call $of (ref.func $self)))
    (call_ref $self (ref.func $self) (ref.func $self))))"""


def test_host_functions_have_the_very_type_of_their_import(store):
    """One that names itself, and one that names that, though its signature alone might say the same of it."""
    given = []

    def itself(function):
        given.append(function)
        return 42

    module = Module(SELVES, engine=store.engine)
    linker = Linker(store.engine)
    for name, item in {"self": itself, "of": itself}.items():
        linker.define("h", name, item)
    instance = linker.instantiate(store, module)
    assert instance.exports.f() == 42
    assert [function(None) for function in list(given)] == [42, 42]


def test_a_function_that_python_makes_has_a_type_that_names_itself(store):
    """Where that type is shown."""
    module = Module(SELVES, engine=store.engine)
    linker = Linker(store.engine)
    for name in ("self", "of"):
        linker.define("h", name, lambda *values: 1)
    exports = linker.instantiate(store, module).exports
    made = Func.from_callable(store, module.imports[0].type, lambda function: 7)
    assert exports.made(made) == 7
    linker.define("h", "self", made)
    assert linker.instantiate(store, module).exports.made(made) == 7


def test_a_type_by_its_index_in_a_module_is_none_outside(store):
    """Nothing that a guest has is of it."""
    wrong = ref(CONCRETE)
    for make in (
        lambda: Table(store, TableType(wrong, Limits(1))),
        lambda: Global(store, GlobalType(wrong)),
        lambda: Func.from_callable(store, FuncType((wrong,)), print),
        lambda: store.check_reference(wrong, Func.from_callable(store, FuncType(), print).native.raw),
        lambda: store.engine.runtime.types.of_func(FuncType((), (wrong,))),
    ):
        with pytest.raises((ValueError, TypeError), match="index in a module"):
            make()


def test_call_ref_through_many_levels_and_across_instances(store):
    """Each callee has its own globals."""
    other = instance_of(
        store,
        """(module (type $t (func (result i32))) (global $g (mut i32) (i32.const 5))
          (func (export "next") (type $t) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g)))""",
    )
    caller = instance_of(
        store,
        """(module (type $t (func (result i32))) (global $g i32 (i32.const 100))
          (func (export "sum") (param (ref $t)) (result i32)
            (i32.add (call_ref $t (local.get 0)) (i32.add (global.get $g) (call_ref $t (local.get 0))))))""",
    )
    assert caller.exports.sum(other.exports.next) == 6 + 100 + 7


# ---- what Python makes ----


@pytest.mark.parametrize("show", ["other", "import"])
def test_python_makes_tables_and_globals_of_types_that_others_show(store, show):
    """They are imported where that type is wanted, and take its functions only."""
    made = instance_of(store, DEFINES).exports
    wanted = Module(USES, engine=store.engine).imports
    element = made.t.type.element if show == "other" else wanted[1].type.element
    value = made.g.type.value if show == "other" else wanted[2].type.value
    table, variable = Table.new(store, element, 3), Global.new(store, value, made.sub, mutable=True)
    linker = Linker(store.engine)
    for name, item in {"apply": made.apply, "t": table, "g": variable, "c": made.c}.items():
        linker.define("a", name, item)
    exports = linker.instantiate(store, Module(USES, engine=store.engine)).exports
    exports.put()
    assert list(table) == [None, exports.mul, None] and variable.value == exports.mul
    table[0] = made.add
    for change in (lambda: table.__setitem__(0, made.other), lambda: setattr(variable, "value", made.other)):
        with pytest.raises(TypeError, match="expected"):
            change()


def test_a_type_that_has_no_number_of_its_own_is_kept_by_the_store_that_uses_it():
    """Else another type would get its number, and functions of that one would pass for it."""
    engine = Engine()
    types, before = engine.runtime.types, engine.runtime.types.live
    store = Store(engine)
    element = instance_of(Store(engine), DEFINES).exports.twice.type.params[0]
    table = Table.new(store, element, 1)
    gc.collect()
    assert types.live > before
    apply = instance_of(store, DEFINES).exports.apply
    table[0] = apply
    assert table[0] == apply
    store.close()
    del store, table, apply
    gc.collect()
    assert types.live == before
    with pytest.raises(ValueError, match="nobody uses type#"):
        Table.new(Store(engine), element, 1)


def test_types_that_mean_nothing_here_are_refused(exports, store):
    """By index, by a number that no type has, by text; null is no element of ``full``."""
    for make in (lambda t: Table.new(store, t, 1), lambda t: Global.new(store, t, None)):
        with pytest.raises(ValueError, match=r"\(ref null 0\) is no type here: .*table\.type\.element"):
            make(ref(CONCRETE))
        with pytest.raises(ValueError, match=r"'\(ref null 0\)' is no type here; .*table\.type\.element"):
            make("(ref null 0)")
        for number in (1 << 22, (1 << 31) + 1, (1 << 31) + 9, 1 << 31, 1 << 62):
            with pytest.raises(ValueError, match=r"is no number of a type|nobody uses"):
                make(FIRST_RESOLVED + (number << 8) + 0x63)
    with pytest.raises(ValueError, match=r"null elements, which is no \(ref \[i32 i32\] -> \[i32\]\)"):
        Table.new(store, exports.full.type.element, 0)
    with pytest.raises(TypeError, match="got None"):
        Global.new(store, exports.c.type.value, None)


def test_types_of_tables_globals_and_functions_are_shown_by_name(exports):
    """No numbers that only machines read."""
    assert repr(exports.t.type).startswith("TableType((ref null [i32 i32] -> [i32]), Limits(minimum=3,")
    assert repr(exports.g.type) == "GlobalType((ref null [i32 i32] -> [i32]), mutable=True)"
    assert repr(exports.c.type) == "GlobalType((ref [i32 i32] -> [i32]))"
    assert repr(exports.add.type) == "FuncType([i32 i32] -> [i32])"


def test_functions_of_python_are_arguments_as_a_func_of_the_type(exports, store):
    """A bare callable has no type; the error says what gives it one, and offers None only where that is a value."""
    given = Func.from_callable(store, exports.add.type, lambda a, b: a * b)
    assert exports.apply(given, 6, 7) == 42
    assert exports.maybe(Func.from_callable(store, FuncType((I32, I32), (I32,)), max)) == 7
    for name, wanted in (
        ("apply", "a function of this store, got"),
        ("maybe", "a function of this store or None, got"),
    ):
        with pytest.raises(TypeError, match=rf"expected {wanted} .*Func\.from_callable\(store, type, function\)"):
            exports[name](*[print, 1, 2][: len(exports[name].type.params)])
        with pytest.raises(TypeError, match=rf"expected {wanted} int$"):
            exports[name](*[5, 1, 2][: len(exports[name].type.params)])


@pytest.mark.parametrize(
    ("type_", "words"),
    [
        ("i32 -> i32", "takes a FuncType second, .* got str"),
        (((I32,), (I32,)), "takes a FuncType second, .* got tuple"),
        (FuncType(("i32",), ("i32",)), "value types such as stratavm.spec.types.I32, got 'i32'"),
        (FuncType((I32,), I32), "are tuples of value types, got 127"),
        (FuncType((999,)), "value types such as stratavm.spec.types.I32, got 999"),
        (FuncType((), (I8,)), "value types such as stratavm.spec.types.I32, got 120"),
        (FuncType((0,)), "value types such as stratavm.spec.types.I32, got 0"),
        (FuncType((ref(0x42),)), "value types such as stratavm.spec.types.I32, got 16995"),
        (FuncType((ref(CONCRETE),)), r"\(ref null 0\) names a type by its index in a module"),
    ],
)
def test_a_function_of_python_needs_a_type(store, type_, words):
    """And a store."""
    with pytest.raises(TypeError, match=words):
        Func.from_callable(store, type_, print)
    with pytest.raises(TypeError, match="takes a Store first, got NoneType"):
        Func.from_callable(None, FuncType(), print)
