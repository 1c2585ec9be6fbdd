"""Claims about what an addition takes. ``make additions`` builds and tests them; here they are only put in place."""

import ast
import shutil
from pathlib import Path

import pytest

from tools import additions

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def tree(tmp_path):
    """A copy of the files that additions change."""
    for edit in [edit for addition in additions.ADDITIONS for edit in addition.edits]:
        target = tmp_path / "src/stratavm" / edit.file
        target.parent.mkdir(parents=True, exist_ok=True)
        if edit.behind:
            shutil.copy(ROOT / "src/stratavm" / edit.file, target)
    return tmp_path


@pytest.mark.parametrize("addition", additions.ADDITIONS, ids=lambda a: a.name)
def test_an_addition_fits_and_takes_few_files(addition, tree):
    """Each place is there, what comes out is Python, and no more files are touched than may be."""
    for edit in addition.edits:
        edit.apply(tree)
    for edit in addition.edits:
        text = (tree / "src/stratavm" / edit.file).read_text()
        assert edit.text in text
        ast.parse(text)
    ast.parse(additions.TEST_HEAD + addition.test)
    assert addition.files <= addition.most
    assert addition.lines < 45


def test_all_of_them_fit_one_tree(tree):
    """No addition takes the place of another."""
    for addition in additions.ADDITIONS:
        for edit in addition.edits:
            edit.apply(tree)
    for path in tree.rglob("*.py"):
        ast.parse(path.read_text())


def test_a_place_that_has_moved_is_named(tree):
    """So that whoever moves it knows what to change here."""
    with pytest.raises(ValueError, match=r"ir/pipeline.py has no line 'gone'"):
        additions.Edit("ir/pipeline.py", "x = 1\n", "gone").apply(tree)


def test_more_files_than_it_may_take_is_a_failure(monkeypatch, capsys):
    """The command says which, and its exit status tells."""
    edits = tuple(additions.Edit(f"{name}.py", "x = 1\n") for name in "ab")
    monkeypatch.setattr(additions, "ADDITIONS", (additions.Addition("wide", "two files", 1, edits, ""),))
    monkeypatch.setattr(additions, "make", lambda chosen, tree: {"build": 90.0})
    assert additions.main([]) == 1
    printed = capsys.readouterr().out
    assert "2 of 1 files,   2 lines: two files" in printed
    assert "1.5 minutes: build 90 s" in printed
    assert printed.endswith("wide: more files than it may take\n")
    assert additions.main(["narrow"]) == 2
