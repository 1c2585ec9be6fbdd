"""Words for people: a line of source with a caret under it, and names that are near."""

from __future__ import annotations

from _collections_abc import Iterable

from stratavm.base.forms import Final
from stratavm.base.importing import importing
from stratavm.base.text import escape, is_visible, printable

NAME_CHARACTERS: Final = 200
EXCERPT_COLUMNS: Final = 100
BEFORE_CARET: Final = 60
"""Columns that are kept to the left of a caret where a line is cut."""
NEAR_CANDIDATES: Final = 10_000


def excerpt(text: str, line: int, column: int) -> str:
    """A line of a text with a caret below one of its characters; empty where there is no such line.

    Args:
        text: the whole text; its lines end with ``\\n``, ``\\r`` or ``\\r\\n``.
        line: from 1.
        column: in characters, from 1.

    Tabs become two spaces, wide characters count double, what cannot be printed is escaped, long lines are cut.
    """
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not 1 <= line <= len(lines):
        return ""
    source, at = lines[line - 1], column - 1
    begin = max(0, at - BEFORE_CARET) if at > EXCERPT_COLUMNS - 10 else 0
    end = begin + EXCERPT_COLUMNS
    before, after = ("".join(map(_shown, part)) for part in (source[begin:at], source[at:end]))
    left = "…" if begin else ""
    margin = f"{line:>5} | "
    caret = " " * (len(margin) - 2) + "| " + " " * (columns(left) + columns(before)) + "^"
    return f"{margin}{left}{before}{after}{'…' if end < len(source) else ''}\n{caret}"


def amount(size: int) -> str:
    """A number of bytes as people say it: ``65,536 bytes`` as ``64 KiB``, ``67,174,400`` as ``64.1 MiB``."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if size >> shift:
            return f"{size / (1 << shift):.1f}".removesuffix(".0") + f" {unit}"
    return counted(size, "byte")


def exactly(size: int) -> str:
    """A bound in bytes: as an ``amount`` where that rounds nothing, ``32,767 bytes`` where it does."""
    rounded = next((10 * size % (1 << shift) for shift in (30, 20, 10) if size >> shift), 1)
    return f"{size:,} byte{'s' * (size != 1)}" if rounded else amount(size)


def _shown(c: str) -> str:
    if c == "\t":
        return "  "
    return c if is_visible(c) else escape(c)


def columns(text: str) -> int:
    """How many columns of a terminal a printable text takes."""
    if text.isascii():
        return len(text)
    with importing:
        import unicodedata  # slow to load, and wanted for an error only

    return sum(0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def nearest(name: str, known: Iterable[str], most: int = 3) -> list[str]:
    """Those of the known names that somebody may have meant, the likeliest first."""
    candidates = []
    for candidate in known:
        candidates.append(candidate)
        if len(candidates) == NEAR_CANDIDATES:
            break
    if len(name) > NAME_CHARACTERS:
        return []
    lower = name.lower()
    same = sorted(c for c in candidates if c.lower() == lower or c.strip("_") == name.strip("_"))
    with importing:
        from difflib import SequenceMatcher, get_close_matches  # slow to import

    close = get_close_matches(name, [c for c in candidates if len(c) <= NAME_CHARACTERS], 2 * most, 0.6)
    close.sort(key=lambda c: (-SequenceMatcher(None, c, name).ratio(), not c.startswith(name), c))
    return list(dict.fromkeys([*same, *close]))[:most]


def did_you_mean(name: str, known: Iterable[str], before: str = "") -> str:
    """``did you mean 'add'?``, or nothing where no known name is near; ``before`` stands before each as it is told."""
    found = [f"'{before}{printable(candidate)}'" for candidate in nearest(name, known)]
    return f"did you mean {' or '.join(found)}?" if found else ""


def some(names: Iterable[str], most: int = 8) -> str:
    """Names in a row, ``none`` where there are none, and how many more there are than ``most``."""
    all_of_them = list(names)
    shown = ", ".join(printable(name) for name in all_of_them[:most]) or "none"
    return shown + (f" and {len(all_of_them) - most} more" if len(all_of_them) > most else "")


def counted(count: int, noun: str, several: str = "") -> str:
    """``1 function``, ``2 functions``; ``several`` where more than one is not the noun with an s."""
    return f"{count} {noun if count == 1 else several or noun + 's'}"
