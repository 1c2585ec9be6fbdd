"""Every Python example of the README and the docs is run, as a reader would paste it; every shell example names
real options.
"""

from __future__ import annotations

import linecache
import re
import shlex
import shutil
from pathlib import Path

import pytest

from stratavm.cli.argparser import command_parser
from stratavm.cli.commands import COMMANDS
from tests.docs.guests import KEPT
from tests.programs.pythons import MODULE
from tools import programs

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "docs/index.md", *sorted((ROOT / "docs/how-to").glob("*.md"))]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.M | re.S)


def programs_in(source: str) -> list[str]:
    """The real programs that an example names."""
    found = [name for name in programs.WHEELS if f'"{name}"' in source]
    return [*found, MODULE] if "import Python" in source or "stratavm.adapters" in source else found


def blocks(language: str) -> list[object]:
    """(page, line, text) of each block of a language; whole programs are slow where each line is traced."""
    found = []
    for page in PAGES:
        text = page.read_text()
        for match in BLOCK.finditer(text):
            if match[1] == language:
                line = text.count("\n", 0, match.start()) + 2
                marks = [pytest.mark.trace_slow] if programs_in(match[2]) else []
                found.append(pytest.param(match[2], id=f"{page.relative_to(ROOT)}:{line}", marks=marks))
    return found


@pytest.mark.parametrize("source", blocks("python"))
def test_a_python_example_runs(source, tmp_path, monkeypatch, program):
    """In a folder with the docs' compiled guests, and a fresh namespace; its own assertions are the check."""
    shutil.copytree(KEPT, tmp_path, dirs_exist_ok=True)
    for name in programs_in(source):
        (tmp_path / name).symlink_to(program(name))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(linecache.cache, "<example>", (len(source), None, source.splitlines(True), "<example>"))
    exec(compile(source, "<example>", "exec"), {"__name__": "__example__"})


@pytest.mark.parametrize("page", sorted((ROOT / "docs/tutorial").glob("*.md")), ids=lambda page: page.name)
def test_a_tutorial_runs_from_top_to_bottom(page, tmp_path, monkeypatch):
    """Its steps follow each other in one namespace."""
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "__main__"}  # dataclasses look their module up
    text = page.read_text()
    for match in BLOCK.finditer(text):
        if match[1] == "python":  # line numbers of tracebacks are those of the page
            source = "\n" * (text.count("\n", 0, match.start()) + 1) + match[2]
            exec(compile(source, str(page), "exec"), names)


@pytest.mark.parametrize("source", blocks("shell"))
def test_a_shell_example_names_options_that_exist(source):
    """Each ``strata`` line parses up to the guest's own arguments."""
    for line in source.splitlines():
        words = shlex.split(line.replace("$ ", ""), comments=True)
        if words[:1] != ["strata"] or words[1:2] in ([], ["COMMAND"], ["--help"]):
            continue
        name, *rest = words[1:]
        if name not in COMMANDS:  # a program, perhaps behind options: `run` is understood
            assert name.startswith("-") or name.endswith((".wasm", ".wat")), line
            name, rest = "run", words[1:]
        command_parser(name).parse_args(rest)
