"""Colours: on a terminal, unless somebody says otherwise."""

from __future__ import annotations

import io
import os
import pty
import subprocess
import sys

import pytest

from stratavm.cli.style import is_coloured, paint

VARIABLES = ("NO_COLOR", "FORCE_COLOR", "CLICOLOR_FORCE", "TERM")


class Terminal(io.StringIO):
    """A stream that says it is one."""

    def isatty(self) -> bool:
        """It is."""
        return True


@pytest.mark.parametrize(
    ("variables", "terminal", "plain"),
    [
        ({}, True, False),
        ({"TERM": "dumb"}, False, False),
        ({"NO_COLOR": "1"}, False, False),
        ({"NO_COLOR": ""}, True, False),
        ({"FORCE_COLOR": "1"}, True, True),
        ({"CLICOLOR_FORCE": "1"}, True, True),
        ({"FORCE_COLOR": "0"}, True, False),
        ({"FORCE_COLOR": ""}, True, False),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, False, False),
        ({"TERM": "dumb", "FORCE_COLOR": "1"}, True, True),
    ],
)
def test_conventions(monkeypatch, variables, terminal, plain):
    """Whether a terminal and a file are coloured: who forbids it wins, then who asks for it."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (is_coloured(Terminal()), is_coloured(io.StringIO())) == (terminal, plain)
    assert paint("x", "error", Terminal()) == ("\x1b[1;31mx\x1b[0m" if terminal else "x")


def test_a_stream_that_is_closed_has_no_colours():
    """``>&-``."""
    assert is_coloured(None) is False


@pytest.mark.parametrize("variable", ["", "NO_COLOR"])
def test_errors_are_coloured_on_a_terminal_only(tmp_path, variable):
    """The same words there and in a file."""
    clean = {k: v for k, v in os.environ.items() if k not in VARIABLES} | {"TERM": "xterm"}
    command = [sys.executable, "-m", "stratavm", "run", str(tmp_path / "none.wasm")]
    plain = subprocess.run(command, stderr=subprocess.PIPE, env=clean, timeout=60).stderr
    assert b"\x1b" not in plain
    leader, follower = pty.openpty()
    subprocess.run(command, stderr=follower, env=clean | ({variable: "1"} if variable else {}), timeout=60)
    os.close(follower)
    shown = os.read(leader, 10_000).replace(b"\r\n", b"\n")
    os.close(leader)
    assert (b"\x1b[1;31mstrata:\x1b[0m" in shown) is not bool(variable)
    for code in (b"\x1b[1;31m", b"\x1b[36m", b"\x1b[0m"):
        shown = shown.replace(code, b"")
    assert shown == plain
