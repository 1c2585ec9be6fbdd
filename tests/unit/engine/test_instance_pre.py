"""Claims about modules whose imports are resolved once."""

import ctypes
import gc
import inspect
import threading
import weakref

import pytest

import stratavm
from stratavm import Caller, Engine, HostSpec, InstancePre, Linker, LinkError, Module, Store
from stratavm.spec.types import FUNCREF, I32, FuncType
from stratavm.testing import EventRecorder, ModuleBuilder

RUN = "local.get 0 call $double call $where i32.add call $spec"
GUEST = (
    ModuleBuilder()
    .imported("e", "double", "i32 -> i32")
    .imported("e", "where", "-> i32")
    .imported("e", "spec", "i32 -> i32")
    .memory(1)
    .global_("level", "i32", 5)
    .func("run", "i32 -> i32", RUN)
    .build()
)

TP_DEALLOC = 6 * 8  # ob_refcnt, ob_type, ob_size; then tp_name, tp_basicsize, tp_itemsize


def where(caller: Caller) -> int:
    """Reads a global of the instance that asks."""
    return caller.instance.exports.level.value


def linker_of(engine):
    """A linker that defines everything on itself, and nothing in a store."""
    linker = Linker(engine)
    linker.define("e", "double", lambda x: 2 * x)
    linker.define("e", "where", where)
    linker.define("e", "spec", HostSpec(FuncType((I32,), (I32,)), lambda memory, x: x + memory.number))
    return linker


def test_one_serves_many_stores():
    """Each instance has its own host functions, caller and memory."""
    engine = Engine()
    pre = linker_of(engine).instantiate_pre(Module(GUEST, engine=engine))
    assert isinstance(pre, InstancePre) and repr(pre).startswith("<InstancePre of")
    stores = [Store(engine) for _ in range(3)]
    for level, store in enumerate(stores):
        for number in range(2):
            instance = pre.instantiate(store)
            instance.exports.level.value = 100 * level
            assert instance.exports.run(4) == 8 + 100 * level + number


def test_imports_are_resolved_once():
    """Later definitions, also missing ones, change nothing."""
    engine = Engine()
    linker = linker_of(engine)
    pre = linker.instantiate_pre(Module(GUEST, engine=engine))
    linker.define("e", "double", lambda x: 1 / 0)
    assert pre.instantiate(Store(engine)).exports.run(4) == 13


def test_what_does_not_fit_is_refused_before_any_store():
    """Missing, of another kind, of another type, no import at all."""
    engine = Engine()
    module = Module(GUEST, engine=engine)
    for change, words in (
        (lambda linker: linker.define("e", "double", 3), r"expected func \(i32\) -> i32, found int"),
        (lambda linker: linker.define("e", "spec", HostSpec(FuncType((), ()), print)), "expected .*i32.* found"),
        (lambda linker: linker._items.clear(), "unknown import: 3 of 3 imports"),
    ):
        linker = linker_of(engine)
        change(linker)
        with pytest.raises(LinkError, match=words):
            linker.instantiate_pre(module)
    memory = Module('(module (import "e" "double" (memory 1)))', engine=engine)
    with pytest.raises(LinkError, match="found a function"):
        linker_of(engine).instantiate_pre(memory)


def test_objects_of_a_store_serve_that_store():
    """Elsewhere they are refused, by name."""
    engine = Engine()
    store, other = Store(engine), Store(engine)
    module = Module('(module (import "e" "m" (memory 1)) (export "m" (memory 0)))', engine=engine)
    linker = Linker(engine)
    linker.define("e", "m", stratavm.Memory.new(store, 1))
    pre = linker.instantiate_pre(module)
    assert len(pre.instantiate(store).exports.m) == 65536
    with pytest.raises(LinkError, match=r"e\.m belongs to another store"):
        pre.instantiate(other)
    too_small = Linker(engine)
    too_small.define("e", "m", stratavm.Memory.new(store, 0))
    with pytest.raises(LinkError, match="incompatible import type"):
        too_small.instantiate_pre(module)


