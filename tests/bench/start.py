"""Whole-process start: from ``exec`` to exit, Python included, each engine in the same run: with nothing kept, and as a
later start has it, code kept by ours and an image of wasmtime's.

``script`` is the command as users type it; the others are ``python -m stratavm``, which imports ``runpy`` first.
``pass`` is what Python itself takes, ``import`` with the package. Programs are binaries: reading text is no start.
What compiles for seconds, first starts and later starts have rounds of their own each (ADR-0036): between two starts
nobody fills the memory of the machine. Within a round their order is shuffled.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import stratavm
from tests.bench.measure import Row, interleaved, row_of, skipped
from tools import programs

HELLO: Final = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 0) "\\10\\00\\00\\00\\06\\00\\00\\00")
  (data (i32.const 16) "hello\\0a")
  (func (export "_start") (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""

SCRIPT: Final = Path(__file__).parents[2] / "scripts" / "strata"
LATER: Final = 3
"""Starts after which nothing more is kept: the second one keeps the image of the memory."""

WASMTIME_RUN: Final = """
import sys, wasmtime
cache, path, *rest = sys.argv[1:]
engine = wasmtime.Engine()
if cache == "-":
    module = wasmtime.Module.from_file(engine, path)
else:
    module = wasmtime.Module.deserialize_file(engine, cache)
linker = wasmtime.Linker(engine)
linker.define_wasi()
store = wasmtime.Store(engine)
config = wasmtime.WasiConfig()
config.argv = [path, *rest]
config.inherit_stdout()
store.set_wasi(config)
instance = linker.instantiate(store, module)
try:
    instance.exports(store)["_start"](store)
except wasmtime.ExitTrap as stop:
    sys.exit(stop.code)
"""


def measure(rounds: int) -> Iterator[Row]:
    """One row per program: median milliseconds of the whole process."""
    with tempfile.TemporaryDirectory() as folder:
        hello = Path(folder) / "hello.wasm"
        hello.write_bytes(stratavm.Module(HELLO).model.binary)
        yield _row("hello", hello, [], "hello\n", Path(folder), rounds)
        python = programs.find("python.wasm")
        if python is None:
            yield skipped("start", "python.wasm")
        else:
            arguments = ["-c", "print(1)"]
            yield _row("CPython print(1)", python, arguments, "1\n", Path(folder), max(3, rounds // 2), True)


def _row(
    name: str, path: Path, arguments: list[str], expected: str, folder: Path, rounds: int, compiles_long: bool = False
) -> Row:
    """``compiles_long``: whether wasmtime compiles it for seconds."""
    import wasmtime

    image = folder / f"{path.stem}.cwasm"
    image.write_bytes(wasmtime.Module.from_file(wasmtime.Engine(), str(path)).serialize())
    rest = ["run", str(path), *arguments]
    ours = [sys.executable, "-m", "stratavm", *rest]
    theirs = [sys.executable, "-c", WASMTIME_RUN]
    script = folder / "strata"
    script.write_text(SCRIPT.read_text())
    kept = folder / f"{path.stem}-cache"
    theirs_first = {"wasmtime": [*theirs, "-", str(path), *arguments]}
    first = {
        "pass": [sys.executable, "-c", "pass"],
        "import": [sys.executable, "-c", "import stratavm"],
        "script": [sys.executable, str(script), *rest],
        "strata": ours,
        **({} if compiles_long else theirs_first),
    }
    later = {
        "script, code kept": [sys.executable, str(script), *rest],
        "strata, code kept": ours,
        "strata auto, code kept": [*ours[:4], "--tier", "auto", *ours[4:]],
        "wasmtime, cached image": [*theirs, str(image), str(path), *arguments],
    }

    # Installed packages have their byte code cached; so shall both here, whatever this shell says.
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    environment["PYTHONPATH"] = str(SCRIPT.parents[1] / "src")
    cached = environment | {"STRATA_CACHE": "on", "XDG_CACHE_HOME": str(kept), "XDG_STATE_HOME": str(kept)}

    def runner(command: list[str], env: dict[str, str]) -> None:
        result = subprocess.run(command, capture_output=True, text=True, check=True, env=env)
        if result.stdout != (expected if str(path) in command else ""):
            raise AssertionError(f"{name}: expected {expected!r}, got {result.stdout!r}")

    samples = {}
    long = theirs_first if compiles_long else {}
    for commands, before, env in ((long, 1, environment), (first, 1, environment), (later, LATER, cached)):
        for _ in range(before):
            for command in commands.values():
                runner(command, env)  # keeps the code, and each file in the kernel's cache
        runs = {engine: lambda command=command, env=env: runner(command, env) for engine, command in commands.items()}
        samples |= interleaved(runs, rounds, 1e3, shuffled=True)
    return row_of("start", name, "ms", samples)
