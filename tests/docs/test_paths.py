"""Whoever starts at README gets everywhere: no link is dead, and no page is left out."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")
FRONT = ("README.md", "CONTRIBUTING.md", "SECURITY.md")


def linked(page: Path) -> set[Path]:
    """The files of this checkout that a page links to."""
    text = re.sub(r"```.*?```|`[^`]*`", "", page.read_text(), flags=re.S)
    found = (target for target in LINK.findall(text) if "://" not in target)
    return {(page.parent / target).resolve() for target in found}


@pytest.mark.parametrize("name", FRONT)
def test_the_front_pages_link_to_files_that_exist(name):
    """The documentation's own links are checked when it is built; these pages stand outside of it."""
    assert [path for path in linked(ROOT / name) if not path.exists()] == []


def test_every_page_is_reached_from_readme():
    """By links alone, as on a site that shows the files of a repository."""
    todo, seen = [ROOT / "README.md"], set()
    while todo:
        page = todo.pop()
        if page.suffix == ".md" and page.is_file() and page not in seen:
            seen.add(page)
            todo += linked(page)
    docs = {page for page in (ROOT / "docs").rglob("*.md") if "adr" not in page.parts}
    assert sorted(str(page.relative_to(ROOT)) for page in docs - seen) == []


def test_every_how_to_stands_in_the_list():
    """Which is also the order of the navigation."""
    folder = ROOT / "docs/how-to"
    assert {page for page in folder.glob("*.md") if page.name != "index.md"} <= linked(folder / "index.md")


def test_every_room_stands_in_the_list_of_internals():
    """Each has a page that is made when the documentation is built."""
    named = set(LINK.findall((ROOT / "docs/internals/index.md").read_text()))
    rooms = {f"{path.parent.name}.md" for path in (ROOT / "src/stratavm").glob("*/__init__.py")}
    assert rooms - named == set()


def test_decisions_are_numbered_one_by_one():
    """No two have one number, none is missing, and each has its number as its title."""
    pages = sorted((ROOT / "docs/adr").glob("[0-9]*.md"))
    assert [int(page.name[:4]) for page in pages] == list(range(1, len(pages) + 1))
    for page in pages:
        assert page.read_text().startswith(f"# ADR-{page.name[:4]}: "), page.name
