"""Hot update: a running instance goes on with another version of its module (ADR-0064)."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import stratavm
from stratavm import Config, Engine, Instance, Linker, Module, Store, Update, UpdateRefused
from stratavm.engine import update
from stratavm.engine.composition import composition
from stratavm.engine.update_events import InstanceUpdated, UpdateFailed, UpdateUndone
from stratavm.native.execmem import arena_usage
from stratavm.runtime.patch import SWITCHED, try_switch

PATIENCE_S = 100
"""More than the slowest machine takes."""
TIERS = ("oracle", "jit0", "jit1", "auto")
MODULE = """(module
  (memory (export "memory") 1) (global $g (export "g") (mut i32) (i32.const 5)) (table (export "t") funcref (elem $by))
  (func $by (export "by") (result i32) i32.const {by})
  (func (export "through") (result i32) call $by)
  (func (export "indirect") (result i32) (call_indirect (result i32) (i32.const 0)))
  (func $bump (export "bump") (global.set $g (i32.add (global.get $g) (call $by)))
    (i32.store (i32.const 8) (i32.add (i32.load (i32.const 8)) (call $by)))){more})"""


def version(by: int, more: str = "") -> str:
    """The module with another constant, and perhaps more behind."""
    return MODULE.format(by=by, more=more)


@pytest.fixture(params=TIERS)
def tier(request: pytest.FixtureRequest) -> str:
    """Each tier."""
    return str(request.param)


@pytest.fixture
def engine(tier: str) -> Iterator[Engine]:
    """An engine of each tier."""
    with Engine(Config(tier=tier, cache=False)) as made:  # type: ignore[arg-type]
        yield made


def start(engine: Engine, text: str, imports: object = None) -> Instance:
    """An instance in a store of its own."""
    return stratavm.load(text, imports, store=Store(engine))  # type: ignore[arg-type]


# ---- what an update is ----


def test_state_stays_and_every_way_in_gets_the_new_code(engine: Engine) -> None:
    """Exports that the host holds, direct calls, tables and references call the new body; memory and globals stay."""
    instance = start(engine, version(1))
    exports, held = instance.exports, instance.exports.by
    reference = exports.t[0]
    exports.bump()
    assert (exports.through(), exports.indirect(), held(), reference()) == (1, 1, 1, 1)
    done = instance.update(version(7))
    assert (done.kind, done.changed, done.added, done.applied) == ("patch", (0,), (), True)
    assert (exports.through(), exports.indirect(), held(), reference()) == (7, 7, 7, 7)
    assert instance.exports is exports
    assert (exports.g.value, exports.memory[8]) == (6, 1)
    exports.bump()
    assert (exports.g.value, exports.memory[8]) == (13, 8)


def test_a_dry_run_says_what_would_happen_and_does_nothing(engine: Engine) -> None:
    """Nothing of the instance changes."""
    instance = start(engine, version(1))
    module = instance.module
    plan = instance.update(version(2), dry_run=True)
    assert (plan.kind, plan.changed, plan.applied, plan.unchanged) == ("patch", (0,), False, 1)
    assert set(plan.dependents) == {1, 3}
    assert instance.module is module
    assert instance.exports.through() == 1
    assert instance.update(version(1), dry_run=True) == Update("none", unchanged=4)
    assert instance.update("(module)", dry_run=True).kind == "swap"


def test_the_same_module_is_no_update(engine: Engine) -> None:
    """The instance keeps its module, and there is nothing to roll back."""
    instance = start(engine, version(1))
    module = instance.module
    assert instance.update(version(1)).applied is False
    assert instance.module is module
    with pytest.raises(UpdateRefused, match="no update to undo"):
        instance.rollback()


def test_functions_may_be_added_behind(engine: Engine) -> None:
    """With types of their own, and called by changed ones."""
    instance = start(engine, version(1))
    text = version(1, "(func $new (param i64) (result i64) (i64.add (local.get 0) (i64.const 41)))").replace(
        "i32.const 1)", "(i32.wrap_i64 (call $new (i64.const 1))))", 1
    )
    done = instance.update(text)
    assert (done.changed, done.added) == ((0,), (4,))
    assert instance.exports.indirect() == 42
    instance.rollback()
    assert instance.exports.indirect() == 1


def test_functions_that_are_gone_keep_their_places(engine: Engine) -> None:
    """What was added and is taken out again: that is a patch, and so is what follows. No other function gets its place,
    and it may come back."""
    more = "(func $new (param i64) (result i64) (i64.add (local.get 0) (i64.const {})))"
    calls = "(i32.wrap_i64 (call $new (i64.const 1))))"

    def adds(value: int) -> str:
        return version(1, more.format(value)).replace("i32.const 1)", calls, 1)

    instance = start(engine, version(1))
    for value in (41, 51):
        assert instance.update(adds(value)).changed
        assert instance.exports.indirect() == 1 + value
        done = instance.update(version(1))
        assert (done.kind, done.changed, done.gone, done.applied) == ("patch", (0,), (4,), True)
        assert str(done).endswith("1 that is gone")
        assert (instance.exports.through(), instance.exports.indirect()) == (1, 1)
        assert instance.update(version(3)).gone == (4,)
        assert instance.exports.through() == 3
        instance.rollback()
        assert instance.exports.indirect() == 1
    plan = instance.update(version(1, "(func $other (param f64))"), dry_run=True)
    assert (plan.kind, plan.gone) == ("swap", ())
    assert any("do not begin with those of before" in reason for reason in plan.reasons)
    with pytest.raises(stratavm.ValidationError):
        instance.update(version(1).replace("i32.const 1)", "(call 4 (i64.const 1)) i32.wrap_i64)", 1))
    assert instance.exports.through() == 1
    assert instance.snapshot().instantiate(Store(engine)).exports.indirect() == 1
    clean = Module(version(1), engine).model.binary
    assert instance.update(clean, dry_run=True).kind in ("none", "patch")
    assert start(engine, version(1)).update(clean).kind == "none"


def test_what_is_gone_is_valid_where_it_stays(engine: Engine) -> None:
    """Also where it alone needed a number of data segments; and where it would not be, it is no patch, by name."""
    text = """(module (memory (export "memory") 1) (data $d "12345678") (global $g i32 (i32.const 3)) {}
      (func (export "f") (result i32) i32.const {}) {})"""
    more = """(func $new (param f64) (result i32)
      (memory.init $d (i32.const 0) (i32.const 0) (i32.const 8)) (global.get $h))"""
    other = "(global $h i32 (i32.const 4))"
    instance = start(engine, text.format(other, 1, ""))
    assert instance.update(text.format(other, 2, more)).added == (1,)
    done = instance.update(text.format(other, 3, ""))
    assert (done.kind, done.gone, instance.exports.f()) == ("patch", (1,), 3)
    assert instance.update(text.format(other, 4, more)).kind == "patch"
    with pytest.raises(UpdateRefused, match="its globals are not the same"):
        instance.update(text.format("", 5, ""))
    assert instance.exports.f() == 4


def test_an_old_frame_calls_what_is_gone(engine: Engine) -> None:
    """Its places and its code are there as long as somebody may."""
    text = """(module (import "h" "h" (func $h))
      (func (export "f") (result i32) {}) {})"""
    calls, more = "(call $h) (call $new (i64.const 7))", "(func $new (param i64) (result i32) (i32.const {}))"

    def host() -> None:
        done = made.update(text.format("(call $h) (i32.const 5)", ""))
        assert done.gone == (2,)
        gc.collect()

    made = start(engine, text.format("(i32.const 1)", ""), {"h": {"h": lambda: host()}})
    assert made.exports.f() == 1
    made.update(text.format(calls, more.format(70)))
    assert made.exports.f() == 70
    made.update(text.format("(i32.const 9)", ""))
    made.update(text.format("(i32.const 8)", ""))
    gc.collect()
    assert made.exports.f() == 8
    made.update(text.format(calls, more.format(71)))
    assert made.exports.f() == 71


def test_a_rollback_is_one_step(engine: Engine) -> None:
    """The version before the last comes back with its code; the next rollback has nothing."""
    instance = start(engine, version(1))
    first = instance.module
    instance.exports.through()
    instance.update(version(2))
    instance.update(version(3))
    done = instance.rollback()
    assert (done.applied, instance.exports.through(), instance.exports.indirect()) == (True, 2, 2)
    assert instance.module is not first
    with pytest.raises(UpdateRefused):
        instance.rollback()
    instance.update(version(4))
    assert instance.exports.through() == 4


def test_what_is_no_patch_is_refused_by_name(engine: Engine) -> None:
    """Each part of the layout, by name; and the instance goes on as it was."""
    instance = start(engine, version(1))
    for old, new, word in (
        ("(memory (export \"memory\") 1)", "(memory (export \"memory\") 2)", "memories"),
        ("(i32.const 5)", "(i32.const 6)", "globals"),
        ("(export \"by\")", "(export \"bye\")", "exports"),
        ("(elem $by)", "(elem $by $by)", "tables"),
        ("(module", "(module (type (func (param f32)))", "types"),
        ("(module", "(module (import \"a\" \"b\" (func))", "imports"),
        ("(func $by", "(data (i32.const 0) \"x\") (func $by", "data segments"),
        ("(func $by", "(start $bump) (func $by", "start function"),
    ):  # fmt: skip
        assert old in version(1)
        with pytest.raises(UpdateRefused, match=word) as caught:
            instance.update(version(1).replace(old, new, 1))
        assert isinstance(caught.value.update, Update)
        assert caught.value.update.kind == "swap"
    assert instance.exports.through() == 1
    with pytest.raises(UpdateRefused, match=r"function 0 \(by\) has another type"):
        instance.update(
            version(1)
            .replace('$by (export "by") (result i32)', '$by (export "by") (param i32) (result i32)', 1)
            .replace("(call $by)", "(call $by (i32.const 1))")
            .replace("call $by)", "(call $by (i32.const 1)))")
        )
    with pytest.raises(UpdateRefused, match=r"function 1 \(.*\) has another type"):
        instance.update("(module (func (result i32) i32.const 1) (func) (func))")
    fewer = "(module (func (result i32) i32.const 1) (func (result i32) i32.const 1))"
    with pytest.raises(UpdateRefused, match="there were 4, and are 2"):
        instance.update(fewer)
    with pytest.raises(TypeError, match="must be True or False"):
        instance.update(version(2), dry_run="yes")  # type: ignore[arg-type]
    with pytest.raises(stratavm.ValidationError):
        instance.update(version(1).replace("i32.const 1)", "i64.const 1)", 1))
    assert instance.exports.through() == 1


def test_a_function_that_can_be_referenced_for_the_first_time_is_refused(engine: Engine) -> None:
    """There is no record of it in the instance; it takes an element segment, which is part of the layout."""
    instance = start(engine, version(1))
    with pytest.raises(UpdateRefused, match="element segments"):
        instance.update(version(1, "(func $r (drop (ref.func $u))) (func $u) (elem declare func $u)"))


def test_a_shared_memory_is_refused() -> None:
    """Threads have instances of their own, which would go on with the code of before."""
    text = '(module (memory 1 1 shared) (func (export "f") (result i32) i32.const {}))'
    instance = stratavm.load(text.format(1), threads=2)
    with pytest.raises(UpdateRefused, match="shared"):
        instance.update(text.format(2))


def test_other_instances_keep_their_version(engine: Engine) -> None:
    """Of the same module, in the same store and in others; who imports a function of ours calls the new one."""
    module, store = Module(version(1), engine), Store(engine)
    linker = Linker(engine)
    one, other = linker.instantiate(store, module), linker.instantiate(store, module)
    user = stratavm.load(
        '(module (import "a" "by" (func $f (result i32))) (func (export "f") (result i32) call $f))',
        {"a": {"by": one.exports.by}},
        store=store,
    )
    assert user.exports.f() == 1
    one.update(version(2))
    assert (one.exports.through(), other.exports.through(), user.exports.f()) == (2, 1, 2)
    assert linker.instantiate(Store(engine), module).exports.through() == 1
    other.update(version(2))
    assert other.exports.through() == 2


def test_passive_data_is_read_from_the_new_module(engine: Engine) -> None:
    """A segment that was not dropped has its bytes, one that was is empty; the old binary may go."""
    text = """(module (memory (export "m") 1) (data $a "abc") (data $b "def")
      (func (export "a") (memory.init $a (i32.const 0) (i32.const 0) (i32.const 3)))
      (func (export "b") (memory.init $b (i32.const {0}) (i32.const 0) (i32.const 3)))
      (func (export "drop") (data.drop $b)))"""
    instance = start(engine, text.format(8))
    instance.exports.drop()
    for place in range(16, 24):
        instance.update(text.format(place))
    gc.collect()
    instance.exports.a()
    assert bytes(instance.exports.m[0:3]) == b"abc"
    with pytest.raises(stratavm.Trap, match="out of bounds"):
        instance.exports.b()


def test_a_snapshot_of_an_updated_instance_is_one_of_the_new_module(engine: Engine) -> None:
    """Clones begin with its state and its code, and can be updated."""
    instance = start(engine, version(1))
    instance.exports.bump()
    instance.update(version(2))
    clone = instance.snapshot().instantiate(Store(engine))
    assert (clone.exports.through(), clone.exports.g.value) == (2, 6)
    clone.update(version(3))
    assert (clone.exports.indirect(), clone.exports.g.value, instance.exports.indirect()) == (3, 6, 2)


@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_snapshot_beside_an_update_is_one_of_either_version(
    engine: Engine, when: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another thread may make it right before or behind the moment that is kept: clones are of one version, whole."""
    from stratavm.engine import snapshot

    instance = start(engine, version(1))
    name = "worlds_of" if when == "before" else "state_of"
    step = getattr(snapshot, name)
    times = iter(range(2, 4))

    def beside(*arguments: object) -> object:
        found = step(*arguments)
        for by in times:
            done = threading.Thread(target=instance.update, args=(version(by),))
            done.start()
            done.join()
            break
        return found

    monkeypatch.setattr(snapshot, name, beside)
    taken = instance.snapshot()
    monkeypatch.undo()
    clone = taken.instantiate(Store(engine))
    assert taken.module is instance.module
    assert clone.exports.through() == instance.exports.through() > 1
    assert clone.update(version(9)).applied
    assert clone.exports.indirect() == 9


