"""Updates under harsh conditions: the slow path at every poll, few registers, garbage in what is dead, checked code."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Iterator

import pytest

from stratavm import Config, Engine, Instance, Module, Store, Wasi, load
from stratavm.tiers.jit.lift_events import FunctionLifted, LoopLifted
from tests.unit.engine.test_update import (
    start,
    test_a_function_on_the_stack_ends_on_its_old_body_and_calls_new_ones,
    test_a_guest_that_waits_goes_on_in_its_old_body,
    test_a_loop_on_another_thread_calls_new_code_at_its_next_call,
    test_a_rollback_is_one_step,
    test_functions_may_be_added_behind,
    test_idle_waits_for_what_is_on_the_stack_and_refuses_to_wait_for_itself,
    test_recursion_through_many_versions,
    test_state_stays_and_every_way_in_gets_the_new_code,
)

__all__ = (
    "test_a_function_on_the_stack_ends_on_its_old_body_and_calls_new_ones",
    "test_a_guest_that_waits_goes_on_in_its_old_body",
    "test_a_loop_on_another_thread_calls_new_code_at_its_next_call",
    "test_a_rollback_is_one_step",
    "test_functions_may_be_added_behind",
    "test_idle_waits_for_what_is_on_the_stack_and_refuses_to_wait_for_itself",
    "test_recursion_through_many_versions",
    "test_state_stays_and_every_way_in_gets_the_new_code",
)
HARSH = {"STRATA_CHECK": "2", "STRATA_REGS": "4", "STRATA_POISON": "1", "STRATA_POLL": "always"}


@pytest.fixture(params=["jit0", "jit1", "auto"])
def tier(request: pytest.FixtureRequest) -> str:
    """Each tier that compiles."""
    return str(request.param)


@pytest.fixture
def engine(tier: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """An engine of it."""
    for name, value in HARSH.items():
        monkeypatch.setenv(name, value)
    with Engine(Config(tier=tier, cache=False)) as made:  # type: ignore[arg-type]
        yield made


# ---- bulk operations that are suspended ----

SIZE = 1 << 20
MARK = 0x1234567
COPIES = f"""(module (memory (export "memory") 20) (data $d "{"12345678" * (SIZE // 8)}")
  (func (export "mark") (result i32) (i32.const {MARK}))
  (func (export "copy") (result i32) (local $n i32)
    (loop $again
      (memory.init $d (i32.const 65536) (i32.const 0) (i32.const {SIZE}))
      (local.set $n (i32.add (local.get $n) (i32.const 1)))
      (br_if $again (i32.eqz (i32.load (i32.const 0)))))
    (local.get $n)))"""


def signed_leb(value: int) -> bytes:
    """In four bytes."""
    return bytes([0x80 | value & 0x7F, 0x80 | value >> 7 & 0x7F, 0x80 | value >> 14 & 0x7F, value >> 21 & 0x7F])


@pytest.mark.parametrize("tier", ["jit0", "auto"], indirect=True)
def test_a_suspended_copy_of_a_segment_goes_on_across_updates(engine: Engine) -> None:
    """What is left of it lies in the binary of before, which stays until the call has ended."""
    binary = Module(COPIES).model.binary
    assert binary.count(b"\x41" + signed_leb(MARK)) == 1

    async def run() -> None:
        instance = load(binary, store=Store(engine))
        call = asyncio.create_task(instance.exports.copy.call_async())
        for number in range(12):
            await asyncio.sleep(0)
            assert not call.done()
            instance.update(binary.replace(b"\x41" + signed_leb(MARK), b"\x41" + signed_leb(MARK - 1 - number)))
            gc.collect()
            assert len(instance.retired) <= 2
        for _ in range(3):
            await asyncio.sleep(0)
        instance.exports.memory.write(0, b"\1")
        assert await call >= 1
        assert bytes(instance.exports.memory[65536 : 65536 + SIZE]) == b"12345678" * (SIZE // 8)
        assert instance.exports.mark() == MARK - 12
        instance.update(binary)
        assert len(instance.retired) <= 1

    asyncio.run(run())


# ---- loops of old frames ----

SPINS = """(module (import "h" "tick" (func $tick)) (memory (export "memory") 1)
  (func (export "spin") (param $n i32) (result i32) (local $sum i32) (call $tick)
    (loop $l (local.set $sum (i32.add (local.get $sum) (i32.const {0})))
      (br_if $l (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))
    (local.get $sum)))"""


SPIN = 300_000_000


@pytest.mark.parametrize("harsh", [False, True])
def test_no_better_code_is_made_for_old_frames(harsh: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop of one spins for long and ends on its body, which is another one than the instance has; those of new
    frames get better code as ever."""
    if harsh:
        monkeypatch.setenv("STRATA_POLL", "always")
    lifted: list[object] = []
    with Engine(Config(tier="auto", cache=False)) as engine:
        for type_ in (FunctionLifted, LoopLifted):
            engine.bus.subscribe(type_, lifted.append, name="test")

        def tick() -> None:
            if instance.module is first:
                instance.update(SPINS.format(3))

        instance: Instance = start(engine, SPINS.format(2), {"h": {"tick": tick}})
        first = instance.module
        assert instance.exports.spin(SPIN) == 2 * SPIN
        engine.bus.drain()
        assert not lifted
        end = time.monotonic() + 60
        while not lifted and time.monotonic() < end:
            assert instance.exports.spin(SPIN) == 3 * SPIN
            engine.bus.drain()
        assert lifted


def test_a_suspended_call_of_a_world_goes_on_across_updates(engine: Engine) -> None:
    """It waits in a system call, on the stack of the function that changes."""
    text = """(module
      (import "wasi_snapshot_preview1" "fd_read" (func $read (param i32 i32 i32 i32) (result i32)))
      (memory (export "memory") 1) (data (i32.const 0) "\\10\\00\\00\\00\\01\\00\\00\\00")
      (func (export "next") (result i32)
        (drop (call $read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 8)))
        (i32.add (i32.load8_u (i32.const 16)) (i32.const {}))))"""

    async def run() -> None:
        gate = asyncio.Event()

        async def read(count: int) -> bytes:
            await gate.wait()
            return b"A"

        with Wasi(stdin=read) as world:
            instance = start(engine, text.format(1000), world.namespaces())
            call = asyncio.create_task(instance.exports.next.call_async())
            await asyncio.sleep(0.01)
            for number in range(2, 12):
                instance.update(text.format(1000 * number))
            gc.collect()
            gate.set()
            assert await call == 1065
            assert await instance.exports.next.call_async() == 11065

    asyncio.run(run())
