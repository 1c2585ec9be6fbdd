"""Sandboxed Python (ADR-0058): the first and a later process, runs and turns in one that is warm, forks, tools, and a
thousand sessions; beside wasmtime-py by the module's own exports, and the package's own runner; and how late programs
end that do not end by themselves, and what all that leaves in the code cache.

What is first, and whole processes, are samples of a process each. The rest is measured within one process, in turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.bench import thresholds
from tests.bench.intervals import ratios
from tests.bench.measure import Row, row_of, skipped
from tests.bench.python_peers import COMMON, DESCRIBE, PEER, PRODUCT, TOOL, WARM, Peer, peers, size_mb
from tests.bench.thresholds import Verdict
from tools import programs

SUITE: Final = "python"
MODULE: Final = "python-snapshot.wasm"
OURS: Final = "strata"
LOOPS: Final = 140
"""Runs in a round: with seven rounds a thousand."""
HELD_SMALL: Final = "1,000 sessions, numpy and pandas, x = 1"
HELD_DESCRIBED: Final = "1,000 sessions, numpy and pandas, describe()"
PRODUCT_ROW: Final = "import numpy, 200 × 200 product, later process"
CACHED: Final = "code cache"
CACHED_WARM: Final = "code cache, numpy and pandas"
NEW: Final = "run(print(1)), new slot"
NEW_WARM: Final = "run(print(1)), numpy and pandas, new slot"
LATE: Final = "programs without end, past their limit"
ENDLESS: Final = (
    "while True: pass",
    "sum(range(10 ** 13))",
    "import re; re.match('(a+)+$', 'a' * 60 + 'b')",
    "x = 7 ** 10 ** 8",
    "while True: print('x' * 1000)",
    "while True: open('x', 'w').write('y' * 100_000)",
    "import time; time.sleep(1000)",
    "def f():\n    try: f()\n    finally: f()\nf()",
    "import numpy; a = numpy.ones((900, 900))\nwhile True: a @ a",
    "from host import tools; tools.late()",
)
ENDLESS_S: Final = 0.3
LIMITS: Final[dict[str, tuple[float, str]]] = {
    "print(1), first process": (1200.0, " ms"),
    "print(1), later process": (150.0, " ms"),
    "warm(numpy, pandas), first process": (4000.0, " ms"),
    "warm(numpy, pandas), later process": (300.0, " ms"),
    "run(print(1))": (1000.0, " us"),
    "run(print(1)), numpy and pandas": (1000.0, " us"),
    NEW: (2500.0, " us"),
    NEW_WARM: (2500.0, " us"),
    "session pass": (200.0, " us"),
    "session pass, host": (30.0, " us"),
    "fork": (5000.0, " us"),
    "tools.add": (150.0, " us"),
    "tools.add, host": (20.0, " us"),
    LATE: (50.0, " ms"),
    CACHED: (30.0, " MB"),
    CACHED_WARM: (100.0, " MB"),
    HELD_SMALL: (0.8, " MB"),
    HELD_DESCRIBED: (7.0, " MB"),
}
"""The most that the issue allows."""
WITHIN: Final = [name for name, (_, unit) in LIMITS.items() if unit == " us" and name not in (NEW, NEW_WARM)]
PRINT: Final = "from stratavm.sandbox import Python\nprint(Python().run('print(1)').stdout, end='')"
WARMED: Final = (
    "import time\nfrom stratavm.sandbox import Python\npython = Python()\npython.run('1')\nbegin = time.monotonic()\n"
    f"warm = python.warm({WARM!r})\nprint((time.monotonic() - begin) * 1e3)"
)
PRODUCTS: Final = f"from stratavm.sandbox import Python\nprint(Python().run({PRODUCT!r}).stdout, end='')"
NEW_SLOTS: Final = 25
"""Runs in new slots, plain and warm, in a process, which has 64: a session holds each of those that a run has used."""
FRESH: Final = (
    COMMON
    + f"""\
from stratavm.runtime.events import SlotTaken
from stratavm.sandbox import Python
from stratavm.sandbox.python.opened import engine
taken, used, kept, found = [], set(), [], []
watch = engine(False).bus.subscribe(SlotTaken, lambda event: taken.append(event.slot), name="bench")
plain = Python()
for python in (plain, plain.warm({WARM!r})):
    for _ in range(3):
        python.run("print(1)").check()
    found.append([])
    for _ in range(int(sys.argv[1])):
        kept.append(python.session())
        kept[-1].run("pass").check()
        used.update(taken)
        taken.clear()
        found[-1] += timed(lambda: python.run("print(1)"), 1)
        assert len(taken) == 1 and taken[0] not in used, (taken, used)
print(json.dumps(found))
"""
)
SESSIONS: Final = 1000
HOLDS: Final = (
    COMMON
    + """\
