"""File sizes and coupling beside those of the origin tree; non-zero unless both are 30 % lower.

The origin is RunningShrimp/vm at ca4877e (Rust): 317 files under ``src`` folders, counted with
comments and blank lines as here; an edge is a file that names another crate of that workspace.
Here an edge is a module that knows another package of ``stratavm`` (``tools/structure.py``).
"""

from __future__ import annotations

import sys

from tools import structure

PACKAGE = structure.SRC / structure.PACKAGE
ORIGIN = {"median lines": 377.0, "p95 lines": 1270.0, "max lines": 9548.0, "edges per module": 0.915}
WANTED = 0.7  # of the origin's figure


def measure() -> dict[str, float]:
    """The figures of this tree, generated files left out."""
    paths = [p for p in PACKAGE.rglob("*.py") if not p.name.startswith("_gen_")]
    written = [p for p in paths if p.name != "__init__.py" or p.stat().st_size > 200]
    lines = sorted(len(p.read_text().splitlines()) for p in written)
    return {
        "median lines": lines[len(lines) // 2],
        "p95 lines": lines[len(lines) * 95 // 100],
        "max lines": lines[-1],
        "edges per module": structure.crossing(structure.read()),
    }


def main(arguments: list[str]) -> int:
    """Print both trees; the exit status says whether the figures are low enough (``lines``, ``edges``: only those)."""
    figures = {k: v for k, v in measure().items() if not arguments or arguments[0] in k}
    for name, here in figures.items():
        change = 100 * (here / ORIGIN[name] - 1)
        print(f"{name:18} {here:8.2f}   origin {ORIGIN[name]:8.2f}   {change:+.0f} %")
    return 0 if all(here <= WANTED * ORIGIN[name] for name, here in figures.items()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
