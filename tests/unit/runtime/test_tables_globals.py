"""Claims about tables, globals and handles of Python objects."""

import gc
import weakref

import pytest

from stratavm.base.errors import ResourceLimit, StoreBusy, Trap
from stratavm.runtime.globals import Global
from stratavm.runtime.limits import StoreLimits
from stratavm.runtime.table import Table
from stratavm.spec.types import EXTERNREF, F64, FUNCREF, I32, V128, GlobalType, Limits, TableType

from . import guest


def table(minimum=2, maximum=10, element=EXTERNREF, store=None):
    """A new table."""
    return Table(store or guest.store(), TableType(element, Limits(minimum, maximum)))


@pytest.mark.parametrize("maximum", [10, 100_000])
def test_tables_grow_in_place(maximum):
    """Small ones on the heap, large ones in reserved address space."""
    t = table(2, maximum)
    t.set(1, 5)
    assert t.extend(3, 9) == 2
    assert [t.get(i) for i in range(5)] == [0, 5, 9, 9, 9]
    assert t.extend(maximum) == -1
    assert t.extend(maximum - 5) == 5
    assert len(t) == maximum
    assert t.type == TableType(EXTERNREF, Limits(maximum, maximum))


@pytest.mark.parametrize("index", [2, -1, 1 << 64])
def test_elements_outside_trap(index):
    """Get and set."""
    with pytest.raises(Trap, match="out of bounds table access"):
        table().get(index)
    with pytest.raises(Trap):
        table().set(index, 1)


def test_only_functions_of_the_store_go_into_function_tables():
    """A raw number would be jumped through."""
    store = guest.store()
    t = table(element=FUNCREF, store=store)
    function = guest.make("(module (func unreachable))", [guest.unreachable()], (), store).callee(0)
    t.set(0, function.raw)
    assert store.function_at(t.get(0)) is function
    foreign = guest.make("(module (func unreachable))", [guest.unreachable()]).callee(0)
    for bad in (1, function.raw + 1, function.raw + 32, foreign.raw):
        with pytest.raises(ValueError, match="no function reference"):
            t.set(1, bad)
        with pytest.raises(ValueError, match="no function reference"):
            Global(store, GlobalType(FUNCREF, True), bad)


def test_a_table_keeps_its_functions_alive():
    """The store does: guests copy raw references about."""
    store = guest.store()
    t = table(element=FUNCREF, store=store)
    t.set(0, guest.make("(module (func unreachable))", [guest.unreachable()], (), store).callee(0).raw)
    gc.collect()
    with pytest.raises(Trap, match="unreachable"):
        store.function_at(t.get(0)).call_raw([])


def test_tables_have_limits():
    """Elements, and the number of tables."""
    store = guest.store(StoreLimits(table_elements=100, tables=1))
    with pytest.raises(ResourceLimit):
        table(101, None, store=store)
    only = table(1, None, store=store)
    assert only.extend(100) == -1
    with pytest.raises(ResourceLimit):
        table(1, None, store=store)


def test_globals_hold_raw_bits():
    """Checked against the width of their type."""
    store = guest.store()
    g = Global(store, GlobalType(I32, True), 7)
    g.bits = 0xFFFFFFFF
    assert g.bits == 0xFFFFFFFF
    for bad in (1 << 32, -1):
        with pytest.raises(OverflowError):
            g.bits = bad
    assert Global(store, GlobalType(F64, False), 1 << 63).bits == 1 << 63
    assert Global(store, GlobalType(V128, False), (1 << 127) | 5).bits == (1 << 127) | 5


def test_an_imported_global_is_the_owners_cell():
    """Exported by one instance, imported by another: one value."""
    store = guest.store()
    owner = guest.make('(module (global (export "g") (mut i32) (i32.const 3)))', [], (), store)
    user = guest.make('(module (import "m" "g" (global (mut i32))))', [], (owner.export("global", 0),), store)
    owner.globals[0].bits = 9
    assert user.globals[0].bits == 9
    assert user.globals[0] is owner.globals[0]


