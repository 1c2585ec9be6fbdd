"""The official WASI test suite, preview 1, on every kind of directory.

It is not part of this repository: check out the branch ``prod/testsuite-base`` of WebAssembly/wasi-testsuite, which
holds the compiled programs, and name the directory in ``STRATA_WASI_TESTS``.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import pytest

import stratavm
from stratavm import ExitError
from stratavm.wasi import MemoryTree, Wasi
from tests.unit.wasi.conftest import use_resolver

SUITE = os.environ.get("STRATA_WASI_TESTS", "")
PROGRAMS = sorted(Path(SUITE).glob("tests/*/testsuite/wasm32-wasip1/*.wasm")) if SUITE else []

pytestmark = pytest.mark.skipif(not PROGRAMS, reason="STRATA_WASI_TESTS does not name the official WASI suite")


def copied(origin: Path, kind: str, tmp_path: Path) -> Any:
    """The test's directory, to be changed freely: on the host or in memory."""
    if kind == "memory":
        return MemoryTree({str(p.relative_to(origin)): p.read_bytes() for p in origin.rglob("*") if p.is_file()})
    return shutil.copytree(origin, tmp_path / "root", symlinks=True)


@pytest.mark.parametrize("kind", ["openat2", "walk", "memory"])
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda p: f"{p.parents[2].name}-{p.stem}")
def test_a_program_of_the_suite_ends_as_it_says(program: Path, kind: str, tmp_path: Path) -> None:
    """Exit code, and the standard output and error where the test says what they are."""
    described = program.with_suffix(".json")
    wanted = json.loads(described.read_text()) if described.exists() else {}
    root = wanted.get("root")
    preopens = [(copied(program.parent / root, kind, tmp_path), "/", "rw")] if root else []
    out, err = bytearray(), bytearray()
    code = 0
    args = [program.name, *wanted.get("args", [])]
    with Wasi(args, wanted.get("env"), preopens, stdout=out, stderr=err) as wasi:
        if root and kind != "memory":
            use_resolver(wasi, kind, tmp_path / "root")
        try:
            stratavm.load(program, imports=wasi.namespaces()).exports._start()
        except ExitError as stop:
            code = stop.code
    assert (code, err.decode()) == (wanted.get("exit_code", 0), wanted.get("stderr", err.decode()))
    assert out.decode() == wanted.get("stdout", out.decode())
