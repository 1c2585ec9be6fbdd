"""Collections of guests' objects by generations and in slices: what is noted, what is a root, what may be asked for."""

from __future__ import annotations

import asyncio
import copy
import ctypes
import dataclasses
import json
import os
import pickle
import subprocess
import sys
import threading
import time
from collections.abc import Callable

import pytest

from stratavm import (
    Closed,
    Config,
    Engine,
    GcConfig,
    GcConstants,
    GuestObject,
    Linker,
    Module,
    ResourceLimit,
    Store,
    StoreBusy,
    StoreLimits,
)
from stratavm.base import processors
from stratavm.base.events import Event
from stratavm.engine.instance import Instance
from stratavm.heap.pages import n_ready
from stratavm.runtime.events import GuestPaused, MarkerTimed, NurseryKept
from tests import needed
from tests.decisions import DECIDED
from tests.unit.heap.test_pages import have_large_pages

TIERS = ("oracle", "jit0", "jit1", "auto")
BY_GENERATIONS = GcConfig(generations=True, journal_entries=1 << 14)
OFTEN = GcConfig(generations=True, constants=GcConstants(nursery_bytes=1 << 15, slice_us=5, factor=0.01))
"""A look at new objects for every block, and slices of few objects."""

TEXT = """(module
  (import "env" "ask" (func $ask (param i32) (result i32)))
  (type $s (sub (struct (field $v (mut i32)) (field $n (mut (ref null $s))))))
  (type $r (array (mut (ref null $s))))
  (type $any (struct (field anyref))) ;; so that who looks for handles looks through objects
  (tag $e (param (ref $s)))
  (global $g (export "g") (mut (ref null $s)) (ref.null $s))
  (func (export "drop") (global.set $g (ref.null $s)))
  (global $a (mut (ref null $r)) (ref.null $r))
  (table $t (export "t") 8 (ref null $s))
  (func $churn (export "churn") (param $k i32)
    (loop (drop (struct.new $s (local.get $k) (ref.null $s)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func $list (export "list") (param $k i32)
    (global.set $g (ref.null $s))
    (loop (global.set $g (struct.new $s (local.get $k) (global.get $g)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "sum") (result i64) (local $at (ref null $s)) (local $sum i64)
    (local.set $at (global.get $g))
    (block $done (loop $next
      (br_if $done (ref.is_null (local.get $at)))
      (local.set $sum (i64.add (local.get $sum) (i64.extend_i32_u (struct.get $s $v (local.get $at)))))
      (local.set $at (struct.get $s $n (local.get $at)))
      (br $next)))
    (local.get $sum))
  ;; Old objects get new ones in the place of others, which are put elsewhere.
  (func (export "turn") (param $k i32) (local $new (ref null $s))
    (loop
      (local.set $new (struct.new $s (local.get $k) (ref.null $s)))
      (struct.set $s $n (local.get $new) (struct.get $s $n (global.get $g)))
      (struct.set $s $n (global.get $g) (local.get $new))
      (local.set $new (ref.null $s))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "fill") (param $k i32)
    (global.set $a (array.new_default $r (i32.const 1000)))
    (call $churn (i32.const 3000))
    (array.fill $r (global.get $a) (i32.const 0) (struct.new $s (local.get $k) (ref.null $s)) (i32.const 500))
    (array.set $r (global.get $a) (i32.const 999) (struct.new $s (i32.const 7) (ref.null $s)))
    (array.copy $r $r (global.get $a) (i32.const 700) (global.get $a) (i32.const 100) (i32.const 200))
    (array.fill $r (global.get $a) (i32.const 0) (ref.null $s) (i32.const 500)))
  (func (export "at") (param i32) (result i32)
    (struct.get $s $v (array.get $r (global.get $a) (local.get 0))))
  (func (export "give") (param i32) (result externref)
    (extern.convert_any (struct.new $s (local.get 0) (struct.new $s (i32.const 5) (ref.null $s)))))
  (func (export "of") (param externref) (result i32)
    (struct.get $s $v (struct.get $s $n (ref.cast (ref $s) (any.convert_extern (local.get 0))))))
  (func (export "raw") (param i32) (result (ref $s)) (struct.new $s (local.get 0) (ref.null $s)))
  (func (export "keep") (param (ref null $s)) (table.set $t (i32.const 3) (local.get 0)))
  (func (export "kept") (result i32) (struct.get $s $v (table.get $t (i32.const 3))))
  (func (export "wait") (param i32) (result i32) (local $l (ref $s))
    (local.set $l (struct.new $s (local.get 0) (struct.new $s (i32.const 7) (ref.null $s))))
    (i32.add (call $ask (i32.const 3))
      (i32.add (struct.get $s $v (local.get $l)) (struct.get $s $v (struct.get $s $n (local.get $l))))))
  (func (export "thrown") (param $k i32) (result i32)
    (struct.get $s $v (block $h (result (ref $s))
      (try_table (catch $e $h)
        (throw $e (struct.new $s (local.get $k) (ref.null $s))))
      unreachable)))
  (func $down (param $k i32) (param $l (ref null $s)) (result i32)
    (call $churn (i32.const 100))
    (if (i32.eqz (local.get $k)) (then (return (struct.get $s $v (struct.get $s $n (local.get $l))))))
    (return_call $down (i32.sub (local.get $k) (i32.const 1))
      (struct.new $s (local.get $k) (local.get $l))))
  (func (export "tail") (param i32) (result i32) (call $down (local.get 0) (ref.null $s)))
)"""


