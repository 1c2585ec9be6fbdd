"""Of what a figure was measured: the machine, versions, the commit, and how busy everything was."""

from __future__ import annotations

import os
import platform
import subprocess
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FRAMEWORKS: Final = ("blinker", "psygnal", "pyee", "pluggy", "dependency-injector", "wireup", "dishka", "diwire")
CHANGED: Final = "-dirty"
WRITTEN: Final = ("docs/reference/benchmarks.md", "docs/reference/benchmarks.json")


def machine() -> dict[str, str]:
    """What was measured where."""
    with open("/proc/cpuinfo") as lines:
        cpu = next((line.split(":")[1].strip() for line in lines if "model name" in line), "?")
    versions = {}
    for package in ("wasmtime", "pywasm3", *FRAMEWORKS):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {"cpu": cpu, "kernel": platform.release(), "python": platform.python_version(), **versions}


def commit() -> str:
    """What was measured: the commit, and whether something was changed in it, other than what is written of figures."""
    said = git("describe", "--always", "--exclude=*").stdout.strip()
    changed = git("diff", "--quiet", "HEAD", "--", ".", *(f":(exclude){path}" for path in WRITTEN)).returncode
    return said + CHANGED * bool(changed) if said else "unknown"


def git(*asked: str) -> subprocess.CompletedProcess[str]:
    """What it says of this checkout."""
    return subprocess.run(["git", *asked], cwd=ROOT, capture_output=True, text=True, check=False)


def load_average() -> str:
    """How many processes ran or waited in the last fifteen minutes, on average."""
    return f"{os.getloadavg()[2]:.1f}"
