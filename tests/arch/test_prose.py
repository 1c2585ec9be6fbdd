"""Claims about what wraps the pages: long lines of prose are set anew, and nothing else is touched."""

import pytest

from tools import gen, gen_prose
from tools.gen_prose import WIDTH, wrapped

LONG = "word " * 50


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
