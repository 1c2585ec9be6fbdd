"""The scientific programs in the sandbox: in clones of snapshots, sessions and forks they print what they print on
wasmtime.
"""

from __future__ import annotations

import pytest

from stratavm.sandbox import Python
from tests import needed
from tests.programs.pythons import HERE, LANGUAGE, MODULE, SCIENCE, SCRIPTS
from tests.programs.ways import Another, Ways

pytestmark = [pytest.mark.trace_slow, pytest.mark.slow]


@pytest.fixture(scope="module")
def python():
    """Runs, whose interpreters begin with a snapshot."""
    needed.program(MODULE)
    made = Python()
    made.run("0")
    return made


@pytest.fixture(scope="module")
def warm(python):
    """Runs that begin with the packages."""
    return python.warm("import numpy, pandas, scipy.stats, sklearn")


def check(done, script):
    """Every digit."""
    assert done.error is None and done.code == 0, done.stderr[-2000:]
    assert done.stdout == (HERE / f"{script}.txt").read_text()
    assert done.faults == 0 and not done.truncated


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_clone_of_a_snapshot(python, script):
    """Of an interpreter that has imported next to nothing."""
    check(python.run((HERE / f"{script}.py").read_text(), timeout=600), script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_clone_of_a_warm_snapshot(warm, script):
    """The packages are loaded."""
    check(warm.run((HERE / f"{script}.py").read_text(), timeout=600), script)


@pytest.mark.parametrize("script", SCRIPTS)
def test_a_session_and_its_fork(warm, script):
    """In a second turn, and again in what was forked before."""
    with warm.session() as session:
        session.run("before = 1")
        with session.fork() as fork:
            for each in (session, fork):
                check(each.run((HERE / f"{script}.py").read_text(), timeout=600), script)


@pytest.fixture(scope="module")
def ways(tmp_path_factory):
    """All of them."""
    needed.program(MODULE)
    return Ways(tmp_path_factory.mktemp("ways"))


@pytest.mark.parametrize("script", LANGUAGE)
def test_longer_programs_of_the_library(ways, script):
    """In a clone; `make programs` does all of them in all ways."""
    ways.all["clone"](script)


@pytest.mark.parametrize("script", ["filters", "images"])
def test_longer_programs_of_science(ways, script):
    """In a session and its fork: of each package at least one in `make programs`."""
    assert script in SCIENCE
    ways.all["session and fork"](script)


def test_an_output_that_is_another_is_seen(ways, tmp_path, monkeypatch):
    """By its line; and a program that fails."""
    ways.all["run"]("coroutines")
    monkeypatch.setattr("tests.programs.ways.HERE", tmp_path)
    (tmp_path / "a.py").write_text("print(1)\nprint(2)")
    (tmp_path / "a.txt").write_text("1\n3\n")
    with pytest.raises(Another, match="a, clone:  line 2: '2', expected '3'"):
        ways.all["clone"]("a")
    (tmp_path / "a.py").write_text("print(1)\nprint(3)\n1 / 0")
    with pytest.raises(Another, match="ZeroDivisionError"):
        ways.all["clone"]("a")