def made(tier: str, how: GcConfig = OFTEN, ask: object = lambda k: k, limits: StoreLimits | None = None) -> Instance:
    """An instance in a store of its own."""
    home = Engine(Config(tier=tier, gc=how))
    linker = Linker(home)
    linker.define("env", "ask", ask)
    return linker.instantiate(Store(home, limits=limits), Module(TEXT, engine=home))


@pytest.fixture
def checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every allocation collects, and every collection is looked at."""
    monkeypatch.setenv("STRATA_CHECK", "2")


def dropped(instance: Instance, value: int) -> int:
    """The address of a new object that nobody holds."""
    instance.exports["list"](value)
    address = instance.exports["g"].bits
    instance.exports["drop"]()
    return int(address)


@pytest.mark.parametrize("tier", TIERS)
def test_what_is_written_into_old_objects_lives(tier: str) -> None:
    """A list that grows in its midst while garbage is collected in all ways."""
    instance = made(tier)
    call, n = instance.exports, 400 if tier == "oracle" else 100_000
    call["list"](n)
    for _ in range(3):
        call["turn"](n)
        call["churn"](n)
    assert call["sum"]() == 2 * n * (n + 1)
    seen = instance.store.gc_metrics()
    assert seen is not None
    assert tier == "oracle" or (seen.minors > 10 and seen.slices > 10)
    instance.store.gc()
    ended = instance.store.gc_metrics()
    assert ended is not None
    assert tier == "oracle" or ended.cycles >= 1
    assert call["sum"]() == 2 * n * (n + 1)


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.usefixtures("checked")
def test_every_write_is_noted(tier: str) -> None:
    """Under ``STRATA_CHECK=2`` each collection would say if one was not: fields, elements, fills, copies."""
    call = made(tier, BY_GENERATIONS).exports
    call["list"](20)
    call["turn"](30)
    assert call["sum"]() == 20 * 21 // 2 + 30 * 31 // 2
    call["fill"](9)
    call["churn"](20)
    assert [call["at"](k) for k in (700, 899, 999)] == [9, 9, 7]


@pytest.mark.trace_slow  # its frames leave words of dropped objects on the stack, which are roots
@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.usefixtures("checked")
def test_a_write_that_is_not_noted_is_found(tier: str) -> None:
    """A fault is planted: a word is written into an old object behind everybody's back."""
    instance = made(tier, BY_GENERATIONS)
    call = instance.exports
    old = call["raw"].call_raw([1])[0]
    call["keep"].call_raw([old])
    call["churn"](9)
    with pytest.raises(AssertionError, match="references to objects that were freed"):
        for _ in range(20):
            ctypes.c_uint64.from_address(old + 16).value = dropped(instance, 2)
            call["churn"](9)


