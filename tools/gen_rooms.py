"""Write the rooms and arrows of docs/ideas/architecture.md: packages, their docstrings, who knows whom, who may.

Rooms come in the order of the layers contract in pyproject.toml; arrows are imports and cimports, lazy ones included.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from tools import gen, structure

PAGE: Final = "docs/ideas/architecture.md"
MARKED: Final = re.compile(r"(<!-- rooms: made by `make gen` -->\n).*?(<!-- end -->)", re.DOTALL)
SHARE: Final = re.compile(r"^\| `(\w+)` \|.*\| (\d+) % \|$", re.M)
NEAR: Final = 1.5
"""Percent of the lines by which a room may grow before the page is written anew."""
KNOWS, MAY, NEVER, ABOVE = "●", "·", "✗", " "

Layers = Sequence[Sequence[str]]
Pairs = set[tuple[str, str]]


def layers() -> Layers:
    """The contract, top down: rooms on one level do not know each other; rooms that are only planned are left out."""
    contracts = tomllib.loads((gen.ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (lines,) = (contract["layers"] for contract in contracts if contract["id"] == "layers")
    levels = [[name.strip() for name in line.split("|") if "(" not in name] for line in lines]
    return [level for level in levels if level]


def purpose(room: str, package: Path = structure.SRC / structure.PACKAGE) -> str:
    """The docstring of a package, or of a module that is a room by itself, up to the first empty line."""
    folder = package / room
    source = folder / "__init__.py" if folder.is_dir() else folder.with_suffix(".py")
    text = ast.get_docstring(ast.parse(source.read_text())) or ""
    return " ".join(text.partition("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")


def known(seen: structure.Structure) -> Pairs:
    """Who knows whom, as rooms."""
    return {(structure.room_of(edge.source), structure.room_of(edge.target)) for edge in seen.edges}


def forbidden(rooms: Sequence[str]) -> Pairs:
    """What the layers would allow and a wall does not."""
    pairs = {(source, target) for source, target in structure.WALLS if {source, target} <= set(rooms)}
    private = {(room, target) for target, friend in structure.PRIVATE.items() for room in rooms if room != friend}
    return pairs | private


def table(levels: Layers, shares: dict[str, float], page: str = "") -> Iterator[str]:
    """A row for each room: what it is for, and its share of the lines. What the page says stays while it is near."""
    said = {room: int(share) for room, share in SHARE.findall(page)}
    yield from ("| room | is for | of the lines |", "|---|---|---:|")
    for room in (name for level in levels for name in level):
        percent = 100 * shares.get(room, 0)
        shown = said[room] if abs(said.get(room, -NEAR) - percent) < NEAR else max(round(percent), 1)
        yield f"| `{room}` | {purpose(room)} | {shown} % |"


def matrix(levels: Layers, knows: Pairs, walls: Pairs) -> Iterator[str]:
    """A row for each room, a column for each: whether it knows the other, may, or must not."""
    rooms = [name for level in levels for name in level]
    height = {name: at for at, level in enumerate(levels) for name in level}
    width = max(map(len, rooms))
    yield f"{'':{width + 3}}" + "".join(f"{number:3}" for number in range(1, len(rooms) + 1))
    for number, room in enumerate(rooms, 1):
        cells = (cell((room, other), height, knows, walls) for other in rooms)
        yield f"{number:2} {room:{width}}" + "".join(f"{mark:>3}" for mark in cells).rstrip()


def cell(pair: tuple[str, str], height: dict[str, int], knows: Pairs, walls: Pairs) -> str:
    """The mark of one room's knowledge of another."""
    room, other = pair
    if room == other or height[other] < height[room]:
        return ABOVE
    if pair in knows:
        return KNOWS
    return NEVER if pair in walls or height[other] == height[room] else MAY


def main() -> None:
    """Write the table and the matrix."""
    levels, seen = layers(), structure.read()
    rooms = [name for level in levels for name in level]
    drawn = ["```text", *matrix(levels, known(seen), forbidden(rooms)), "```"]
    page = (gen.ROOT / PAGE).read_text()
    text = "\n".join([*table(levels, structure.rooms(seen), page), "", *drawn, ""])
    made, found = MARKED.subn(lambda match: match[1] + text + match[2], page)
    if found != 1:
        raise SystemExit(f"{PAGE} has no place for the rooms")
    gen.write(PAGE, made)
