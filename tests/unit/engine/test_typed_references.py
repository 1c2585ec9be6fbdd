"""Claims about typed function references where Python and modules meet."""

import gc

import pytest

from stratavm.base.errors import LinkError, Trap
from stratavm.engine import Config, Engine, Linker, Module, Store
from stratavm.spec.types import type_name

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
    assert "type#" in str(exports.twice.type)  # of a type that has no number of its own


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
