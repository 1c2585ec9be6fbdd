"""What tools and people see of the public API: signatures, help, names, representations, options and their errors."""

import inspect
import pydoc
import subprocess
import sys

import pytest

import stratavm
from stratavm import Config, Engine, Global, Instance, Linker, Memory, Module, Store, Table, ValidationError, load
from stratavm.base.errors import ModuleLimit
from stratavm.base.forms import replace
from stratavm.engine.config import Options
from stratavm.module.features import ALL
from stratavm.module.limits import Limits
from stratavm.runtime.introspect import constructor
from stratavm.spec.types import EXTERNREF, FUNCREF, I32

GUEST = """(module
  (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
  (func (export "pair") (result i32 f64) (i32.const 1) (f64.const 2))
  (memory (export "memory") 1 2) (memory_placeholder))""".replace(" (memory_placeholder)", "")
WHOLE = GUEST[:-1] + '(table (export "table") 3 5 funcref) (global (export "level") (mut i32) (i32.const 5)))'


def public_callables():
    """Every public class and function, and the methods of the classes, by name."""
    for name in stratavm.__all__:
        item = getattr(stratavm, name)
        if not isinstance(item, type):
            yield name, item
        elif not issubclass(item, BaseException):
            yield name, item
            for member in dir(item):
                if member.startswith("_") or hasattr(int, member):  # those of ``int`` have none in Python
                    continue
                if callable(getattr(item, member)):
                    yield f"{name}.{member}", getattr(item, member)


@pytest.mark.parametrize(("name", "item"), list(public_callables()))
def test_every_public_callable_has_a_signature(name, item):
    """Compiled classes too, and with the names of their parameters."""
    signature = inspect.signature(item)
    if name == "Store":
        assert list(signature.parameters) == ["engine", "limits", "thread_bound", "on_abort", "fuel"]
        assert signature.parameters["limits"].kind is inspect.Parameter.KEYWORD_ONLY


def test_what_users_call_keeps_its_annotations():
    """Compiled or not; what is inside is a function of C, of which a start makes nothing (ADR-0080)."""
    for function in (stratavm.Memory.read, stratavm.Func.from_callable, stratavm.Instance.update_async, Memory.new):
        signature = inspect.signature(function)
        assert all(p.annotation is not p.empty for name, p in signature.parameters.items() if name != "self")
    assert inspect.iscoroutinefunction(stratavm.Instance.update_async)
    inside = inspect.signature(Store.begin_deadline)
    assert inspect.ismethoddescriptor(Store.begin_deadline) and list(inside.parameters) == ["self", "seconds"]
    assert not Store.begin_deadline.__doc__.startswith("begin_deadline")


def test_the_signature_of_a_function_is_the_guests():
    """An object of a class whose own signature is another one."""
    add = load(GUEST).exports.add
    assert str(inspect.signature(add)) == "(p0: 'i32', p1: 'i32', /) -> 'i32'"
    assert list(inspect.signature(stratavm.Func).parameters) == ["store", "native"]


def test_a_subclass_with_a_constructor_of_its_own_has_its_signature():
    """And one without has its parent's."""

    class Plain(Store):
        pass

    class Named(Store):
        def __init__(self, name):
            super().__init__()

    assert inspect.signature(Plain) == inspect.signature(Store) == constructor("Store")
    assert list(inspect.signature(Named).parameters) == ["name"]


def test_help_shows_the_public_api_and_begins_with_what_to_do():
    """``help(stratavm)`` in a fresh interpreter: names are loaded at their first use."""
    command = [sys.executable, "-c", "import pydoc, stratavm; print(pydoc.plain(pydoc.render_doc(stratavm)))"]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert text.index('load("add.wasm")') < text.index("CLASSES")
    missing = [name for name in stratavm.__all__ if f"class {name}(" not in text and f" {name}(" not in text]
    assert missing == []


def test_what_the_packages_description_shows_works(tmp_path):
    """The first lines that somebody types."""
    (tmp_path / "add.wasm").write_bytes(Module(GUEST).model.binary)
    add = load(str(tmp_path / "add.wasm")).exports.add
    assert add(1, 2) == 3
    start = '(module (import "wasi_snapshot_preview1" "sched_yield" (func (result i32))) (func (export "_start")))'
    with stratavm.Wasi(args=["app", "x"], stdout="inherit", stderr="inherit") as world:
        load(start, world.namespaces()).exports._start()


def test_public_names_are_listed_whether_loaded_or_not():
    """``dir``, ``__all__`` and ``import *`` agree; nothing else is offered."""
    assert set(stratavm.__all__) == set(stratavm._EXPORTS)
    assert {name for name in dir(stratavm) if not name.startswith("__")} == set(stratavm.__all__)
    command = "from stratavm import *; assert Engine and load and Trap and StoreLimits"
    subprocess.run([sys.executable, "-c", command], check=True)
    with pytest.raises(AttributeError, match="has no attribute 'Enigne'"):
        stratavm.Enigne  # noqa: B018


