"""System calls of WASI: nanoseconds for each, made by a guest in a loop, beside wasmtime-py in the same run (ADR-0015).

The guest's loop is not taken off: it is a nanosecond. The column ``general`` is ours without the short ways.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Final

from stratavm.wasi.p1 import functions
from tests.bench.measure import Row, geometric_mean, interleaved, row_of

OURS: Final = "strata"
GENERAL: Final = "general"
THEIRS: Final = "wasmtime"
ENGINES: Final = (OURS, GENERAL, THEIRS)
FILE_BYTES: Final = 1 << 20
SMALL: Final = 16
QUICK_LOOPS: Final = 4000
SLOW_LOOPS: Final = 200

OUT: Final = "(i32.const 32)"
AT: Final = "(i32.const 0) (i32.const 1)"
"""An iovec list with one buffer of ``SMALL`` bytes."""
FILE, LINK, OTHER, FOLDER = ("(i32.const 512) (i32.const 4)", "(i32.const 528) (i32.const 4)",
                             "(i32.const 544) (i32.const 5)", "(i32.const 560) (i32.const 3)")  # fmt: skip
FD: Final = "(global.get $fd)"
TOP: Final = "(i32.const 3)"
ZERO: Final = "(i32.const 0)"
NOTHING: Final = "(i64.const 0)"

QUICK: Final[Mapping[str, str]] = {
    "clock_time_get": f"(i32.const 1) {NOTHING} {OUT}",
    "random_get": f"(i32.const 1024) (i32.const {SMALL})",
    "fd_read": f"{FD} {AT} {OUT}",
    "fd_pread": f"{FD} {AT} {NOTHING} {OUT}",
    "fd_write": f"{FD} {AT} {OUT}",
    "fd_pwrite": f"{FD} {AT} {NOTHING} {OUT}",
    "fd_seek": f"{FD} (i64.const 8) {ZERO} {OUT}",
    "fd_tell": f"{FD} {OUT}",
    "fd_fdstat_get": f"{FD} {OUT}",
    "fd_filestat_get": f"{FD} (i32.const 128)",
    "poll_oneoff": f"(i32.const 256) (i32.const 320) (i32.const 1) {OUT}",
}
"""The hot functions, and what they are given."""

OTHERS: Final[Mapping[str, tuple[tuple[str, str], ...]]] = {
    "args_sizes_get": (("args_sizes_get", f"{OUT} (i32.const 40)"),),
    "args_get": (("args_get", "(i32.const 1024) (i32.const 2048)"),),
    "environ_sizes_get": (("environ_sizes_get", f"{OUT} (i32.const 40)"),),
    "environ_get": (("environ_get", "(i32.const 1024) (i32.const 2048)"),),
    "clock_res_get": (("clock_res_get", f"(i32.const 1) {OUT}"),),
    "sched_yield": (("sched_yield", ""),),
    "fd_advise": (("fd_advise", f"{FD} {NOTHING} (i64.const 64) {ZERO}"),),
    "fd_datasync": (("fd_datasync", FD),),
    "fd_fdstat_set_flags": (("fd_fdstat_set_flags", f"{FD} {ZERO}"),),
    "fd_filestat_set_size": (("fd_filestat_set_size", f"{FD} (i64.const {FILE_BYTES})"),),
    "fd_filestat_set_times": (("fd_filestat_set_times", f"{FD} {NOTHING} {NOTHING} (i32.const 10)"),),
    "fd_prestat_get": (("fd_prestat_get", f"{TOP} {OUT}"),),
    "fd_prestat_dir_name": (("fd_prestat_dir_name", f"{TOP} (i32.const 1024) (i32.const 1)"),),
    "fd_readdir": (("fd_readdir", f"{TOP} (i32.const 1024) (i32.const 512) {NOTHING} {OUT}"),),
    "path_filestat_get": (("path_filestat_get", f"{TOP} {ZERO} {FILE} (i32.const 128)"),),
    "path_filestat_set_times": (
        ("path_filestat_set_times", f"{TOP} {ZERO} {FILE} {NOTHING} {NOTHING} (i32.const 10)"),
    ),
    "path_open, fd_close": (
        ("path_open", f"{TOP} {ZERO} {FILE} {ZERO} (i64.const 2) {NOTHING} {ZERO} {OUT}"),
        ("fd_close", "(i32.load (i32.const 32))"),
    ),
    "path_create_directory, path_remove_directory": (
        ("path_create_directory", f"{TOP} {FOLDER}"),
        ("path_remove_directory", f"{TOP} {FOLDER}"),
    ),
    "path_symlink, path_readlink, path_unlink_file": (
        ("path_symlink", f"{FILE} {TOP} {LINK}"),
        ("path_readlink", f"{TOP} {LINK} (i32.const 1024) (i32.const 64) {OUT}"),
        ("path_unlink_file", f"{TOP} {LINK}"),
    ),
    "path_link, path_rename, path_unlink_file": (
        ("path_link", f"{TOP} {ZERO} {FILE} {TOP} {LINK}"),
        ("path_rename", f"{TOP} {LINK} {TOP} {OTHER}"),
        ("path_unlink_file", f"{TOP} {OTHER}"),
    ),
}
"""Rows of the others; what undoes a change is part of the row."""


def module() -> str:
    """A guest that exports one loop for each row. The file's position is at its beginning when a loop begins."""
    letters = {"i": "i32", "I": "i64"}
    imports, rows = [], []
    for name, function in functions().items():
        params, _, results = function.signature.partition("->")
        types = f"(param {' '.join(letters[p] for p in params)})" + (" (result i32)" if results else "")
        imports.append(f'(import "wasi_snapshot_preview1" "{name}" (func ${name} {types}))')
    for row, calls in {**{name: ((name, given),) for name, given in QUICK.items()}, **OTHERS}.items():
        body = " ".join(f"(if (call ${name} {given}) (then unreachable))" for name, given in calls)
        rows.append(
            f'(func (export "{row}") (param $n i32) (drop (call $fd_seek {FD} (i64.const 0) (i32.const 0) {OUT}))'
            f"(loop {body} (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1))))))"
        )
    opened = f"{TOP} {ZERO} {FILE} {ZERO} (i64.const 0xfe001ff) (i64.const 0) {ZERO} {OUT}"
    return f"""(module {" ".join(imports)} (memory (export "memory") 1) (global $fd (mut i32) (i32.const 0))
      (data (i32.const 0) "\\00\\04\\00\\00\\{SMALL:02x}\\00\\00\\00") (data (i32.const 272) "\\01")
      (data (i32.const 512) "file") (data (i32.const 528) "link") (data (i32.const 544) "other")
      (data (i32.const 560) "new")
      (func (export "prepare") (if (call $path_open {opened}) (then unreachable))
        (global.set $fd (i32.load (i32.const 32)))) {" ".join(rows)})"""


