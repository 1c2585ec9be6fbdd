"""`make demo`: run a real program, the PLL calculator of the IceStorm FPGA tools, in Strata."""

from __future__ import annotations

import subprocess
import sys

from tools import programs


def main() -> int:
    """From 12 MHz, make 48 MHz."""
    program = programs.find("icepll.wasm")
    if program is None:
        print("icepll.wasm is not installed: `make venv`", file=sys.stderr)
        return 1
    print("$ strata run icepll.wasm -i 12 -o 48", flush=True)
    command = [sys.executable, "-m", "stratavm", "run", str(program), "-i", "12", "-o", "48"]
    return subprocess.run(command).returncode


if __name__ == "__main__":
    sys.exit(main())
