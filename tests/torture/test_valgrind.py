"""The boundary under valgrind, at small scale: nothing of ours reads or writes where it must not."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROGRAM = """
from tests.torture.scenarios import Trap, instance
exports = instance().exports
assert exports.add(1, 2) == 3 and exports.six(1, 2, 0.5, 0.25, 3, 4) == (4, 0.25) and exports.call(5) == 5
thing = [1]
assert exports.keep(thing) is thing
kinds = []
for name, args in (("load", (1 << 30,)), ("divide", (1, 0)), ("unreachable", ())):
    try:
        exports[name](*args)
    except Trap as error:
        kinds.append(error.kind)
memory = exports.memory
memory[0] = 1
view = memory[0:10]
memory.write(3, b"abc")
assert memory.grow(1) == 1 and bytes(view) == b"\\1\\0\\0abc\\0\\0\\0\\0" and memory.read_cstring(3) == "abc"
def fail(x):
    raise KeyError(x)
try:
    instance(fail).exports.call(1)
except KeyError:
    kinds.append("host")
print(*kinds)
"""
# A fault must find the program counter that faulted, so valgrind has to keep it up to date.
FLAGS = ("--smc-check=all-non-file", "--vex-iropt-register-updates=allregs-at-each-insn")


@pytest.mark.slow
@pytest.mark.trace_slow
@pytest.mark.timeout(600)
@pytest.mark.skipif(shutil.which("valgrind") is None, reason="valgrind is not installed")
def test_calls_traps_and_memories_are_clean(tmp_path):
    """No invalid access anywhere, and no use of undefined values by our code (CPython has some of its own)."""
    log = tmp_path / "log"
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}:{ROOT}", "PYTHONMALLOC": "malloc"}
    command = ["valgrind", *FLAGS, f"--log-file={log}", sys.executable, "-c", PROGRAM]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=550)
    assert done.stdout == "memory_out_of_bounds div_by_zero unreachable host\n", done.stderr
    reports = re.split(r"^==\d+== \n", log.read_text(), flags=re.M)
    bad = [r for r in reports if re.search(r"Invalid (read|write|free)", r) and "Use of" not in r]
    ours = [r for r in reports if (at := re.search(r"^==\d+==    at .*$", r, re.M)) and "stratavm" in at[0]]
    assert not ours, ours[0]
    # A guest's load outside its memory is an invalid read too: the fault that becomes the trap.
    assert len(bad) <= 1, bad
