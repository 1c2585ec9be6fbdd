"""Write docs/reference/event-table.md: every event class, read from the source, so that nothing has to be built."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tools import gen

PAGE = "docs/reference/event-table.md"
SRC = Path(gen.ROOT) / "src"
HEAD = """# Table of events

Written by `make gen` from the classes. How to hear them: [Hear what happens](../how-to/events.md).
Every event also has `source` and `sequence`. Those marked ● are of life and death: no queue drops them.
"""


def events(tree: ast.Module) -> Iterator[ast.ClassDef]:
    """Classes that are decorated with ``@event``."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and any(ast.unparse(d) == "event" for d in node.decorator_list):
            yield node


def never_dropped(node: ast.ClassDef, bases: dict[str, ast.ClassDef]) -> bool:
    """Whether the class or a base in the same module says so."""
    said = any(ast.unparse(item) == "never_drop = True" for item in node.body)
    parents = [bases[ast.unparse(b)] for b in node.bases if ast.unparse(b) in bases]
    return said or any(never_dropped(parent, bases) for parent in parents)


def row(node: ast.ClassDef, bases: dict[str, ast.ClassDef]) -> str:
    """A line of the table."""
    fields = [
        f"`{item.target.id}: {ast.unparse(item.annotation)}`"
        for item in node.body
        if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
    ]
    summary = " ".join((ast.get_docstring(node) or "").split("\n\n")[0].split()).replace("``", "`").replace("|", "\\|")
    mark = " ●" if never_dropped(node, bases) else ""
    return f"| `{node.name}`{mark} | {', '.join(fields).replace('|', chr(92) + '|') or '–'} | {summary} |"


def main() -> None:
    """Write the page, a section for each module."""
    parts = [HEAD]
    for path in sorted(SRC.rglob("*.py")):
        text = path.read_text()
        if "@event\n" not in text:
            continue
        tree = ast.parse(text)
        bases = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
        rows = [row(node, bases) for node in events(tree)]
        name = ".".join(path.relative_to(SRC).with_suffix("").parts)
        parts.append("\n".join([f"## {name}", "", "| event | fields | meaning |", "|---|---|---|", *rows, ""]))
    gen.write(PAGE, "\n".join(parts).rstrip() + "\n")