def _strata(folder: Path, *, short: bool) -> dict[str, Callable[[int], object]]:
    """The rows' loops under ours."""
    import stratavm

    world = stratavm.Wasi(args=["guest"], preopens={folder: ("/", "rw")})
    namespaces = world.namespaces()
    if not short:
        specs = {n: stratavm.HostSpec(f.type, partial(f.call, world._context)) for n, f in functions().items()}
        namespaces = {"wasi_snapshot_preview1": specs}
    exports = stratavm.load(module(), imports=namespaces).exports
    exports.prepare()
    return {row: exports[row] for row in (*QUICK, *OTHERS)}


def _wasmtime(folder: Path) -> dict[str, Callable[[int], object]]:
    """The rows' loops under wasmtime-py."""
    import wasmtime

    engine = wasmtime.Engine()
    store, linker, config = wasmtime.Store(engine), wasmtime.Linker(engine), wasmtime.WasiConfig()
    config.argv = ["guest"]
    config.preopen_dir(str(folder), "/", fs_mutable=True)
    store.set_wasi(config)
    linker.define_wasi()
    exports = linker.instantiate(store, wasmtime.Module(engine, module())).exports(store)
    exports["prepare"](store)
    return {row: partial(exports[row], store) for row in (*QUICK, *OTHERS)}


def rows_of(engine: str, root: Path) -> dict[str, Callable[[int], object]]:
    """The rows' loops under an engine, in a folder of its own."""
    folder = root / engine
    folder.mkdir()
    (folder / "file").write_bytes(bytes(FILE_BYTES))
    return _wasmtime(folder) if engine == THEIRS else _strata(folder, short=engine == OURS)


def measure(rounds: int) -> Iterator[Row]:
    """One row per function; medians of interleaved rounds."""
    with tempfile.TemporaryDirectory() as name:
        engines = {engine: rows_of(engine, Path(name)) for engine in ENGINES}
        for row in (*QUICK, *OTHERS):
            loops = QUICK_LOOPS if row in QUICK else SLOW_LOOPS
            runs = {engine: partial(rows[row], loops) for engine, rows in engines.items()}
            interleaved(runs, 1)  # compiles
            yield row_of("syscalls", row, "ns", interleaved(runs, max(6, rounds), 1e9 / loops))


MOST_NS: Final[Mapping[str, float]] = {"clock_time_get": 300, "fd_seek": 600}
MOST_RATIO: Final[Mapping[str, float]] = {"fd_write": 1.2}
MOST_RATIO_OF_OTHERS: Final = 3.0
THE_DISK_S: Final = frozenset({"fd_datasync", "path_create_directory, path_remove_directory"})
"""Rows that are measured and held to nothing: what they take is the disk's (ADR-0015, addendum)."""


def failures(rows: list[Row]) -> list[str]:
    """Rows over what ADR-0015 allows."""
    problems = []
    for row in rows:
        if row.suite != "syscalls" or row.name in THE_DISK_S:
            continue
        ours, most = row.values[OURS], MOST_NS.get(row.name)
        if most is not None and ours > most:
            problems.append(f"{row.name}: {ours:.0f} ns, at most {most:.0f}")
        ratio, allowed = row.ratio(OURS, THEIRS) or 0, MOST_RATIO.get(row.name, MOST_RATIO_OF_OTHERS)
        if most is None and ratio > allowed:
            problems.append(f"{row.name}: {ratio:.2f} times wasmtime's {row.values[THEIRS]:.0f} ns, at most {allowed}")
    return problems


def summary(rows: list[Row]) -> dict[str, float]:
    """Geometric means of ours by wasmtime's: of the hot functions, and of the others."""
    means = {}
    for what, names in (("short ways", QUICK), ("other calls", OTHERS)):
        ratios = [row.ratio(OURS, THEIRS) or 0 for row in rows if row.suite == "syscalls" and row.name in names]
        if ratios:
            means[f"system calls, {what}: strata / wasmtime"] = round(geometric_mean(ratios), 3)
    return means
