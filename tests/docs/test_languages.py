"""Of languages whose objects the engine collects, pages name those alone whose programs were run."""

from __future__ import annotations

import re

from tests.docs.test_names import PAGES, ROOT

RAN = {"MoonBit", "Kotlin"}
"""By ``tests/programs/test_outside.py``."""
OTHERS = re.compile(r"\b(Dart|Flutter|Java|Scala|OCaml|Scheme|Hoot|Virgil|J2CL|Guile)\b")


def test_languages_of_the_table_are_those_that_ran() -> None:
    """In README; each has a test of its programs."""
    row = re.search(r"^\| languages whose objects are collected \| (.*?) \(", (ROOT / "README.md").read_text(), re.M)
    assert row is not None
    assert {*re.findall(r"[A-Z]\w+", row[1])} - {"WASI"} == RAN
    tested = (ROOT / "tests/programs/test_outside.py").read_text()
    assert all(name in tested for name in RAN)


def test_no_page_names_another_one() -> None:
    """Nobody has tried what its compiler makes."""
    assert {page.name: found[0] for page in PAGES if (found := OTHERS.search(page.read_text()))} == {}
