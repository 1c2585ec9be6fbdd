"""Real programs, compiled by people who never heard of Strata, run from the shell on both tiers' terms."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import needed

SVG = """<svg xmlns="http://www.w3.org/2000/svg" width="64" height="64"><rect width="64" height="64" fill="#204080"/>
<circle cx="32" cy="32" r="20" fill="#ffcc00" stroke="white" stroke-width="3"/>
<path d="M10 54 Q32 34 54 54" fill="none" stroke="red" stroke-width="2"/></svg>
"""
SMT2 = """(set-logic QF_BV)
(declare-const x (_ BitVec 32))
(declare-const y (_ BitVec 32))
(assert (= (bvmul x y) #x0000ffff))
(assert (bvugt x #x00000001))
(assert (bvugt y #x00000001))
(assert (bvult x #x00010000))
(assert (bvult y #x00010000))
{extra}
(check-sat)
"""


def program(name: str) -> str:
    """The program's path."""
    return str(needed.program(name))


def strata(*arguments: str, cwd: Path | None = None, stdin: str = "") -> subprocess.CompletedProcess[str]:
    """Run the command in a fresh process."""
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    command = [sys.executable, "-m", "stratavm", *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, input=stdin, env=env, timeout=110)


def test_icepll_finds_the_dividers():
    """icepll computes PLL settings in C: 12 MHz to 48 MHz."""
    result = strata("run", "--tier", "jit0", program("icepll.wasm"), "-i", "12", "-o", "48")
    assert result.returncode == 0, result.stderr
    for line in ("F_VCO:  768.000 MHz", "DIVF: 63 (7'b0111111)", "DIVQ:  4 (3'b100)"):
        assert line in result.stdout


def test_icepll_on_the_oracle_prints_the_same():
    """The reference tier agrees with the compiler to the byte."""
    arguments = (program("icepll.wasm"), "-i", "16", "-o", "40")
    compiled, reference = strata("run", *arguments), strata("run", "--tier", "oracle", *arguments)
    assert reference.returncode == 0, reference.stderr
    assert compiled.stdout == reference.stdout != ""


@pytest.mark.slow
def test_resvg_draws_what_wasmtime_draws(tmp_path):
    """A Rust program: the PNG is the same to the byte as the one that wasmtime makes."""
    wasmtime = needed.module("wasmtime")
    (tmp_path / "a.svg").write_text(SVG)
    path = program("resvg.wasm")
    result = strata("run", "--tier", "jit0", "--dir", f"{tmp_path}::/::rw", path, "a.svg", "ours.png")
    assert result.returncode == 0, result.stderr
    engine = wasmtime.Engine()
    linker = wasmtime.Linker(engine)
    linker.define_wasi()
    store = wasmtime.Store(engine)
    config = wasmtime.WasiConfig()
    config.argv = ["resvg", "a.svg", "theirs.png"]
    config.preopen_dir(str(tmp_path), "/")
    store.set_wasi(config)
    instance = linker.instantiate(store, wasmtime.Module.from_file(engine, path))
    try:
        instance.exports(store)["_start"](store)
    except wasmtime.ExitTrap as stop:
        assert stop.code == 0
    ours = (tmp_path / "ours.png").read_bytes()
    assert ours[:8] == b"\x89PNG\r\n\x1a\n"
    assert ours == (tmp_path / "theirs.png").read_bytes()


@pytest.mark.parametrize(("extra", "answer", "code"), [("", "sat", 10), ("(assert (= x y))", "unsat", 20)])
def test_boolector_decides(tmp_path, extra, answer, code):
    """An SMT solver: factors 0xffff, and its exit code (10 sat, 20 unsat) is the guest's."""
    (tmp_path / "a.smt2").write_text(SMT2.format(extra=extra))
    result = strata("run", "--tier", "jit0", "--dir", f"{tmp_path}::/", program("boolector.wasm"), "a.smt2")
    assert (result.stdout.strip(), result.returncode) == (answer, code), result.stderr


def test_quickjs_evaluates(tmp_path):
    """A JavaScript engine: closures, regular expressions, BigInt, exceptions."""
    script = (
        "const f = n => n < 2 ? n : f(n - 1) + f(n - 2);"
        "console.log(f(15), 'a1b22'.replace(/[0-9]+/g, x => `<${x}>`), (2n ** 100n).toString());"
        "try { null.x } catch (e) { console.log(e.name) }"
        "console.log(0.1 + 0.2, Math.sin(1).toFixed(12), JSON.stringify({a: [1, {b: null}]}))"
    )
    result = strata("run", "--tier", "jit0", program("quickjs.wasm"), "-e", script)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines() == [
        "610 a<1>b<22> 1267650600228229401496703205376",
        "TypeError",
        '0.30000000000000004 0.841470984808 {"a":[1,{"b":null}]}',
    ]


def test_cpython_runs_python():
    """CPython 3.12 itself, 26 MB of it."""
    code = (
        "import sys; print(sys.version_info[:2], sum(i * i for i in range(1000)), f'{2 ** 0.5:.6f}', sorted('strata'))"
    )
    result = strata("run", "--tier", "jit0", program("python.wasm"), "-c", code)
    assert result.returncode == 0, result.stderr
    assert result.stdout == "(3, 12) 332833500 1.414214 ['a', 'a', 'r', 's', 't', 't']\n"


def test_cpython_reads_standard_input_and_exits_with_its_own_code():
    """Standard input reaches the guest and its exit code reaches the shell."""
    result = strata("run", program("python.wasm"), "-c", "import sys; sys.exit(len(sys.stdin.read()))", stdin="seven77")
    assert result.returncode == 7, result.stderr


def test_an_isolated_run_gives_the_same(tmp_path):
    """--isolate changes nothing that a well-behaved program can see."""
    result = strata("run", "--isolate", "--timeout", "60", program("quickjs.wasm"), "-e", "console.log(6 * 7)")
    assert (result.stdout, result.returncode) == ("42\n", 0), result.stderr
    assert "weaker" not in result.stderr
