"""PLUG-3: what an update of a running program takes, and whether calls notice a thousand of them (ADR-0064).

The program prints without end. Its function that calls ``fd_write`` gets another constant from within the host's
``write``, and its first new call is that of the next ``write``. Another binary each time, so that none is cached.
"""

from __future__ import annotations

import gc
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import stratavm
from tests.bench import thresholds
from tests.bench.measure import Row, row_of, skipped
from tests.bench.thresholds import Verdict
from tools import programs

SUITE: Final = "updates"
PROGRAMS: Final[dict[str, tuple[str, tuple[str, ...], float]]] = {
    "QuickJS": ("quickjs.wasm", ("--std", "-e", "for(;;){ std.out.puts('1\\n'); std.out.flush(); }"), 10.0),
    "CPython": ("python.wasm", ("-c", "while True: print(1, flush=True)"), 60.0),
}
"""File, arguments, and the milliseconds that it may take from the bytes to the first call on new code."""
COMPUTING: Final = {
    "QuickJS": ("-e", "print(1); for(let i = 0;; i++);"),
    "CPython": ("-c", "print(1, flush=True)\nwhile True: pass"),
}
UPDATE: Final = "update"
RESTART: Final = "restart"
WAITING: Final = "waiting for the host"
RUNNING: Final = "computing"
LEAST_UPDATES: Final = 20
RESTARTS: Final = 3
MOST_PAUSE_MS: Final = 1.0
"""Of the guest, and for a rollback."""
MASK: Final = b"\x41\xff\xff\x03\x71"
"""``i32.const 65535``, ``i32.and``: what is an error number of the result of a system call."""
UPDATES: Final = 1_000
CALLS: Final = 1_000_000
FIRST: Final = 100
"""The resident size is taken behind so many updates, and at the end."""
MOST_GROWTH_MIB: Final = 4.0
COUNTER: Final = """(module (memory 1)
  (func $step (result i32) i32.const {})
  (func (export "count") (result i32)
    (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))) (call $step)))"""


SWAPS: Final = 100
STATE_BYTES: Final = 1 << 16
SWAPPED: Final = """(module (memory (export "memory") 2) (data (i32.const 131000) "{0}")
  (func (export "version") (result i32) i32.const {0})
  (func (export "add") (i32.store (i32.const 0) (i32.add (i32.load (i32.const 0)) (i32.const 1))))
  (func (export "sum") (result i32) (i32.load (i32.const 0)))
  (func (export "export-state") (result i64) (i64.const 65536))
  (func (export "alloc") (param i32) (result i32) (i32.const 0))
  (func (export "migrate") (param i32 i32 i32) (result i32) (i32.const 0)))"""


class Edits:
    """Versions of a program: each has another mask in the functions that write, or in one of them."""

    def __init__(self, binary: bytes) -> None:
        self.binary = binary
        self.places = masks(binary)
        self.chosen: int | None = None
        self._made = 0

    def next(self, place: int | None = None) -> bytes:
        """Another one."""
        at = place if place is not None else self.chosen
        if at is None:
            raise ValueError("no function was chosen")
        self._made += 1
        low = 0x7F - self._made % 0x7F, 0x7F - self._made // 0x7F
        return b"".join(
            (self.binary[: at + 1], bytes((0x80 | low[0], 0x80 | low[1])), b"\x03", self.binary[at + len(MASK) - 1 :])
        )


def masks(binary: bytes) -> list[int]:
    """Where functions that call ``fd_write`` have such a mask."""
    from stratavm.base.leb import uleb
    from stratavm.module.decode import decode

    model = decode(binary)
    names = [(i.module, i.name) for i in model.imports if i.kind == "func"]
    index = names.index(("wasi_snapshot_preview1", "fd_write"))
    padded = b"\x10" + bytes((0x80 | index, 0x80, 0x80, 0x80, 0))
    found = []
    for body in model.functions:
        code = binary[body.start : body.end]
        at = code.find(MASK)
        if at >= 0 and len(code) < 400 and (padded in code or b"\x10" + uleb(index) in code):
            found.append(body.start + at)
    if not found:
        raise ValueError("no function that calls fd_write has such a mask")
    return found


class Over(Exception):
    """The program has printed enough."""


class Run:
    """A program that runs in a store of its own; ``write`` is called for what it prints."""

    def __init__(self, engine: stratavm.Engine, binary: bytes, arguments: Sequence[str], write: Any) -> None:
        self.store = stratavm.Store(engine)
        self.wasi = stratavm.Wasi(args=["guest", *arguments], stdout=write)
        linker = stratavm.Linker(engine)
        linker.define_namespaces(self.wasi.namespaces())
        self.instance = linker.instantiate(self.store, stratavm.Module(binary, engine))

    def start(self) -> None:
        """Until it is interrupted."""
        try:
            self.instance.exports["_start"]()
        except stratavm.Interrupted:
            pass
        finally:
            self.wasi.close()
            self.store.close()


