"""How the process of a command ends: at once, and yet with all that Python does at its end and that can be noticed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import stratavm

ROOT = Path(stratavm.__file__).parents[2]
SCRIPT = ROOT / "scripts/strata"
SITE = """
import atexit, os, sys
import last

atexit.register(print, "registered")
atexit.register(os.write, 1, b"before what is printed\\n")
MORE
"""
LAST = """
import os
file = os.fdopen(os.dup(1), "w")
file.write("looked through\\n")
"""
"""What Python writes when it gives the file back."""
EXITS = """(module (import "wasi_snapshot_preview1" "proc_exit" (func $e (param i32))) (memory (export "memory") 1)
  (func (export "_start") CALL))"""


@pytest.fixture
def ends(tmp_path):
    """What a program prints that exits with 3, by whatever calls it, in a Python that has its own module ``site``."""

    def run(*words: str, more: str = "", code: int = 3, **environment: str) -> list[str]:
        program = tmp_path / "exits.wat"
        program.write_text(EXITS.replace("CALL", f"(call $e (i32.const {code}))"))
        (tmp_path / "sitecustomize.py").write_text(SITE.replace("MORE", more))
        (tmp_path / "last.py").write_text(LAST)
        paths = os.pathsep.join((str(tmp_path), str(ROOT / "src")))
        env = {k: v for k, v in os.environ.items() if not k.startswith("COV")}
        env |= {"PYTHONPATH": paths, "PYTHONUNBUFFERED": "", **environment}
        done = subprocess.run(
            [sys.executable, *words, "run", str(program)], capture_output=True, text=True, env=env, timeout=60
        )
        assert not done.stderr or "ResourceWarning" in done.stderr
        assert done.returncode == (0 if "cProfile" in words else code)
        return done.stdout.splitlines()

    return run


QUICK = ["before what is printed", "registered"]
"""What was registered is called, the latest first; what was printed is written."""


@pytest.mark.parametrize("words", [(str(SCRIPT),), ("-m", "stratavm")], ids=["script", "module"])
@pytest.mark.parametrize("code", [0, 3, 255])
def test_the_command_ends_at_once(ends, words, code):
    """With its exit code, functions that were registered, and what is still to be written."""
    assert ends(*words, code=code) == QUICK


@pytest.mark.parametrize(
    ("words", "more"),
    [
        (("-X", "dev", str(SCRIPT)), ""),
        (("-W", "error", str(SCRIPT)), ""),
        ((str(SCRIPT),), "sys.setprofile(lambda *_: None)"),
        pytest.param((str(SCRIPT),), "sys.settrace(lambda *_: None)", marks=pytest.mark.trace_slow),
        ((str(SCRIPT),), "import threading; threading.Thread(target=print, args=['other']).start()"),
        (("-c", "import sys; from stratavm.cli import command; print('back', command()); sys.exit(3)"), ""),
        (("-m", "cProfile", "-o", os.devnull, "-m", "stratavm"), ""),
    ],
    ids=["dev", "warnings", "profile", "trace", "threads", "call", "profiler"],
)
def test_who_watches_sees_the_end_of_python(ends, words, more):
    """The command returns where somebody waits for that, and Python ends as ever."""
    found = ends(*words, more=more)
    assert {"looked through", *QUICK} <= set(found)
    assert ("back 3" in found) == ("-c" in words)


@pytest.mark.parametrize("words", ["--help", "--version", "run --help"])
def test_help_that_cannot_be_written_is_told_of(words):
    """As all other output is."""
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, SCRIPT, *words.split()],
            stdout=full,
            stderr=subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": str(ROOT / "src"), "PYTHONUNBUFFERED": ""},
            text=True,
            timeout=60,
        )
    assert done.returncode == 1 and done.stderr == "strata: standard output: No space left on device\n"


def test_output_that_cannot_be_written_is_told_of(tmp_path):
    """By Python, whose exit code for it is 120."""
    more = "print('never written')"
    (tmp_path / "sitecustomize.py").write_text(more)
    env = os.environ | {"PYTHONPATH": os.pathsep.join((str(tmp_path), str(ROOT / "src"))), "PYTHONUNBUFFERED": ""}
    program = tmp_path / "nothing.wat"
    program.write_text('(module (func (export "_start")))')
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, SCRIPT, "run", program],
            stdout=full,
            stderr=subprocess.PIPE,
            env=env,
            text=True,
            timeout=60,
        )
    assert done.returncode != 0 and "No space left" in done.stderr