def test_every_public_name_has_a_docstring_for_help():
    """Classes and functions."""
    assert [name for name in stratavm.__all__ if not pydoc.getdoc(getattr(stratavm, name))] == []


# ---- representations ----


def test_representations_say_the_kind_and_the_type():
    """One form for all: the class, what it is of, its type."""
    engine = Engine(tier="jit1")
    store = Store(engine)
    linker = Linker(engine)
    linker.define("env", "f", print)
    module = Module(WHOLE, engine)
    instance = linker.instantiate(store, module)
    exports = instance.exports
    shown = {
        "add": "<Func add(i32, i32) -> i32>",
        "pair": "<Func pair() -> (i32, f64)>",
        "memory": "<Memory 1..2 pages>",
        "table": "<Table 3..5 funcref>",
        "level": "<Global mut i32 = 5>",
    }
    assert {name: repr(item) for name, item in exports.items()} == shown
    assert repr(Memory.new(store, 1)) == "<Memory 1.. pages>"
    assert repr(Table.new(store, EXTERNREF, 0)) == "<Table 0.. externref>"
    assert repr(exports) == "<Exports add, pair, memory, table, level>"
    assert repr(instance) == f"<Instance of {module.name}, exports: add, pair, memory, table, level>"
    assert (repr(engine), repr(store)) == ("<Engine jit1>", "<Store idle>")
    assert repr(linker) == "<Linker of 1 definition in 1 module>"
    assert repr(linker.instantiate_pre(module)) == f"<InstancePre of {module.name}>"
    assert repr(module).startswith(f"<Module {module.name}, functions: ")


def test_representations_of_what_is_closed_say_so_and_never_raise():
    """A debugger shows them."""
    engine = Engine()
    store = Store(engine)
    instance = load(WHOLE, store=store)
    everything = [engine, store, instance, instance.exports, *instance.exports.values()]
    instance.close()
    assert repr(instance).startswith("<Instance closed of ")
    store.close()
    engine.close()
    shown = [repr(item) for item in everything]
    assert shown[:2] == ["<Engine auto closed>", "<Store closed>"] and all(text.startswith("<") for text in shown)


# ---- exports as a mapping, equality ----


def test_exports_are_a_mapping_and_attributes():
    """Membership, length, order, keys, ``dir``."""
    exports = load(WHOLE).exports
    assert "add" in exports and "ad" not in exports and len(exports) == 5
    assert list(exports) == list(exports.keys()) == ["add", "pair", "memory", "table", "level"]
    assert {"add", "pair", "memory", "table", "level", "get", "items"} <= set(dir(exports))
    assert exports.get("nothing") is None and exports.add is exports["add"]
    assert not hasattr(exports, "nothing") and getattr(exports, "nothing", 5) == 5


def test_a_missing_export_names_the_near_ones():
    """As an attribute and as an item; what is far away gets the list instead."""
    exports = load(WHOLE).exports
    with pytest.raises(AttributeError, match="no export named 'ad'; did you mean 'add'"):
        exports.ad  # noqa: B018
    with pytest.raises(KeyError) as caught:
        exports["memroy"]
    assert str(caught.value) == "no export named 'memroy'; did you mean 'memory'?" and caught.value.args == ("memroy",)
    with pytest.raises(AttributeError, match="no export named 'zzz'; exports: add, pair, memory, table, level"):
        exports.zzz  # noqa: B018


def test_looking_for_an_export_that_there_is_not_compares_no_names():
    """``hasattr`` on a module with ten thousand exports must not look for near ones, which nobody reads."""

    class Counted(dict):
        seen = 0

        def __iter__(self):
            Counted.seen += 1
            return super().__iter__()

    from stratavm.engine.missing import NoAttribute

    error = NoAttribute("x", Counted(y=1))
    assert Counted.seen == 0
    assert "no export" in str(error) and Counted.seen > 0


def test_objects_are_equal_when_they_stand_for_the_same_thing():
    """An instance that re-exports an object gives an equal one; hashes agree."""
    store = Store()
    first = load(WHOLE, store=store)
    again = """(module (import "m" "add" (func (param i32 i32) (result i32))) (import "m" "memory" (memory 1 2))
      (import "m" "table" (table 3 5 funcref)) (import "m" "level" (global (mut i32)))
      (export "add" (func 0)) (export "memory" (memory 0)) (export "table" (table 0)) (export "level" (global 0)))"""
    second = load(again, {"m": first}, store=store)
    other = load(WHOLE, store=store)
    for name in ("add", "memory", "table", "level"):
        mine, theirs = first.exports[name], second.exports[name]
        assert mine == theirs and hash(mine) == hash(theirs), name
        assert mine != other.exports[name] and mine != 5, name
    assert len({Global.new(store, I32, 1), Global.new(store, I32, 1), Table.new(store, FUNCREF, 1)}) == 3


