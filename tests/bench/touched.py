"""Memory that is touched before pauses are measured (ADR-0096): a virtual machine gets it from its host at first use.

``python -m tests.bench.touched`` does it once, and says how much there was and what the slowest piece of it took.
"""

from __future__ import annotations

import json
import mmap
import subprocess
import sys
import time
from pathlib import Path
from typing import Final

LEFT: Final = 4 << 30
"""Bytes that stay untouched, for whoever else is there."""
PIECE: Final = 256 << 20
STEP: Final = 2 << 20
"""Bytes that are timed together."""
NOBODY_KNOWS: Final = 0


def available() -> int:
    """Bytes that the system could hand out just now; 0: it does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return NOBODY_KNOWS
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith("MemAvailable:")), NOBODY_KNOWS)


def touch(left: int = LEFT, most: int = sys.maxsize) -> tuple[int, float]:
    """Write to each page of what is available but for so many bytes, ``most`` together, and give all of it back. How
    many bytes, and the most milliseconds of the thread's processor time that two megabytes took."""
    pieces, worst = list[mmap.mmap](), 0.0
    while (len(pieces) + 1) * PIECE <= most and available() >= left + PIECE:
        pieces.append(mmap.mmap(-1, PIECE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))
        for at in range(0, PIECE, STEP):
            before = time.thread_time()
            pieces[-1][at : at + STEP : mmap.PAGESIZE] = b"\1" * (STEP // mmap.PAGESIZE)
            worst = max(worst, time.thread_time() - before)
    for piece in pieces:
        piece.close()
    return len(pieces) * PIECE, worst * 1e3


def touch_beside() -> tuple[int, float]:
    """The same in a process of its own, so that nothing of it is left in this one."""
    done = subprocess.run([sys.executable, "-m", __spec__.name], capture_output=True, text=True, check=True)
    size, worst = json.loads(done.stdout)
    return int(size), float(worst)


def say_touched() -> None:
    """Do it, and say what it was like."""
    size, worst = touch_beside()
    print(f"  {size >> 30} GiB were touched; 2 MiB of them took up to {worst:.1f} ms", flush=True)


if __name__ == "__main__":
    print(json.dumps(touch()))
