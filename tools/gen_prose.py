"""Wrap the prose of the pages that people write: no line of it is longer than 120 characters.

A paragraph or an item of a list that has a longer line is set anew; tables, headings, code and what other generators
write stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from tools import gen

WIDTH: Final = 120
MADE: Final = ("docs/acceptance.md", "docs/reference/")
"""Pages that are written as a whole by other generators, but for the index of a folder."""
FENCE: Final = re.compile(r"\s*(```|~~~)")
REGION: Final = re.compile(r"<!-- .*made by .*-->")
ITEM: Final = re.compile(r"\s*(?:[-*+]|\d+\.) +")
OTHER: Final = re.compile(r"\s*(?:\||#|<|!!!|$)")
MARKUP: Final = re.compile(r"(?:[-*+#|>]+|\d+[.)])$")
"""What would begin a list, a heading, a table or a quotation at the start of a line."""


def pages(root: Path) -> Iterator[Path]:
    """The pages that people write."""
    for path in (*root.glob("*.md"), *root.glob("docs/**/*.md")):
        if path.name == "index.md" or not str(path.relative_to(root)).startswith(MADE):
            yield path


def wrapped(text: str) -> str:
    """A page with its long paragraphs set anew."""
    made: list[str] = []
    block: list[str] = []
    closing = ""  # what ends the code or the region that the line is in
    for line in text.split("\n"):
        opens = FENCE.match(line)
        if closing or opens or REGION.match(line) or OTHER.match(line):
            made += [*paragraph(block), line]
            block = []
            if closing:
                closing = "" if closing in line else closing
            elif opens or REGION.match(line):
                closing = opens[1] if opens else "<!-- end -->"
        elif ITEM.match(line):
            made += paragraph(block)
            block = [line]
        else:
            block.append(line)
    return "\n".join([*made, *paragraph(block)])


def paragraph(lines: list[str]) -> list[str]:
    """A paragraph or item, set anew if one of its lines is too long."""
    if all(len(line) <= WIDTH for line in lines):
        return lines
    item = ITEM.match(lines[0])
    first = item[0] if item else re.match(r"\s*", lines[0])[0]  # type: ignore[index]
    made, line = [], first
    for word in words(" ".join([lines[0][len(first) :], *map(str.strip, lines[1:])])):
        if len(line) + 1 + len(word) > WIDTH and line.strip():
            made.append(line.rstrip())
            line = " " * len(first)
        line += word if line.isspace() or line in ("", first) else f" {word}"
    return [*made, line]


def words(text: str) -> Iterator[str]:
    """What a line may end behind: no code span is broken, and no line begins with what would be markup."""
    held = ""
    for word in re.sub(r"`[^`]+`", lambda span: span[0].replace(" ", "\0"), text).split(" "):
        if held and MARKUP.match(word):
            held += f" {word}"
        else:
            if held:
                yield held.replace("\0", " ")
            held = word
    yield held.replace("\0", " ")


def main() -> None:
    """Write the pages."""
    for path in pages(gen.ROOT):
        gen.write(path.relative_to(gen.ROOT), wrapped(path.read_text()))