def test_engines_are_not_mixed():
    """Code relies on the types and stubs of its engine."""
    a, b = Engine(), Engine()
    with pytest.raises(LinkError, match="different engines"):
        linker_of(a).instantiate_pre(Module(GUEST, engine=b))
    with pytest.raises(LinkError, match="different engines"):
        linker_of(a).instantiate_pre(Module(GUEST, engine=a)).instantiate(Store(b))


def test_failures_are_events():
    """As those of a linker are; success too."""
    engine = Engine()
    pre = linker_of(engine).instantiate_pre(Module(GUEST, engine=engine))
    with EventRecorder(engine.bus) as recorder:
        pre.instantiate(Store(engine))
        with pytest.raises(stratavm.ResourceLimit):
            pre.instantiate(Store(engine, limits=stratavm.StoreLimits(memories=0)))
    names = [n for n in recorder.names if n in ("InstanceCreated", "InstantiationFailed", "LimitReached")]
    assert names == ["InstanceCreated", "InstantiationFailed", "LimitReached"]


def test_threads_may_share_one():
    """Every thread has its own store."""
    engine = Engine()
    pre = linker_of(engine).instantiate_pre(Module(GUEST, engine=engine))
    results = []

    def work():
        with Store(engine) as store:
            results.append([pre.instantiate(store).exports.run(i) for i in range(20)])

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert results == [[2 * i + 5 + i for i in range(20)]] * 8


def test_a_closed_store_lets_its_host_functions_go():
    """Without the collector: the cycle host function → caller → instance → host function ends with the store."""
    engine = Engine()
    linker, pre = linker_of(engine), None

    class Double:
        """A callable that can be watched."""

        def __call__(self, x):
            return 2 * x

    linker.define("e", "double", Double())
    pre = linker.instantiate_pre(Module(GUEST, engine=engine))
    gc.disable()
    try:
        with Store(engine) as store:
            instance = pre.instantiate(store)
            native = weakref.ref(instance)
            assert instance.exports.run(1) == 7
        del instance, store
        assert native() is None
    finally:
        gc.enable()


def test_a_failed_allocation_takes_no_place_in_the_store():
    """What the limits refuse is forgotten, functions and all."""
    engine = Engine()
    store = Store(engine, limits=stratavm.StoreLimits(memories=1, instances=2))
    pre = linker_of(engine).instantiate_pre(Module(GUEST, engine=engine))
    first = pre.instantiate(store)
    for _ in range(5):
        with pytest.raises(stratavm.ResourceLimit, match="memories"):
            pre.instantiate(store)
    assert store.instances == [first] and first.exports.run(1) == 7


def test_a_linker_asks_a_callable_once_what_it_wants():
    """However many modules import it; a new definition is asked anew, and so is another type."""
    asked = []

    class Asked:
        """Says when its signature is looked at."""

        def __init__(self, factor):
            self.factor = factor

        @property
        def __signature__(self):
            asked.append(self.factor)
            return inspect.signature(lambda x: x)

        def __call__(self, x):
            return self.factor * x

    engine = Engine()
    linker = Linker(engine)
    guest = """(module (import "e" "f" (func $f (param {0}) (result {0})))
      (func (export "run") (param {0}) (result {0}) (call $f (local.get 0))))"""
    modules = [Module(guest.format(t), engine=engine) for t in ("i32", "i32", "i64")]
    for factor, expected in ((2, [2, 2]), (3, [2, 2, 3, 3])):
        linker.define("e", "f", Asked(factor))
        for module in (modules[0], modules[1], modules[0], modules[2]):
            assert linker.instantiate(Store(engine), module).exports.run(1 << 20) == factor << 20
        assert asked == expected


def test_a_closed_engine_makes_no_stores():
    """Neither with limits nor without; stores that are open go on."""
    engine, limits = Engine(), stratavm.StoreLimits(memories=1)
    pre = linker_of(engine).instantiate_pre(Module(GUEST, engine=engine))
    store, other = Store(engine), Store(engine, limits=limits)
    engine.close()
    for options in ({}, {"limits": limits}, {"limits": stratavm.StoreLimits()}):
        with pytest.raises(stratavm.Closed):
            Store(engine, **options)
    assert pre.instantiate(store).exports.run(1) == pre.instantiate(other).exports.run(1) == 7


