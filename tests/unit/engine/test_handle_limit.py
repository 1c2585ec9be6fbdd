"""``StoreLimits(handles=…)``: what no guest holds is let go before anything says that it is reached."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from stratavm import Config, Engine, Module, ResourceLimit, Store, StoreLimits, Tag, WasmException
from stratavm.engine import Linker
from stratavm.engine.instance import Instance

TIERS = ("oracle", "jit0", "jit1", "auto")
PASS = """(module
  (import "env" "more" (func $more (result externref)))
  (func (export "pass") (param externref))
  (func (export "two") (param externref externref))
  (func (export "same") (param externref i32) (result externref) (local.get 0))
  (func (export "ask") (param $k i32)
    (loop (drop (call $more)) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (global (export "g") (mut externref) (ref.null extern))
  (table (export "t") 200 externref))"""
LIMIT = 100


def made(tier: str, text: str = PASS, **limits: int) -> Instance:
    """A guest, in a store of its own."""
    home = Engine(Config(tier=tier))
    linker, store = Linker(home), Store(home, limits=StoreLimits(**limits))
    linker.define("env", "more", object)
    return linker.instantiate(store, Module(text, engine=home))


@pytest.mark.parametrize("limits", [{"handles": LIMIT}, {"total_bytes": 40_000}], ids=["handles", "bytes"])
@pytest.mark.parametrize("tier", TIERS)
def test_what_guests_do_not_hold_is_let_go_before_it_counts(tier: str, limits: dict[str, int]) -> None:
    """One argument, several, globals, tables, and exceptions: each of them many times as often as may be held."""
    instance = made(tier, **limits)
    call, store = instance.exports, instance.store
    tag = Tag.new(store, ["externref", "externref"])
    for _ in range(1000):
        call["pass"](object())
    for _ in range(500):
        call["two"](object(), object())
    for _ in range(1000):
        call["g"].value = object()
        call["t"][0] = object()
    for _ in range(500):
        error = WasmException(tag, (object(), object()))
        assert len(error.values) == 2


@pytest.mark.parametrize("tier", TIERS)
def test_what_guests_hold_counts_exactly(tier: str) -> None:
    """All but the last may be held: it goes on being there for others; with none left a call is refused, and not the
    one after somebody was let go."""
    instance = made(tier, handles=LIMIT)
    call = instance.exports
    held = [object() for _ in range(LIMIT - 1)]
    for at, thing in enumerate(held):
        call["t"][at] = thing
        call["pass"](object())
    for _ in range(50):
        call["pass"](object())
    with pytest.raises(ResourceLimit, match=f"hold {LIMIT} Python objects") as refused:
        call["two"](object(), object())
    assert refused.value.limit == "handles" and refused.value.needed == LIMIT + 1
    call["two"](held[0], object())
    call["t"][LIMIT - 1] = last = object()
    for _ in range(3):
        with pytest.raises(ResourceLimit):
            call["pass"](object())
    with pytest.raises(ResourceLimit):
        call["g"].value = object()
    call["t"][0] = None
    call["pass"](object())
    assert [call["t"][at] for at in range(LIMIT)] == [None, *held[1:], last]


@pytest.mark.parametrize("tier", TIERS)
def test_handles_of_a_call_stay_until_it_ends(tier: str) -> None:
    """Nobody looks for them inside: one call gets no more than the limit. An eighth of it each call gets, however many
    there are, while guests hold a quarter; and who was refused is not refused for ever."""
    call = made(tier, handles=LIMIT).exports
    with pytest.raises(ResourceLimit):
        call["ask"](LIMIT + 1)
    call["pass"](object())
    for at in range(LIMIT // 4):
        call["t"][at] = object()
    for size in (1, 2, 5, 11, LIMIT // 8):
        for _ in range(LIMIT):
            call["ask"](size)
    for _ in range(5):
        with pytest.raises(ResourceLimit):
            call["ask"](LIMIT)
        call["ask"](LIMIT // 8)


class Nested:
    """An argument that calls the guest while those before it have a handle, and nobody else."""

    def __init__(self, call: Any) -> None:
        self.call, self.refused = call, 0

    def __index__(self) -> int:
        for _ in range(3):
            try:
                self.call["pass"](object())
            except ResourceLimit:
                self.refused += 1
        return 5


@pytest.mark.parametrize("tier", TIERS)
def test_arguments_that_are_on_their_way_are_not_let_go(tier: str) -> None:
    """A call from within the conversion of another one's is refused, rather than given the place of its arguments."""
    call = made(tier, handles=LIMIT).exports
    for at in range(LIMIT - 1):
        call["t"][at] = object()
    nested, thing = Nested(call), object()
    assert call["same"](thing, nested) is thing
    assert nested.refused == 3
    assert call["same"](thing, 5) is thing


def test_an_asynchronous_call_looks_as_well() -> None:
    """Its arguments are converted before it runs."""

    async def run() -> None:
        instance = made("auto", handles=LIMIT)
        for _ in range(3 * LIMIT):
            await instance.exports["pass"].call_async(object())

    asyncio.run(run())


BOX = """(module
  (type $box (struct (field $x (mut externref))))
  (type $row (array (mut anyref)))
  (func (export "f")))"""


def test_values_of_new_objects_and_of_their_fields() -> None:
    """Objects that nobody holds hold no handles either; an object that somebody has does."""
    instance = made("auto", BOX, handles=LIMIT)
    store = instance.store
    box, row = (instance.module.object_type(name) for name in ("box", "row"))
    kept = box.new(store, [object()])
    for _ in range(3 * LIMIT):
        box.new(store, [object()])
    for _ in range(3 * LIMIT):
        kept["x"] = object()
    line = row.new(store, length=LIMIT)
    for _ in range(10):
        line[:40] = [object() for _ in range(40)]
    line[:40] = [None] * 40
    line[:] = mine = [kept["x"], *(object() for _ in range(LIMIT - 1))]
    with pytest.raises(ResourceLimit):
        box.new(store, [object()])
    assert line[:] == mine
    line[1] = None
    box.new(store, [object()])
