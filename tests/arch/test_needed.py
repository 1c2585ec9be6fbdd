"""What is missing is skipped on a developer's machine, and fails in CI, where a skip would hide it for ever."""

import re
from pathlib import Path

import pytest

from tests import needed
from tools import programs

TESTS = Path(__file__).parents[1]
EITHER = pytest.skip.Exception, pytest.fail.Exception
"""One that was not expected would skip the test that looks for the other."""


@pytest.mark.parametrize(
    ("ci", "outcome"), [(None, pytest.skip.Exception), ("", pytest.skip.Exception), ("true", pytest.fail.Exception)]
)
def test_what_is_missing_fails_in_ci_alone(monkeypatch, ci, outcome):
    """A module, and a program; the outcome says which, and how to install it."""
    monkeypatch.delenv("CI", raising=False)
    if ci is not None:
        monkeypatch.setenv("CI", ci)
    with pytest.raises(EITHER, match=r"no_such_module cannot be imported.*make venv") as caught:
        needed.module("no_such_module")
    assert caught.type is outcome
    monkeypatch.setattr(programs, "find", lambda name: None)
    with pytest.raises(EITHER, match=r"quickjs\.wasm is not installed.*make venv") as caught:
        needed.program("quickjs.wasm")
    assert caught.type is outcome


def test_what_is_there_is_given(monkeypatch):
    """In CI as elsewhere."""
    monkeypatch.setenv("CI", "true")
    assert needed.module("pytest") is pytest
    monkeypatch.setattr(programs, "find", lambda name: TESTS / name)
    assert needed.program("icepll.wasm") == TESTS / "icepll.wasm"


def test_no_test_skips_by_an_import_of_its_own():
    """``importorskip`` passes in silence in CI, too."""
    found = [
        f"{path.relative_to(TESTS)}:{text[: hit.start()].count(chr(10)) + 1}"
        for path in sorted(TESTS.rglob("*.py"))
        if path != Path(__file__)
        for text in [path.read_text()]
        for hit in re.finditer(r"\bimportorskip\b", text)
    ]
    assert found == [], "use needed.module"
