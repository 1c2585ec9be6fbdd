"""C that Cython writes wrong is right in what is compiled: a list that cannot grow has let go of its item once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests import needed
from tests.arch import checkouts
from tools import build, mended

MODULE = """# strata: hot
def listed(things):
    return [thing() for thing in things]
"""
COUNTED = """
import sys, _testcapi
from stratavm.zz import listed
kept = object()
others = [kept] * 1000  # so that it is not freed where it is let go of too often
def give():
    return kept
calls = [give] * 2000
before, failed, at = sys.getrefcount(kept), 0, 0
while True:
    _testcapi.set_nomemory(at, at + 1)
    try:
        found = listed(calls)
    except MemoryError:
        found = None
    finally:
        _testcapi.remove_mem_hooks()
    if found:
        break
    failed, at = failed + 1, at + 1
del found
print(failed > 5, sys.getrefcount(kept) - before)
"""


@pytest.fixture
def checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tiny checkout whose hot module makes a list of what is called."""
    monkeypatch.setenv("STRATA_BUILD_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("STRATA_BUILD", "opt")
    package = tmp_path / "src/stratavm"
    package.mkdir(parents=True)
    for name in ("__init__.py", "_build.py"):
        (package / name).write_bytes((checkouts.ROOT / "src/stratavm" / name).read_bytes())
    (package / "zz.py").write_text(MODULE)
    return tmp_path


def counted(checkout: Path) -> str:
    """What is left of an object that was in lists which could not grow."""
    checkouts.make(checkout)
    return checkouts.outcome(checkout, "-c", COUNTED).stdout.strip()


def test_a_list_that_cannot_grow_lets_go_of_its_item_once(checkout: Path) -> None:
    """However often it cannot."""
    needed.module("_testcapi")
    assert counted(checkout) == "True 0"


def test_cython_by_itself_lets_go_of_it_twice(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails Cython is right, and there is nothing to be mended."""
    needed.module("_testcapi")
    monkeypatch.setattr(mended, "mended", lambda text: text)
    wrong, left = counted(checkout).split()
    assert wrong == "True" and int(left) < 0


def test_another_text_is_refused_and_none_is_left_alone() -> None:
    """A Cython that writes the function otherwise has to be looked at."""
    with pytest.raises(ValueError, match="no longer writes __Pyx_ListComp_AppendAndDecref as it did"):
        mended.mended(mended.NAME + "\n    return other(list, x);\n}\n")
    assert mended.mended("int main() {}\n") == "int main() {}\n"
    assert mended.mended(f"{mended.NAME}\n{mended.WRONG}}}\n") == f"{mended.NAME}\n{mended.RIGHT}}}\n"


def test_what_is_mended_is_part_of_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or what was compiled before would run."""
    before = build.toolchain()
    build.toolchain.cache_clear()
    monkeypatch.setattr(mended, "DIGEST", "another")
    assert build.toolchain() != before
    build.toolchain.cache_clear()
