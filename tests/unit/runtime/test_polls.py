"""Claim: the slow path of a poll, taken at every single poll of compiled code, changes nothing."""

import os
import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "loop",
    "call",
    "call_indirect",
    "fac",
    "br_table",
    "select",
    "f64",
    "i64",
    "nop",
    "conversions",
    "local_tee",
)
CODE = "import sys; from stratavm.cli.main import main; sys.exit(main())"


def test_forced_polls_change_no_result(spec_dir: Path, root: Path) -> None:
    """The same assertions of the official suite pass with and without them."""
    lines = []
    for forced in ({}, {"STRATA_POLL": "always"}):
        files = [str(spec_dir / f"{name}.wast") for name in SCRIPTS]
        done = subprocess.run(
            [sys.executable, "-c", CODE, "wast", "--tier", "jit0", *files],
            env=os.environ | {"PYTHONPATH": str(root / "src")} | forced,
            capture_output=True,
            text=True,
        )
        lines.append(done.stdout.strip().splitlines()[-1])
    assert lines[0] == lines[1]
    assert int(lines[0].split()[0]) > 1000
