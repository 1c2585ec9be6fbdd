"""Repeated code: how many lines stand in a run of six or more that occurs a second time.

Blank lines, comments, docstrings and imports do not count, indentation does not matter. Every window
of six lines is looked up in a table of all others, so the time is linear in the size of the tree.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

WINDOW = 6
Place = tuple[Path, int]


def code_lines(path: Path) -> list[tuple[int, str]]:
    """(line number, text) of what counts."""
    text = path.read_text()
    skipped: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        is_string = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if is_string or isinstance(node, (ast.Import, ast.ImportFrom)):
            assert isinstance(node, ast.stmt)
            skipped.update(range(node.lineno, (node.end_lineno or node.lineno) + 1))
    stripped = ((number, line.strip()) for number, line in enumerate(text.splitlines(), 1))
    return [(n, line) for n, line in stripped if line and line[0] != "#" and n not in skipped]


def measure(paths: Iterable[Path]) -> tuple[float, list[tuple[int, Place, Place]]]:
    """Repeated lines in per cent of all, and the repeated runs: length, first place, second place."""
    files = {path: code_lines(path) for path in paths}
    first_seen: dict[tuple[str, ...], Place] = {}
    repeated: dict[Path, set[int]] = defaultdict(set)
    runs: list[tuple[int, Place, Place]] = []
    for path, lines in files.items():
        end_of_run = 0
        for start in range(len(lines) - WINDOW + 1):
            window = tuple(line for _, line in lines[start : start + WINDOW])
            origin = first_seen.setdefault(window, (path, lines[start][0]))
            if origin == (path, lines[start][0]):
                continue
            repeated[path].update(range(start, start + WINDOW))
            if start < end_of_run:
                runs[-1] = (runs[-1][0] + 1, *runs[-1][1:])
            else:
                runs.append((WINDOW, origin, (path, lines[start][0])))
            end_of_run = start + WINDOW
    total = sum(map(len, files.values()))
    return 100 * sum(map(len, repeated.values())) / max(1, total), sorted(runs, key=lambda run: -run[0])
