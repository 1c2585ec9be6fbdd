"""Swaps: a program goes on with another instance, which takes its state over (ADR-0067)."""

from __future__ import annotations

import asyncio
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import stratavm
from stratavm import Closed, Engine, Instance, LinkError, LiveInstance, MigrationFailed, Store, UpdateRefused
from stratavm.engine.update_events import InstanceSwapped, InstanceUpdated, UpdateFailed, UpdateUndone

COUNTER = """(module {imports} (memory (export "memory") {pages}) (data (i32.const 64) "{by}")
  (global $n (mut i32) (i32.const 0))
  {more}
  (func (export "count") (result i32)
    (global.set $n (i32.add (global.get $n) (i32.const {by}))) (global.get $n))
  (func (export "version") (result i32) i32.const {by})
  (func (export "nested") (param i32) (result i32)
    (i32.add (i32.mul (i32.const 1000) (i32.const {by})) {nested}))
  (func (export "state-version") (result i32) i32.const {by})
  (func (export "export-state") (result i64) {export})
  (func (export "alloc") (param i32) (result i32) {alloc})
  (func (export "migrate") (param i32 i32 i32) (result i32) {migrate}))"""
PARTS = {
    "imports": "",
    "pages": "1",
    "more": "",
    "nested": "(i32.const 0)",
    "export": "(i32.store (i32.const 8) (global.get $n)) (i64.const 0x800000004)",
    "alloc": "i32.const 16",
    "migrate": "(global.set $n (i32.load (local.get 1))) i32.const 0",
}
HOST = '(import "h" "h" (func $h (param i32) (result i32)))'
CALLS = {"imports": HOST, "nested": "(call $h (local.get 0))"}


def counter(by: int, **parts: str) -> str:
    """A version of the program: counts by another number, which its data say as well."""
    return COUNTER.format(by=by, **{**PARTS, **parts})


@pytest.fixture(params=["oracle", "jit0", "auto"])
def engine(request: pytest.FixtureRequest) -> Iterator[Engine]:
    """An engine of each kind."""
    with Engine(tier=request.param, cache=False) as made:
        yield made


@pytest.fixture
def quick() -> Iterator[Engine]:
    """One of the kind that begins quickly, where the tier does not matter."""
    with Engine(tier="jit0", cache=False) as made:
        yield made


# ---- what a swap is ----


def test_state_goes_over_and_functions_that_are_held_stay(engine: Engine) -> None:
    """Through three versions; instances, memories and stores are those of a version."""
    live = LiveInstance(counter(1), engine=engine)
    count, held = live.exports.count, live.exports["count"]
    assert count is held
    assert [count(), count()] == [1, 2]
    first, memory = live.instance, live.exports.memory
    done = live.update(counter(10))
    assert (done.kind, done.applied, done.carried) == ("swap", True, 4)
    assert "data segments" in done.reasons[0]
    assert [count(), live.exports.version()] == [12, 10]
    assert live.instance is not first
    assert live.instance.store is not first.store
    assert live.exports.memory is not memory
    live.update(counter(100))
    assert count() == 112
    assert first.store.closed
    assert str(done).startswith("another instance, 4 bytes of state carried")
    assert (count.name, count.type.results) == ("count", live.instance.exports.count.type.results)


def test_a_function_that_is_handed_out_meanwhile_is_held(quick: Engine) -> None:
    """Between the look at what stands against a swap and the swap: it is not made, and the function works on."""
    live = LiveInstance(counter(1, more='(func (export "only") (result i32) i32.const 5)'), engine=quick)
    found: list[Any] = []

    def migrate(old: Instance, new: Instance) -> None:
        found.append(live.exports.only)

    with pytest.raises(UpdateRefused, match="it exports no function only, which the host holds"):
        live.update(counter(10), migrate=migrate)
    assert [found[0](), live.exports.version()] == [5, 1]
    live.update(counter(10, more='(func (export "only") (result i32) i32.const 6)'), migrate=migrate)
    assert found[1] is found[0]
    assert [found[0](), live.exports.version()] == [6, 10]


