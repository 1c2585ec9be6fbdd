"""Switches of the environment: one file declares them, and nobody else reads the environment for one."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from stratavm.base import switches

ROOT = Path(__file__).resolve().parents[3]
DECLARING = "base/switches.py"
ALONE = "_build.py"
"""Wheels have no such file, and it works before anything else is there."""


def names_in(text: str) -> Iterator[str]:
    """Constants of a source that are the name of a switch; sentences about one are none."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.removeprefix(switches.PREFIX)
            if name != node.value and name.isidentifier():
                yield node.value


def readers(folder: Path) -> list[str]:
    """Files that name a switch, but for the two that may."""
    files = {str(path.relative_to(folder)): path for path in folder.rglob("*.py")}
    named = {name for name, path in files.items() if list(names_in(path.read_text()))}
    named |= {str(p.relative_to(folder)) for p in folder.rglob("*.pxd") if "getenv" in p.read_text()}
    return sorted(named - {DECLARING, ALONE})


def test_nobody_else_reads_the_environment_for_a_switch():
    """Whoever obeys one asks ``switches``."""
    assert readers(ROOT / "src/stratavm") == []


def test_who_reads_the_environment_is_found(tmp_path):
    """In Python and in C; a word in a sentence is no reading."""
    (tmp_path / "a.py").write_text('import os\nx = os.environ.get("STRATA_CHECK")\n')
    (tmp_path / "b.py").write_text('"""STRATA_CHECK"""\nimport os\nx = os.getenv("STRATA_" "POLL")\n')
    (tmp_path / "c.py").write_text('"""Under ``STRATA_CHECK`` 2."""\nFAMILIES = ("LC_", "STRATA_")\n')
    (tmp_path / "d.pxd").write_text('getenv("STRATA_X")')
    assert readers(tmp_path) == ["a.py", "b.py", "d.pxd"]


def test_the_builder_of_checkouts_reads_one_that_is_declared():
    """By itself, but it is listed with the others."""
    assert set(names_in((ROOT / "src/stratavm" / ALONE).read_text())) == {switches.STALE.name}


@pytest.mark.parametrize("switch", switches.SWITCHES.values(), ids=lambda switch: switch.name)
def test_every_switch_is_declared_whole(switch, monkeypatch):
    """It has a default, says what its other values do, is described in the documentation, and refuses what it does not
    know by its name."""
    monkeypatch.delenv(switch.name, raising=False)
    assert switch.value() == switch.values[""] and not switch.value()
    for text in switch.values:
        monkeypatch.setenv(switch.name, text)
        assert switch.value() == switch.values[text]
    assert any(f"{text}: " in switch.meaning for text in switch.values if text)
    monkeypatch.setenv(switch.name, "junk")
    with pytest.raises(ValueError, match=f"^{switch.name}=junk: expected .*, or nothing$"):
        switch.value()
    assert f"`{switch.name}" in (ROOT / "docs/how-to/build.md").read_text()
