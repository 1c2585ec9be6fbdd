"""Golden files: text that a test compares with what is written beside it, and that ``make bless`` rewrites."""

from __future__ import annotations

import difflib
import os
from pathlib import Path

import pytest


def blessing() -> bool:
    """Whether the present output is to be accepted (``make bless ARGS=tests/…``)."""
    return os.environ.get("STRATA_BLESS") == "1"


def difference(expected: str, found: str) -> str:
    """What changed, as a unified diff with enough around it to see where; empty where nothing did."""
    lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "expected", "found", n=4, lineterm="")
    return "\n".join(lines)


def compare(path: Path, found: str) -> None:
    """Fail where the file does not hold ``found``; under ``make bless``, write it."""
    if blessing():
        path.write_text(found)
        return
    if not path.exists():
        pytest.fail(f"{path.name} is missing: make bless ARGS={path.parent.name}", pytrace=False)
    changes = difference(path.read_text(), found)
    if changes:
        pytest.fail(f"{path.name}: if this is right, `make bless`\n{changes}", pytrace=False)