# ---- options ----


def test_the_typed_options_are_those_of_the_configuration():
    """``Options`` types the keyword arguments of ``Engine`` and ``load``: same names, same types, same order."""
    fields = {name: parameter.annotation for name, parameter in inspect.signature(Config).parameters.items()}
    assert fields == Options.__annotations__


@pytest.mark.parametrize(
    "make", [lambda **o: Config(**o), lambda **o: Engine(**o), lambda **o: load("(module)", **o), Config().having]
)
def test_an_option_that_there_is_not_names_the_near_one(make):
    """Wherever options are taken."""
    with pytest.raises(TypeError, match="has no option 'teir'; did you mean 'tier'"):
        make(teir="jit1")
    with pytest.raises(TypeError, match="has no option 'zzz'; options: tier, strict"):
        make(zzz=1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"tier": "jit"}, "tier must be one of jit0, jit1, auto, oracle, got 'jit'; did you mean 'jit"),
        ({"features": {"bulk-memroy"}}, "unknown features: 'bulk-memroy'; did you mean 'bulk-memory'"),
        ({"passes": ("in-line",)}, "unknown passes: 'in-line'; did you mean 'inline'"),
        ({"machine_passes": ("zzz",)}, "unknown machine_passes: 'zzz'; known: "),
        ({"memory_plan": 5}, "memory_plan must be one of guard, bounded, got 5"),
    ],
)
def test_a_value_that_an_option_cannot_have_names_the_near_one(options, words):
    """Tiers, proposals, passes."""
    with pytest.raises(ValueError, match=words):
        Config(**options)


@pytest.mark.parametrize("option", ["features", "passes", "machine_passes"])
def test_a_lone_string_is_no_sequence_of_names(option):
    """``features="simd"`` would be four proposals called s, i, m and d."""
    with pytest.raises(TypeError, match=f"{option} must be a set or sequence of names, got 'simd'"):
        Config(**{option: "simd"})


def test_names_may_come_in_any_collection():
    """A list, a set, a generator; the configuration stays hashable and comparable."""
    config = Config(features=[*ALL], passes=["inline"], machine_passes=iter(()))
    assert config == Config(features=ALL, passes=("inline",), machine_passes=())
    assert hash(config) == hash(replace(config)) and config.passes == ("inline",)


def test_what_is_no_configuration_is_refused_as_such():
    """``Engine("jit1")``."""
    with pytest.raises(TypeError, match="takes a Config or options by name, got 'jit1'"):
        Engine("jit1")


# ---- limits of a configuration ----


@pytest.mark.parametrize("form", ["text", "binary"])
@pytest.mark.parametrize(
    ("limit", "most", "source"),
    [
        ("functions", 2, "(func) (func) (func)"),
        ("module_bytes", 8, "(func)"),
        ("locals", 3, "(func (local i32 i32 i32 i32))"),
        ("operand_stack", 2, "(func (drop (i32.add (i32.const 1) (i32.add (i32.const 1) (i32.const 2)))))"),
        ("br_table_targets", 1, "(func (br_table 0 0 0 (i32.const 0)))"),
    ],
)
def test_the_limits_of_a_configuration_hold_for_text_and_for_what_the_validator_checks(form, limit, most, source):
    """Not only for what the decoder counts in a binary."""
    text = f"(module {source})"
    given = text if form == "text" else Module(text).model.binary
    with pytest.raises(ModuleLimit) as caught:
        Module(given, Engine(limits=Limits(**{limit: most})))
    assert caught.value.limit == limit
    Module(given, Engine(limits=Limits(**{limit: most + 1000})))


def test_a_refusal_of_a_text_is_one_error_and_not_two():
    """No "during handling of the above exception" about a binary that nobody has seen."""
    with pytest.raises(ValidationError) as caught:
        Module("(module (type (struct)))", Engine(features=ALL - {"gc"}))
    assert caught.value.__context__ is None and caught.value.line == 1


# ---- types and sources that the caller gives ----


def test_types_of_values_go_by_name_and_wrong_ones_are_refused():
    """A table of numbers, or of a type that there is not, would be nothing that a guest can have."""
    store = Store()
    assert Global.new(store, "i64", 5) != Global.new(store, I32, 5)
    assert repr(Global.new(store, "externref", None, mutable=True)) == "<Global mut externref = None>"
    assert Table.new(store, "funcref", 1).type == Table.new(store, FUNCREF, 1).type
    with pytest.raises(ValueError, match="'i23' is no type here; did you mean 'i32'"):
        Global.new(store, "i23", 5)
    for wrong in ("i32", I32, 0, 5):
        with pytest.raises(ValueError, match="is no type here; types: funcref, externref"):
            Table.new(store, wrong, 1)
    with pytest.raises(ValueError, match="12345 is no type here"):
        Global.new(store, 12345, 5)


