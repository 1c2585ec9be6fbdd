"""Updates at each moment: at every poll, in the midst of a change of level, of callees that are inlined. All of it on
one thread, so that each run does the same."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

import stratavm
from stratavm import Config, Engine, Instance, Store
from stratavm.engine import update
from stratavm.runtime.gil import ask, withdraw
from stratavm.runtime.patch import context_of, hasten
from stratavm.tiers.events import FunctionCompiled
from stratavm.tiers.jit import auto
from stratavm.tiers.jit.lift_events import FunctionLifted, LoopLifted
from stratavm.tiers.policy import MOST_CALLS, Policy, Thresholds


@pytest.fixture
def engines(alone: None) -> Iterator[Callable[..., Engine]]:
    """Makes engines; all are closed at the end."""
    made: list[Engine] = []

    def make(tier: str, policy: Policy | None = None, lift_after: int | None = None) -> Engine:
        config = Config(tier=tier, cache=False, lift_after=lift_after)  # type: ignore[arg-type]
        made.append(Engine(config, services={} if policy is None else {Policy: policy}))
        return made[-1]

    yield make
    for engine in made:
        engine.close()


def start(engine: Engine, text: str, imports: object = None) -> Instance:
    """An instance in a store of its own."""
    return stratavm.load(text, imports, store=Store(engine))  # type: ignore[arg-type]


# ---- at every poll ----

ROUNDS = 12
POLLS = """(module (memory (export "memory") 1) (table 2 funcref) (elem (i32.const 0) $one $one)
  (type $f (func (result i32)))
  (func $one (result i32) i32.const {one})
  (func $deep (param $n i32) (result i32)
    (if (result i32) (local.get $n)
      (then (i32.add (call $one) (call $deep (i32.sub (local.get $n) (i32.const 1))))) (else (i32.const 0))))
  (func (export "run") (param $n i32) (result i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (call $one)))
      (local.set $sum (i32.add (local.get $sum) (call_indirect (type $f) (i32.const 1))))
      (memory.fill (i32.const 64) (i32.const 1) (i32.const 64))
      (local.set $sum (i32.add (local.get $sum) (call $deep (i32.const 2))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (i32.add (local.get $sum) (i32.const {own}))))"""
CALLS = 4 * ROUNDS
"""Calls of ``$one`` in a run."""
LATER = 1000
OWN = 1 << 20


def polls(one: int, own: int) -> str:
    """The program; ``own`` is what its outermost function adds at its end."""
    return POLLS.format(one=one, own=own * OWN)


class AtPoll:
    """What is done at the polls of a guest. Attributes: ``seen`` has how many there were."""

    def __init__(self, instance: Instance, action: Callable[[int], object]) -> None:
        self.instance, self.action, self.seen = instance, action, 0

    def question(self) -> None:
        """Asked at a poll, and then at the next one."""
        self.seen += 1
        self.action(self.seen)
        hasten(self.instance)

    def __enter__(self) -> AtPoll:
        ask(context_of(self.instance), self.question)
        self.instance.store.request_tick()
        return self

    def __exit__(self, *exception: object) -> None:
        withdraw(context_of(self.instance), self.question)


@pytest.fixture
def harsh(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few registers, garbage in what is dead, checked code; updates are those that a guest makes at a poll."""
    for name, value in {"CHECK": "2", "REGS": "4", "POISON": "1"}.items():
        monkeypatch.setenv(f"STRATA_{name}", value)
    now = update.Attempt.now
    monkeypatch.setattr(update.Attempt, "now", lambda self, at_poll=False: now(self, True))


@pytest.mark.trace_slow  # hundreds of bodies are compiled, and checked
@pytest.mark.parametrize("tier", ["jit0", "jit1"])
@pytest.mark.parametrize("back", [False, True])
@pytest.mark.usefixtures("harsh")
def test_an_update_at_whichever_poll(engines: Callable[..., Engine], tier: str, back: bool) -> None:
    """Calls before it are old, those behind it new, and none is anything else; what runs ends on its own body. The same
    of a rollback."""
    instance = start(engines(tier), polls(1, 0))
    expected = instance.exports.run(ROUNDS)
    assert expected == CALLS
    with AtPoll(instance, lambda number: None) as counted:
        instance.exports.run(ROUNDS)
    assert counted.seen >= ROUNDS
    found = []
    for k in range(1, counted.seen + 1):
        if back:
            instance.update(polls(LATER, 1))
        first, then = (LATER, 1) if back else (1, LATER)

        def action(number: int, k: int = k) -> None:
            if number == k:
                assert instance.rollback().applied if back else instance.update(polls(LATER, 1)).applied

        with AtPoll(instance, action) as seen:
            value = instance.exports.run(ROUNDS)
        assert seen.seen >= k
        own, calls = divmod(value, OWN)
        assert own == int(back), "it ends on its own body"
        late, early = divmod(calls, LATER) if first == 1 else divmod(calls, LATER)[::-1]
        assert early + late == CALLS, (k, value)
        found.append(early)
        own, calls = divmod(instance.exports.run(ROUNDS), OWN)
        assert (own, calls) == (int(not back), CALLS * then)
        if not back:
            instance.rollback()
            assert instance.exports.run(ROUNDS) == CALLS
    assert found == sorted(found)
    assert len(set(found)) > 1 or tier == "jit1"  # there all of it may be inlined, and ends on its own body
    assert len(instance.retired) <= 2


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto"])
@pytest.mark.usefixtures("harsh")
def test_an_update_at_every_poll(engines: Callable[..., Engine], tier: str) -> None:
    """Of one run: each is a version of its own, and no call sees an older one behind a newer one that is not inlined;
    old code goes while it runs."""
    policy = Thresholds(MOST_CALLS, ticks=False, polls=1) if tier == "auto" else None
    instance = start(engines(tier, policy), polls(1, 0))
    most = 0

    def action(number: int) -> None:
        nonlocal most
        assert instance.update(polls(1 + number, number)).applied
        most = max(most, len(instance.retired))

    with AtPoll(instance, action) as seen:
        value = instance.exports.run(ROUNDS)
    assert seen.seen >= ROUNDS
    own, calls = divmod(value, OWN)
    assert own == 0, "it ends on its own body"
    assert CALLS <= calls <= CALLS * (1 + seen.seen)
    assert calls > CALLS or tier != "jit0"
    assert most <= 4
    own, calls = divmod(instance.exports.run(ROUNDS), OWN)
    assert (own, calls) == (seen.seen, CALLS * (1 + seen.seen))


# ---- in the midst of a change of level ----

SPINS = """(module (func $leaf (result i32) (i32.const {leaf}))
  (func (export "hot") (param i32) (result i32) (i32.add (i32.const {own}) (i32.mul (call $leaf) (local.get 0))))
  (func (export "spin") (param $n i32) (result i32) (local $sum i32)
    (loop $l
      (local.set $sum (i32.add (local.get $sum) (i32.add (i32.const {own}) (call $leaf))))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"""
STEPS = {
    "hot": {"before": "_lift_now", "between": "publish", "behind": "_has_lifted"},
    "spin": {"before": "_lift_loop_now", "between": "publish", "behind": "_has_entry"},
}
"""Where in a change of level something is done: what is called there."""


def spins(own: int, leaf: int) -> str:
    """The program with two constants."""
    return SPINS.format(own=own, leaf=leaf)


@pytest.mark.parametrize("back", [False, True])
@pytest.mark.parametrize("moment", ["before", "between", "behind"])
@pytest.mark.parametrize("which", ["hot", "spin"])
def test_an_update_in_the_midst_of_a_change_of_level(
    engines: Callable[..., Engine], which: str, moment: str, back: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a function at its third call, and of a loop that runs: code that is made for the version of before is nobody's
    but the frame's that is in it, and the new version gets better code in its turn. The same of a rollback."""
    loops = Thresholds(MOST_CALLS, ticks=False, polls=1)
    engine = engines("auto", lift_after=3) if which == "hot" else engines("auto", loops)
    lifted: list[FunctionLifted | LoopLifted] = []
    engine.bus.subscribe(FunctionLifted if which == "hot" else LoopLifted, lifted.append)
    instance = start(engine, spins(2, 100))
    if back:
        instance.update(spins(3, 500))
    (own, leaf), (new_own, new_leaf) = ((3, 500), (2, 100)) if back else ((2, 100), (3, 500))
    done: list[object] = []
    owner = auto if STEPS[which][moment] == "publish" else auto.Lifting
    step = getattr(owner, STEPS[which][moment])

    def beside(*arguments: object) -> object:
        if not done:
            done.append(None)
            done.append(instance.rollback() if back else instance.update(spins(3, 500)))
        return step(*arguments)

    monkeypatch.setattr(owner, STEPS[which][moment], beside)
    call, n = instance.exports[which], 50
    old, new = {"hot": (own + leaf * n, new_own + new_leaf * n),
                "spin": (n * (own + leaf), n * (new_own + new_leaf))}[which]  # fmt: skip
    for _ in range(10):
        value = call(n)
        if done:
            break
        assert value == old
    assert len(done) == 2
    # The frame in whose midst that was ends on its own body, and may have called the new leaf.
    low, high = sorted((leaf, new_leaf))
    if which == "hot":
        assert value in (own + leaf * n, own + new_leaf * n)
    else:
        assert n * (own + low) <= value <= n * (own + high) and (value - n * own - n * low) % (high - low) == 0
    assert [call(n) for _ in range(6)] == [new] * 6
    engine.bus.drain()
    assert [event.function for event in lifted].count(1 if which == "hot" else 2) == 2, "once in each version"
    instance.update(spins(1, 1))
    assert [call(n) for _ in range(6)] == [1 + n if which == "hot" else 2 * n] * 6


# ---- callees that are inlined ----

NESTED = """(module (import "h" "h" (func $h (param i32)))
  (func $leaf (result i32) i32.const {0})
  (func $middle (result i32) (i32.add (call $leaf) (i32.const 10)))
  (func (export "top") (param i32) (result i32)
    (call $h (local.get 0)) (i32.add (i32.mul (call $middle) (i32.const 1000)) (call $leaf)))
  (func (export "other") (param i32) (result i32) (call $h (local.get 0)) (i32.const 77)))"""


def nested(engine: Engine, host: Callable[[int], object]) -> Instance:
    """An instance of the first version."""
    return start(engine, NESTED.format(1), {"h": {"h": host}})


@pytest.mark.parametrize("tier", ["jit1", "auto"])
def test_who_has_a_changed_callee_inlined_is_compiled_again(engines: Callable[..., Engine], tier: str) -> None:
    """And what is inlined in turn; nobody else is, and all say what the new one says. At both levels of ``auto``."""
    compiled: list[FunctionCompiled] = []
    engine = engines(tier, lift_after=2 if tier == "auto" else None)
    instance = nested(engine, lambda step: None)
    call, other = instance.exports.top, instance.exports.other
    assert [(call(0), other(0)) for _ in range(5)] == [(11001, 77)] * 5
    engine.bus.subscribe(FunctionCompiled, compiled.append)
    for leaf in (2, 3):
        done = instance.update(NESTED.format(leaf))
        assert (done.changed, done.dependents, done.unchanged) == ((1,), (2, 3), 1)
        assert [(call(0), other(0)) for _ in range(5)] == [((10 + leaf) * 1000 + leaf, 77)] * 5
    engine.bus.drain()
    again = {event.function for event in compiled}
    assert {3} <= again <= {1, 2, 3}
    instance.rollback()
    assert (call(0), other(0)) == (12002, 77)


def test_an_inlined_callee_is_on_the_stack_with_who_has_it(engines: Callable[..., Engine]) -> None:
    """An update that waits until nobody is in what changes waits for that frame, which ends on what it has inlined."""
    found: list[str] = []

    def host(step: int) -> None:
        if step == 1:
            with pytest.raises(stratavm.StoreBusy, match="wait for itself"):
                instance.update(NESTED.format(2), when="idle")
            found.append("refused")
        elif step == 2:
            found.append(instance.update(NESTED.format(2), when="now").kind)
        elif step == 3:
            found.append(instance.update(NESTED.format(5), when="idle").kind)

    instance = nested(engines("jit1"), host)
    assert instance.exports.top(1) == 11001
    assert instance.exports.top(2) == 11001, "inlined in the frame that is old"
    assert instance.exports.top(0) == 12002
    assert instance.exports.other(3) == 77, "nobody has it inlined there"
    assert instance.exports.top(0) == 15005
    assert found == ["refused", "patch", "patch"]


def test_a_suspended_guest_goes_on_with_what_it_has_inlined(engines: Callable[..., Engine]) -> None:
    """However many updates come meanwhile; one that waits for it is made behind its end."""

    async def main() -> None:
        gate = asyncio.Event()

        async def host(step: int) -> None:
            if step:
                await gate.wait()

        instance = nested(engines("jit1"), host)  # type: ignore[arg-type]
        call = asyncio.create_task(instance.exports.top.call_async(1))
        await asyncio.sleep(0.01)
        for leaf in range(2, 12):
            instance.update(NESTED.format(leaf))
        waiting = asyncio.create_task(instance.update_async(NESTED.format(20), when="idle", deadline=60))
        await asyncio.sleep(0.01)
        assert not call.done()
        assert not waiting.done()
        gate.set()
        assert await call == 11001
        assert (await waiting).applied
        assert await instance.exports.top.call_async(0) == 30020

    asyncio.run(main())