def test_what_can_be_patched_is(engine: Engine) -> None:
    """The instance stays, and with it what no function for state says; ``how="swap"`` asks for another one."""
    live = LiveInstance(counter(1), engine=engine)
    live.exports.count()
    instance = live.instance
    changed = counter(1).replace('"version") (result i32) i32.const 1', '"version") (result i32) i32.const 7')
    assert live.update(counter(1)).kind == "none"
    done = live.update(changed)
    assert (done.kind, len(done.changed), live.exports.version()) == ("patch", 1, 7)
    assert live.instance is instance
    assert live.rollback().kind == "patch"
    assert live.exports.version() == 1
    done = live.update(changed, how="swap")
    assert (done.kind, done.reasons) == ("swap", ("another instance was asked for",))
    assert live.instance is not instance
    assert (live.exports.version(), live.exports.count()) == (7, 2)
    with pytest.raises(ValueError, match="nothing for migrate"):
        live.update(changed, fresh=True, migrate=lambda old, new: None)
    with pytest.raises(stratavm.DeadlineExceeded):
        live.update(counter(3, more="(func $s) (start $s)"), deadline=0)
    with pytest.raises(ValueError, match="how must be"):
        live.update(changed, how="patch")  # type: ignore[arg-type]


def test_a_dry_run_says_what_it_would_be_and_what_stands_against_it(quick: Engine) -> None:
    """And does nothing."""
    live = LiveInstance(counter(1), engine=quick)
    instance = live.instance
    plan = live.update(counter(2), dry_run=True)
    assert (plan.kind, plan.applied, plan.obstacles) == ("swap", False, ())
    _ = live.exports.count, live.exports.memory
    plan = live.update('(module (import "a" "b" (func)) (func (export "count") (param i64)))', dry_run=True)
    said = str(plan)
    for part in ("another type", "no function alloc(i32) -> i32", "no function migrate", "no memory", "a.b"):
        assert part in said
    assert "exports no function count" in str(live.update("(module)", dry_run=True))
    with pytest.raises(UpdateRefused, match="cannot be replaced") as caught:
        live.update("(module)")
    assert caught.value.update.obstacles
    assert live.instance is instance
    assert not instance.store.closed


def test_state_is_not_lost_unless_that_is_said(engine: Engine) -> None:
    """A program without functions for state begins anew by ``fresh``, or the host carries it."""
    text = '(module (memory (export "m") 1) (data (i32.const 9) "{}") (global (export "g") (mut i32) (i32.const {})))'
    live = LiveInstance(text.format("a", 1), engine=engine)
    live.exports.g.value = 40
    with pytest.raises(UpdateRefused, match="no export-state: what it holds would be lost"):
        live.update(text.format("b", 2))

    def migrate(old: stratavm.Instance, new: stratavm.Instance) -> None:
        new.exports.g.value = old.exports.g.value + new.exports.g.value

    live.update(text.format("b", 2), migrate=migrate)
    assert live.exports.g.value == 42
    live.update(text.format("c", 3), fresh=True)
    assert live.exports.g.value == 3


def test_other_imports_are_another_instance(engine: Engine) -> None:
    """Given with the update, and used by later ones; or made for each store."""
    live = LiveInstance(counter(1, **CALLS), {"h": {"h": lambda n: n + 1}}, engine=engine)
    assert live.exports.nested(1) == 1002
    live.update(counter(1, **CALLS), imports={"h": {"h": lambda n: n + 2}})
    assert live.exports.nested(1) == 1003
    live.update(counter(2, **CALLS))
    assert live.exports.nested(1) == 2003
    stores: list[Store] = []

    def imports(store: Store) -> dict[str, dict[str, Callable[[int], int]]]:
        stores.append(store)
        return {"h": {"h": lambda n: len(stores)}}

    live.update(counter(3, **CALLS), imports=imports)
    live.update(counter(4, **CALLS))
    assert live.exports.nested(1) == 4002
    assert stores[-1] is live.instance.store
    with pytest.raises(UpdateRefused, match=r"h\.h"):
        live.update(counter(5, **CALLS), imports={})