from stratavm.sandbox import Python
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, 1024))
warm = Python().warm("import numpy, pandas")
with warm.session() as one:
    one.run("x = 1").check()
    one.run("import pandas\\n" + sys.argv[2]).check()
begin, count = anonymous(), int(sys.argv[1])
kept = [warm.session() for _ in range(count)]
for session in kept:
    session.run("x = 1").check()
after = anonymous()
said = {session.run("import pandas\\n" + sys.argv[2]).stdout for session in kept}
assert len(said) == 1 and "mean" in said.pop()
print(json.dumps([(after - begin) / count, (anonymous() - begin) / count]))
"""
)


def measure(rounds: int) -> Iterator[Row]:
    """A row for each limit."""
    path = programs.find(MODULE)
    if path is None:
        yield skipped(SUITE, MODULE)
        return
    with tempfile.TemporaryDirectory() as folder:
        others = peers(path, Path(folder))
        yield from processes(rounds, others)
        yield from within(rounds, others)
        yield from new_slots(rounds)
        yield ends(rounds)
        yield from held(others)


def processes(rounds: int, others: Sequence[Peer]) -> Iterator[Row]:
    """Whole processes with an empty cache, and with what those left."""
    name, warm = "print(1)", f"warm({WARM.removeprefix('import ')})"
    samples: dict[str, dict[str, list[float]]] = {
        row: {OURS: []} for row in (f"{name}, first", f"{name}, later", f"{warm}, first", f"{warm}, later", "product")
    }
    for other in others:
        samples[f"{name}, first"][other.name] = [other.first_ms]
        for row in (f"{name}, later", f"{warm}, later", "product"):
            samples[row][other.name] = []
    sizes: dict[str, dict[str, list[float]]] = {
        row: {OURS: [], **{other.name: [other.cache_mb()] for other in others}} for row in (CACHED, CACHED_WARM)
    }
    for _ in range(max(rounds // 2, 2)):
        with tempfile.TemporaryDirectory() as cache:
            for row, code, scale, cached in ((name, PRINT, None, CACHED), (warm, WARMED, 1.0, CACHED_WARM)):
                for which in ("first", "later"):
                    samples[f"{row}, {which}"][OURS].append(process(code, cache, scale))
                process(code, cache, scale)  # which leaves what later ones leave
                sizes[cached][OURS].append(size_mb(Path(cache)))
            process(PRODUCTS, cache, None)
            said = {timed(lambda: told(PRODUCTS, cache), samples["product"][OURS])}
            for other in others:
                timed(partial(other.printed, "print(1)"), samples[f"{name}, later"][other.name])
                said.add(timed(partial(other.printed, PRODUCT), samples["product"][other.name]))
                samples[f"{warm}, later"][other.name].append(other.warm_ms())
            assert len(said) == 1, said
    for row, found in samples.items():
        yield row_of(SUITE, PRODUCT_ROW if row == "product" else f"{row} process", "ms", found)
    for row, found in sizes.items():
        yield row_of(SUITE, row, "MB", found)


def new_slots(rounds: int) -> Iterator[Row]:
    """Runs whose memories nobody has had before, in a process of its own for each round."""
    samples: dict[str, list[float]] = {NEW: [], NEW_WARM: []}
    with tempfile.TemporaryDirectory() as cache:
        for _ in range(rounds):
            for name, found in zip(samples, json.loads(told(FRESH, cache, str(NEW_SLOTS))), strict=True):
                samples[name] += found
    for name, found in samples.items():
        yield row_of(SUITE, name, "us", {OURS: found})


def timed(run: Callable[[], str], samples: list[float]) -> str:
    """What it says; its milliseconds are added."""
    begin = time.perf_counter()
    said = run()
    samples.append((time.perf_counter() - begin) * 1e3)
    return said


def process(code: str, cache: str, scale: float | None) -> float:
    """Milliseconds of a process, or what it says that it took."""
    took: list[float] = []
    said = timed(lambda: told(code, cache), took)
    return took[0] if scale is None else float(said) * scale


def told(code: str, cache: str, *given: str) -> str:
    """What a process with that code cache prints."""
    environment = {**os.environ, "XDG_CACHE_HOME": cache, "XDG_STATE_HOME": cache, "STRATA_CACHE": "on"}
    command = [sys.executable, "-c", code, *given]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout


def held(others: Sequence[Peer]) -> Iterator[Row]:
    """Megabytes of sessions that live at once."""
    with tempfile.TemporaryDirectory() as cache:
        found = {OURS: json.loads(told(HOLDS, cache, str(SESSIONS), DESCRIBE))}
    found |= {other.name: other.held_mb() for other in others}
    for at, name in enumerate((HELD_SMALL, HELD_DESCRIBED)):
        yield row_of(SUITE, name, "MB", {who: [values[at]] for who, values in found.items()})


def within(rounds: int, others: Sequence[Peer]) -> Iterator[Row]:
    """Runs, turns and tools in this process, interleaved with those of others."""
    from stratavm.sandbox import Python

    plain = Python()
    for _ in range(2):
        plain.run("print(1)")
    warm = plain.warm(WARM)
    session = plain.session()
    runs: dict[str, Callable[[], Any]] = {
        "run(print(1))": lambda: plain.run("print(1)"),
        "run(print(1)), numpy and pandas": lambda: warm.run("print(1)"),
        "session pass": lambda: session.run("pass"),
        "fork": lambda: parent.fork().close(),
    }
    parent = warm.session()
    parent.run("x = 1")
    samples: dict[str, list[float]] = {name: [] for name in WITHIN}
    theirs: dict[str, dict[str, list[float]]] = {name: {} for name in samples}
    for run in runs.values():
        for _ in range(50):
            run()
    for _ in range(rounds):
        for name, run in runs.items():
            for _ in range(LOOPS):
                begin = time.perf_counter()
                run()
                samples[name].append((time.perf_counter() - begin) * 1e6)
        samples["session pass, host"] += host_part(session)
        guest, host = tool_calls(plain)
        samples["tools.add"].append(guest)
        samples["tools.add, host"] += host
        for other in others:
            for name, found in other.round(LOOPS).items():
                theirs[name].setdefault(other.name, []).extend(found)
    parent.close()
    session.close()
    for name, found in samples.items():
        yield row_of(SUITE, name, "us", {OURS: found, **theirs[name]})


def ends(rounds: int) -> Row:
    """Milliseconds from the limit of a program to its result, of each round the latest of all programs."""
    from stratavm.sandbox import Python

    def late() -> None:
        """It returns before there are too many that have not."""
        time.sleep(2 * ENDLESS_S)

    warm = Python().warm("import numpy, re, host")
    latest = []
    for _ in range(max(rounds // 2, 2)):
        took = []
        for code in ENDLESS:
            begin = time.perf_counter()
            done = warm.run(code, timeout=ENDLESS_S, tools=[late], max_output=1 << 16, max_files=1 << 20)
            took.append((time.perf_counter() - begin - ENDLESS_S) * 1e3)
            assert done.reason == "timeout", (code, done)
        latest.append(max(took))
    return row_of(SUITE, LATE, "ms", {OURS: latest})


def host_part(session: Any) -> list[float]:
    """Microseconds of turns that are not spent in the guest's own function."""
    from stratavm.sandbox import ways

    inside = [0.0]
    directly = ways.Directly.call

    async def timed(self: Any, function: Any, *arguments: int) -> Any:
        begin = time.perf_counter()
        try:
            return await directly(self, function, *arguments)
        finally:
            inside[0] += time.perf_counter() - begin

    found = []
    ways.Directly.call = timed  # type: ignore[method-assign]
    try:
        for _ in range(LOOPS):
            inside[0], begin = 0.0, time.perf_counter()
            session.run("pass")
            found.append((time.perf_counter() - begin - inside[0]) * 1e6)
    finally:
        ways.Directly.call = directly  # type: ignore[method-assign]
    return found


