"""What Python gives to a new global, a new table or a grown one is held while these are made, whatever collects."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable
from types import FrameType
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


def written(store: Store, thing: Thing) -> Callable[[], Any]:
    """A global that is written to."""
    made = Global.new(store, "externref", None, mutable=True)
    made.value = thing
    return lambda: made.value


def set_in(store: Store, thing: Thing) -> Callable[[], Any]:
    """A table that is written to."""
    table = Table.new(store, "externref", 1)
    table[0] = thing
    return lambda: table[0]


WAYS = {**MADE, "a grown table": growing, "a written global": written, "a written table": set_in}


new: list[object] = []


def traced(frame: FrameType, event: str, argument: object) -> Callable[..., Any]:
    """For each line of Python's there are new objects, so that it collects."""
    new.extend([[], []])
    return traced


@pytest.mark.parametrize("trace", [None, traced], ids=["alone", "traced"])
@pytest.mark.parametrize("what", WAYS)
def test_python_may_collect_at_each_allocation(what: str, trace: Callable[..., Any] | None) -> None:
    """And whoever is told of that the store, whose next handle is another thing's."""
    store, busy = Store(), False
    other = Global.new(store, "externref", None, mutable=True)

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

    before, tracer = gc.get_threshold(), sys.gettrace()
    gc.callbacks.append(collect)
    try:
        for _ in range(5):
            thing = Thing()
            sys.settrace(trace)
            gc.set_threshold(1, 1, 1)
            read = WAYS[what](store, thing)
            gc.set_threshold(*before)
            sys.settrace(tracer)
            assert read() is thing
    finally:
        new.clear()
        sys.settrace(tracer)
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