def test_stores_with_the_same_limits_share_what_they_have_in_common():
    """And others do not: every store has the limits that it was given."""
    engine = Engine(max_memory_bytes=1 << 20)
    few, many = stratavm.StoreLimits(memories=1), stratavm.StoreLimits(memories=2, memory_bytes=1 << 16)
    for limits in (few, many, few, many, many, None):
        native = Store(engine, limits=limits)
        assert native.limits.memories == (10_000 if limits is None else limits.memories)
        assert native.limits.memory_bytes == (1 << 16 if limits is many else 1 << 20)
    refuses = [Store(engine, limits=stratavm.StoreLimits(admit=lambda kind, now: False)) for _ in range(2)]
    for store in refuses:
        with pytest.raises(stratavm.ResourceLimit, match="not admitted"):
            stratavm.Memory.new(store, 1)


class Watched:
    """A callable that can be watched."""

    def __call__(self, x):
        return 2 * x


def watched_pre(engine, text=GUEST):
    """An InstancePre whose import is a new callable, and a weak reference to that."""
    function = Watched()
    linker = linker_of(engine)
    linker.define("e", "double", function)
    return linker.instantiate_pre(Module(text, engine=engine)), weakref.ref(function)


def test_a_failed_allocation_lets_its_host_functions_go():
    """Nothing refers to them: neither the store nor anything else keeps them until it is closed."""
    engine = Engine()
    store = Store(engine, limits=stratavm.StoreLimits(memories=0))
    pre, function = watched_pre(engine)
    for _ in range(3):
        with pytest.raises(stratavm.ResourceLimit, match="memories"):
            pre.instantiate(store)
    del pre
    gc.collect()
    assert function() is None and not store.closed


def test_an_import_of_another_store_lets_the_other_imports_go():
    """The link failed midway: what was made for it until then is released."""
    engine = Engine()
    text = """(module (import "e" "double" (func (param i32) (result i32))) (import "e" "level" (global (mut i32))))"""
    function = Watched()
    linker, elsewhere, store = Linker(engine), Store(engine), Store(engine)
    linker.define("e", "double", function)
    linker.define("e", "level", stratavm.Global.new(elsewhere, I32, 1, mutable=True))
    pre = linker.instantiate_pre(Module(text, engine=engine))
    with pytest.raises(stratavm.LinkError, match="another store"):
        pre.instantiate(store)
    function = weakref.ref(function)
    del pre, linker
    gc.collect()
    assert function() is None


def test_host_functions_of_a_start_that_trapped_stay():
    """The instance may be in a table by then, and calls them: it is not a failed allocation."""
    engine = Engine()
    text = """(module (import "e" "double" (func $double (param i32) (result i32)))
      (import "e" "table" (table 1 funcref))
      (elem (i32.const 0) func $call) (func $call (result i32) (call $double (i32.const 21)))
      (func $start unreachable) (start $start))"""
    function = Watched()
    store, linker = Store(engine), Linker(engine)
    table = stratavm.Table.new(store, FUNCREF, 1)
    linker.define("e", "double", function)
    linker.define("e", "table", table)
    with pytest.raises(stratavm.Trap):
        linker.instantiate(store, Module(text, engine=engine))
    function = weakref.ref(function)
    del linker
    gc.collect()
    assert function() is not None and table[0]() == 42


# ---- what they are made of ----


@pytest.mark.parametrize("cls", [Store, stratavm.Instance])
def test_the_classes_of_a_noun_have_one_size(cls):
    """What an object consists of is declared at the root: only so has it a list of free objects."""
    floors = [floor for floor in cls.__mro__ if floor is not object]
    assert len(floors) > 1
    assert {floor.__basicsize__ for floor in floors} == {cls.__basicsize__}


