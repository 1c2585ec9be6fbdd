"""The reference of the API shows a docstring for everything that is public, wherever it is written."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import griffe

import stratavm
from tools import gen_api


def undocumented(name: str, item: griffe.Object) -> Iterator[str]:
    """What of an exported object the reference would show as a bare signature."""
    if not item.docstring:
        yield name
    for member in item.members.values() if item.is_class else ():
        called = member.is_function or "property" in member.labels
        if called and not member.is_alias and not member.name.startswith("_") and not member.docstring:
            yield f"{name}.{member.name}"


def test_everything_public_is_documented():
    """Methods that a compiled class inherits stand in its stub without a word: they have those of the class above."""
    package = gen_api.read()
    items = {name: gen_api.find(package, place) for name, place in stratavm._EXPORTS.items()}
    assert [name for name, item in items.items() if item is None] == []
    assert [bare for name, item in items.items() if item for bare in undocumented(name, item)] == []


def test_a_stub_s_method_has_the_docstring_of_the_nearest_class_above(tmp_path: Path):
    """Through bases that are cimported; what has one keeps it, and what nobody documents stays bare."""
    package = tmp_path / "stratavm"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "low.py").write_text(
        'class Low:\n    def a(self):\n        """Low."""\n    def b(self):\n        """Low."""\n'
    )
    (package / "mid.py").write_text(
        "from cython.cimports.stratavm.low import Low\n"
        'class Mid(Low):\n    def b(self):\n        """Mid."""\n    def c(self):\n        pass\n'
    )
    (package / "top.py").write_text(
        "from cython.cimports.stratavm.mid import Mid as Base\nclass Top(Base):\n    pass\n"
    )
    (package / "top.pyi").write_text(
        "class Top:\n    def a(self) -> int: ...\n    def b(self) -> int: ...\n    def c(self) -> int: ...\n"
    )
    top = gen_api.read(tmp_path)["top.Top"]
    assert {name: member.docstring and member.docstring.value for name, member in top.members.items()} == {
        "a": "Low.",
        "b": "Mid.",
        "c": None,
    }
    assert list(undocumented("Top", top)) == ["Top", "Top.c"]