def test_handles_keep_objects_only_while_a_guest_holds_them():
    """Tables and globals are roots; Store.gc lets go of the rest."""

    class Thing:
        pass

    store = guest.store()
    t = table(store=store)
    g = Global(store, GlobalType(EXTERNREF, True))
    things = [Thing() for _ in range(3)]
    refs = [weakref.ref(x) for x in things]
    handles = [store.extern_to_raw(x) for x in things]
    assert store.extern_to_raw(things[0]) == handles[0]
    assert store.extern_to_raw(None) == 0
    assert store.extern_from_raw(0) is None
    t.set(0, handles[0])
    g.bits = handles[1]
    del things
    assert store.gc() == 1
    assert [r() is None for r in refs] == [False, False, True]
    assert store.extern_from_raw(handles[1]) is refs[1]()
    t.set(0, 0)
    g.bits = 0
    assert store.gc() == 2
    assert [r() for r in refs] == [None] * 3
    with pytest.raises(ValueError):
        store.extern_from_raw(99)


class Root:
    """Something that holds handles and, when it is asked for them, lets somebody else act."""

    def __init__(self, act):
        self.act = act

    def held_handles(self):
        self.act()
        return set()


def test_what_is_asked_for_while_handles_are_collected_stays():
    """Finding them runs Python, and so other threads: one gives the object to a guest again."""
    store, thing = guest.store(), object()
    handle = store.extern_to_raw(thing)
    again = []
    root = Root(lambda: again.append(store.extern_to_raw(thing)) if again is not None else None)
    store.add_root(root)
    for _ in range(5):
        store.gc()
    assert set(again) == {handle} and store.extern_from_raw(handle) is thing


def test_handles_are_collected_by_one_at_a_time():
    """Else one would be given out twice, to two objects."""
    store = guest.store()
    first = store.extern_to_raw(object())
    busy = []

    def act():
        with pytest.raises(StoreBusy):
            store.gc()
        with pytest.raises(StoreBusy):
            table(store=store).get(0)
        busy.append(store.busy)

    root = Root(act)
    store.add_root(root)
    assert store.gc() == 1 and not store.busy and set(busy) == {True}
    assert [store.extern_to_raw(object()) for _ in range(2)] == [first, 2]


def test_many_short_lived_handles_are_collected_by_themselves():
    """At the end of outermost calls, once there are enough."""
    store = guest.store()
    module = '(module (import "e" "f" (func (param i32) (result i32))) (func (param i32) (result i32) unreachable))'
    imported = guest.host(store, lambda args: [store.extern_to_raw(object())])
    call = guest.make(module, [guest.call_import(guest.IMPORTED_FUNC)], (imported,), store).callee(1)
    assert max(call.call_raw([0])[0] for _ in range(10_000)) < 4000


def test_the_result_of_a_call_survives_the_collection_at_its_end():
    """Its handle is in nobody's hands but the caller's."""
    store = guest.store()
    host = '(import "e" "f" (func (param i32) (result externref)))'
    imported = guest.host(store, lambda args: [store.extern_to_raw(("result", args[0]))], (I32,), (EXTERNREF,))
    text = f"(module {host} (func (param i32) (result externref) unreachable))"
    call = guest.make(text, [guest.call_import(guest.IMPORTED_FUNC)], (imported,), store).callee(1)
    for i in range(5000):
        assert store.extern_from_raw(call.call_raw([i])[0]) == ("result", i)


def test_handles_have_a_limit():
    """A guest cannot make the host keep everything."""
    store = guest.store(StoreLimits(handles=3))
    things = [object() for _ in range(4)]
    with pytest.raises(ResourceLimit) as caught:
        for thing in things:
            store.extern_to_raw(thing)
    assert caught.value.limit == "handles"
