"""File sizes and coupling beside those of the origin tree; non-zero unless both are 30 % lower.

The origin is RunningShrimp/vm at ca4877e (Rust): 317 files under ``src`` folders, counted with
comments and blank lines as here; an edge is a file that names another crate of that workspace.
Here an edge is a module that imports, or cimports, another package of ``stratavm``.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path

from tools import build

ROOT = Path(__file__).resolve().parents[1]
SRC = ROOT / "src"
PACKAGE = SRC / "stratavm"
ORIGIN = {"median lines": 377.0, "p95 lines": 1270.0, "max lines": 9548.0, "edges per module": 0.915}
WANTED = 0.7  # of the origin's figure


def imported_packages(path: Path) -> set[str]:
    """Top-level packages of ``stratavm`` that a file imports or cimports, its own left out."""
    found = {p.relative_to(PACKAGE).parts[0] for p in build.cimported(path, SRC) if p.parent != PACKAGE}
    if path.suffix == ".py":
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            parts = (name.removeprefix("cython.cimports.").split(".") for name in names)
            found |= {p[1] for p in parts if p[0] == "stratavm" and (PACKAGE / p[1]).is_dir()}
    return found - {path.relative_to(PACKAGE).parts[0]}


def measure() -> dict[str, float]:
    """The figures of this tree, generated files left out."""
    paths = [p for p in PACKAGE.rglob("*.py") if not p.name.startswith("_gen_")]
    written = [p for p in paths if p.name != "__init__.py" or p.stat().st_size > 200]
    lines = sorted(len(p.read_text().splitlines()) for p in written)
    pairs = [imported_packages(p) | imported_packages_of_pxd(p) for p in written if p.parent != PACKAGE]
    return {
        "median lines": lines[len(lines) // 2],
        "p95 lines": lines[len(lines) * 95 // 100],
        "max lines": lines[-1],
        "edges per module": sum(map(len, pairs)) / len(pairs),
    }


def imported_packages_of_pxd(path: Path) -> set[str]:
    """The same for the ``.pxd`` beside a module: it is part of it."""
    pxd = path.with_suffix(".pxd")
    return imported_packages(pxd) if pxd.is_file() else set()


def main(arguments: list[str]) -> int:
    """Print both trees; the exit status says whether the figures are low enough (``lines``, ``edges``: only those)."""
    figures = {k: v for k, v in measure().items() if not arguments or arguments[0] in k}
    for name, here in figures.items():
        change = 100 * (here / ORIGIN[name] - 1)
        print(f"{name:18} {here:8.2f}   origin {ORIGIN[name]:8.2f}   {change:+.0f} %")
    return 0 if all(here <= WANTED * ORIGIN[name] for name, here in figures.items()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
