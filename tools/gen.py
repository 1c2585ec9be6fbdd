"""Run every generator: each ``tools/gen_*.py`` rewrites its own committed files with ``write``.

``write`` touches a file only when its text changes, so that nothing is rebuilt for nothing; with
``--check`` it only reports, and the exit status says whether anything is out of date.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

TOOLS = Path(__file__).resolve().parent
ROOT = TOOLS.parent
CHECK_ONLY = "--check" in sys.argv

outdated: list[str] = []


def literals(alias: Any) -> tuple[str, ...]:
    """What an alias of ``Literal`` lists."""
    found: tuple[str, ...] = alias.__args__
    return found


def write(path: str | Path, text: str) -> bool:
    """Bring a file, named from the repository root, to ``text``; true where it differed."""
    target = ROOT / path
    if target.is_file() and target.read_text() == text:
        return False
    outdated.append(str(target.relative_to(ROOT)))
    if not CHECK_ONLY:
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return True


def main() -> int:
    """Each generator in name order; the rows first, which others read."""
    for path in sorted(TOOLS.glob("gen_*.py"), key=lambda path: (path.stem != "gen_rows", path.stem)):
        importlib.import_module(f"tools.{path.stem}").main()
    for name in outdated:
        print(f"{name} is out of date: run `make gen`" if CHECK_ONLY else f"generated {name}")
    return 1 if CHECK_ONLY and outdated else 0


if __name__ == "__main__":
    from tools import gen  # the instance that the generators import, not __main__

    sys.exit(gen.main())
