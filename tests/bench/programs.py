"""Whole programs, each engine in the same run: the guest's own time, and the whole process (ADR-0022).

Each sample is a process of its own, in interleaved rounds. All engines of a round must print the same, leave the same
file and end with the same code.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.bench import thresholds
from tests.bench.intervals import ratios
from tests.bench.measure import Row, have_memory, row_of, skipped
from tests.bench.thresholds import Verdict
from tools import programs as wheels

FOLDER: Final = Path(__file__).parent / "programs"
RESULT: Final = "out.png"
LEAST_ROUNDS: Final = 6
"""Fewer have no interval of 95 %."""
PATIENCE_S: Final = 300
"""The most that one process may take, on however busy a machine: a suite ends."""


@dataclass(frozen=True, slots=True)
class Program:
    """A program and what it is given to do.

    Attributes:
        wasm: its file in a wheel.
        arguments: ``@NAME`` stands for the text of that file of ``FOLDER``.
        files: of ``FOLDER``, which lie in the guest's root folder.
        code: how it exits.
        guest: whether it has a row for the guest's time.
    """

    wasm: str
    arguments: tuple[str, ...]
    files: tuple[str, ...] = ()
    code: int = 0
    guest: bool = True


PROGRAMS: Final[dict[str, Program]] = {
    "CPython script": Program("python.wasm", ("-c", "@script.py")),
    "QuickJS script": Program("quickjs.wasm", ("-e", "@script.js")),
    "boolector": Program("boolector.wasm", ("factors.smt2",), ("factors.smt2",), code=10),
    "resvg": Program("resvg.wasm", ("drawing.svg", RESULT), ("drawing.svg",)),
    "icepll": Program("icepll.wasm", ("-i", "12", "-o", "48")),
    "CPython print(1)": Program("python.wasm", ("-c", "print(1)"), guest=False),
}

STRATA_GUEST: Final = """
import json, sys, time
import stratavm
tier, path, folder, *arguments = sys.argv[1:]
module = stratavm.Module(path, engine=stratavm.Engine(tier=tier))
linker_of = lambda wasi: (l := stratavm.Linker(module.engine), l.define_namespaces(wasi.namespaces()))[0]
for _ in range(2):  # the first one compiles
    printed, code = bytearray(), 0
    world = dict(args=["guest", *arguments], stdout=printed, preopens={folder: ("/", "rw")})
    with stratavm.Store(module.engine) as store, stratavm.Wasi(**world) as wasi:
        start = linker_of(wasi).instantiate(store, module).exports["_start"]
        begin = time.thread_time()
        try:
            start()
        except stratavm.ExitError as stop:
            code = stop.code
        ms = (time.thread_time() - begin) * 1e3
print(json.dumps({"ms": ms, "code": code, "printed": printed.decode()}))
"""
WASMTIME: Final = """
import json, os, sys, tempfile, time
import wasmtime
mode, image, path, folder, *arguments = sys.argv[1:]
engine = wasmtime.Engine()
if image == "-":
    module = wasmtime.Module.from_file(engine, path)
else:
    module = wasmtime.Module.deserialize_file(engine, image)
linker = wasmtime.Linker(engine)
linker.define_wasi()
for _ in range(2 if mode == "guest" else 1):
    store, config, code = wasmtime.Store(engine), wasmtime.WasiConfig(), 0
    config.argv = ["guest", *arguments]
    config.preopen_dir(folder, "/", fs_mutable=True)
    if mode == "guest":
        output = tempfile.NamedTemporaryFile()
        config.stdout_file = output.name
    else:
        config.inherit_stdout()
    store.set_wasi(config)
    start = linker.instantiate(store, module).exports(store)["_start"]
    begin = time.thread_time()
    try:
        start(store)
    except wasmtime.ExitTrap as stop:
        code = stop.code
    ms = (time.thread_time() - begin) * 1e3
if mode != "guest":
    sys.exit(code)