def test_a_store_made_in_any_way_is_the_same():
    """Of nothing and of an engine alone there is a short way; names and subclasses take the long one."""

    class Own(Store):
        pass

    engine = Engine()
    stores = [Store(engine), Store(engine=engine), Store(engine, limits=None), Own(engine), Own(engine=engine)]
    assert {store.engine for store in stores} == {engine}
    assert [type(store) for store in stores] == [Store, Store, Store, Own, Own]
    assert (Store().engine, Store(None).engine, Own().engine) == (stratavm.engine.engine.default_engine(),) * 3
    assert Store(engine, on_abort="keep").keep_on_abort and not stores[0].keep_on_abort


@pytest.mark.parametrize("arguments", [(1,), ("engine",), (None, None), (Engine, 1)])
@pytest.mark.parametrize("names", [{}, {"fuel": None}])
def test_a_store_of_what_is_no_engine_is_refused(arguments, names):
    """By the short way and by the long one."""
    with pytest.raises(TypeError):
        Store(*arguments, **names)


def test_a_store_of_a_closed_engine_is_refused():
    """By the short way and by the long one."""
    engine = Engine()
    engine.close()
    for names in ({}, {"fuel": None}):
        with pytest.raises(stratavm.Closed, match="the engine is closed"):
            Store(engine, **names)


@pytest.mark.parametrize("cls", [Store, stratavm.Instance])
def test_the_root_of_a_noun_takes_its_objects_down(cls):
    """By one function, not floor by floor; a class in Python that derives from it as well."""
    root = cls.__mro__[-2]
    deallocations = {ctypes.c_void_p.from_address(id(floor) + TP_DEALLOC).value for floor in (cls, root)}
    assert len(deallocations) == 1

    class Own(Store):
        pass

    store = Own(Engine())
    gone = weakref.ref(store)
    del store
    assert gone() is None


def test_a_linker_resolves_a_module_again_after_each_definition_only(monkeypatch):
    """And whenever another one came between; what it offers by then is what counts."""
    engine = Engine()
    linker = Linker(engine)
    first = Module('(module (import "e" "f" (func (result i32))) (export "f" (func 0)))', engine=engine)
    second = Module('(module (import "e" "f" (func (result i32))) (export "f" (func 0)) (memory 1))', engine=engine)
    seen = []
    resolve = Linker._resolve
    monkeypatch.setattr(Linker, "_resolve", lambda self, *given: seen.append(given[0]) or resolve(self, *given))

    def call(module):
        with Store(engine) as store:
            return linker.instantiate(store, module).exports.f()

    linker.define("e", "f", lambda: 1)
    assert [call(first) for _ in range(3)] == [1, 1, 1] and seen == [first]
    linker.define("e", "f", lambda: 2)
    assert [call(first), call(first), call(second), call(first)] == [2] * 4 and seen == [first, first, second, first]
    linker.define("other", "g", lambda: 3)
    assert call(first) == 2 and seen[4:] == [first]
    linker.define("e", "f", stratavm.Memory.new(Store(engine), 1))
    with pytest.raises(LinkError):
        call(first)


def test_a_definition_made_while_a_module_is_resolved_counts_the_next_time(monkeypatch):
    """By another thread, as far as the linker knows."""
    engine = Engine()
    linker = Linker(engine)
    module = Module('(module (import "e" "f" (func (result i32))) (export "f" (func 0)))', engine=engine)
    linker.define("e", "f", lambda: 1)
    resolve = Linker._resolve

    def define_meanwhile(self, *given):
        binder = resolve(self, *given)
        monkeypatch.setattr(Linker, "_resolve", resolve)
        linker.define("e", "f", lambda: 2)
        return binder

    monkeypatch.setattr(Linker, "_resolve", define_meanwhile)
    assert [linker.instantiate(Store(engine), module).exports.f() for _ in range(3)] == [1, 2, 2]


def test_a_linker_does_not_keep_what_it_linked():
    """A module goes when nobody else has it."""
    engine = Engine()
    linker = Linker(engine)
    linker.define("e", "f", lambda: 1)
    module = Module('(module (import "e" "f" (func (result i32))))', engine=engine)
    linker.instantiate(Store(engine), module)
    watched = weakref.ref(module)
    del module
    gc.collect()
    assert watched() is None
