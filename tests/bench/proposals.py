"""Suite ``proposals``: what WebAssembly 3.0 adds, against what it stands for: calls through references and through a
table, arithmetic on 128 bits and the same from 64; a million exceptions that a guest keeps and drops; the starts of a
program of 69 MB that throws. Exceptions by the nanosecond and tail calls are rows of ``boundary``, 64-bit memories of
``wide``.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final

from tests.bench.measure import Row, interleaved, row_of, skipped
from tests.bench.start import WASMTIME_RUN
from tests.bench.thresholds import Verdict, of_median
from tools import programs

SUITE: Final = "proposals"
CALLS: Final = """(module
  (type $f (func (param i64 i64) (result i64)))
  (table 4 funcref) (elem (i32.const 0) $add $sub $xor)
  (func $add (type $f) (i64.add (local.get 0) (local.get 1)))
  (func $sub (type $f) (i64.sub (local.get 0) (i64.mul (local.get 1) (i64.const 3))))
  (func $xor (type $f) (i64.xor (local.get 0) (local.get 1)))
  (func $by_index (param $f i32) (param $n i64) (param $sum i64) (result i64)
    (loop $again
      (local.set $sum (call_indirect (type $f) (local.get $sum) (local.get $n) (local.get $f)))
      (br_if $again (i64.ne (i64.const 0) (local.tee $n (i64.sub (local.get $n) (i64.const 1))))))
    (local.get $sum))
  (func $by_reference (param $f (ref null $f)) (param $n i64) (param $sum i64) (result i64)
    (loop $again
      (local.set $sum (call_ref $f (local.get $sum) (local.get $n) (local.get $f)))
      (br_if $again (i64.ne (i64.const 0) (local.tee $n (i64.sub (local.get $n) (i64.const 1))))))
    (local.get $sum))
  (func (export "call_indirect") (param $n i64) (result i64)
    (local.set $n (i64.div_u (local.get $n) (i64.const 3)))
    (call $by_index (i32.const 2) (local.get $n) (call $by_index (i32.const 1) (local.get $n)
      (call $by_index (i32.const 0) (local.get $n) (i64.const 0)))))
  (func (export "call_ref") (param $n i64) (result i64)
    (local.set $n (i64.div_u (local.get $n) (i64.const 3)))
    (call $by_reference (ref.func $xor) (local.get $n) (call $by_reference (ref.func $sub) (local.get $n)
      (call $by_reference (ref.func $add) (local.get $n) (i64.const 0))))))"""
"""What a function of higher order does with the function that it is given: as an index of a table, or as a reference
that may be null."""
STEP: Final = "(local.set $n (i64.sub (local.get $n) (i64.const 1)))"
HIGH: Final = """(func $high (param $a i64) (param $b i64) (result i64)
    (local $low i64) (local $first i64) (local $second i64) (local $mask i64)
    (local.set $mask (i64.const 0xffffffff))
    (local.set $low (i64.mul (i64.and (local.get $a) (local.get $mask)) (i64.and (local.get $b) (local.get $mask))))
    (local.set $first (i64.add (i64.shr_u (local.get $low) (i64.const 32))
      (i64.mul (i64.shr_u (local.get $a) (i64.const 32)) (i64.and (local.get $b) (local.get $mask)))))
    (local.set $second (i64.add (i64.and (local.get $first) (local.get $mask))
      (i64.mul (i64.and (local.get $a) (local.get $mask)) (i64.shr_u (local.get $b) (i64.const 32)))))
    (i64.add (i64.add (i64.shr_u (local.get $first) (i64.const 32)) (i64.shr_u (local.get $second) (i64.const 32)))
      (i64.mul (i64.shr_u (local.get $a) (i64.const 32)) (i64.shr_u (local.get $b) (i64.const 32)))))"""
WIDE: Final = f"""(module {HIGH}
  (func (export "i64.mul_wide_u, i64.add128") (param $n i64) (result i64) (local $low i64) (local $high i64)
    (local.set $low (i64.const 0x123456789abcdef1))
    (loop $again
      (i64.mul_wide_u (i64.xor (local.get $low) (local.get $high))
        (i64.or (local.get $low) (i64.const 0x5bd1e9955bd1e995)))
      (i64.add128 (local.get $low) (local.get $n))
      (local.set $high) (local.set $low)
      {STEP} (br_if $again (i64.ne (local.get $n) (i64.const 0))))
    (i64.xor (local.get $low) (local.get $high)))
  (func (export "from 64 bits") (param $n i64) (result i64)
    (local $low i64) (local $high i64) (local $x i64) (local $y i64) (local $sum i64)
    (local.set $low (i64.const 0x123456789abcdef1))
    (loop $again
      (local.set $x (i64.xor (local.get $low) (local.get $high)))
      (local.set $y (i64.or (local.get $low) (i64.const 0x5bd1e9955bd1e995)))
      (local.set $sum (i64.add (i64.mul (local.get $x) (local.get $y)) (local.get $low)))
      (local.set $high (i64.add (i64.add (call $high (local.get $x) (local.get $y)) (local.get $n))
        (i64.extend_i32_u (i64.lt_u (local.get $sum) (local.get $low)))))
      (local.set $low (local.get $sum))
      {STEP} (br_if $again (i64.ne (local.get $n) (i64.const 0))))
    (i64.xor (local.get $low) (local.get $high))))"""
"""A generator of numbers of 128 bits: a product of two words and a sum of two pairs in each step."""
KEPT: Final = """(module (tag $e (param i32))
  (func $throw (param i32) (throw $e (local.get 0)))
  (func $body (param i32)
    (block $c (result exnref) (try_table (catch_all_ref $c) (call $throw (local.get 0))) (return)) (throw_ref))
  (func (export "run") (param $n i32)
    (loop $again
      (block $h (result i32) (try_table (catch $e $h) (call $body (local.get $n))) (unreachable))
      (drop)
      (br_if $again (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))"""
"""What a frame with a destructor compiles to: the exception is kept, and thrown again."""
TURNS: Final = 2_000_000
THROWS: Final = 1_000_000
MOST_MIB: Final = 4.0
YOSYS: Final = "yosys.wasm"
FIRST_MS: Final = 1000
LATER_MS: Final = 150
LATER: Final = 3
"""Starts after which nothing more is kept."""
CALL_REF, WIDE_ROW, RESIDENT = (
    "calls through references",
    "numbers of 128 bits",
    f"{THROWS} exceptions kept and dropped",
)
FIRST_START, LATER_START = "yosys -V, first start", "yosys -V, later start"


def measure(rounds: int) -> Iterator[Row]:
    """One row of each."""
    yield compared(CALL_REF, CALLS, ("call_indirect", "call_ref"), rounds)
    yield compared(WIDE_ROW, WIDE, ("from 64 bits", "i64.mul_wide_u, i64.add128"), rounds)
    yield from kept()
    path = programs.find(YOSYS)
    if path is None:
        yield skipped(SUITE, YOSYS)
    else:
        yield from starts(path, max(3, rounds // 2))


def compared(name: str, text: str, exports: tuple[str, str], rounds: int) -> Row:
    """Processor time of functions that give the same, at level 1, and of the same on the other engine."""
    runs = {f"strata, {export}": call for export, call in ours(text, exports).items()}
    runs |= {f"wasmtime, {export}": call for export, call in theirs(text, exports).items()}
    if len({run() for run in runs.values()}) != 1:
        raise AssertionError(f"{name}: the results differ")
    return row_of(SUITE, name, "ms", interleaved(runs, max(7, rounds), 1e3, time.thread_time))


def ours(text: str, exports: Iterable[str]) -> dict[str, Callable[[], Any]]:
    """Each function, to be called."""
    import stratavm

    instance = stratavm.load(text, store=stratavm.Store(stratavm.Engine(tier="jit1", strict=True)))
    return {export: partial(instance.exports[export], TURNS) for export in exports}


def theirs(text: str, exports: Iterable[str]) -> dict[str, Callable[[], Any]]:
    """The same on wasmtime; nothing where it does not have them."""
    import wasmtime

    from stratavm.module.parser import parse_module

    config = wasmtime.Config()
    config.wasm_function_references = True
    config.wasm_wide_arithmetic = True
    engine = wasmtime.Engine(config)
    store = wasmtime.Store(engine)
    module = wasmtime.Module(engine, parse_module(text).binary)
    found = wasmtime.Instance(store, module, []).exports(store)
    return {export: partial(found[export], store, TURNS) for export in exports}


def kept() -> Iterator[Row]:
    """MiB that the process has more after a million exceptions in one call, and how long each took."""
    import stratavm

    run = stratavm.load(KEPT, store=stratavm.Store(stratavm.Engine(tier="jit1"))).exports.run
    run(THROWS // 100)
    before, begin = resident_mib(), time.thread_time()
    run(THROWS)
    seconds, grown = time.thread_time() - begin, resident_mib() - before
    yield Row(SUITE, RESIDENT, "MiB", {"strata": max(grown, 0.0)})
    yield Row(SUITE, "an exception kept and thrown again", "ns", {"strata": seconds / THROWS * 1e9})


def resident_mib() -> float:
    """What the process has of memory."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def starts(path: Path, rounds: int) -> Iterator[Row]:
    """Milliseconds of whole processes; wasmtime's first one compiles for the better part of a minute, so it has one
    round."""
    import wasmtime

    rest = [str(path), "-V"]
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "yosys.cwasm"
        begin = time.perf_counter()
        image.write_bytes(wasmtime.Module.from_file(wasmtime.Engine(), str(path)).serialize())
        theirs_first = (time.perf_counter() - begin) * 1e3
        cached = {**environment, "STRATA_CACHE": "on", "XDG_CACHE_HOME": folder, "XDG_STATE_HOME": folder}
        ours = [sys.executable, "-m", "stratavm", "run", *rest]
        first = {"strata": runner(ours, environment)}
        later = {
            "strata": runner(ours, cached),
            "wasmtime": runner([sys.executable, "-c", WASMTIME_RUN, str(image), *rest], environment),
        }
        for run in [*first.values(), *list(later.values()) * LATER]:
            run()
        sampled = interleaved(first, rounds, 1e3)
        yield row_of(SUITE, FIRST_START, "ms", {**sampled, "wasmtime": [theirs_first]})
        yield row_of(SUITE, LATER_START, "ms", interleaved(later, rounds, 1e3))


def runner(command: list[str], environment: dict[str, str]) -> Callable[[], None]:
    """A process that says which version it is."""

    def run() -> None:
        done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        if not done.stdout.startswith("Yosys "):
            raise AssertionError(f"yosys -V gave {done.stdout!r}")

    return run


def verdicts(rows: Iterable[Row]) -> list[Verdict]:
    """What issue 13 states of these figures."""
    found = []
    for row in rows:
        if row.suite != SUITE or not row.values:
            continue
        if row.name == CALL_REF:
            pairs = zip(row.samples["strata, call_ref"], row.samples["strata, call_indirect"], strict=True)
            found.append(of_median("call_ref / call_indirect", [mine / other for mine, other in pairs], 1.0))
        elif row.name == RESIDENT:
            found.append(Verdict(row.name, row.values["strata"], None, MOST_MIB, " MiB"))
        elif row.name in (FIRST_START, LATER_START):
            limit = FIRST_MS if row.name == FIRST_START else LATER_MS
            found.append(of_median(row.name, row.samples["strata"], limit, " ms"))
    return found
