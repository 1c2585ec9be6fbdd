"""``Python(isolate=True)``: the same results by workers behind the wall, and nothing else is believed of them."""

import asyncio
import json
import os
import random
import signal
import time
from dataclasses import fields
from pathlib import Path

import pytest

from stratavm.sandbox import Python
from stratavm.sandbox.completed import CODES
from stratavm.sandbox.python import apart
from stratavm.sandbox.python.apart import LENGTH_BYTES, _believed, result
from stratavm.sandbox.python.asked import Asked, limits
from stratavm.sandbox.python.frames import Malformed
from stratavm.sandbox.python.outcome import Once
from stratavm.sandbox.python.results import Frame, PythonCompleted, Raised
from tests import needed
from tests.programs.pythons import MODULE

ASKED = Asked("", (), {}, {}, b"")
ALLOWED = limits(5.0, 1000, (1 << 26, 100, 1000, 3))
ONCE = Once(ASKED, ALLOWED)


def done(**more) -> PythonCompleted:
    """A run that ended well."""
    usual = {"stdout": "out", "stderr": "é", "code": 0, "reason": "exit", "truncated": False, "fuel_used": 7}
    usual |= {"seconds": 0.5, "files": {}, "memory_bytes": 1 << 20}
    return PythonCompleted(**{**usual, **more})


RAISED = Raised("ValueError", "no", "Traceback…", (Frame("<run>", 3, "f"),))
RESULTS = (
    done(),
    done(value={"a": [1, -2.5, None, True, b"\0x"], "$k": {"$bytes": 1}}),
    done(value="<object>", is_repr=True, truncated=True, limits=("output", "files")),
    done(code=1, error=RAISED, files={"a": b"1", "d/ü": b"", "d/x": bytes(900)}),
    done(code=CODES["memory"], reason="memory", message="MemoryError", error=RAISED),
    done(code=CODES["timeout"], reason="timeout", message="late", faults=3),
    done(code=77),
)


@pytest.mark.parametrize("sent", RESULTS)
def test_a_result_comes_through_as_it_is(sent):
    """All of its fields, odd keys, bytes and errors too."""
    assert _believed(result(sent), ONCE, None, 60.0) == sent


def forged(**head) -> bytes:
    """A result whose head says something else."""
    good = result(done(stdout="", stderr="", files={"a": b"12"}))
    size = int.from_bytes(good[:LENGTH_BYTES], "little")
    found = json.loads(good[LENGTH_BYTES : LENGTH_BYTES + size])
    said = json.dumps({**found, **head}).encode()
    return len(said).to_bytes(LENGTH_BYTES, "little") + said + good[LENGTH_BYTES + size :]


@pytest.mark.parametrize(
    "head",
    [
        {"code": -1}, {"code": 1 << 32}, {"code": True}, {"code": 0.0}, {"reason": "won"}, {"reason": None},
        {"reason": "trap"}, {"reason": "timeout"}, {"message": 3}, {"fuel_used": 1001}, {"fuel_used": None},
        {"fuel_used": -1}, {"seconds": -1.0}, {"seconds": float("nan")}, {"seconds": float("inf")}, {"seconds": "1"},
        {"memory_bytes": 1 << 40}, {"faults": -1}, {"truncated": 1}, {"limits": "output"}, {"limits": [1] * 9},
        {"outputs": [101, 0]}, {"outputs": [1]}, {"outputs": [1 << 62, 0]}, {"outputs": None}, {"answer": 1 << 40},
        {"answer": None}, {"files": [["a", 3]]}, {"files": [["a", 1]]}, {"files": [["/a", 2]]},
        {"files": [["../a", 2]]},
        {"files": [["a/../b", 2]]}, {"files": [["", 2]]}, {"files": [["a\0b", 2]]}, {"files": [["a", 1], ["a", 1]]},
        {"files": [["x" * 5000, 2]]}, {"files": {"a": 2}}, {"files": [["\ud800", 2]]}, {"files": [["a", 2.0]]},
    ],
)  # fmt: skip
def test_what_cannot_have_come_of_such_a_run_is_not_believed(head):
    """Numbers out of range, limits that there were not, paths that lead anywhere, pieces that are not there."""
    _believed(forged(), ONCE, None, 60.0)
    with pytest.raises(Malformed):
        _believed(forged(**head), ONCE, None, 60.0)


