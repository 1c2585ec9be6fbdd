"""Claims about prose: pages have no long lines, since `make gen` sets them anew; a reflow breaks no docstring."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from itertools import pairwise

import pytest

from tools import gen, gen_prose
from tools.gen_prose import WIDTH, wrapped

LONG = "word " * 50
ROOM = 96
"""Characters that a line of a docstring may have before its next word goes to the next line."""


def test_a_long_line_is_set_anew_with_its_paragraph():
    """No word is lost; the paragraphs beside it stay."""
    text = f"A short one,\nof two lines.\n\nAnother begins\n{LONG}\n\n* an item\n* {LONG}and more\n  of it\n"
    made = wrapped(text)
    assert made.split() == text.split()
    assert max(map(len, made.split("\n"))) <= WIDTH
    assert made.startswith("A short one,\nof two lines.\n\nAnother begins word word")
    assert "\n\n* an item\n* word" in made
    assert "\n  word" in made
    assert wrapped(made) == made


@pytest.mark.parametrize(
    "text",
    [
        f"| {LONG} | cell |",
        f"# {LONG}",
        f"```text\n{LONG}\n```",
        f"<!-- rooms: made by `make gen` -->\n{LONG}\n<!-- end -->",
        "short\nlines",
    ],
)
def test_what_is_no_prose_stays(text):
    """Tables, headings, code, what other generators write; and what is short enough."""
    assert wrapped(text) == text


def test_no_span_of_code_is_broken_and_no_line_begins_with_markup():
    """Names in backticks are looked up as they stand, and a dash at the start of a line would be an item."""
    text = "x" * 110 + " `make check ARGS=walls` - 2. and\n" + LONG
    made = wrapped(text)
    assert "\n`make check ARGS=walls` - 2. and word" in made


def test_the_pages_are_wrapped_as_they_are_generated(tmp_path, monkeypatch):
    """`make gen` writes what is too long, so `make check` finds it."""
    page = tmp_path / "docs/how-to/page.md"
    page.parent.mkdir(parents=True)
    page.write_text(LONG)
    made = tmp_path / "docs/reference/cli.md"
    made.parent.mkdir()
    made.write_text(LONG)
    monkeypatch.setattr(gen, "ROOT", tmp_path)
    monkeypatch.setattr(gen, "outdated", [])
    monkeypatch.setattr(gen, "CHECK_ONLY", False)
    gen_prose.main()
    assert gen.outdated == ["docs/how-to/page.md"]
    assert (page.read_text(), made.read_text()) == (wrapped(LONG), LONG)


def docstrings(text: str) -> Iterator[tuple[int, list[str]]]:
    """First line and lines of everything that stands as a string by itself, as it stands in the file."""
    source = text.split("\n")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.lineno, source[node.lineno - 1 : node.end_lineno]


def broken(text: str) -> Iterator[int]:
    """Lines of docstrings that end in the middle of a sentence though the next word has room: a reflow leaves them."""
    for first, lines in docstrings(text):
        margin = len(lines[0]) - len(lines[0].lstrip())
        for at, (line, following) in enumerate(pairwise(lines), first):
            begins = re.match(rf" {{{margin}}}([a-z(`]\S*)", following)
            ends = re.search(r"[\w,`)'\"]$", line) and re.match(rf" {{{margin}}}\S", line)
            if begins and ends and len(line) + 1 + len(begins[1]) < ROOM and " " in line.strip():
                yield at


@pytest.mark.parametrize("folder", ["src", "tools", "tests"])
def test_no_docstring_is_broken(folder):
    """Where a line was joined and set anew, its rest must not stay a line of its own."""
    sources = [path for path in (gen.ROOT / folder).rglob("*.py") if not path.name.startswith("_gen_")]
    found = [f"{path.relative_to(gen.ROOT)}:{line}" for path in sources for line in broken(path.read_text())]
    assert found == []


def test_a_broken_docstring_is_found():
    """In a function; a list, code and the end of a sentence are not."""
    head = 'def f():\n    """It ends.\n\n    What a reflow leaves is a line that ends'
    assert list(broken(f'{head}\n    in the middle of a sentence.\n    """\n')) == [4]
    assert not list(broken(f'{head}.\n    in a new sentence.\n    """\n'))
    assert not list(broken(f'{head}\n\n        in code\n    """\n'))
    assert not list(broken(f'{head}{" much later" * 5}\n    than the margin.\n    """\n'))