class Printing:
    """A program that is updated, and set back, at each of its prints in turn."""

    def __init__(self, engine: stratavm.Engine, edits: Edits, arguments: Sequence[str], updates: int) -> None:
        self.edits, self._updates = edits, updates
        self.times: dict[str, list[float]] = {UPDATE: [], "pause": [], "rollback": []}
        self._begin = 0.0
        self._waited = 0
        self.error: BaseException | None = None
        self.run = Run(engine, edits.binary, arguments, self._write)

    def _write(self, data: bytes) -> int:
        now = time.perf_counter()
        try:
            self._step(now)
        except BaseException as error:
            self.error = error
            self.run.store.interrupt()
        return len(data)

    def _step(self, now: float) -> None:
        instance = self.run.instance
        if self._begin:
            self.times[UPDATE].append((now - self._begin) * 1e3)
            self._begin = 0.0
            begin = time.perf_counter()
            instance.rollback()
            self.times["rollback"].append((time.perf_counter() - begin) * 1e3)
        elif len(self.times[UPDATE]) >= self._updates:
            self.run.store.interrupt()
        elif self.edits.chosen is None:
            self.edits.chosen = self._on_stack()
        else:
            new = self.edits.next()
            self._begin = time.perf_counter()
            done = instance.update(new)
            self.times["pause"].append(done.pause_seconds * 1e3)
            if len(done.changed) != 1 or not done.applied:
                raise AssertionError(f"it was to be a patch of one function: {done}")

    def _on_stack(self) -> int:
        """The place in the function that has called us: it cannot be waited for."""
        for place in self.edits.places:
            try:
                self.run.instance.update(self.edits.next(place), when="idle")
            except stratavm.StoreBusy:
                return place
            self.run.instance.rollback()
        raise ValueError("none of the functions with a mask has called fd_write")


def measure(rounds: int) -> Iterator[Row]:
    """Three rows for each program, and those of a thousand updates."""
    for name, (file, arguments, _) in PROGRAMS.items():
        path = programs.find(file)
        if path is None:
            yield skipped(SUITE, file)
        else:
            yield from measured(name, path, arguments, COMPUTING[name], max(LEAST_UPDATES, rounds))
    yield from thousand(UPDATES, CALLS)
    yield from swaps(SWAPS)


def measured(name: str, path: Path, arguments: Sequence[str], computing: Sequence[str], updates: int) -> Iterator[Row]:
    """The rows of a program."""
    edits = Edits(path.read_bytes())
    with stratavm.Engine(cache=False) as engine:
        printing = Printing(engine, edits, arguments, updates)
        printing.run.start()
        if printing.error is not None:
            raise printing.error
        pauses = {WAITING: printing.times["pause"], RUNNING: beside(engine, edits, computing, updates)}
    restarts = [restart(edits.next(), arguments) for _ in range(RESTARTS)]
    yield row_of(SUITE, f"{name}, first call", "ms", {UPDATE: printing.times[UPDATE], RESTART: restarts})
    yield row_of(SUITE, f"{name}, pause", "ms", pauses)
    yield row_of(SUITE, f"{name}, rollback", "ms", {"rollback": printing.times["rollback"]})


def beside(engine: stratavm.Engine, edits: Edits, arguments: Sequence[str], updates: int) -> list[float]:
    """Milliseconds of the pauses of a program that computes on another thread."""
    began = threading.Event()

    def write(data: bytes) -> int:
        began.set()
        return len(data)

    run = Run(engine, edits.binary, arguments, write)
    thread = threading.Thread(target=run.start)
    thread.start()
    found = []
    try:
        if not began.wait(60):
            raise AssertionError("the program has printed nothing")
        for _ in range(updates):
            found.append(run.instance.update(edits.next(), deadline=30).pause_seconds * 1e3)
            time.sleep(0.005)
    finally:
        run.store.interrupt()
        thread.join()
    return found


def restart(binary: bytes, arguments: Sequence[str]) -> float:
    """Milliseconds from the bytes to the first print of a new instance, in an engine that has not seen them."""
    with stratavm.Engine(cache=False) as engine:
        seen: list[float] = []

        def write(data: bytes) -> int:
            seen.append(time.perf_counter())
            run.store.interrupt()
            return len(data)

        begin = time.perf_counter()
        run = Run(engine, binary, arguments, write)
        run.start()
    return (seen[0] - begin) * 1e3


