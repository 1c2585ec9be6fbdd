"""Run the unit tests of all rooms under every supported CPython that is found: `make versions`.

What calls from Python take for granted of CPython's objects is checked by tests, once per version, and so is what the
package does as the standard library does it, and that the compiler makes the same of a module on each; without slow
tests. Each version gets a virtual environment and a copy of the checkout under ``build/versions``, so the own build of
the checkout stays as it is. Interpreters are looked for on ``PATH`` and under ``$PYENV_ROOT`` (``~/.pyenv``); a version
that is not found is named and passed over, unless it is given as an argument.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
VERSIONS = ("3.11", "3.12", "3.13")
TESTS = "tests/unit"
PARTS = ("src", "tests", "tools", "scripts", "docs", "pyproject.toml", "README.md", "Makefile")


def find(version: str) -> str | None:
    """An interpreter of that version."""
    found = shutil.which(f"python{version}")
    if found is not None and subprocess.run([found, "-c", ""], capture_output=True, check=False).returncode == 0:
        return found
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    return next((str(p) for p in sorted(root.glob(f"versions/{version}.*/bin/python{version}"))), None)


def copy(tree: Path, parts: tuple[str, ...] = PARTS) -> None:
    """The sources of this checkout, without what was built from them."""
    shutil.rmtree(tree, ignore_errors=True)
    tree.mkdir(parents=True)
    for part in parts:
        if (ROOT / part).is_dir():
            shutil.copytree(ROOT / part, tree / part, ignore=shutil.ignore_patterns("*.so", "__pycache__", "_built*"))
        else:
            shutil.copy(ROOT / part, tree / part)


def check(version: str, interpreter: str) -> bool:
    """Build and test under one interpreter."""
    place = ROOT / "build" / "versions" / version
    python = place / "venv" / "bin" / "python"
    if not python.exists():
        subprocess.run([interpreter, "-m", "venv", str(place / "venv")], check=True)
    tree = place / "tree"
    copy(tree)
    subprocess.run([str(python), "-m", "tools.deps", "build", "test"], cwd=tree, check=True)
    clean = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV", "CI")}
    subprocess.run([str(python), "-m", "tools.build"], cwd=tree, env=clean, check=True)
    tests = [str(python), "-m", "pytest", "-q", "-n", "2", "-m", "not slow", TESTS]
    return subprocess.run(tests, cwd=tree, env=clean | {"PYTHONPATH": "src"}, check=False).returncode == 0


def each(wanted: list[str], task: Callable[[str, str], bool]) -> int:
    """Do ``task(version, interpreter)`` for every version that is found, or those given; the exit status.

    A task that raises has failed, and the other versions have their turn.
    """
    results = {}
    for version in wanted or VERSIONS:
        interpreter = find(version)
        print(f"== Python {version}: {interpreter or 'not found'}", flush=True)
        if interpreter is not None:
            try:
                results[version] = task(version, interpreter)
            except (OSError, ValueError, subprocess.CalledProcessError) as error:
                print(error, file=sys.stderr)
                results[version] = False
        elif wanted:
            results[version] = False
    for version, passed in results.items():
        print(f"Python {version}: {'passed' if passed else 'FAILED'}")
    return 0 if results and all(results.values()) else 1


def main(wanted: list[str]) -> int:
    """Build and test under each."""
    return each(wanted, check)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
