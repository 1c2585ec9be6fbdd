"""Pages that show what ``strata`` prints: each ``console`` block is run, and must print what the page says.

A block is one command behind ``$`` and its output. A ``wat`` block that begins with the comment ``;; NAME.wat`` is a
file that the page's commands may name. ``make bless ARGS=tests/docs`` writes the present output into the pages.
"""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from stratavm.cli.main import main
from tests import golden

DOCS = Path(__file__).parents[2] / "docs"
CONSOLE = re.compile(r"^```console\n\$ strata (.*)\n((?:.*\n)*?)```$", re.M)
FILE = re.compile(r"^```wat\n;; (\S+\.wat)\n((?:.*\n)*?)```$", re.M)
PAGES = [page for page in sorted(DOCS.rglob("*.md")) if CONSOLE.search(page.read_text())]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_shows_what_is_printed(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """In an empty folder with the page's own files."""
    text = page.read_text()
    monkeypatch.chdir(tmp_path)
    for name, content in FILE.findall(text):
        (tmp_path / name).write_text(content)

    def run(match: re.Match[str]) -> str:
        code = main(shlex.split(match[1]))
        out, err = capsys.readouterr()
        assert (code, err) == (0, ""), match[1]
        return f"```console\n$ strata {match[1]}\n{out}```"

    golden.compare(page, CONSOLE.sub(run, text))


def test_there_are_pages_to_run() -> None:
    """A pattern that finds nothing would pass."""
    assert "one-function" in {page.stem for page in PAGES}
    assert len(CONSOLE.findall((DOCS / "ideas/one-function.md").read_text())) >= 7