def test_versions_share_a_world(quick: Engine) -> None:
    """One ``Wasi`` serves the instances of all versions, and a reactor is initialised in each."""
    text = """(module (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 0) "\\08\\00\\00\\00\\01\\00\\00\\00{}")
      (func (export "_initialize") (call $say)) (func $say (export "say")
        (drop (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 16)))))"""
    printed = bytearray()
    with stratavm.Wasi(stdout=printed) as world:
        live = LiveInstance(text.format("a"), world.namespaces(), engine=quick)
        say = live.exports.say
        say()
        live.update(text.format("b"), fresh=True)
        say()
        live.rollback()
        say()
    assert printed == b"aabba"


def test_a_store_is_made_for_each_version(quick: Engine) -> None:
    """With its limits; another engine's is refused, and so is what is no store."""
    live = LiveInstance(
        counter(1), engine=quick, store=lambda: Store(quick, limits=stratavm.StoreLimits(memory_bytes=1 << 17))
    )
    live.exports.count()
    with pytest.raises(stratavm.ResourceLimit):
        live.update(counter(2, pages="3"))
    live.update(counter(3, pages="2"))
    assert live.exports.count() == 4
    with pytest.raises(stratavm.LinkError, match="another engine"):
        LiveInstance(counter(1), engine=quick, store=lambda: Store(Engine(tier="jit0")))
    with pytest.raises(TypeError, match="must make a Store"):
        LiveInstance(counter(1), engine=quick, store=lambda: 1)  # type: ignore[arg-type, return-value]
    same = Store(quick)
    live = LiveInstance(counter(1), engine=quick, store=lambda: same)
    with pytest.raises(ValueError, match="of another version again"):
        live.update(counter(2))
    assert live.exports.count() == 1
    with pytest.raises(TypeError, match="function that makes"):
        LiveInstance(counter(1), engine=quick, store=Store(quick))  # type: ignore[arg-type]


# ---- back, and the end ----


def test_a_rollback_brings_the_state_of_the_swap_back(engine: Engine) -> None:
    """Once; and none after the version before was let go of."""
    live = LiveInstance(counter(1), engine=engine)
    count = live.exports.count
    count()
    first = live.instance
    live.update(counter(10))
    count()
    second = live.instance
    done = live.rollback()
    assert (done.kind, done.applied, live.instance) == ("swap", True, first)
    assert second.store.closed
    assert count() == 2
    with pytest.raises(UpdateRefused, match="no update to undo"):
        live.rollback()
    live.update(counter(20))
    live.forget()
    assert first.store.closed
    with pytest.raises(UpdateRefused, match="no update to undo"):
        live.rollback()
    assert count() == 22


