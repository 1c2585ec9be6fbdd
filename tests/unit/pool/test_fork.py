"""A fork while guests of pools wait: the child has none of their calls to make, and pools of its own."""

import asyncio
import os
import traceback

import pytest

from stratavm import DeadlineExceeded, Interrupted, Pool, StrataError
from stratavm.runtime.stacks import stack_status
from tests.unit.pool.test_pool import consistent, pool_of, pre_of


def in_child(work):
    """What a child made of it, in words; empty where nothing went wrong."""
    reads, writes = os.pipe()
    child = os.fork()
    if not child:
        said = "the child did not end"
        try:
            work()
            said = ""
        except BaseException:
            said = traceback.format_exc()
        finally:
            os.write(writes, said.encode())
            os._exit(0)
    os.close(writes)
    with open(reads, "rb") as pipe:
        said = pipe.read().decode()
    _, status = os.waitpid(child, 0)
    return said or ("" if status == 0 else f"status {status}")


def fork_with_parked(work):
    """Fork while guests wait for the host, for turns and in the queue; then they go on, and all is as without."""

    async def main():
        gate = asyncio.get_running_loop().create_future()

        async def f(x):
            await asyncio.shield(gate)
            return x

        async with pool_of(f) as pool, pool.instance() as guest:
            tasks = [asyncio.create_task(pool.call("call", i)) for i in range(20)]
            tasks.append(asyncio.create_task(guest.call("call", 20)))
            spin = asyncio.create_task(pool.call("spin", tenant="eve"))
            while pool.metrics().running < 22 or not pool.desk.slow:
                await asyncio.sleep(0)
            said = in_child(lambda: work(pool, guest))
            assert not said, said
            gate.set_result(None)
            assert await asyncio.gather(*tasks) == list(range(1, 22))
            assert not spin.done()
            spin.cancel()
            await asyncio.wait([spin])
        consistent(pool)

    asyncio.run(main())


def test_a_child_has_pools_of_its_own():
    """Calls, ticks, deadlines and draining work there; its parent's guests stay as they are."""

    def work(pool, guest):
        async def own():
            async with Pool(pre_of()) as mine:
                spin = asyncio.create_task(mine.call("spin", timeout=0.05))
                assert [await mine.call("call", i) for i in range(10)] == list(range(1, 11))
                with pytest.raises(DeadlineExceeded):
                    await spin
            assert mine.metrics().completed == 10

        asyncio.run(own())
        assert pool.metrics().running == 22

    fork_with_parked(work)


def test_a_pool_of_the_parent_refuses_calls_in_a_child():
    """It belongs to the loop that it was used in, which runs in the parent."""

    def work(pool, guest):
        async def own():
            with pytest.raises(StrataError, match="another event loop"):
                await pool.call("add", 1, 2)

        asyncio.run(own())

    fork_with_parked(work)


def test_what_a_child_closes_is_closed_there_alone():
    """Stores with guests that wait, with their stacks; the parent's go on."""

    def work(pool, guest):
        before = stack_status()["taken"]
        for ticket in list(pool._guests):
            pool._guests[ticket].store.close()
        assert guest.store.closed and before - stack_status()["taken"] == 22

    fork_with_parked(work)


def test_a_child_of_a_draining_pool_keeps_nobody_waiting():
    """And its parent's calls that are interrupted are so in the parent."""

    async def main():
        gate = asyncio.get_running_loop().create_future()
        pool = pool_of(lambda x: gate)
        task = asyncio.create_task(pool.call("call", 1))
        await asyncio.sleep(0)
        drained = asyncio.create_task(pool.drain(timeout=0.05))
        await asyncio.sleep(0)
        assert in_child(lambda: None) == ""
        assert await drained is False
        with pytest.raises(Interrupted):
            await task
        consistent(pool)

    asyncio.run(main())
