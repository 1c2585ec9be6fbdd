"""CORE-3 for fibers, in short: what can be counted on any machine. ``make fibers`` runs ten thousand cycles."""

import ast
import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest

import stratavm
from tests import fibers

ROOT = Path(__file__).parents[3]


def test_calls_that_are_suspended_leave_nothing_behind_however_they_end():
    """No descriptor, stack, task, store, instance or coroutine; in a process in which nothing was before."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.fibers", "--short"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert ast.literal_eval(done.stdout) == dict.fromkeys(fibers.ENDS, fibers.SHORT // len(fibers.ENDS))


def descriptor(module):
    """One that stays open."""
    return open(os.devnull)


def store(module):
    """One that is not dropped."""
    return stratavm.Store(module.engine)


def task(module):
    """One that waits."""
    return asyncio.ensure_future(asyncio.sleep(100))


def call(module):
    """One that has a stack."""
    linker = stratavm.Linker(module.engine)
    linker.define("h", "f", lambda x: asyncio.get_running_loop().create_future())
    linker.define_namespaces(stratavm.Wasi().namespaces())
    begun = linker.instantiate(stratavm.Store(module.engine), module).exports.ask.call_async(1)
    begun.send(None)
    return begun


@pytest.mark.parametrize("what", [descriptor, store, task, call])
def test_what_is_left_behind_is_seen(what, monkeypatch):
    """If one way of ending leaves one a time."""
    left = []
    once = fibers.Cycles.once

    async def leaves(self, how):
        await once(self, how)
        if how == "result":
            left.append(what(self.module))

    monkeypatch.setattr(fibers.Cycles, "once", leaves)
    with pytest.raises(fibers.Grown):
        fibers.counted(10, 60)
    for one in left:
        if what in (descriptor, call):
            one.close()