def test_a_source_that_is_none_is_refused_and_an_open_file_is_told_what_to_do(tmp_path):
    """An integer would be a descriptor: ``load(0)`` read standard input, and closed it."""
    with pytest.raises(TypeError, match="source must be a path, bytes or text of a module, got int"):
        load(0)
    (tmp_path / "a.wat").write_text("(module)")
    with (tmp_path / "a.wat").open("rb") as file:
        with pytest.raises(TypeError, match=r"got BufferedReader; pass what it reads: source\.read\(\)"):
            load(file)
        load(file.read())
    module = Module("(module)")
    for given in (load, Module):
        with pytest.raises(TypeError, match=r"got Module, which is loaded already: Linker\(module\.engine\)\.instant"):
            given(module)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Linker("jit1"), "engine must be an Engine, got 'jit1'"),
        (lambda: Module("(module)", Config()), r"engine must be an Engine, got Config\("),
        (lambda: Store(limits={"memory_bytes": 1}), "limits must be StoreLimits, got {'memory_bytes': 1}"),
        (lambda: load("(module)", store=Engine()), "store must be a Store, got <Engine auto>"),
        (lambda: Linker().define_instance("m", Store()), "takes an Instance, got <Store idle>"),
        (lambda: Linker().instantiate(Module("(module)"), Store()), "module must be a Module, .* got <Store idle>"),
    ],
)
def test_an_object_of_another_kind_is_refused_where_it_is_given(call, words):
    """Not by an attribute that it does not have, somewhere inside."""
    with pytest.raises(TypeError, match=words):
        call()


@pytest.mark.parametrize("value", ["text", b"bytes"])
def test_text_for_a_number_is_told_the_way_through_memory(value):
    """The first thing that somebody tries with a function that takes a string; and the way that is told works."""
    source = """(module (memory (export "memory") 1)
      (func (export "first") (param i32) (result i32) (i32.load8_u (local.get 0))))"""
    exports = load(source).exports
    with pytest.raises(TypeError, match=r"first\(i32\) -> i32: expected i32, got (str|bytes); .*Memory\.write"):
        exports.first(value)
    exports.memory.write(64, b"A")
    assert exports.first(64) == ord("A")


@pytest.mark.parametrize("seconds", [1e9, 1e12, 1e300, float("inf")])
def test_a_deadline_beyond_all_times_is_one_that_does_not_come(seconds):
    """Nanoseconds that do not fit 64 bits do not make it a deadline in the past, or one that stays behind."""
    store = Store()
    exports = load('(module (func (export "f") (result i32) (loop) (i32.const 1)))', store=store).exports
    with store.deadline(seconds):
        assert [exports.f() for _ in range(100)] == [1] * 100
    assert exports.f() == 1


def test_a_deadline_that_is_no_number_is_refused():
    """It compares with nothing: the call would end at once, or never. Before the block begins, if one does."""
    with pytest.raises(ValueError, match="seconds must be a number of seconds, got nan"):
        Store().deadline(float("nan"))


def test_a_deadline_without_a_block_says_that_it_limits_nothing(recwarn):
    """Whoever forgets ``with`` has no limit, and a hostile guest all the time."""
    store = Store()
    with pytest.warns(RuntimeWarning, match=r"limits nothing by itself: write `with store\.deadline\(0\.5\):`"):
        store.deadline(0.5)
    with store.deadline(60), store.deadline(None):
        pass
    assert not recwarn.list


def test_a_deadline_may_begin_again():
    """Also inside itself: each block ends its own."""
    store = Store(on_abort="keep")
    exports = load('(module (func (export "f") (result i32) (loop) (i32.const 1)))', store=store).exports
    passed = store.deadline(0)
    for _ in range(2):
        with passed:
            with passed, pytest.raises(stratavm.DeadlineExceeded):
                exports.f()
            with pytest.raises(stratavm.DeadlineExceeded):
                exports.f()
        assert exports.f() == 1


def test_an_engine_that_is_none_is_refused_by_a_store():
    """``Store(Config())``."""
    with pytest.raises(TypeError, match=r"engine must be an Engine, got Config\("):
        Store(Config())


def test_an_instance_made_by_hand_is_told_who_makes_them():
    """Whatever it is given; the compiler's words were of arguments."""
    for given in ((), (Module("(module)"),), (Store(), Module("(module)"))):
        with pytest.raises(TypeError, match=r"instances are made by load\(\), Linker"):
            Instance(*given)
    with pytest.raises(TypeError, match=r"instances are made by load\(\), Linker"):
        Instance(module=Module("(module)"))