def test_a_function_of_the_newer_version_alone_goes_with_a_rollback(quick: Engine) -> None:
    """Calls of it end with an error that says so, also where the version before has one of another type; the next
    version may have it or not, and is asked for it anew. A call under way goes on."""
    only = '(func (export "only") {} i32.const {})'
    one, two = only.format("(result i32)", 5), only.format("(param i32) (result i32)", 6)
    nested = CALLS | {"more": two}
    inside: list[int] = []

    def host(value: int) -> int:
        live.rollback()
        inside.append(held(0))
        return 0

    for former, later in (("", one), (two, one), (one, two)):
        live = LiveInstance(counter(1, more=former), engine=quick)
        count = live.exports.count
        live.update(counter(10, more=later))
        held, held_type = live.exports.only, live.exports.only.type
        value = held(*(0 for _ in held_type.params))
        assert value in (5, 6)
        live.rollback()
        with pytest.raises(LinkError, match=r"only of .* went with a version that was rolled back"):
            held(*(0 for _ in held_type.params))
        with pytest.raises(LinkError, match="went with"):
            asyncio.run(held.call_async())
        assert count() == 1
        assert ("only" in live.exports) is bool(former)
        if former:
            assert live.exports.only is not held
            assert live.exports.only(*(0 for _ in live.exports.only.type.params)) in (5, 6)
            continue
        live.update(counter(20))
        live.update(counter(30, more=later))
        assert (live.exports.only(), count()) == (5, 31)
        with pytest.raises(LinkError):
            held()
    live = LiveInstance(counter(1, imports=HOST), {"h": {"h": host}}, engine=quick)
    live.update(counter(2, **nested))
    held = live.exports.only
    assert live.exports.nested(1) == 2000
    assert (inside, live.exports.version()) == ([6], 1)
    with pytest.raises(LinkError):
        held(0)


def test_versions_that_are_gone_leave_nothing_behind(quick: Engine) -> None:
    """However many there were."""
    live = LiveInstance(counter(1), engine=quick)
    count = live.exports.count
    seen = []
    for by in range(2, 40):
        seen.append((weakref.ref(live.instance), weakref.ref(live.instance.store)))
        live.update(counter(by))
        assert count() == sum(range(2, by + 1))
    gc.collect()
    assert [(i() is None, s() is None) for i, s in seen[:-1]] == [(True, True)] * 37
    assert seen[-1][0]() is not None


def test_a_closed_program_says_so(quick: Engine) -> None:
    """Its versions are closed with it."""
    with LiveInstance(counter(1), engine=quick) as live:
        count, first = live.exports.count, live.instance
        live.update(counter(2))
        second = live.instance
        assert "LiveFunc count" in repr(count)
    assert first.store.closed
    assert second.store.closed
    assert repr(live) == "<LiveInstance closed>"
    for use in (count, lambda: live.instance, lambda: live.exports.count, lambda: live.update(counter(3))):
        with pytest.raises(Closed):
            use()


def test_exports_are_a_mapping(quick: Engine) -> None:
    """Of the version of the moment."""
    live = LiveInstance(counter(1), engine=quick)
    assert list(live.exports) == list(live.instance.exports)
    assert len(live.exports) == 8
    assert "count" in dir(live.exports)
    assert "count" in live.exports
    assert "count" in repr(live.exports)
    with pytest.raises(AttributeError, match="no nothing"):
        _ = live.exports.nothing
    with pytest.raises(KeyError):
        _ = live.exports["nothing"]


# ---- whatever fails ----

LOOPS = "(loop $l (br $l)) "
FAULTS = {
    "malformed": (lambda: b"\0asm", stratavm.ModuleError, None),
    "invalid": (lambda: counter(2, alloc="i64.const 1"), stratavm.ValidationError, None),
    "no import": (lambda: counter(2, imports=HOST), UpdateRefused, "h.h"),
    "start": (lambda: counter(2, more="(func $s unreachable) (start $s)"), stratavm.Trap, "unreachable"),
    "initialize": (lambda: counter(2, more='(func (export "_initialize") unreachable)'), stratavm.Trap, "unreachable"),
    "segment": (lambda: counter(2, more='(data (i32.const 65536) "x")'), stratavm.Trap, "out of bounds"),
    "memory": (lambda: counter(2, pages="60000"), stratavm.ResourceLimit, None),
    "alloc traps": (lambda: counter(2, alloc="unreachable"), stratavm.Trap, "unreachable"),
    "alloc lies": (lambda: counter(2, alloc="i32.const 65533"), MigrationFailed, "outside of the new memory"),
    "alloc is negative": (lambda: counter(2, alloc="i32.const -4"), MigrationFailed, "outside of the new memory"),
    "migrate traps": (lambda: counter(2, migrate="unreachable"), stratavm.Trap, "unreachable"),
    "migrate refuses": (lambda: counter(2, migrate="i32.const 3"), MigrationFailed, "version 1: it said 3"),
    "migrate hangs": (lambda: counter(2, migrate=f"{LOOPS} unreachable"), stratavm.DeadlineExceeded, None),
    "start hangs": (lambda: counter(2, more=f"(func $s {LOOPS}) (start $s)"), stratavm.DeadlineExceeded, None),
}


