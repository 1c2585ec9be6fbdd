"""What Python gives to a new global, a new table or a grown one is held while these are made, whatever collects."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import pytest

from stratavm import Global, Store, StoreBusy, StoreLimits, Table


class Thing:
    """Something that guests may hold."""


MADE: dict[str, Callable[[Store, Thing], Callable[[], Any]]] = {
    "a global": lambda store, thing: (lambda made: lambda: made.value)(Global.new(store, "externref", thing)),
    "a table": lambda store, thing: (lambda made: lambda: made[1])(Table.new(store, "externref", 2, value=thing)),
    "a table that may grow": lambda store, thing: (lambda made: lambda: made[1])(
        Table.new(store, "externref", 2, 1 << 20, value=thing)
    ),
}


def growing(store: Store, thing: Thing) -> Callable[[], Any]:
    """A table that grows by a thing."""
    table = Table.new(store, "externref", 1, 9)
    assert table.grow(2, thing) == 1
    return lambda: table[2]


@pytest.mark.parametrize("what", [*MADE, "a grown table"])
def test_python_may_collect_at_each_allocation(what: str) -> None:
    """And whoever is told of that the store, whose next handle is another thing's."""
    store, busy = Store(), False
    other = Global.new(store, "externref", None, mutable=True)
    make = MADE.get(what, growing)

    def collect(phase: str, info: dict[str, int]) -> None:
        nonlocal busy
        if phase == "stop" and not busy:
            busy = True
            try:
                store.gc()
                other.value = Thing()
            except StoreBusy:
                pass
            finally:
                busy = False

    before = gc.get_threshold()
    gc.callbacks.append(collect)
    try:
        for _ in range(20):
            thing = Thing()
            gc.set_threshold(1, 1, 1)
            read = make(store, thing)
            gc.set_threshold(*before)
            assert read() is thing
    finally:
        gc.set_threshold(*before)
        gc.callbacks.remove(collect)


@pytest.mark.parametrize("hook", ["limiter", "admit"])
def test_who_allows_a_table_may_collect(hook: str) -> None:
    """A limiter and whoever admits are asked while the table is made."""
    asked = 0

    def allow(*arguments: object) -> bool:
        nonlocal asked
        if store is not None:
            asked += 1
            store.gc()
            Global.new(store, "externref", Thing())
        return True

    store: Store | None = None
    limits = StoreLimits(limiter=allow) if hook == "limiter" else StoreLimits(admit=allow)
    store = Store(limits=limits)
    thing, another = Thing(), Thing()
    table = Table.new(store, "externref", 2, 9, value=thing)
    assert table.grow(2, another) == 2
    assert asked
    assert [table[at] for at in range(4)] == [thing] * 2 + [another] * 2


def test_a_subclass_makes_its_own() -> None:
    """Its initialiser runs."""

    class Named(Global):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            self.name = "named"

    thing = Thing()
    made = Named.new(Store(), "externref", thing)
    assert (made.name, made.value) == ("named", thing)
