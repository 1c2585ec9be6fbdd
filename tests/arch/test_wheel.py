"""Claim: the wheel installs into a fresh venv without a compiler, and runs WebAssembly there."""

import subprocess
import sys
import venv

import pytest

from tools import wheel

HELLO = """(module
  (import "wasi_snapshot_preview1" "fd_write"
    (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (data (i32.const 16) "hello from a wheel\\n")
  (func (export "_start")
    (i32.store (i32.const 0) (i32.const 16))
    (i32.store (i32.const 4) (i32.const 19))
    (drop (call $fd_write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)))))
"""
ADD = '(module (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1))))'


def run(*command):
    """Output of a command that must succeed, in an environment without our paths."""
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True, env=env)
    if "No matching distribution found for rich" in done.stderr:
        pytest.skip("no package index to install `rich` from")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.timeout(900)
def test_a_fresh_venv_installs_and_runs_the_wheel(tmp_path):
    """Both commands and the import work; the tag is manylinux; no guard and no C file is inside."""
    built = wheel.main()
    assert "manylinux" in built.name
    fresh = tmp_path / "venv"
    venv.create(fresh, with_pip=True, symlinks=True)
    python = fresh / "bin/python"
    run(python, "-m", "pip", "install", "-q", built)
    (tmp_path / "hello.wat").write_text(HELLO)
    for command in ("strata", "stratavm"):
        assert run(fresh / "bin" / command, "run", tmp_path / "hello.wat") == "hello from a wheel\n"
    code = f"import stratavm; print(stratavm.load({ADD!r}).exports.add(1, 2), stratavm.__file__)"
    total, place = run(python, "-c", code).split()
    assert total == "3"
    assert str(fresh) in place
    installed = {
        p.name for p in (fresh / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}").rglob("stratavm/**/*")
    }
    assert "_build.py" not in installed
    assert not any(name.endswith(".c") for name in installed)