@pytest.mark.parametrize("name", FAULTS)
def test_whatever_fails_leaves_the_running_version_as_it_was(engine: Engine, name: str) -> None:
    """At each step: it goes on with its state, the new store is closed, one event says so, and the next update does."""
    make, error, words = FAULTS[name]
    stores: list[Store] = []
    failed: list[UpdateFailed] = []
    engine.bus.subscribe(UpdateFailed, failed.append, name="test")

    def store() -> Store:
        stores.append(Store(engine, limits=stratavm.StoreLimits(memory_bytes=1 << 20)))
        return stores[-1]

    live = LiveInstance(counter(1), engine=engine, store=store)
    count = live.exports.count
    assert count() == 1
    instance = live.instance
    with pytest.raises(error, match=words):
        live.update(make(), deadline=0.2 if "hangs" in name else 60)
    assert live.instance is instance
    assert count() == 2
    assert [s.closed for s in stores] == [False, *([True] * (len(stores) - 1))]
    assert len(failed) == 1
    live.update(counter(3))
    assert count() == 5
    live.rollback()
    assert count() == 3


@pytest.mark.parametrize(
    ("export", "error", "words"),
    [
        ("unreachable", stratavm.Trap, "unreachable"),
        ("i64.const 0xffff00000002_0000", MigrationFailed, "outside of its memory"),
        ("i64.const -1", MigrationFailed, "outside of its memory"),
    ],
)
def test_a_running_version_that_cannot_say_its_state_goes_on(
    engine: Engine, export: str, error: type[BaseException], words: str
) -> None:
    """Its own trap is the update's end, not its own."""
    live = LiveInstance(counter(1, export=export), engine=engine)
    live.exports.count()
    with pytest.raises(error, match=words):
        live.update(counter(2))
    assert live.exports.count() == 2


def test_a_new_version_that_was_closed_is_none(quick: Engine) -> None:
    """By the host's own function."""
    live = LiveInstance(counter(1), engine=quick)
    live.exports.count()
    with pytest.raises(Closed, match="closed the new version"):
        live.update(counter(2), migrate=lambda old, new: new.store.close())
    with pytest.raises(Closed, match="closed the new version"):
        live.update(counter(2), migrate=lambda old, new: new.close())
    assert live.exports.count() == 2


def test_the_host_s_migration_may_fail_in_any_way(quick: Engine) -> None:
    """Also by Ctrl-C, and by calling the program: there is no version for that."""
    live = LiveInstance(counter(1), engine=quick)
    count = live.exports.count

    def interrupted(old: stratavm.Instance, new: stratavm.Instance) -> None:
        raise KeyboardInterrupt

    def calls(old: stratavm.Instance, new: stratavm.Instance) -> None:
        count()

    def updates(old: stratavm.Instance, new: stratavm.Instance) -> None:
        live.update(counter(3))

    for migrate, error, words in (
        (interrupted, KeyboardInterrupt, None),
        (calls, stratavm.StoreBusy, "may not call it"),
        (updates, stratavm.StoreBusy, "another update"),
    ):
        with pytest.raises(error, match=words):
            live.update(counter(2), migrate=migrate)
    assert count() == 1


def test_a_slot_that_is_not_there_is_an_update_that_fails() -> None:
    """While two versions live, each has its memory."""
    with Engine(tier="jit0", cache=False, memory_slots=stratavm.MemorySlots(2, 1 << 20)) as engine:
        live = LiveInstance(counter(1), engine=engine)
        live.exports.count()
        live.update(counter(2))
        with pytest.raises(stratavm.SlotsExhausted):
            live.update(counter(3))
        assert live.exports.count() == 3
        live.forget()
        live.update(counter(3))
        assert live.exports.count() == 6


