"""The compiler's arrays move when they grow: no pass goes on with a pointer to where an array was."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
PROGRAM = """
import hashlib
from stratavm.native.compile import MACHINE_LEVELS, Options, wasm_compiler
from stratavm.ir.pipeline import LEVELS
from stratavm.module.decode import decode
from stratavm.module.parser import parse_wat_to_bytes
from stratavm.module.validate import validate
from tests.unit.ir import small_functions

LEVEL_1 = Options(memory_plan="bounded", allocator="splitting", passes=LEVELS[1], machine=MACHINE_LEVELS[1])
texts = [small_functions.module(seed) for seed in range(12)]
for fillers in range(40):  # so that each array is full at another moment
    filler = "(local.set 0 (i32.clz (local.get 0)))" * fillers
    texts.append(f"(module (func (param i32) (result i32) {filler} (i32.eqz (i32.eqz (local.get 0)))))")
digest = hashlib.sha256()
for text in texts:
    valid = validate(decode(parse_wat_to_bytes(text)))
    for options in (Options(), Options(allocator="naive"), LEVEL_1):
        for index in range(len(valid.bodies)):
            code = wasm_compiler(valid, options).compile(index)
            digest.update(code.code)
            digest.update(repr(code.trap_sites).encode())
print(digest.hexdigest())
"""


def outcome(**environment: str) -> str:
    """What a new process compiles, each function with new arrays."""
    env = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"} | environment
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_what_was_freed_is_not_read():
    """Memory that is given back is overwritten at once (``MALLOC_PERTURB_``), and the code is the same."""
    assert outcome(MALLOC_PERTURB_="165") == outcome()
