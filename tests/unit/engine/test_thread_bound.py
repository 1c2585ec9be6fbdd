"""Claims about ``Store(thread_bound=True)``: who is in another thread is refused whatever it does with what the store
has, and the thread that made it never."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any

import pytest

import stratavm
from stratavm import StoreBusy
from stratavm.spec.types import FuncType

SOURCE = """(module
  (type $point (struct (field $x (mut i32)) (field $next (mut (ref null $point)))))
  (type $row (array (mut i32)))
  (memory (export "memory") 1 2)
  (table (export "numbers") 2 4 i31ref) (table (export "functions") 2 4 funcref)
  (table (export "points") 2 4 (ref null $point))
  (global (export "number") (mut i32) (i32.const 1)) (global (export "root") (mut (ref null $point)) (ref.null $point))
  (tag (export "tag") (param i32))
  (func (export "point") (result (ref $point)) (struct.new_default $point))
  (func (export "row") (result (ref $row)) (array.new_default $row (i32.const 3))))"""
USES = {
    "call": lambda it: it.exports.point(),
    "a field": lambda it: it.point["x"],
    "a field by number": lambda it: it.point[0],
    "get": lambda it: it.point.get("x", signed=True),
    "setting a field": lambda it: it.point.__setitem__("x", 1),
    "setting a reference": lambda it: it.point.__setitem__("next", it.point),
    "an element": lambda it: it.row[0],
    "setting an element": lambda it: it.row.__setitem__(0, 1),
    "a slice": lambda it: it.row[:],
    "setting a slice": lambda it: it.row.__setitem__(slice(None), [1, 2, 3]),
    "setting a slice of bytes": lambda it: it.row.__setitem__(slice(None), memoryview(bytes(12)).cast("i")),
    "len": lambda it: len(it.row),
    "iter": lambda it: list(it.row),
    "reversed": lambda it: list(reversed(it.row)),
    "index": lambda it: it.row.index(0),
    "count": lambda it: it.row.count(0),
    "tobytes": lambda it: it.row.tobytes(),
    "a view": lambda it: memoryview(it.row),
    "new struct": lambda it: it.point.type.new(it.store),
    "new array": lambda it: it.row.type.new(it.store, [1, 2]),
    "new of bytes": lambda it: it.row.type.new(it.store, memoryview(bytes(12)).cast("i")),
    "gc": lambda it: it.store.gc(),
    "gc_for_at_most": lambda it: it.store.gc_for_at_most(0.001),
    "gc_journal": lambda it: it.store.gc_journal(),
    "heap_dump": lambda it: it.store.heap_dump(),
    "heap_dump of all": lambda it: it.store.heap_dump(collect=False),
    "a global": lambda it: it.exports.number.value,
    "setting a global": lambda it: setattr(it.exports.number, "value", 2),
    "a global of references": lambda it: it.exports.root.value,
    "setting one": lambda it: setattr(it.exports.root, "value", it.point),
    "a table's element": lambda it: it.exports.functions[0],
    "setting it": lambda it: it.exports.functions.__setitem__(0, None),
    "an object in a table": lambda it: it.exports.points[0],
    "growing a table": lambda it: it.exports.points.grow(1),
    "a byte": lambda it: it.exports.memory[0],
    "setting a byte": lambda it: it.exports.memory.__setitem__(0, 1),
    "reading": lambda it: it.exports.memory.read(0, 4),
    "writing": lambda it: it.exports.memory.write(0, b"1"),
    "growing": lambda it: it.exports.memory.grow(1),
    "a snapshot": lambda it: it.numbers.snapshot(),
}
"""What each needs the thread for."""
ANYWHERE = {
    "type": lambda it: it.point.type.fields,
    "is_instance": lambda it: it.point.is_instance(it.point.type),
    "repr": lambda it: repr(it.point),
    "gc_metrics": lambda it: it.store.gc_metrics(),
    "closed": lambda it: it.store.closed,
    "interrupt": lambda it: it.store.interrupt(),
    "a new memory": lambda it: stratavm.Memory.new(it.store, 1),
    "a new tag": lambda it: stratavm.Tag.new(it.store, ["i32"]),
    "a new function": lambda it: stratavm.Func.from_callable(it.store, FuncType(), print),
}
"""What no guest can meet, or what is made for it to meet: as while another thread is inside."""


def made(**how: Any) -> SimpleNamespace:
    """A store with an instance, a struct and an array."""
    gc = stratavm.GcConfig(journal_entries=10)
    engine = stratavm.Engine(gc=gc)
    store = stratavm.Store(engine, **how)
    instance = stratavm.Linker(engine).instantiate(store, stratavm.Module(SOURCE, engine=engine))
    numbers = stratavm.Linker(engine).instantiate(store, stratavm.Module("(module (memory 1))", engine=engine))
    exports = instance.exports
    return SimpleNamespace(store=store, exports=exports, point=exports.point(), row=exports.row(), numbers=numbers)


def elsewhere(uses: dict[str, Any], world: SimpleNamespace) -> dict[str, str]:
    """What each says in another thread."""
    said = {}

    def meddle() -> None:
        for name, use in uses.items():
            try:
                use(world)
                said[name] = ""
            except StoreBusy as busy:
                said[name] = str(busy)

    thread = threading.Thread(target=meddle)
    thread.start()
    thread.join(60)
    assert said.keys() == uses.keys()  # else one of them raised something else, or never came back
    return said


def test_no_value_is_looked_at_in_another_thread() -> None:
    """What is refused runs nothing before that: a value may have code of its own."""
    looked = []

    class Number:
        def __index__(self) -> int:
            looked.append(threading.current_thread())
            return 1

    uses = {
        "new": lambda it: it.row.type.new(it.store, [Number()]),
        "element": lambda it: it.row.__setitem__(0, Number()),
        "slice": lambda it: it.row.__setitem__(slice(None), [Number()] * 3),
        "global": lambda it: setattr(it.exports.number, "value", Number()),
        "table": lambda it: it.exports.numbers.__setitem__(0, Number()),
        "growth": lambda it: it.exports.numbers.grow(1, Number()),
    }
    world = made(thread_bound=True)
    assert all("bound to the thread" in words for words in elsewhere(uses, world).values())
    assert looked == []
    for use in uses.values():
        use(world)
    assert len(looked) == 8


def test_whatever_is_done_in_another_thread_is_refused() -> None:
    """Of objects, memories, tables and globals as of calls, also when nobody is inside; nothing has changed."""
    world = made(thread_bound=True)
    refused = elsewhere(USES, world)
    assert {name for name, said in refused.items() if "bound to the thread that created it" not in said} == set()
    assert list(world.point) == [0, None]
    assert list(world.row) == [0, 0, 0]
    assert (world.exports.number.value, world.exports.root.value, world.exports.memory[0]) == (1, None, 0)
    assert (len(world.exports.points), len(world.exports.memory)) == (2, 1 << 16)
    assert set(elsewhere(ANYWHERE, world).values()) == {""}


@pytest.mark.parametrize("name", USES)
def test_the_thread_that_made_it_is_not(name: str) -> None:
    """Each is allowed there, and in any thread where a store is not bound."""
    USES[name](made(thread_bound=True))
    assert elsewhere({name: USES[name]}, made()) == {name: ""}


def test_another_thread_may_close_and_forget_it() -> None:
    """What it has is let go of there."""
    world = made(thread_bound=True)
    assert elsewhere({"close": lambda it: it.store.close()}, world) == {"close": ""}
    assert world.store.closed
    kept = [made(thread_bound=True)]
    assert elsewhere({"forget": lambda _: kept.clear()}, world) == {"forget": ""}
