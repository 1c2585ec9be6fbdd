"""A claim about the end: a thousand plugins come, are called, and go, and nothing of them is left."""

from __future__ import annotations

import asyncio
import gc
import os
import threading
import weakref

import pytest

from stratavm import Trap
from stratavm.plugins import Capability, Grant, HostFunction, key_values
from stratavm.runtime.stacks import stack_status
from tests.unit.plugins.conftest import until, until_async
from tests.unit.plugins.guests import ECHO, TRAP, manifest, module

ROUNDS = 1000
WARM = 100
OF_EACH = 4
"""References that are kept to things of a plugin."""
FEW = 20
MOST_GROWN = 8 << 20


def resident():
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def state():
    """What could be left: descriptors, threads, Python objects of ours."""
    gc.collect()
    ours = sum(str(type(thing).__module__).startswith("stratavm") for thing in gc.get_objects())
    return len(os.listdir("/proc/self/fd")), threading.active_count(), ours


def taken():
    """What can be counted at once: descriptors, threads, stacks of fibers. Others may give theirs back meanwhile."""
    return len(os.listdir("/proc/self/fd")), threading.active_count(), stack_status()["taken"]


def grown(before):
    """What of it there is more of; each kind may vary by a few, as caches and pools do."""
    return [now - then for now, then in zip(state(), before, strict=True)]


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.timeout(600)
def test_a_thousand_lives_leave_nothing(hosts, tmp_path):
    """With a world, files, values and a failure in each: the ledger, descriptors, threads and stacks are looked at
    behind each of a thousand, references behind each hundred, RSS and objects in the end; all is where it was."""
    opened, gone = [], []

    def files(context):
        file = open(tmp_path / "file", "wb")  # noqa: SIM115 - the plugin's, until it goes
        context.own("file", "file", file.close)
        opened.append(weakref.ref(file))
        return {"none": HostFunction("none -> none", lambda: None)}

    grant = Grant(capabilities=["kv", "files"], wasi=True, folders={"/tmp": tmp_path})
    host = hosts(key_values(), Capability("files", files), grant=grant)
    host.events.close()
    said = manifest(
        capabilities=["kv", "files"],
        wasi=True,
        folders={"/tmp": "ro"},
        functions={"echo": "text -> text", "trap": "none -> none"},
    )
    text = module(ECHO, TRAP)

    def round_():
        plugin = host.plugins.add(said, text)
        plugin.load()
        life = plugin._life
        gone.extend(map(weakref.ref, (plugin, life.instance, life.store, life.context)))
        del life
        assert plugin.call("echo", "x") == "x"
        with pytest.raises(Trap):
            plugin.call("trap")
        host.now += 1
        assert plugin.call("echo", "y") == "y"
        plugin.unload()
        assert plugin.metrics().owned == {} and plugin.metrics().instances == 2

    for _ in range(WARM):
        round_()
    before, bytes_before = state(), resident()
    counted = taken()
    for number in range(ROUNDS):
        round_()
        until(lambda: all(now <= then for now, then in zip(taken(), counted, strict=True)))  # others' may end late
        if number % WARM == 0:
            gc.collect()
            del gone[-OF_EACH:]  # of the last one: its name is known until the next one has it
            assert not any(reference() for reference in gone)
            gone.clear()
    assert max(grown(before)) < FEW
    assert resident() - bytes_before < MOST_GROWN
    assert not any(reference() for reference in opened[:-2])


def test_lives_under_asyncio_leave_nothing(hosts):
    """Tasks and suspended stacks, too."""

    def functions(context):
        async def ask(text):
            context.spawn(asyncio.sleep(3600), "sleeper")
            await asyncio.sleep(0)
            return text

        return {"ask": HostFunction("text -> text", ask)}

    host = hosts(Capability("slow", functions), grant=Grant(capabilities=["slow"]))
    host.events.close()
    imports = '(import "slow" "ask" (func $ask (param i32 i32) (result i64)))'
    body = '(func (export "ask") (param i32 i32) (result i64) (call $ask (local.get 0) (local.get 1)))'
    said = manifest(capabilities=["slow"], functions={"ask": "text -> text"})
    text = module(body, imports=imports)

    async def round_():
        plugin = host.plugins.add(said, text)
        await plugin.load_async()
        assert await plugin.call_async("ask", "x") == "x"
        await plugin.unload_async()
        assert plugin.metrics().owned == {}

    async def main():
        for _ in range(20):
            await round_()
        before, counted = state(), taken()

        def is_flat():
            return all(now <= then for now, then in zip(taken()[::2], counted[::2], strict=True))  # an executor grows

        for _ in range(100):
            await round_()
            await until_async(is_flat)
        for _ in range(3):
            await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        assert max(grown(before)) < FEW

    asyncio.run(main())