def tool_calls(python: Any) -> tuple[float, list[float]]:
    """The median of a call as the guest sees it, and what the host needed for each, in microseconds."""
    from stratavm.sandbox.python.calls import Calls

    took: list[float] = []
    answer = Calls.answer

    def timed(self: Any, request: bytes) -> Any:
        begin = time.perf_counter()
        try:
            return answer(self, request)
        finally:
            took.append((time.perf_counter() - begin) * 1e6)

    def add(a: int, b: int) -> int:
        return a + b

    Calls.answer = timed  # type: ignore[method-assign]
    try:
        done = python.run(TOOL.format(loops=LOOPS) + "took", tools=[add], max_calls=LOOPS, timeout=None)
    finally:
        Calls.answer = answer  # type: ignore[method-assign]
    done.check()
    return float(done.value), took[1:]


def verdicts(rows: list[Row]) -> list[Verdict]:
    """On the issue's limits; of the product, against wasmtime-py with its cached module, round by round."""
    found = [
        thresholds.of_median(f"{SUITE}, {row.name}", row.samples[OURS], *LIMITS[row.name])
        for row in rows
        if row.suite == SUITE and row.name in LIMITS and OURS in row.samples
    ]
    for row in rows:
        if row.suite == SUITE and row.name == PRODUCT_ROW and PEER in row.samples:
            found.append(thresholds.of_median(f"{SUITE}, {row.name} / {PEER}", ratios(row, OURS, PEER), 1.0))
    return found
