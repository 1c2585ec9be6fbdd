"""Types that modules declare are shown by the names that these give them, wherever a user meets one."""

from __future__ import annotations

import copy
import gc
import inspect
import json
import pickle
import weakref
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Final

import pytest

from stratavm import Engine, Global, Module, Store, Table, Tag, WasmException
from stratavm.engine import Linker
from stratavm.runtime import typenames
from stratavm.spec.types import FuncType, GlobalType, TableType, type_name

if TYPE_CHECKING:
    from stratavm.engine.instance import Instance

ENGINE: Final = Engine()
SOURCE: Final = """(module
  (type $p (struct (field i32)))
  (type $row (array (mut i32)))
  (type (struct (field f32)))
  (import "host" "take" (func $take (param (ref $p)) (result (ref null $row))))
  (import "host" "held" (global (ref null $p)))
  (tag $t (export "tag") (param (ref $p) i32))
  (global (export "global") (mut (ref null $p)) (ref.null $p))
  (table (export "table") 1 (ref null $row))
  (func (export "call") (param (ref $p) i64) (result (ref null $row)) (call $take (local.get 0)))
  (func (export "unnamed") (param (ref null 2)))
  (func (export "plain") (param i32) (result funcref) (ref.null func))
  (func (export "make") (result (ref $p)) (struct.new $p (i32.const 1)))
  (func (export "throw") (throw $t (struct.new $p (i32.const 1)) (i32.const 7))))"""


@pytest.fixture
def module() -> Module:
    """A module."""
    return Module(SOURCE, engine=ENGINE)


@pytest.fixture
def instance(module: Module) -> Instance:
    """An instance."""
    store, linker = Store(module.engine), Linker(module.engine)
    linker.define("host", "take", lambda value: None)
    linker.define("host", "held", Global.new(store, module.object_type("p"), None))
    return linker.instantiate(store, module)


def test_a_reference_to_objects_of_a_type_is_shown_as_one(module):
    """And is the number that it was, of which nothing else is left where it is copied."""
    row = module.object_type("row")
    assert (repr(row.ref()), str(row.ref(nullable=False))) == ("(ref null $row)", "(ref $row)")
    assert f"{row.ref()}" == "(ref null $row)"
    assert repr(module.object_type(2).ref()) == "(ref null 2)"
    plain = int(row.ref())
    assert (row.ref(), hash(row.ref()), f"{row.ref():#x}") == (plain, hash(plain), hex(plain))
    assert type(pickle.loads(pickle.dumps(row.ref()))) is int
    assert type(copy.deepcopy(row.ref())) is int
    assert json.loads(json.dumps({"type": row.ref()})) == {"type": plain}
    assert repr(GlobalType(row.ref())) == "GlobalType((ref null $row))"
    assert repr(FuncType((row.ref(),))) == "FuncType([(ref null $row)] -> [])"
    assert type_name(plain).startswith("(ref null type#")


def test_what_a_store_has_says_its_types(instance):
    """Types as they are had from it, signatures and what it is itself."""
    exports = instance.exports
    assert repr(exports["global"].type) == "GlobalType((ref null $p), mutable=True)"
    assert repr(exports.table.type).startswith("TableType((ref null $row), Limits(")
    assert repr(exports.tag.type.type) == "FuncType([(ref $p) i32] -> [])"
    assert repr(exports.tag) == "<Tag ((ref $p), i32)>"
    assert repr(exports.call.type) == "FuncType([(ref $p) i64] -> [(ref null $row)])"
    assert str(exports.unnamed.type) == "[(ref null 2)] -> []"
    assert str(exports.call.type.params[0]) == "(ref $p)"
    assert exports.plain.type is exports.plain.native.type, "what names no types is as it was"
    signature = inspect.signature(exports.call)
    assert [p.annotation for p in signature.parameters.values()] == ["(ref $p)", "i64"]
    assert signature.return_annotation == "(ref null $row)"
    with pytest.raises(WasmException, match=r"\(ref \$p\), 7"):
        exports.throw()


