"""C that Cython writes wrong is right in what is compiled: a list that cannot grow has let go of its item once, and an
exception may have no traceback."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests import needed
from tests.arch import checkouts
from tools import build, mended

MODULE = """# strata: hot
def listed(things):
    return [thing() for thing in things]
def caught(what):
    try:
        what()
    except BaseException as error:
        return 1
def entered(lock, what):
    with lock:
        what()
def raised(what):
    try:
        what()
    except BaseException as error:
        raise
"""
UNTRACED = """
import _testcapi
from stratavm.zz import caught, entered, raised
class Lock:
    def __enter__(self): pass
    def __exit__(self, *what): pass
lock = Lock()
def fail():
    return [object() for _ in range(3)]
for act in (lambda: caught(fail), lambda: entered(lock, fail), lambda: raised(fail)):
    for at in range(60):
        _testcapi.set_nomemory(at, at + 50)
        try:
            act()
        except MemoryError:
            pass
        finally:
            _testcapi.remove_mem_hooks()
print("came through")
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


def test_an_exception_without_a_traceback_is_caught(checkout: Path) -> None:
    """By what returns from there, by ``with``, and on its way out."""
    needed.module("_testcapi")
    checkouts.make(checkout)
    assert checkouts.outcome(checkout, "-c", UNTRACED).stdout == "came through\n"


def test_cython_by_itself_crashes_there(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When this fails Cython is right, and there is nothing to be mended."""
    needed.module("_testcapi")
    monkeypatch.setattr(mended, "mended", lambda text: text)
    checkouts.make(checkout)
    with pytest.raises(AssertionError, match=f"^signal {signal.SIGSEGV:d}"):
        checkouts.outcome(checkout, "-c", UNTRACED)


@pytest.mark.parametrize("mend", mended.MENDS, ids=lambda mend: mend.name.split("(")[0].split()[-1])
def test_another_text_is_refused_and_none_is_left_alone(mend: mended.Mend) -> None:
    """A Cython that writes a function otherwise has to be looked at."""
    with pytest.raises(ValueError, match=r"no longer writes __Pyx_\w+ as it did"):
        mended.mended(mend.name + "    return other(list, x);\n}\n")
    assert mended.mended("int main() {}\n") == "int main() {}\n"
    before = "" if mend.name in mend.wrong else mend.name
    assert mended.mended(before + mend.wrong) == before + mend.right


def test_what_is_mended_is_part_of_every_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or what was compiled before would run."""
    before = build.toolchain()
    build.toolchain.cache_clear()
    monkeypatch.setattr(mended, "DIGEST", "another")
    assert build.toolchain() != before
    build.toolchain.cache_clear()