# ---- calls that are under way ----


def test_calls_under_way_are_drained_and_new_ones_wait(engine: Engine) -> None:
    """None fails, none runs on parts of two versions, and what one does before the state is taken counts."""
    inside, go = threading.Event(), threading.Event()

    def host(n: int) -> int:
        if n:
            inside.set()
            go.wait(60)
            return int(live.exports.count())  # of this call's own version
        return 0

    live = LiveInstance(counter(1, **CALLS), {"h": {"h": host}}, engine=engine)
    results: dict[str, object] = {}
    threads = [
        threading.Thread(target=lambda: results.update(first=live.exports.nested(1))),
        threading.Thread(target=lambda: results.update(update=live.update(counter(10, **CALLS), deadline=60))),
        threading.Thread(target=lambda: results.update(second=live.exports.version())),
    ]
    threads[0].start()
    inside.wait(60)
    threads[1].start()
    while not live._waits:
        assert threads[1].is_alive()
    threads[2].start()
    assert not results
    go.set()
    for thread in threads:
        thread.join(60)
    assert results["first"] == 1001
    assert results["second"] == 10
    assert live.exports.count() == 11


def test_calls_end_on_the_old_version_where_no_state_is_carried(engine: Engine) -> None:
    """Made by a host function of the call itself; its nested calls are of its version, which goes with it."""

    def host(n: int) -> int:
        if n:
            live.update(counter(5, **CALLS), fresh=True)
            live.update(counter(6, **CALLS), fresh=True)
            assert not first.store.closed
            return int(live.exports.version())
        return 0

    live = LiveInstance(counter(1, **CALLS), {"h": {"h": host}}, engine=engine)
    first = live.instance
    assert live.exports.nested(1) == 1001
    assert first.store.closed
    assert live.exports.version() == 6


def test_a_drain_has_a_deadline_and_is_not_waited_for_within_a_call(quick: Engine) -> None:
    """Nothing has happened then, and calls that waited go on with the old version."""
    inside, go = threading.Event(), threading.Event()
    found: list[str] = []

    def host(n: int) -> int:
        with pytest.raises(stratavm.StoreBusy, match="wait for itself") as caught:
            live.update(counter(2, **CALLS))
        found.append(str(caught.value))
        inside.set()
        go.wait(60)
        return n

    live = LiveInstance(counter(1, **CALLS), {"h": {"h": host}}, engine=quick)
    thread = threading.Thread(target=live.exports.nested, args=(1,))
    thread.start()
    inside.wait(60)
    try:
        with pytest.raises(stratavm.DeadlineExceeded, match="1 call had not ended"):
            live.update(counter(3, **CALLS), deadline=0.05)
        with pytest.raises(stratavm.StoreBusy, match="cannot be closed"):
            live.close()
    finally:
        go.set()
        thread.join(60)
    assert found
    assert live.exports.version() == 1


def test_asynchronous_calls_wait_without_holding_the_loop(quick: Engine) -> None:
    """A suspended call is drained, what comes meanwhile waits, and a blocking update on the loop is refused."""

    async def run() -> None:
        gate = asyncio.Event()

        async def host(n: int) -> int:
            await gate.wait()
            return int(await live.exports.count.call_async()) if n == 2 else n

        live = LiveInstance(counter(1, **CALLS), {"h": {"h": host}}, engine=quick)
        first = asyncio.create_task(live.exports.nested.call_async(1))
        await asyncio.sleep(0.01)
        with pytest.raises(stratavm.StoreBusy, match="update_async"):
            live.update(counter(2, **CALLS))
        update = asyncio.create_task(live.update_async(counter(3, **CALLS), deadline=60))
        while not live._waits:
            await asyncio.sleep(0.001)
        second = asyncio.create_task(live.exports.version.call_async())
        await asyncio.sleep(0.01)
        with pytest.raises(stratavm.StoreBusy, match="await call_async"):
            live.exports.version()
        assert not second.done()
        gate.set()
        assert (await first, (await update).applied, await second) == (1001, True, 3)

    asyncio.run(run())


