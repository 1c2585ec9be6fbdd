"""Instances of a pool that hold much memory are closed beside its event loop."""

import asyncio
import threading

import pytest

from stratavm import Engine, Linker, Module, Pool
from stratavm.runtime.events import StoreClosed


class Beside:
    """What a pool's source returns beside an instance."""

    def __init__(self, store, log):
        self.store, self.log = store, log

    def close(self):
        self.log.append(("beside", threading.get_ident(), self.store.closed))


def source_of(pages, log):
    """What makes instances with so much memory."""
    engine = Engine(tier="jit0")
    module = Module(f'(module (memory {pages}) (func (export "f")) (func (export "trap") unreachable))', engine)
    engine.bus.subscribe(StoreClosed, lambda event: log.append(("store", threading.get_ident())))

    def make(store):
        return Linker(engine).instantiate(store, module), Beside(store, log)

    return make, engine


@pytest.mark.parametrize("pages", [16, 1024])
@pytest.mark.parametrize("how", ["call", "trap", "drain", "close"])
def test_a_large_store_is_closed_in_a_thread(pages, how):
    """What came beside it is closed behind it, by the loop; the end of the pool waits for that."""
    log, is_large = [], pages > 512

    async def main():
        make, engine = source_of(pages, log)
        async with Pool(make, engine=engine) as pool:
            if how == "call":
                await pool.call("f")
            else:
                async with pool.instance() as guest:
                    if how == "trap":
                        with pytest.raises(Exception, match="unreachable"):
                            await guest.call("trap")
            if how == "drain":
                assert await pool.drain(timeout=60)
            elif how == "close":
                pool.close()
                assert await pool.drain()
            if how in ("drain", "close"):
                assert len(log) % 2 == 0 and len(log) >= 2
        assert pool.metrics().ready == 0

    asyncio.run(main(), debug=True)
    here = threading.get_ident()
    closed = [entry for entry in log if entry[0] == "store"]
    assert len(closed) == len(log) / 2 >= 1
    assert all((thread != here) == is_large for _, thread in closed)
    assert [entry[1:] for entry in log if entry[0] == "beside"] == [(here, True)] * len(closed)


def test_a_store_is_closed_though_nobody_waits_for_that():
    """The loop ends, and cancels what is under way."""
    log = []

    async def main():
        make, engine = source_of(1024, log)
        pool = Pool(make, engine=engine)
        await pool.call("f")
        pool.close()

    asyncio.run(main())
    assert len([entry for entry in log if entry[0] == "store"]) == len(log) / 2 >= 1