def test_what_python_makes_says_its_types(instance, module):
    """By a type of objects, or by a reference to them."""
    point, store = module.object_type("p"), instance.store
    assert repr(Global.new(store, point, None).type) == "GlobalType((ref null $p))"
    assert repr(Global.new(store, point.ref(), None).type) == "GlobalType((ref null $p))"
    assert repr(Table.new(store, point, 1).type.element) == "(ref null $p)"
    tag = Tag.new(store, [point, "i32"])
    assert (repr(tag), repr(tag.type.type)) == ("<Tag ((ref null $p), i32)>", "FuncType([(ref null $p) i32] -> [])")


def test_imports_of_a_module_say_its_types(module):
    """It is the module that has the names; no store is there."""
    take, held = module.imports
    assert str(take.type) == "[(ref $p)] -> [(ref null $row)]"
    assert repr(held.type) == "GlobalType((ref null $p))"
    store = Store(module.engine)
    assert Global.new(store, held.type.value, None).type == held.type


def test_types_are_equal_however_they_are_shown(instance, module):
    """As numbers are, and what is made of them."""
    plain = GlobalType(int(instance.exports["global"].type.value), mutable=True)
    assert instance.exports["global"].type == plain
    assert hash(instance.exports["global"].type) == hash(plain)
    assert repr(plain).startswith("GlobalType((ref null type#")
    assert instance.exports.call.type == instance.exports.call.type
    wanted = TableType(module.object_type("row").ref(), instance.exports.table.type.limits)
    assert instance.exports.table.type == wanted


def test_a_type_keeps_no_store():
    """Where that is gone nobody knows names."""
    module = Module('(module (type $p (struct)) (global (export "g") (ref null $p) (ref.null $p)))', engine=ENGINE)
    store = Store(module.engine)
    variable = Linker(module.engine).instantiate(store, module).exports.g
    type_, here = variable.type, weakref.ref(store)
    store.close()
    assert repr(type_) == "GlobalType((ref null $p))"
    assert repr(variable) == "<Global (ref null $p) = ?>"
    del variable, store
    gc.collect()
    assert here() is None
    assert repr(type_).startswith("GlobalType((ref null type#")


def test_a_store_calls_types_by_its_own_names():
    """Though a type came from another store, which may be gone: and it is that of what it has itself, too."""
    theirs, mine = (
        Module(
            f'(module (type ${n} (struct (field f64))) (global (export "g") (ref null ${n}) (ref.null ${n})))',
            engine=ENGINE,
        )
        for n in ("theirs", "mine")
    )
    other, store = Store(ENGINE), Store(ENGINE)
    foreign = Linker(ENGINE).instantiate(other, theirs).exports.g.type.value
    exports = Linker(ENGINE).instantiate(store, mine).exports
    made = Global.new(store, foreign, None)
    assert repr(foreign) == "(ref null $theirs)"
    assert repr(made.type) == repr(exports.g.type) == "GlobalType((ref null $mine))"
    other.close()
    del other
    gc.collect()
    assert repr(foreign).startswith("(ref null type#")
    assert repr(made.type) == repr(exports.g.type) == "GlobalType((ref null $mine))"


def test_no_module_of_a_store_is_passed_over_while_names_are_looked_for():
    """Another thread makes an instance meanwhile: it is looked at the next time."""
    spoken = typenames.Spoken()
    first, second = (
        SimpleNamespace(blueprint=Module(f"(module (type ${name} (struct)))", engine=ENGINE).blueprint)
        for name in ("first", "second")
    )
    instances: list[Any] = []

    class Late:
        """Has its names read while the next comes."""

        @property
        def blueprint(self) -> Any:
            instances.append(second)
            return first.blueprint

    instances.append(Late())
    spoken.look(instances)
    spoken.names.clear()
    spoken.look(instances)
    assert list(spoken.names.values()) == ["$second"]


def test_a_reference_is_no_type_of_objects(instance, module):
    """What to give instead is said."""
    made = instance.exports.make()
    with pytest.raises(TypeError, match=r"expected a GuestType, got \(ref null \$p\): give the type itself, without"):
        made.is_instance(module.object_type("p").ref())
    with pytest.raises(TypeError, match=r"which Module\.object_type\('name'\) gives, got int"):
        made.is_instance(int(module.object_type("p").ref()))
