"""Sandboxed Python (ADR-0058): the first and a later process, runs and turns in one that is warm, tools; and what
wasmtime-py needs for a turn of the same module, by the module's own exports.

What is first, and whole processes, are samples of a process each. The rest is measured within one process, in turns.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tests.bench import thresholds
from tests.bench.measure import Row, row_of, skipped
from tests.bench.thresholds import Verdict
from tools import programs

SUITE: Final = "python"
MODULE: Final = "python-snapshot.wasm"
OURS: Final = "strata"
PEER: Final = "wasmtime-py"
LOOPS: Final = 140
"""Runs in a round: with seven rounds a thousand."""
WARM: Final = "import numpy, pandas"
LIMITS: Final[dict[str, tuple[float, str]]] = {
    "print(1), first process": (1200.0, " ms"),
    "print(1), later process": (150.0, " ms"),
    "warm(numpy, pandas), first process": (4000.0, " ms"),
    "warm(numpy, pandas), later process": (300.0, " ms"),
    "run(print(1))": (1000.0, " us"),
    "run(print(1)), numpy and pandas": (1000.0, " us"),
    "session pass": (200.0, " us"),
    "session pass, host": (30.0, " us"),
    "tools.add": (150.0, " us"),
    "tools.add, host": (20.0, " us"),
}
"""The most that the issue allows."""
PRINT: Final = "from stratavm.sandbox import Python\nprint(Python().run('print(1)').stdout, end='')"
WARMED: Final = (
    "import time\nfrom stratavm.sandbox import Python\npython = Python()\npython.run('1')\nbegin = time.monotonic()\n"
    f"warm = python.warm({WARM!r})\nprint((time.monotonic() - begin) * 1e3)"
)
TOOL: Final = """\
from host import tools
from time import perf_counter
took = []
for _ in range({loops}):
    begin = perf_counter()
    tools.add(1, 2)
    took.append(perf_counter() - begin)
sorted(took)[{loops} // 2] * 1e6
"""
TURNS: Final = """\
import json, sys, tempfile, time
import wasmtime
path, image, folder, loops = sys.argv[1:]
config = wasmtime.Config()
config.wasm_exceptions = True
engine = wasmtime.Engine(config)
module = wasmtime.Module.deserialize_file(engine, image)
linker, store, world = wasmtime.Linker(engine), wasmtime.Store(engine), wasmtime.WasiConfig()
linker.define_wasi()
number = wasmtime.ValType.i32()
linker.define_func("host", "call", wasmtime.FuncType([number] * 4, [number]), lambda *_: -1)
world.argv = ["python"]
world.stdout_file = tempfile.NamedTemporaryFile().name
world.preopen_dir(folder, "/usr/local/lib")
store.set_wasi(world)
exports = linker.instantiate(store, module).exports(store)
def turn(source):
    at = exports["host_alloc"](store, len(source))
    exports["memory"].write(store, source, at)
    return exports["turn"](store, at, len(source))
for _ in range(50):
    turn(b"pass")
took = []
for _ in range(int(loops)):
    begin = time.perf_counter()
    turn(b"pass")
    took.append((time.perf_counter() - begin) * 1e6)
print(json.dumps(took))
"""


def measure(rounds: int) -> Iterator[Row]:
    """A row for each limit."""
    path = programs.find(MODULE)
    if path is None:
        yield skipped(SUITE, MODULE)
        return
    yield from processes(rounds)
    with tempfile.TemporaryDirectory() as folder:
        peer = wasmtime(path, Path(folder))
        yield from within(rounds, peer)


def processes(rounds: int) -> Iterator[Row]:
    """Whole processes with an empty cache, and with what those left."""
    for name, code, scale in (("print(1)", PRINT, None), (f"warm({WARM.removeprefix('import ')})", WARMED, 1.0)):
        samples: dict[str, list[float]] = {"first": [], "later": []}
        for _ in range(max(rounds // 2, 2)):
            with tempfile.TemporaryDirectory() as cache:
                for which in samples:
                    samples[which].append(process(code, cache, scale))
        for which, found in samples.items():
            yield row_of(SUITE, f"{name}, {which} process", "ms", {OURS: found})


def process(code: str, cache: str, scale: float | None) -> float:
    """Milliseconds of a process, or what it says that it took."""
    environment = {**os.environ, "XDG_CACHE_HOME": cache, "XDG_STATE_HOME": cache, "STRATA_CACHE": "on"}
    begin = time.perf_counter()
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    took = (time.perf_counter() - begin) * 1e3
    return took if scale is None else float(done.stdout) * scale


def within(rounds: int, peer: Callable[[], Sequence[float]] | None) -> Iterator[Row]:
    """Runs, turns and tools in this process, interleaved with the peer's turns."""
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
    }
    samples: dict[str, list[float]] = {name: [] for name in LIMITS}
    theirs: list[float] = []
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
        theirs += peer() if peer is not None else ()
    session.close()
    for name, found in samples.items():
        if found:
            values = {OURS: found, **({PEER: theirs} if theirs and name == "session pass" else {})}
            yield row_of(SUITE, name, "us", values)


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
        done = python.run(TOOL.format(loops=LOOPS), tools=[add], max_calls=LOOPS, timeout=None)
    finally:
        Calls.answer = answer  # type: ignore[method-assign]
    done.check()
    return float(done.value), took[1:]


def wasmtime(path: Path, folder: Path) -> Callable[[], Sequence[float]] | None:
    """A round of turns on an instance that has begun; None where wasmtime-py is not installed. It compiles for long."""
    try:
        import wasmtime as peer
    except ImportError:
        return None
    config = peer.Config()
    config.wasm_exceptions = True
    image, library = folder / "image", folder / "lib"
    image.write_bytes(peer.Module.from_file(peer.Engine(config), str(path)).serialize())
    library.mkdir()
    shutil.copyfile(path.with_name("python-stdlib.zip"), library / "python315.zip")

    def turns() -> Sequence[float]:
        command = [sys.executable, "-c", TURNS, str(path), str(image), str(library), str(LOOPS)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        found: list[float] = json.loads(done.stdout)
        return found

    return turns


def verdicts(rows: list[Row]) -> list[Verdict]:
    """On the issue's limits."""
    return [
        thresholds.of_median(f"{SUITE}, {row.name}", row.samples[OURS], *LIMITS[row.name])
        for row in rows
        if row.suite == SUITE and row.name in LIMITS and OURS in row.samples
    ]