def test_bytes_at_random_are_a_result_or_malformed():
    """Whatever is changed of one: nothing else is raised, and nothing is larger than it may be."""
    rng = random.Random(15)
    good = [result(sent) for sent in RESULTS]
    believed = 0
    for _ in range(4000):
        data = bytearray(rng.choice(good))
        for _ in range(rng.randint(1, 4)):
            at = rng.randrange(len(data))
            data[at : at + rng.choice((0, 1, 1, 5))] = rng.choice(
                (b"", bytes([rng.randrange(256)]), b"[[", b'"', b"9" * 9)
            )
        try:
            found = _believed(bytes(data), ONCE, None, 60.0)
        except Malformed:
            continue
        believed += 1
        assert len(found.stdout) <= 100
        assert sum(map(len, found.files.values())) <= 1000
        assert found.reason in CODES
    assert believed > 100


def test_a_limit_that_was_not_asked_for_was_not_met():
    """Time and fuel."""
    once = Once(ASKED, limits(None, None, (1 << 26, 100, 1000, 3)))
    for reason in ("timeout", "fuel"):
        with pytest.raises(Malformed, match="a limit that there was not"):
            _believed(result(done(code=CODES[reason], reason=reason)), once, None, 60.0)


# ---- with an interpreter --------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def isolated():
    """One tenant's."""
    needed.program(MODULE)
    return Python(isolate=True)


def add(a: int, b: int) -> int:
    """The sum."""
    return a + b


async def later(a: int) -> int:
    """The same, later."""
    await asyncio.sleep(0.01)
    return a


PROGRAMS = (
    "print('hello')\n{'a': b'x', 1.5: None}",
    "import sys\nprint(sys.argv, sys.stdin.read(), file=sys.stderr)\n1/0",
    "open('made.txt', 'w').write('new')\nopen('in.txt').read()",
    "import sys\nsys.exit(7)",
    "from host import tools\ntools.add(a=1, b=2) + tools.later(a=4)",
    "from host import tools\ntools.add(a='x', b=2)",
    "import os\nos._exit(9)",
    "'x' * 100_000_000 and print('y' * 300)",
)


@pytest.mark.trace_slow
@pytest.mark.parametrize("code", PROGRAMS)
def test_an_isolated_run_is_as_any_other(isolated, code):
    """Output, value, error, files, calls, and how it ended."""
    given = {"args": ["a"], "stdin": "input", "files": {"in.txt": "text"}, "tools": [add, later], "max_output": 100}
    mine, other = isolated.run(code, **given), Python().run(code, **given)
    for field in fields(PythonCompleted):
        if field.name == "calls":
            assert [(c.tool, c.arguments, c.outcome, c.value) for c in mine.calls] == [
                (c.tool, c.arguments, c.outcome, c.value) for c in other.calls
            ]
        elif field.name not in ("seconds", "memory_bytes"):
            assert getattr(mine, field.name) == getattr(other, field.name), field.name


@pytest.mark.trace_slow
@pytest.mark.parametrize(
    ("code", "limit", "reason"),
    [("x = [0] * (1 << 28)", {"max_memory": 64 << 20}, "memory"), ("while True: pass", {"fuel": 10**8}, "fuel")],
)
def test_memory_and_fuel_end_a_run(isolated, code, limit, reason):
    """By workers of their own kind."""
    assert isolated.run(code, **limit).reason == reason


