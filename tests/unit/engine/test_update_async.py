"""Updates for asyncio, and what an engine counts of them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable

import pytest

import stratavm
from stratavm import Engine, Store, UpdateRefused
from stratavm.engine import update as updates
from stratavm.runtime.patch import SWITCHED, hasten
from tests.unit.engine.test_update import ASYNC, LOOP, spin, start, suspended, version


@pytest.fixture
def engine() -> Engine:
    """An engine that compiles."""
    return Engine(tier="jit0", cache=False)


def test_the_loop_goes_on_while_an_update_waits(engine: Engine) -> None:
    """For a call that the loop drives itself; the call has its old body, the next one the new one."""

    async def run() -> None:
        instance, call, gate = await suspended(engine)
        plan = await instance.update_async(ASYNC.format(1, 20), dry_run=True)
        assert (plan.kind, plan.applied) == ("patch", False)
        later = asyncio.create_task(instance.update_async(ASYNC.format(1, 20), when="idle", deadline=60))
        await asyncio.sleep(0.02)
        assert not later.done()
        gate.set()
        assert (await call, (await later).applied) == (1011, True)
        assert await instance.exports.f.call_async(1000) == 1021
        assert (await instance.rollback_async()).applied
        assert await instance.exports.f.call_async(1000) == 1011

    asyncio.run(run())


def test_a_cancelled_update_is_not_waited_for(engine: Engine) -> None:
    """It has no deadline, and what it waits for does not end: cancelling ends it, and nothing has changed."""

    async def run() -> None:
        gate = asyncio.Event()

        async def host(step: int) -> int:
            await gate.wait()
            return step

        instance = start(engine, ASYNC.format(0, 0), {"h": {"h": host}})
        instance.update(ASYNC.format(1, 10))
        module = instance.module
        call = asyncio.create_task(instance.exports.f.call_async(1000))
        await asyncio.sleep(0.01)
        for made in (instance.update_async(ASYNC.format(1, 20), when="idle"), instance.rollback_async(when="idle")):
            later = asyncio.create_task(made)
            await asyncio.sleep(0.05)
            assert not later.done()
            later.cancel()
            with pytest.raises(asyncio.CancelledError):
                await later
            assert instance.module is module
        gate.set()
        assert await call == 1011

    asyncio.run(run())


def test_what_it_raises_is_what_the_other_one_does(engine: Engine) -> None:
    """Refused, too late, nothing to go back to, not an option."""

    async def run() -> None:
        instance = start(engine, version(1))
        with pytest.raises(UpdateRefused, match="memories"):
            await instance.update_async("(module)")
        with pytest.raises(UpdateRefused, match="no update to undo"):
            await instance.rollback_async()
        with pytest.raises(ValueError, match="when must be"):
            await instance.update_async(version(2), when="soon")  # type: ignore[arg-type]
        assert (await instance.update_async(version(2), deadline=60)).applied
        assert instance.exports.through() == 2

    asyncio.run(run())


def test_updates_are_counted_by_outcome(engine: Engine) -> None:
    """Those that were made, that failed, and that were undone; dry runs and the same module are none."""
    assert dict(engine.metrics().updates) == {"patched": 0, "swapped": 0, "failed": 0, "undone": 0}
    instance = stratavm.load(version(1), store=Store(engine))
    for n in (2, 3):
        instance.update(version(n))
    instance.update(version(3))
    instance.update(version(4), dry_run=True)
    instance.rollback()
    for wrong in ("(module)", "(module", b"\0asm"):
        with pytest.raises(stratavm.StrataError):
            instance.update(wrong)
    assert dict(engine.metrics().updates) == {"patched": 2, "swapped": 0, "failed": 3, "undone": 1}


def test_a_deadline_that_comes_as_the_guest_switches_is_none(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Between the look at the time and the error the guest has come to its poll: the update is made, and says so."""
    attempts: list[updates.Attempt] = []
    began = threading.Event()
    instance = start(engine, LOOP.format(1, 1), {"h": {"tick": began.set}})

    def is_over(patience: updates.Patience) -> bool:
        hasten(instance)
        assert attempts[0].over.wait(60)
        return True

    def ask(context: int, at_poll: Callable[[], None]) -> None:
        attempts.append(at_poll.__self__)  # type: ignore[attr-defined]
        real(context, at_poll)

    real = updates.ask
    monkeypatch.setattr(updates, "ask", ask)
    monkeypatch.setattr(updates.Patience, "is_over", property(is_over))
    # While the guest runs, this thread alone sees nothing: it asks.
    monkeypatch.setattr(updates, "is_elsewhere", lambda instance: True)
    monkeypatch.setattr(updates, "count_old", lambda instance: updates.MANY_OLD)
    thread, results = spin(instance)
    began.wait()
    stopper = LOOP.format(1, 1).replace(
        "(result i32) i32.const 1)", "(result i32) (i32.store (i32.const 4) (i32.const 1)) i32.const 77)", 1
    )
    assert instance.update(stopper, deadline=0.0).applied
    thread.join(60)
    assert results == [1]
    assert not attempts[0].drop()


def test_what_was_dropped_is_not_made_later(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """A guest that comes by when nobody waits any more finds nothing to do."""
    attempts: list[updates.Attempt] = []
    real = updates.ask
    monkeypatch.setattr(updates, "ask", lambda context, call: (attempts.append(call.__self__), real(context, call)))

    async def run() -> None:
        instance, call, gate = await suspended(engine)
        with pytest.raises(stratavm.DeadlineExceeded):
            await instance.update_async(ASYNC.format(1, 20), when="idle", deadline=0.01)
        gate.set()
        assert await call == 1011
        attempts[0].at_poll()
        assert attempts[0].now() != SWITCHED
        assert await instance.exports.f.call_async(1000) == 1011

    asyncio.run(run())
