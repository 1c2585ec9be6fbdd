"""Updates for asyncio, and what an engine counts of them."""

from __future__ import annotations

import asyncio

import pytest

import stratavm
from stratavm import Engine, Store, UpdateRefused
from tests.unit.engine.test_update import ASYNC, start, version


@pytest.fixture
def engine() -> Engine:
    """An engine that compiles."""
    return Engine(tier="jit0", cache=False)


def test_the_loop_goes_on_while_an_update_waits(engine: Engine) -> None:
    """For a call that the loop drives itself; the call has its old body, the next one the new one."""

    async def run() -> None:
        gate = asyncio.Event()

        async def host(step: int) -> int:
            await gate.wait()
            return step

        instance = start(engine, ASYNC.format(1, 10), {"h": {"h": host}})
        call = asyncio.create_task(instance.exports.f.call_async(1000))
        await asyncio.sleep(0.01)
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