@pytest.mark.trace_slow
def test_time_and_crashes_end_a_run_and_not_the_sandbox(isolated):
    """The parent's clock; a worker that somebody kills."""
    begin = time.monotonic()
    assert isolated.run("while True: pass", timeout=1.0).reason == "timeout"
    assert time.monotonic() - begin < 60
    assert isolated.run("1 + 1").value == 2

    def kill() -> int:
        """A worker that dies meanwhile."""
        for pool in apart._pools[isolated._warm].values():
            for worker in pool._taken:
                worker.drop()
        return 1

    ended = isolated.run("from host import tools\ntools.kill()\nprint('no')", tools=[kill])
    assert (ended.reason, ended.stdout) == ("interrupt", "")
    assert isolated.run("1 + 1").value == 2


@pytest.mark.trace_slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_run_does_without_workers_that_somebody_else_ended_or_stopped(isolated, how):
    """Those that rest, and those that are kept ready: another one runs it."""
    assert isolated.run("1").value == 1
    for pool in apart._pools[isolated._warm].values():
        for worker in (*pool._waiting, *(found for resting in pool._resting.values() for found in resting)):
            worker.ready()
            inside = Path(f"/proc/{worker._child.pid}/task/{worker._child.pid}/children").read_text().split()
            if inside:  # one of another test's may be gone
                os.kill(int(inside[0]), how)
    begin = time.monotonic()
    found = isolated.run("1 + 1", timeout=100)
    assert (found.value, found.reason) == (2, "exit")
    assert time.monotonic() - begin < 60


@pytest.mark.trace_slow
def test_folders_and_nothing_else_of_the_host(isolated, tmp_path):
    """Those that are granted, as they are granted."""
    for name in ("in", "out", "no"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "f").write_text(name)
    dirs = {tmp_path / "in": "/in", tmp_path / "out": ("/out", "rw")}
    found = isolated.run("open('/out/g', 'w').write('made')\nopen('/in/f').read()", dirs=dirs)
    assert (found.value, (tmp_path / "out" / "g").read_text()) == ("in", "made")
    assert isolated.run("open('/in/g', 'w')", dirs=dirs).error.type == "OSError"
    assert isolated.run(f"open({os.fspath(tmp_path / 'no' / 'f')!r})", dirs=dirs).error.type == "FileNotFoundError"


@pytest.mark.trace_slow
def test_tenants_have_workers_of_their_own_and_share_what_is_ready(isolated):
    """One object, one tenant; the pool is one."""
    other = Python(isolate=True)
    assert other.run("1").value == isolated.run("1").value == 1
    pools = list(apart._pools[isolated._warm].values())
    resting = [
        worker
        for pool in pools
        for tenant in (isolated, other)
        for worker in pool._resting.get(tenant._apart.tenant, ())
    ]
    assert len(set(resting)) == len(resting) >= 2
    mine = [worker for pool in pools for worker in pool._resting.get(other._apart.tenant, ())]
    del other
    assert not any(worker.alive for worker in mine), "they go with their tenant"


@pytest.mark.trace_slow
def test_on_a_loop_tools_are_awaited_there_and_cancelling_ends_the_worker(isolated):
    """The loop goes on meanwhile."""

    async def main():
        loop = asyncio.get_running_loop()

        async def where(a: int) -> bool:
            await asyncio.sleep(0)
            return asyncio.get_running_loop() is loop

        found = await isolated.run_async("from host import tools\ntools.where(a=1)", tools=[where])
        task = asyncio.create_task(isolated.run_async("while True: pass", timeout=None))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return found.value, (await isolated.run_async("2")).value

    assert asyncio.run(main()) == (True, 2)


@pytest.mark.trace_slow
def test_what_was_warmed_is_warm_in_workers(isolated):
    """Made once, in this process."""
    warm = isolated.warm("import decimal\nopen('/kept', 'w').write('kept')")
    assert repr(warm).startswith("<isolated Python of")
    found = warm.run("import sys\n['decimal' in sys.modules, open('/kept').read()]")
    assert found.value == [True, "kept"]


def test_isolate_is_a_truth_value():
    """And nothing like one."""
    needed.program(MODULE)
    with pytest.raises(TypeError, match="isolate must be"):
        Python(isolate=1)