print(json.dumps({"ms": ms, "code": code, "printed": output.read().decode()}))
"""

Answer = tuple[int, str, bytes]
"""Exit code, what was printed, the bytes of ``RESULT`` or none."""


def measure(rounds: int) -> Iterator[Row]:
    """Two rows per program, of the guest and of the process; one that says so where the program is missing."""
    for name, program in PROGRAMS.items():
        path = wheels.find(program.wasm)
        if path is None:
            yield skipped("programs", program.wasm)
            continue
        with tempfile.TemporaryDirectory() as folder:
            yield from Bench(name, program, path, Path(folder)).rows(max(LEAST_ROUNDS, rounds))


class Bench:
    """One program on every engine, in a folder."""

    def __init__(self, name: str, program: Program, path: Path, root: Path) -> None:
        import wasmtime

        self.name = name
        self.program = program
        self.folder = root / "guest"
        self.folder.mkdir()
        for file in program.files:
            (self.folder / file).write_bytes((FOLDER / file).read_bytes())
        image = root / "image.cwasm"
        image.write_bytes(wasmtime.Module.from_file(wasmtime.Engine(), str(path)).serialize())
        texts = [(FOLDER / a[1:]).read_text() if a.startswith("@") else a for a in program.arguments]
        rest = [str(path), str(self.folder), *texts]
        run = [sys.executable, "-m", "stratavm", "run", "--dir", f"{self.folder}::/::rw"]
        theirs = [sys.executable, "-c", WASMTIME]
        self.guests = {
            "strata jit0": [sys.executable, "-c", STRATA_GUEST, "jit0", *rest],
            "strata jit1": [sys.executable, "-c", STRATA_GUEST, "jit1", *rest],
            "wasmtime": [*theirs, "guest", str(image), *rest],
        }
        self.processes = {
            "strata jit0": [*run, str(path), *texts],  # as nobody says anything else; naming a tier compiles all of it
            "strata jit0, whole": [*run, "--tier", "jit0", str(path), *texts],
            "strata jit1, whole": [*run, "--tier", "jit1", str(path), *texts],
            "wasmtime": [*theirs, "process", "-", *rest],
            "wasmtime, cached image": [*theirs, "process", str(image), *rest],
        }

    def rows(self, rounds: int) -> Iterator[Row]:
        """Medians of interleaved rounds."""
        if self.program.guest:
            yield self._row("guest", self.guests, self.guest, rounds)
        yield self._row("process", self.processes, self.process, rounds)

    def _row(
        self,
        what: str,
        commands: dict[str, list[str]],
        sample: Callable[[Sequence[str]], tuple[float, Answer]],
        rounds: int,
    ) -> Row:
        samples: dict[str, list[float]] = {engine: [] for engine in commands}
        for _ in range(rounds):
            answers = {}
            for engine, command in commands.items():
                ms, answers[engine] = sample(command)
                samples[engine].append(ms)
            if len(set(answers.values())) != 1:
                raise AssertionError(f"{self.name}, {what}: the engines disagree: {answers}")
        return row_of("programs", f"{self.name}, {what}", "ms", samples)

    def guest(self, command: Sequence[str]) -> tuple[float, Answer]:
        """Processor time of the second run of ``_start`` in a process, and its answer."""
        _, done = self._run(command)
        if done.returncode:
            raise AssertionError(f"{self.name}: {done.stderr}")
        found = json.loads(done.stdout)
        return found["ms"], self._answer(found["code"], found["printed"])

    def process(self, command: Sequence[str]) -> tuple[float, Answer]:
        """Time of a process from its start to its end, and its answer."""
        seconds, done = self._run(command)
        return seconds * 1e3, self._answer(done.returncode, done.stdout)

    def _run(self, command: Sequence[str]) -> tuple[float, subprocess.CompletedProcess[str]]:
        # Installed packages have their byte code cached; so shall all here, whatever this shell says.
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
        (self.folder / RESULT).unlink(missing_ok=True)
        have_memory()
        begin = time.perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=PATIENCE_S)
        return time.perf_counter() - begin, done

    def _answer(self, code: int, printed: str) -> Answer:
        result = self.folder / RESULT
        if code != self.program.code:
            raise AssertionError(f"{self.name}: exit code {code}, expected {self.program.code}: {printed}")
        return code, printed, result.read_bytes() if result.exists() else b""


THRESHOLDS: Final = (
    ("CPython script, guest", "strata jit0", 1.2),
    ("CPython script, guest", "strata jit1", 0.86),
    ("QuickJS script, guest", "strata jit0", 1.0),
    ("QuickJS script, guest", "strata jit1", 0.92),
)
"""Rows, and the most that ours may take by wasmtime's."""
PRINT_MS: Final = 270
"""The most that ``print(1)`` may take from start to end, in ms."""


def verdicts(rows: Sequence[Row]) -> list[Verdict]:
    """What the issue states, where it was measured."""
    own = {row.name: row for row in rows if row.suite == "programs" and row.values}
    found = [
        thresholds.of_median(f"{name}: {engine} / wasmtime", ratios(own[name], engine, "wasmtime"), limit)
        for name, engine, limit in THRESHOLDS
        if name in own
    ]
    printing = own.get("CPython print(1), process")
    if printing is not None:
        samples = printing.samples["strata jit0"]
        found.append(thresholds.of_median("CPython print(1), process: strata jit0", samples, PRINT_MS, " ms"))
    return found