def test_a_cancelled_update_lets_calls_go_on(quick: Engine) -> None:
    """And so does a cancelled call that waited for one."""

    async def run() -> None:
        gate = asyncio.Event()

        async def host(n: int) -> int:
            await gate.wait()
            return n

        live = LiveInstance(counter(1, **CALLS), {"h": {"h": host}}, engine=quick)
        first = asyncio.create_task(live.exports.nested.call_async(1))
        await asyncio.sleep(0.01)
        update = asyncio.create_task(live.update_async(counter(3, **CALLS), deadline=None))
        while not live._waits:
            await asyncio.sleep(0.001)
        waits, goes_on = (asyncio.create_task(live.exports.version.call_async()) for _ in range(2))
        await asyncio.sleep(0.01)
        waits.cancel()
        update.cancel()
        for task in (waits, update):
            with pytest.raises(asyncio.CancelledError):
                await task
        with pytest.raises(stratavm.StoreBusy, match="waits in an asynchronous call"):
            await goes_on  # as it is without an update: a store has one call
        gate.set()
        assert await first == 1001
        assert await live.exports.version.call_async() == 1
        live.update(counter(4, **CALLS))
        assert live.exports.version() == 4

    asyncio.run(run())


def test_many_threads_call_while_versions_come_and_go(quick: Engine) -> None:
    """Each call is of one version, none fails but for the store that two cannot be in, and no count is lost."""
    live = LiveInstance(counter(1), engine=quick)
    over = threading.Event()
    lock = threading.Lock()
    failed: list[BaseException] = []
    counted = [0]

    def call() -> None:
        count = live.exports.count
        try:
            while not over.is_set():
                with lock:
                    before = counted[0]
                    after = count()
                    counted[0] = after
                if not 1 <= after - before <= 41:
                    raise AssertionError((before, after))
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=call) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        for by in range(2, 40):
            live.update(counter(by), deadline=60)
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert not failed
    assert live.exports.count() == counted[0] + 39


def test_events_say_what_happened(quick: Engine) -> None:
    """One of each, and they are counted."""
    seen: list[object] = []
    for type_ in (InstanceUpdated, InstanceSwapped, UpdateFailed, UpdateUndone):
        quick.bus.subscribe(type_, seen.append, name="test")
    assert quick.metrics().updates["swapped"] == 0
    live = LiveInstance(counter(1), engine=quick)
    live.update(counter(1).replace('"version") (result i32) i32.const 1', '"version") (result i32) i32.const 7'))
    live.update(counter(2))
    with pytest.raises(UpdateRefused):
        live.update("(module)")
    live.rollback()
    names = [type(event).__name__ for event in seen]
    assert names == ["InstanceUpdated", "InstanceSwapped", "UpdateFailed", "UpdateUndone"]
    assert dict(quick.metrics().updates) == {"patched": 1, "swapped": 1, "failed": 1, "undone": 1}


def test_exports_are_found_while_versions_come_and_go(quick: Engine) -> None:
    """For the first time, by threads that look while the instance that they have found is closed."""
    live = LiveInstance(counter(1), engine=quick)
    over, failed = threading.Event(), []

    def look() -> None:
        try:
            while not over.is_set():
                live._functions.clear()
                assert live.exports.count.type.results
                assert live.exports.memory is not None  # of a version that may have ended
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=look) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for by in range(2, 40):
            live.update(counter(by), deadline=60)
            live.forget()
    finally:
        over.set()
        for thread in threads:
            thread.join(60)
    assert not failed
