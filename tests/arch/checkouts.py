"""Tiny checkouts that tests build, and what runs in them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tools import build

ROOT = Path(__file__).resolve().parents[2]
OPT = build.VARIANTS["opt"]


def make(checkout: Path) -> int:
    """Build that checkout as a new process would."""
    build.read.cache_clear()
    build.cimported.cache_clear()
    return build.make(checkout, OPT)


def outcome(checkout: Path, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What a fresh interpreter does in that checkout; no signal ends it."""
    env = os.environ | {"PYTHONPATH": str(checkout / "src"), "PYTHONDONTWRITEBYTECODE": "1"} | environment
    done = subprocess.run([sys.executable, *words], env=env, capture_output=True, text=True)
    assert done.returncode >= 0, f"signal {-done.returncode}"
    return done