@pytest.mark.usefixtures("checked")
def test_a_write_of_the_interpreter_s_is_noted() -> None:
    """What reads and writes bytes of objects for it notes what it writes, and only references."""
    instance = made("oracle", BY_GENERATIONS)
    call = instance.exports
    old = call["raw"].call_raw([1])[0]
    call["keep"].call_raw([old])
    call["churn"](9)
    instance.fill(old, 16, 8, 1, dropped(instance, 2))
    call["churn"](9)
    assert instance.load(instance.load(old, 16, 8), 8, 4) == 1
    instance.move(old, 16, old, 16, 8)
    call["churn"](9)
    assert instance.load(instance.load(old, 16, 8), 8, 4) == 1


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.parametrize("harsh", [False, True])
def test_what_only_python_has_lives(tier: str, harsh: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through looks at new objects and full collections in slices; what it drops goes, and a raw reference to what
    nobody knew of any more holds it from then on."""
    if harsh:
        monkeypatch.setenv("STRATA_CHECK", "2")
    instance = made(tier, BY_GENERATIONS if harsh else OFTEN)
    call, n = instance.exports, 5 if harsh or tier == "oracle" else 3000
    things = [call["give"](k) for k in range(100)]
    for k in range(10):
        call["churn"](n)
        assert [call["of"](thing) for thing in things] == [5] * len(things)
        del things[::3]
        while instance.store.gc_for_at_most(1e-6):
            things.append(call["give"](k))
    before = instance.store.gc_metrics()
    things.clear()
    instance.store.gc()
    instance.store.gc()
    after = instance.store.gc_metrics()
    assert before is not None
    assert after is not None
    assert after.live_bytes < before.live_bytes
    assert after.live_bytes < 4096 + (1 << 15)


@pytest.mark.parametrize("tier", ["oracle", "jit1"])
@pytest.mark.parametrize("old", [False, True])
def test_a_raw_reference_that_comes_back_while_marks_are_made(tier: str, old: bool) -> None:
    """Nobody has the object when a full collection begins: a host's handle was looked at too often, or let go of, with
    the object old. In its midst a host gives it to a guest again, which keeps it where nobody looks any more."""
    instance = made(tier, BY_GENERATIONS)
    call, store = instance.exports, instance.store
    call["list"](500)
    if old:
        thing = call["raw"](77)
        store.gc()
        raw = store.extern_to_raw(thing)
        del thing
    else:
        raw = call["raw"].call_raw([77])[0]
        for _ in range(2):
            store.collect_handles()  # what a host has seen stays until these were looked at twice
    call["list"](50)
    assert store.gc_for_at_most(1e-9)
    call["keep"].call_raw([raw])
    while store.gc_for_at_most(1e-6):
        pass
    call["churn"](20_000)  # in the place of what is free
    assert call["kept"]() == 77


@pytest.mark.parametrize("tier", TIERS)
def test_what_python_lets_go_of_while_marks_are_made(tier: str) -> None:
    """It was a root when they were begun, and a guest has it since, where nobody looks any more."""
    instance = made(tier, BY_GENERATIONS)
    call = instance.exports
    call["list"](20_000)
    things = [call["raw"](at) for at in range(200)]
    instance.store.gc()
    while not instance.store.gc_metrics().marking:
        call["list"](20_000)
        instance.store.gc_for_at_most(0)
    call["keep"](things[150])
    things.clear()
    while instance.store.gc_for_at_most(0.001):
        pass
    call["churn"](20_000)
    assert call["kept"]() == 150


@pytest.mark.parametrize("tier", TIERS)
@pytest.mark.usefixtures("checked")
def test_collections_wherever_a_guest_may_be(tier: str) -> None:
    """Across throws and tail calls, and in a host function that runs the guest again."""
    instances: list[Instance] = []
    depth: list[int] = []

    def ask(k: int) -> int:
        depth.append(k)
        instances[0].exports["churn"](5)
        return k if len(depth) > 2 else instances[0].exports["wait"](0)

    instances.append(made(tier, BY_GENERATIONS, ask))
    call = instances[0].exports
    assert call["wait"](1) == 3 + 7 + 7 + 7 + 1
    assert call["thrown"](41) == 41
    assert call["tail"](20) == 2


@pytest.mark.parametrize("tier", ["jit1", "auto"])
@pytest.mark.parametrize("how", [BY_GENERATIONS, OFTEN])
def test_a_guest_that_is_suspended(tier: str, how: GcConfig) -> None:
    """Others of the store collect meanwhile, between its turns too."""
    instances: list[Instance] = []

    async def ask(k: int) -> int:
        for _ in range(k):
            await asyncio.sleep(0)
            instances[0].exports["churn"](20_000)
            instances[0].exports["list"](2000)
        return k

    async def main() -> int:
        instances.append(made(tier, how, ask))
        return await instances[0].exports["wait"].call_async(35)

    assert asyncio.run(main()) == 3 + 35 + 7


@pytest.mark.parametrize("under_way", [False, True])
@pytest.mark.parametrize("tier", TIERS)
def test_what_was_only_dropped_is_found_by_a_collection_that_is_to_begin(tier: str, under_way: bool) -> None:
    """Nothing was made since, and nobody notices what is written over; one that is under way may have passed it."""
    instance = made(tier, BY_GENERATIONS)
    store, call = instance.store, instance.exports
    call["list"](2000)
    while store.gc_for_at_most(1e-3):
        pass
    if under_way:
        call["churn"](1)
        assert store.gc_for_at_most(0)
    call["drop"]()
    if not under_way:
        assert not store.gc_for_at_most(1)
        assert store.gc_metrics().live_bytes >= 32 * 2000
    left = store.gc_for_at_most(1e-3, begin=True)
    while left:
        left = store.gc_for_at_most(1e-3)
    assert store.gc_metrics().live_bytes < 4096
    with pytest.raises(TypeError, match="begin must be True or False, got 1"):
        store.gc_for_at_most(1, begin=1)


def test_side_bytes_are_cleaned_bit_by_bit_before_a_collection_begins() -> None:
    """With two of seven numbers all blocks are to be cleaned first, 20 microseconds for each MiB: where a call has no
    time it does a little of that, and says that something is left."""
    instance = made("jit1", BY_GENERATIONS)
    store, call = instance.store, instance.exports
    call["list"](200_000)
    while store.gc_for_at_most(1):
        pass
    waited = list[int]()
    for _ in range(9):
        cycles, calls = store.gc_metrics().cycles, 0
        assert store.gc_for_at_most(0, begin=True)
        while not store.gc_metrics().marking:
            calls += 1
            assert store.gc_for_at_most(0)
        while store.gc_for_at_most(1):
            pass
        waited.append(calls)
        assert store.gc_metrics().cycles == cycles + 1
    assert 2 <= sum(calls > 1 for calls in waited) <= 4
    assert call["sum"]() == 200_000 * 200_001 // 2


@pytest.mark.parametrize("tier", TIERS)
def test_a_collection_for_so_long(tier: str) -> None:
    """Parts of a full collection between calls: each says whether something is left; who is inside is not disturbed."""
    instance = made(tier, BY_GENERATIONS)
    store, call = instance.store, instance.exports
    assert store.gc_metrics() is None
    assert not store.gc_for_at_most(1)  # there is no heap
    call["list"](2000)
    before = store.gc_metrics()
    assert before is not None
    parts = 0
    while store.gc_for_at_most(1e-9 if parts == 0 else 1e-4):
        parts += 1
    after = store.gc_metrics()
    assert after is not None
    assert parts >= 1
    assert (after.cycles, after.marking) == (before.cycles + 1, False)
    assert after.live_bytes >= 32 * 2000
    assert not store.gc_for_at_most(1)  # nothing was made since
    call["list"](1)
    assert not store.gc_for_at_most(1)
    found = store.gc_metrics()
    assert found is not None
    assert found.live_bytes < 4096
    for wrong in ("a", None, float("nan")):
        with pytest.raises((TypeError, ValueError)):
            store.gc_for_at_most(wrong)
    assert not store.gc_for_at_most(-1)  # time that has passed, as for deadlines
    store.close()
    for use in (lambda: store.gc_for_at_most(1), store.gc, store.heap_dump, store.gc_metrics, store.gc_journal):
        with pytest.raises(Closed):
            use()


@pytest.mark.parametrize("tier", TIERS[1:])
def test_words_above_a_guest_hold_nothing(tier: str) -> None:
    """Where it was called from lies what was passed there, or left by others: to what it refers nobody has."""
    instance = made(tier, GcConfig(generations=False))
    instance.exports["list"](1000)
    raw = instance.exports["g"].bits
    instance.exports["drop"]()
    between = ctypes.CFUNCTYPE(None, *[ctypes.c_uint64] * 12)(lambda *_: instance.exports["churn"](400_000))
    between(*[raw] * 12)  # six of them on the stack
    seen = instance.store.gc_metrics()
    assert seen is not None
    assert seen.collections > 1
    assert seen.live_bytes < 1000 * 32


def test_no_time_at_all_is_enough_if_it_is_given_often() -> None:
    """Each time something is done."""
    instance = made("jit1", BY_GENERATIONS)
    instance.exports["list"](20_000)
    left = [True]
    while left[-1] and len(left) < 10_000:
        left.append(instance.store.gc_for_at_most(0))
    assert left[:2] == [True, True]
    assert not left[-1]
    assert instance.exports["sum"]() == 20_000 * 20_001 // 2


@pytest.mark.parametrize("tier", TIERS)
def test_all_garbage_is_found_in_one_pause(tier: str) -> None:
    """Once, and once more only where a Python object that no guest holds may go with it; all that go are counted."""
    instance = made(tier, BY_GENERATIONS)
    store = instance.store

    def looks() -> int:
        seen = store.gc_metrics()
        assert seen is not None
        return seen.collections

    instance.exports["list"](50)
    store.gc()
    for given, looked in ((0, 1), (2, 2)):
        for _ in range(given):
            store.extern_to_raw(object())
        before = looks()
        assert store.gc() == given
        assert looks() == before + looked
    store.extern_to_raw(object())
    store.collect_handles()  # which has seen that no guest holds it
    assert store.gc() == 1


def test_figures_are_kept_and_sent_elsewhere():
    """They are hashed, copied, pickled, and data for JSON; nobody changes them."""
    instance = made("jit0")
    instance.exports["list"](3000)
    instance.store.gc()
    for found in (instance.store.gc_metrics(), instance.store.engine.metrics()):
        for again in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
            assert again == found and hash(again) == hash(found)
        assert json.loads(json.dumps(dataclasses.asdict(found))).keys() == set(type(found).__match_args__)
    with pytest.raises(TypeError, match="does not change"):
        instance.store.gc_metrics().pauses[1] = 2


def test_a_collection_inside_of_a_call_is_refused() -> None:
    """Guests collect themselves."""
    seen = list[str]()

    def ask(k: int) -> int:
        for use in (instance.store.gc, lambda: instance.store.gc_for_at_most(1)):
            with pytest.raises(StoreBusy):
                use()
            seen.append("busy")
        return k

    instance = made("jit1", BY_GENERATIONS, ask)
    assert instance.exports["wait"](0) == 10
    assert seen == ["busy", "busy"]


KINDS = (GuestPaused, *DECIDED)
"""By the kind of a note."""


def test_pauses_and_decisions_can_be_read_and_heard() -> None:
    """The journal has each with what it was made of, the metrics of store and engine count them, the bus tells them."""
    instance = made("jit1", GcConfig(generations=True, pause_us=10_000, journal_entries=1 << 16))
    engine, store, call = instance.store.engine, instance.store, instance.exports
    heard: dict[type, list[Event]] = {}
    for event in KINDS:
        heard[event] = []
        engine.bus.subscribe(event, heard[event].append)
    call["list"](100_000)
    call["churn"](200_000)
    while store.gc_for_at_most(1e-4):
        pass
    notes = store.gc_journal()
    assert store.gc_journal() == []
    for kind, event in enumerate(KINDS):
        told = [note for note in notes if note[0] == kind]
        assert heard[event] or event in (NurseryKept, MarkerTimed)
        values = [note[2 : 2 + len(event.__match_args__)] for note in told]
        assert {said.values() for said in heard[event]} <= set(values)
        assert len(heard[event]) <= len(values) <= len(heard[event]) + engine.bus.dropped
    seen, whole = store.gc_metrics(), engine.metrics().gc
    assert seen is not None
    assert sum(seen.pauses.values()) == whole["pauses"] == len([note for note in notes if note[0] == 0])
    assert (whole["heaps"], whole["collections"], whole["minors"]) == (1, seen.collections, seen.minors)
    assert (whole["used_bytes"], whole["live_bytes"]) == (seen.used_bytes, seen.live_bytes)
    assert seen.longest_ns == whole["longest_ns"] <= seen.stood_ns == whole["stood_ns"]
    store.close()
    assert engine.metrics().gc["heaps"] == engine.metrics().gc["used_bytes"] == 0
    with pytest.raises(ValueError, match="journal_entries"):
        made("jit1").store.gc_journal()


def replay(instance: Instance, use: Callable[[], object], least: int) -> None:
    """Use a guest, and make each decision again from what its event says, and from nothing else."""
    heard: dict[type, list[Event]] = {event: [] for event in DECIDED}
    for event, found in heard.items():
        instance.store.engine.bus.subscribe(event, found.append)
    use()
    for event, again in DECIDED.items():
        for said in heard[event]:
            again([*said.values()])
    assert sum(map(bool, heard.values())) >= least


def test_each_decision_can_be_made_again_from_its_event() -> None:
    """Of guests whose objects live, die young, and die old, near a limit and far from it."""
    for hard in (None, 8 << 20):
        instance = made("jit1", GcConfig(pause_us=500, hard_bytes=hard))
        call = instance.exports

        def use(call: object = call) -> None:
            for _ in range(30):
                call["list"](4000)
                call["churn"](20_000)
            for _ in range(20):
                call["drop"]()
                call["list"](20_000)
                call["turn"](20_000)

        replay(instance, use, len(DECIDED) - 1)  # a thread has few to look at, or none is there


def test_full_collections_are_marked_beside_guests_unless_they_are_not_to_be(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the process has more than one processor all the time: not where its group's quota is one and a half. What
    was decided can be decided again."""
    ours = processors.group_share()
    for gc, share in ((GcConfig(concurrent=False), ours), (GcConfig(), ours), (GcConfig(), 1.5)):
        monkeypatch.setattr(processors, "_shares", [share])
        has = gc.concurrent and processors.beside(len(os.sched_getaffinity(0))) > 0
        instance, told = made("jit1", gc), list[Event]()

        def use(instance: Instance = instance, has: bool = has, told: list[Event] = told) -> None:
            until, seen = time.monotonic() + 30, instance.store.gc_metrics()
            while not seen or seen.cycles < 3 or (has and not seen.concurrent_bytes and time.monotonic() < until):
                instance.exports["drop"]()
                instance.exports["list"](300_000)
                instance.exports["turn"](300_000)
                seen = instance.store.gc_metrics()
            assert bool(seen.concurrent_bytes) == has
            while has and not told and time.monotonic() < until:
                instance.exports["list"](10_000)
            assert bool(told) == has

        instance.store.engine.bus.subscribe(MarkerTimed, told.append)
        replay(instance, use, len(DECIDED) - 2)
    with pytest.raises(TypeError, match="concurrent"):
        GcConfig(concurrent=1)


def test_large_pages_are_what_heaps_have_unless_they_are_to_have_none() -> None:
    """Beyond 8 MiB, where the machine has them."""
    for gc in (GcConfig(large_pages=False), GcConfig()):
        instance = made("jit1", gc)
        until = time.monotonic() + 30
        instance.exports["list"](250_000)
        while gc.large_pages and have_large_pages() and n_ready() == 0 and time.monotonic() < until:
            time.sleep(0.001)
        instance.exports["list"](500_000)
        seen = instance.store.gc_metrics()
        assert seen
        assert bool(seen.large_pages) == (gc.large_pages and have_large_pages())
    with pytest.raises(TypeError, match="large_pages"):
        GcConfig(large_pages=1)


@pytest.mark.parametrize("tier", ["oracle", "jit1"])
def test_what_is_asked_for_is_what_is_decided_by(tier: str) -> None:
    """Slices of half a pause, and the soft limit, which is the hard one where there is none; with what nobody can ask
    for, the share of the time that full collections may take."""
    for soft in (3 << 20, None):
        gc = GcConfig(pause_us=200, soft_bytes=soft, hard_bytes=1 << 30, journal_entries=1 << 14)
        instance = made(tier, gc)
        for _ in range(2):
            instance.exports["list"](2000)
            while instance.store.gc_for_at_most(1e-6):
                pass
        notes = instance.store.gc_journal()
        assert {tuple(values[3:5]) for kind, _, *values in notes if kind == 2} == {(soft or 1 << 30, 720)}
        assert {values[2] for kind, _, *values in notes if kind == 3} == {100_000}


@pytest.mark.parametrize("tier", TIERS)
def test_the_limits_of_a_heap(tier: str) -> None:
    """Beyond the hard one a guest ends, after all garbage was looked for; what is left of the store goes on."""
    call = made(tier, GcConfig(generations=True, hard_bytes=1 << 20)).exports
    n = 2000 if tier == "oracle" else 100_000
    call["churn"](n)
    with pytest.raises(ResourceLimit):
        call["list"](100_000)
    call["list"](1)
    call["churn"](n)
    assert call["sum"]() == 1


def test_what_is_misused_is_refused() -> None:
    """Numbers that are none, bounds that contradict each other, constants for nothing."""
    for name, wrong in (
        ("pause_us", 0),
        ("pause_us", 5.5),
        ("pause_us", "500"),
        ("soft_bytes", 0),
        ("hard_bytes", -1),
        ("journal_entries", -1),
        ("journal_entries", (1 << 20) + 1),
        ("generations", 1),
        ("constants", {}),
    ):
        with pytest.raises((TypeError, ValueError), match=name):
            GcConfig(**{name: wrong})
    for name, wrong in (("nursery_bytes", 1), ("slice_us", 0), ("factor", 0), ("factor", float("nan"))):
        with pytest.raises((TypeError, ValueError), match=name):
            GcConstants(**{name: wrong})
    with pytest.raises(ValueError, match="beyond hard_bytes"):
        GcConfig(soft_bytes=2, hard_bytes=1)
    with pytest.raises(ValueError, match="generations"):
        GcConfig(generations=False, constants=GcConstants())
    with pytest.raises(TypeError, match="gc must be GcConfig"):
        Engine(gc=500)
    with pytest.raises(TypeError, match="nursery"):
        GcConfig(nursery=1)  # type: ignore[call-arg]
    assert Config(gc=BY_GENERATIONS).gc is BY_GENERATIONS
    assert (Config().gc.generations, Config().gc.pause_us) == (True, 500)


def test_stores_with_heaps_come_and_go() -> None:
    """Nothing is left of one that was closed: no mapping, no memory; ``make heaps`` does it ten thousand times."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.heaps", "600"], capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_another_thread_asks_the_heap_for_nothing() -> None:
    """While a guest is inside it uses the heap without the GIL: what another thread has is taken, no more."""
    found: dict[str, object] = {}
    instance = made("jit1", BY_GENERATIONS, lambda k: elsewhere(k))
    call, store = instance.exports, instance.store
    raw = call["raw"].call_raw([1])[0]
    thing = call["give"](2)
    call["keep"].call_raw([raw])
    for _ in range(2):
        store.collect_handles()  # Python has nothing of it any more

    def look() -> None:
        for name, use in (
            ("raw", lambda: store.extern_from_raw(raw)),
            ("argument", lambda: call["keep"].call_raw([raw])),
            ("known", lambda: call["of"](thing)),
        ):
            try:
                use()
            except StoreBusy as error:
                found[name] = str(error)

    def elsewhere(k: int) -> int:
        other = threading.Thread(target=look)
        other.start()
        other.join()
        return k

    assert call["wait"](0) == 10
    assert found == dict.fromkeys(("raw", "argument", "known"), "another thread is inside this store")
    assert call["of"](thing) == 5


def test_roots_that_are_gathered_within_are_gathered_again() -> None:
    """What tells of roots may run anything, a collection too: the outer one would not have all of its words."""
    instance = made("oracle", BY_GENERATIONS)
    raw = dropped(instance, 3)

    class Run:
        """A guest that waits, and a finaliser in the midst of it."""

        waits = True
        results = ()
        asked = 0

        def held_handles(self) -> set[int]:
            self.asked += 1
            if self.asked == 1:
                instance.store.gc_for_at_most(1)
            return {raw}

    run = Run()
    instance.begin_run(run)
    try:
        with pytest.raises(StoreBusy):
            instance.store.gc()
        instance.store.gc()
    finally:
        instance.end_run(run)
    assert run.asked > 2
    assert instance.load(raw, 8, 4) == 1


def test_roots_of_another_store_that_are_gathered_within_are_its_own() -> None:
    """What tells of a store's roots may collect in another one: of the first that says nothing."""
    instance, other = made("oracle", BY_GENERATIONS), made("oracle", BY_GENERATIONS)
    instance.exports["list"](3)
    other.exports["list"](3)

    class Run:
        """A guest that waits, and a finaliser in the midst of it."""

        waits = True
        results = ()

        def held_handles(self) -> set[int]:
            other.store.gc()
            return set()

    run = Run()
    instance.begin_run(run)
    try:
        assert instance.store.gc() == 0
        assert not instance.store.gc_for_at_most(1)
    finally:
        instance.end_run(run)
    assert instance.exports["sum"]() == 6


@pytest.mark.parametrize("tier", ["jit0", "jit1"])
def test_blocks_are_counted_without_roots(tier: str) -> None:
    """A guest that makes much between two collections waits for nobody: the store's budget has it all the same."""
    how = GcConfig(journal_entries=1 << 14, constants=GcConstants(nursery_bytes=1 << 30, slice_us=100, factor=100.0))
    instance = made(tier, how)
    instance.exports["churn"](1)
    before, first = instance.store.bytes_held, instance.store.gc_metrics()
    assert instance.store.gc_journal()
    instance.exports["churn"](1 << 19)  # 16 MiB
    seen = instance.store.gc_metrics()
    assert seen is not None
    assert first is not None
    assert seen.collections == first.collections
    assert not [note for note in instance.store.gc_journal() if note[0] == 0 and note[6]]  # for roots
    assert instance.store.bytes_held - before >= 15 << 20
    with pytest.raises(ResourceLimit):
        made(tier, how, limits=StoreLimits(total_bytes=8 << 20)).exports["list"](1 << 19)


def test_what_hosts_read_is_theirs_at_once() -> None:
    """A global's value, an element, a field: whoever collects between any two steps of Python's finds it held."""
    for read in (
        lambda instance, _: instance.exports["g"].value,
        lambda instance, _: instance.exports["t"][3],
        lambda _, holder: holder[1],
        lambda _, holder: holder["n"],
    ):
        when = 1
        while read_as_others_collect(read, when):
            when += 1


def read_as_others_collect(read: Callable[[Instance, GuestObject], GuestObject | None], when: int) -> bool:
    """Read an object of which nobody else knows by the ``when``-th call of a function of Python's: if there are as many
    calls."""
    instance = made("jit1", BY_GENERATIONS)
    call, left = instance.exports, [when]
    holder = instance.module.object_type("s").new(instance.store, [1, None])
    holder[1] = call["raw"](5)
    call["keep"](holder[1])
    call["g"].value = holder[1]
    for _ in range(3):
        instance.store.gc()

    def collect(frame: object, event: str, _: object) -> None:
        if event == "call":
            left[0] -= 1
            if left[0] == 0:
                sys.setprofile(None)
                call["g"].value = holder[1] = call["t"][3] = None
                instance.store.gc()
                call["churn"](3000)

    sys.setprofile(collect)
    try:
        found = read(instance, holder)
    finally:
        sys.setprofile(None)
    assert found is None or found[0] == 5
    return left[0] <= 0


def test_who_uses_a_heap_as_handles_are_let_go_of_is_told_so() -> None:
    """By the thread that collects them, too: no other one is inside."""
    instance = made("oracle", BY_GENERATIONS)
    raw = dropped(instance, 3)
    said: list[str] = []

    class Run:
        """A guest that waits, and a finaliser in the midst of it."""

        waits = True
        results = ()

        def held_handles(self) -> set[int]:
            for use in (lambda: instance.store.extern_from_raw(raw), lambda: instance.store.is_object(0x6D, raw)):
                with pytest.raises(StoreBusy) as busy:
                    use()
                said.append(str(busy.value))
            return set()

    run = Run()
    instance.begin_run(run)
    try:
        instance.store.collect_handles()
    finally:
        instance.end_run(run)
    assert len(said) == 2
    assert all("are being let go of" in text for text in said)


def test_a_heap_of_no_bytes_has_no_objects() -> None:
    """A hard limit is what it says, and not the next multiple of what the heap reserves."""
    with pytest.raises(ResourceLimit):
        made("jit1", GcConfig(hard_bytes=1)).exports["churn"](1)


def test_another_greenlet_makes_no_objects_while_a_guest_waits() -> None:
    """The frames of that guest lie aside: no collection would see them."""
    greenlet = needed.module("greenlet")
    here = greenlet.getcurrent()

    def away(k: int) -> int:
        here.switch()
        return k

    instance = made("jit1", BY_GENERATIONS, away)
    type_ = instance.module.object_type(0)
    guest = greenlet.greenlet(lambda: instance.exports["wait"](0))
    guest.switch()
    with pytest.raises(StoreBusy, match="greenlet"):
        type_.new(instance.store, [1, None])
    assert guest.switch() == 10
    assert type_.new(instance.store, [1, None]) is not None


def test_no_store_of_the_thread_collects_while_a_guest_waits_in_another_greenlet() -> None:
    """Where the frames of that guest begin lies on the stack that was copied away: nobody may go along them."""
    greenlet = needed.module("greenlet")
    here = greenlet.getcurrent()

    def away(k: int) -> int:
        here.switch()
        return k

    instance, other = made("jit1", BY_GENERATIONS, away), made("jit1", BY_GENERATIONS)
    call, type_ = other.exports, other.module.object_type(0)
    call["list"](1000)
    guest = greenlet.greenlet(lambda: instance.exports["wait"](0))
    guest.switch()
    before = other.store.gc_metrics()
    for use in (other.store.gc, lambda: other.store.gc_for_at_most(0.001)):
        with pytest.raises(StoreBusy, match="greenlet"):
            use()
    made_here = [type_.new(other.store, [k, None]) for k in range(3000)]
    assert other.store.gc_metrics().collections == before.collections
    assert [thing[0] for thing in made_here] == list(range(3000))
    assert guest.switch() == 10
    other.store.gc()
    assert [thing[0] for thing in made_here] == list(range(3000)) and call["sum"]() == 1000 * 1001 // 2


@pytest.mark.parametrize("tier", TIERS)
def test_what_has_no_objects_has_no_heap(tier: str) -> None:
    """Though the proposal is there by default: neither memory nor address space is taken for it."""
    engine = Engine(tier=tier)
    store = Store(engine)
    plain = Module('(module (memory 1) (table 1 funcref) (func (export "f") (result i32) (i32.const 7)))', engine)
    assert Linker(engine).instantiate(store, plain).exports.f() == 7
    typed = """(module (type $s (struct)) (global (ref null $s) (ref.null $s))
      (func (export "f") (result i32) (i32.const 7)))"""
    assert Linker(engine).instantiate(store, Module(typed, engine)).exports.f() == 7
    store.gc()
    assert store.gc_metrics() is None and engine.metrics().gc["heaps"] == 0
