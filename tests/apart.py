"""Scripts that run in a process of their own, as what they do would stay with this one."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Final

LONGEST_S: Final = 120


def assert_silent(script: str, **environment: str) -> None:
    """A script ends well, and says nothing: it can import what this process can, and has more variables."""
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), **environment}
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, env=env, timeout=LONGEST_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