def test_a_snapshot_beside_endless_updates_is_refused(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many attempts, in words; what is taken behind them is whole."""
    from stratavm.engine import snapshot

    instance = start(engine, version(1))
    step, numbers = snapshot.state_of, iter(range(2, 1000))

    def beside(*arguments: object) -> object:
        found = step(*arguments)
        instance.update(version(next(numbers)))
        return found

    monkeypatch.setattr(snapshot, "state_of", beside)
    monkeypatch.setattr(snapshot, "MOST_TRIES", 3)
    with pytest.raises(stratavm.StoreBusy, match="updated during each of 3 attempts to take a snapshot"):
        instance.snapshot()
    monkeypatch.undo()
    assert next(numbers) == 5
    assert instance.snapshot().instantiate(Store(engine)).exports.through() == 4


def test_a_clone_that_shares_records_of_functions_is_refused(engine: Engine) -> None:
    """They are those of all clones of a module that keeps its functions to itself; the instance itself is updated."""
    text = """(module (table 1 funcref) (elem (i32.const 0) $f) (func $f (result i32) i32.const {})
      (func (export "f") (result i32) (call_indirect (result i32) (i32.const 0))))"""
    instance = start(engine, text.format(1))
    clone = instance.snapshot().instantiate(Store(engine))
    with pytest.raises(UpdateRefused, match="shares the records"):
        clone.update(text.format(2))
    instance.update(text.format(2))
    assert (clone.exports.f(), instance.exports.f()) == (1, 2)
    assert instance.snapshot().instantiate(Store(engine)).exports.f() == 2


def test_a_type_that_lets_references_out_is_refused(engine: Engine) -> None:
    """Code relies on it that none does."""
    instance = start(engine, '(module (func (export "f")))')
    with pytest.raises(UpdateRefused, match="references to functions"):
        instance.update('(module (func (export "f") nop) (func (param funcref)))')


def test_backtraces_name_the_function_as_its_version_calls_it(engine: Engine) -> None:
    """An error of the old version is symbolised after the update, and one of the new has the new name."""
    text = '(module {} (func ${} (export "f") unreachable))'
    instance = start(engine, text.format("", "before"))
    with pytest.raises(stratavm.Trap) as old:
        instance.exports.f()
    instance.update('(module (func $after (export "f") nop unreachable))')
    with pytest.raises(stratavm.Trap) as new:
        instance.exports.f()
    assert old.value.frames[0].name == "before" or engine.config.tier == "oracle"
    assert new.value.frames[0].name == "after"


def test_events_say_what_happened(engine: Engine) -> None:
    """One of each step."""
    seen: list[object] = []
    for type_ in (InstanceUpdated, UpdateFailed, UpdateUndone):
        engine.bus.subscribe(type_, seen.append, name="test")
    instance = start(engine, version(1))
    instance.update(version(2))
    with pytest.raises(UpdateRefused):
        instance.update("(module)")
    instance.rollback()
    assert [type(event).__name__ for event in seen] == ["InstanceUpdated", "UpdateFailed", "UpdateUndone"]


def test_closed_and_poisoned_instances_are_refused(engine: Engine) -> None:
    """By the errors of a call."""
    instance = start(engine, version(1))
    instance.store.close()
    with pytest.raises(stratavm.Closed):
        instance.update(version(2))
    with pytest.raises(ValueError, match="when must be"):
        start(engine, version(1)).update(version(2), when="soon")  # type: ignore[arg-type]


# ---- while guests are inside ----

CALLS = """(module (import "h" "h" (func $h (param i32)))
  (func $leaf (result i32) i32.const {0})
  (func $f (export "f") (param i32) (result i32) (local $sum i32)
    (local.set $sum (call $leaf)) (call $h (local.get 0))
    (i32.add (i32.add (i32.mul (local.get $sum) (i32.const 100)) (call $leaf)) (i32.const {1}))))"""


def test_a_function_on_the_stack_ends_on_its_old_body_and_calls_new_ones(engine: Engine) -> None:
    """The update is made by the host function that it has called."""

    def host(step: int) -> None:
        made.update(CALLS.format(2, 5000))

    made = start(engine, CALLS.format(1, 1000), {"h": {"h": host}})
    first = made.exports.f(0)
    # At level 1 the callee is inlined: it is part of the old body then.
    assert first == 1102 or (engine.config.tier == "jit1" and first == 1101)
    assert start(engine, CALLS.format(2, 5000), {"h": {"h": lambda step: None}}).exports.f(0) == 5202


def test_recursion_through_many_versions(engine: Engine) -> None:
    """Each level of a nest of calls is another version, and each ends on its own."""
    depth = 12

    def host(step: int) -> None:
        if step < depth:
            made.update(CALLS.format(step + 1, 100000 * (step + 1)))
            results.append(made.exports.f(step + 1))

    results: list[int] = []
    made = start(engine, CALLS.format(0, 0), {"h": {"h": host}})
    results.append(made.exports.f(0))
    assert [r // 100000 for r in results] == list(range(depth, -1, -1))
    assert [r // 100 % 100 for r in results] == list(range(depth, -1, -1))


def test_idle_waits_for_what_is_on_the_stack_and_refuses_to_wait_for_itself(engine: Engine) -> None:
    """By name, and nothing changed; a function that is not on the stack is updated at once."""
    found: list[str] = []

    def host(step: int) -> None:
        if step == 1:
            made.update(CALLS.format(2, 1000), when="idle")
            return
        with pytest.raises(stratavm.StoreBusy, match="wait for itself") as caught:
            made.update(CALLS.format(made_leaf[0], 9000), when="idle")
        found.append(str(caught.value))

    made_leaf = [1]
    made = start(engine, CALLS.format(1, 1000), {"h": {"h": host}})
    assert made.exports.f(0) == 1101
    assert found
    if engine.config.tier != "jit1":  # there it is inlined in what is on the stack
        assert made.exports.f(1) == 1102


LOOP = """(module (import "h" "tick" (func $tick)) (global $stop (export "stop") (mut i32) (i32.const 0))
  (memory (export "memory") 1)
  (func $value (result i32) i32.const {0})
  (func (export "run") (result i32) (local $n i32) (call $tick)
    (loop $l (i32.store (i32.const 0) (call $value)) (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $l (i32.eqz (i32.load (i32.const 4)))))
    (i32.const {1})))"""


def spin(instance: Instance) -> tuple[threading.Thread, list[int]]:
    """Run it on another thread."""
    results: list[int] = []

    def run() -> None:
        with contextlib.suppress(stratavm.Interrupted):
            results.append(instance.exports.run())

    thread = threading.Thread(target=run)
    thread.start()
    return thread, results


@pytest.mark.parametrize("tier", ["oracle", "jit0", "auto"], indirect=True)
def test_a_loop_on_another_thread_calls_new_code_at_its_next_call(engine: Engine) -> None:
    """It runs without the GIL, is never interrupted, and ends on its own body; many updates meanwhile. Nothing is
    inlined: code of level 1 that is made before the first update would have the old callee for ever."""
    passes = tuple([name for name in composition().ssa_passes() if name != "inline"])
    with Engine(engine.config.having(passes=passes)) as plain:
        began = threading.Event()
        instance = start(plain, LOOP.format(1, 1), {"h": {"tick": began.set}})
        thread, results = spin(instance)
        assert began.wait(PATIENCE_S)
        for value in range(2, 40):
            done = instance.update(LOOP.format(value, 1), deadline=PATIENCE_S)
            assert done.applied
        instance.update(LOOP.format(99, 2), deadline=PATIENCE_S)
        time.sleep(0.05)
        # Another thread is inside, so that only the guest itself looks: it stops as the new callee says.
        stopper = LOOP.format(99, 2).replace(
            "(result i32) i32.const 99)", "(result i32) (i32.store (i32.const 4) (i32.const 1)) i32.const 77)"
        )
        instance.update(stopper, deadline=PATIENCE_S)
        thread.join(PATIENCE_S)
        assert results == [1]
        assert instance.exports.memory[0] == 77
        assert not instance.retired or len(instance.retired) < 5
        assert instance.exports.run() == 2


@pytest.mark.parametrize("tier", ["jit0", "auto"], indirect=True)
def test_what_is_replaced_ends_on_the_thread_of_who_updates(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """To free code and a module takes longer than the switch, and the guest, which makes that, does not wait for it."""
    began, switched, ended = threading.Event(), [], []

    def spy(*arguments: Any) -> int:
        status = try_switch(*arguments)
        if status == SWITCHED:
            switched.append(threading.get_ident())
        return status

    monkeypatch.setattr(update, "try_switch", spy)
    monkeypatch.setattr(update, "MANY_OLD", 0)  # its own poll is waited for from the beginning, however late that is
    monkeypatch.setattr(update, "ALONE_S", PATIENCE_S)
    instance = start(engine, LOOP.format(1, 1), {"h": {"tick": began.set}})
    thread, results = spin(instance)
    watched = []
    gc.disable()
    try:
        assert began.wait(PATIENCE_S)
        for value in range(2, 12):
            watched.append(weakref.ref(instance.module, lambda _: ended.append(threading.get_ident())))
            instance.update(LOOP.format(value, 1), deadline=PATIENCE_S)
        assert instance.rollback(deadline=PATIENCE_S).applied
    finally:
        gc.enable()
        instance.store.interrupt()
        thread.join(PATIENCE_S)
    assert not results
    assert switched == [thread.ident] * 11
    assert len(ended) >= 7  # without the collector; one of them runs, and two may be gone back to
    assert set(ended) == {threading.get_ident()}


@pytest.mark.parametrize("tier", ["oracle", "jit0", "auto"], indirect=True)
def test_versions_with_passive_data_go_beside_a_loop(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """The segments stay where they were, in the first version's binary; all the others go."""
    monkeypatch.setattr(
        update, "ALONE_S", PATIENCE_S
    )  # where many wait, it is the guest that switches and lets them go
    text = LOOP.format("{}", 1).replace(
        "(func $value",
        """(data $p "abc") (func (export "init") (memory.init $p (i32.const 8) (i32.const 0) (i32.const 3)))
        (func (export "drop") (data.drop $p)) (func $value""",
    )
    began = threading.Event()
    instance = start(engine, text.format(1), {"h": {"tick": began.set}})
    thread, _ = spin(instance)
    try:
        assert began.wait(PATIENCE_S)
        for value in range(2, 22):
            instance.update(text.format(value), deadline=PATIENCE_S)
        assert len(instance.retired) < 6
    finally:
        instance.store.interrupt()
        thread.join(PATIENCE_S)
    gc.collect()
    other = start(engine, text.format(1), {"h": {"tick": began.set}})
    for value in range(2, 6):
        other.update(text.format(value))
        gc.collect()
    other.exports.init()
    assert bytes(other.exports.memory[8:11]) == b"abc"
    clone = other.snapshot().instantiate(Store(engine), {"h": {"tick": began.set}})
    other.exports.drop()
    other.update(text.format(7))
    with pytest.raises(stratavm.Trap, match="out of bounds"):
        other.exports.init()
    clone.exports.memory.write(8, b"xyz")
    clone.exports.init()
    assert bytes(clone.exports.memory[8:11]) == b"abc"


@pytest.mark.parametrize("tier", ["jit0", "auto"], indirect=True)
def test_idle_has_a_deadline(engine: Engine) -> None:
    """A loop that does not end is on the stack: the update is not made, and says so."""
    began = threading.Event()
    instance = start(engine, LOOP.format(1, 1), {"h": {"tick": began.set}})
    thread, results = spin(instance)
    began.wait()
    with pytest.raises(stratavm.DeadlineExceeded, match="on a stack"):
        instance.update(LOOP.format(1, 5), when="idle", deadline=0.2)
    # At level 1 the callee is inlined in the loop, which does not end by itself then.
    leaf = engine.config.tier == "jit0"
    stopper = LOOP.format(1, 1).replace(
        "(result i32) i32.const 1)", "(result i32) (i32.store (i32.const 4) (i32.const 1)) i32.const 77)", 1
    )
    if leaf:
        assert instance.update(stopper, when="idle", deadline=PATIENCE_S).applied  # it is seldom there
    else:
        instance.store.interrupt()
    thread.join(PATIENCE_S)
    assert results == [1] or not leaf


ASYNC = """(module (import "h" "h" (func $h (param i32) (result i32)))
  (func $leaf (result i32) i32.const {0})
  (func (export "f") (param i32) (result i32) (local $n i32)
    (local.set $n (call $h (local.get 0)))
    (i32.add (i32.add (local.get $n) (call $leaf)) (i32.const {1}))))"""


async def suspended(engine: Engine) -> tuple[Instance, asyncio.Task[int], asyncio.Event]:
    """An instance in a call that the loop drives, which waits for the host, and what lets it go on."""
    gate = asyncio.Event()

    async def host(step: int) -> int:
        await gate.wait()
        return step

    instance = start(engine, ASYNC.format(1, 10), {"h": {"h": host}})
    call = asyncio.create_task(instance.exports.f.call_async(1000))
    await asyncio.sleep(0.01)
    return instance, call, gate


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto"], indirect=True)
def test_a_guest_that_waits_goes_on_in_its_old_body(engine: Engine) -> None:
    """Many updates while it is suspended; its code stays until it has ended."""

    async def run() -> None:
        instance, call, gate = await suspended(engine)
        for n in range(2, 30):
            instance.update(ASYNC.format(n, 10 * n))
            assert 1 <= len(instance.retired) <= 2
        gc.collect()
        gate.set()
        first = await call
        assert first == 1039 or (engine.config.tier == "jit1" and first == 1011)
        gate.set()
        assert await instance.exports.f.call_async(1000) == 1000 + 29 + 290
        instance.update(ASYNC.format(1, 1))
        assert not instance.retired or len(instance.retired) == 1

    asyncio.run(run())


@pytest.mark.parametrize("tier", ["jit0", "auto"], indirect=True)
def test_idle_does_not_wait_for_the_loop_that_it_blocks(engine: Engine) -> None:
    """It is refused by name; in a thread it waits until the call has ended."""

    async def run() -> None:
        instance, call, gate = await suspended(engine)
        with pytest.raises(stratavm.StoreBusy, match=r"update_async\(…\)"):
            instance.update(ASYNC.format(1, 20), when="idle")
        later = asyncio.create_task(asyncio.to_thread(instance.update, ASYNC.format(1, 20), when="idle", deadline=100))
        await asyncio.sleep(0.05)
        assert not later.done()
        gate.set()
        assert await call == 1011
        assert (await later).applied
        assert await instance.exports.f.call_async(1000) == 1021

    asyncio.run(run())


# ---- what is left behind ----


@pytest.mark.trace_slow
def test_a_thousand_updates_beside_calls_leave_nothing_behind(engine: Engine) -> None:
    """Calls on another thread between and during updates: none fails, each gives what one version gives, and code and
    memory are flat."""
    rounds = 60 if engine.config.tier == "oracle" else 1000
    instance = start(engine, version(1))
    failed: list[BaseException] = []
    wrong: list[int] = []
    over = threading.Event()

    def call() -> None:
        through = instance.exports.through
        try:
            while not over.is_set():
                value = through()
                if not 1 <= value <= rounds + 1:
                    wrong.append(value)
        except BaseException as error:
            failed.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    try:
        used = 0
        for n in range(2, rounds + 2):
            instance.update(version(n), deadline=30)
            if n == rounds // 10:
                gc.collect()
                used = arena_usage()["chunks"]
    finally:
        over.set()
        thread.join()
    assert not failed
    assert not wrong
    assert instance.exports.indirect() == rounds + 1
    gc.collect()
    assert arena_usage()["chunks"] <= used + 8


def test_the_code_of_a_version_goes_with_its_last_frame(tmp_path: Path) -> None:
    """Two updates later, when nobody is inside."""
    with Engine(Config(tier="jit0", cache=False)) as engine:
        instance = start(engine, version(1))
        instance.exports.through()
        gc.collect()
        before = arena_usage()["chunks"]
        for n in range(2, 12):
            instance.update(version(n))
            instance.exports.through()
        gc.collect()
        assert arena_usage()["chunks"] - before <= 3