def resident_mib() -> float:
    """Of this process."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE") / (1 << 20)


def thousand(updates: int, calls: int) -> Iterator[Row]:
    """Updates beside a thread that calls; at least so many calls."""
    with stratavm.Engine(cache=False) as engine:
        instance = stratavm.load(COUNTER.format(1), store=stratavm.Store(engine))
        caller = Caller(instance.exports.count)
        caller.start()
        sizes = []
        begin = time.perf_counter()
        for n in range(updates):
            while caller.calls < n * calls // updates and caller.is_alive():
                time.sleep(0.0001)
            instance.update(COUNTER.format(n + 2), deadline=30)
            if n + 1 in (updates * FIRST // UPDATES, updates):
                gc.collect()
                sizes.append(resident_mib())
        while caller.calls < calls and caller.is_alive():
            time.sleep(0.001)
        seconds = time.perf_counter() - begin
        caller.over = True
        caller.join()
    counts = {"made": caller.calls, "failed": caller.failed, "of an older version": caller.older}
    yield Row(SUITE, f"calls beside {updates} updates", "calls", {k: float(v) for k, v in counts.items()})
    yield Row(SUITE, f"an update of {updates} beside calls", "ms", {"on average": seconds / updates * 1e3})
    names = f"after {FIRST / UPDATES:.0%}", "at the end"
    yield Row(SUITE, "resident size", "MiB", dict(zip(names, sizes, strict=True)))


def swaps(count: int) -> Iterator[Row]:
    """Swaps beside a thread that calls; every call adds to the state that is carried."""
    with stratavm.Engine(cache=False) as engine:
        live = stratavm.LiveInstance(SWAPPED.format(1), engine=engine)
        add = live.exports.add
        version = live.exports.version

        def call() -> int:
            add()
            return int(version())

        caller = Caller(call)
        caller.start()
        times: dict[str, list[float]] = {"source to commit": [], "calls wait": []}
        for n in range(count):
            done = live.update(SWAPPED.format(n + 2), deadline=30)
            if done.kind != "swap" or done.carried != STATE_BYTES:
                raise AssertionError(f"it was to be a swap that carries all: {done}")
            times["source to commit"].append(done.seconds * 1e3)
            times["calls wait"].append(done.pause_seconds * 1e3)
            time.sleep(0.002)
        caller.over = True
        caller.join()
        lost = caller.calls - caller.failed - live.exports.sum()
        backs = []
        for n in range(LEAST_UPDATES):
            live.update(SWAPPED.format(n + count + 2), deadline=30)
            backs.append(live.rollback().seconds * 1e3)
        live.close()
    counts = {"made": caller.calls, "failed": caller.failed, "of an older version": caller.older, "lost": lost}
    yield row_of(SUITE, "swap, state of 64 KiB", "ms", times)
    yield row_of(SUITE, "swap, rollback", "ms", {"rollback": backs})
    yield Row(SUITE, f"calls beside {count} swaps", "calls", {k: float(v) for k, v in counts.items()})


class Caller(threading.Thread):
    """Calls until it is told to end. What it gets is the version, which only grows."""

    def __init__(self, call: Callable[[], int]) -> None:
        super().__init__()
        self._call = call
        self.calls = self.failed = self.older = 0
        self.over = False

    def run(self) -> None:
        """Until ``over``."""
        last = 0
        while not self.over:
            try:
                found = self._call()
            except Exception:
                self.failed += 1
            else:
                self.older += found < last
                last = found
            self.calls += 1


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """What PLUG-3 states, where it was measured."""
    own = {row.name: row for row in rows if row.suite == SUITE and row.values}
    found = []
    for name, (_, _, most) in PROGRAMS.items():
        if f"{name}, first call" in own:
            samples = own[f"{name}, first call"].samples[UPDATE]
            found.append(thresholds.of_median(f"{name}: bytes to the first call on new code", samples, most, " ms"))
            for kind, pauses in own[f"{name}, pause"].samples.items():
                found.append(thresholds.of_median(f"{name}: pause, {kind}", pauses, MOST_PAUSE_MS, " ms"))
            back = own[f"{name}, rollback"].samples["rollback"]
            found.append(thresholds.of_median(f"{name}: rollback", back, MOST_PAUSE_MS, " ms"))
    for name, row in own.items():
        if name.startswith("calls beside"):
            for what in ("failed", "of an older version", "lost"):
                if what in row.values:
                    found.append(Verdict(f"{name}: {what}", row.values[what], None, 0))
            if "lost" not in row.values:
                found.append(Verdict(f"{name}: missing of a million", max(0, CALLS - row.values["made"]), None, 0))
        if name == "swap, rollback":
            found.append(thresholds.of_median(name, row.samples["rollback"], MOST_PAUSE_MS, " ms"))
    if "resident size" in own:
        first, last = own["resident size"].values.values()
        found.append(Verdict("growth over nine in ten updates", last - first, None, MOST_GROWTH_MIB, " MiB"))
    return found
