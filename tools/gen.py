"""Run every generator: each ``tools/gen_*.py`` rewrites its own committed files.

A generator writes only when the text changes (``write``), so that nothing is rebuilt for nothing.
"""

import importlib
from pathlib import Path

TOOLS = Path(__file__).resolve().parent
ROOT = TOOLS.parent


def write(path: str | Path, text: str) -> bool:
    """Write ``text`` under the repository root where it differs; say so."""
    target = ROOT / path
    if target.is_file() and target.read_text() == text:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(text)
    print(f"generated {target.relative_to(ROOT)}")
    return True


def main() -> None:
    """Each generator in name order."""
    for path in sorted(TOOLS.glob("gen_*.py")):
        importlib.import_module(f"tools.{path.stem}").main()


if __name__ == "__main__":
    main()
