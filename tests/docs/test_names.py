"""What a page names is there: pages are read by those who cannot know better."""

from __future__ import annotations

import pytest

from tests.docs.names import ROOT, missing

FRONT = [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")]
PAGES = [*FRONT, *sorted((ROOT / "docs").rglob("*.md"))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_what_a_page_names_is_there(page):
    """Files, folders, tests, modules, members of classes, and identifiers of the source."""
    assert list(missing(page.read_text())) == []


@pytest.mark.parametrize(
    "name",
    [
        "codegen/x64",
        "tiers/jit/emit.py",
        "rules_cobol.py",
        "tests/unit/engine/test_func.py::test_that_was_renamed",
        "tests/unit/engine/test_gone.py::test_a_call",
        "stratavm.engine.covers",
        "stratavm.run_program",
        "Store.occupy_by_hand",
        "store.give_up(2)",
        "walk_of_yesterday",
        "StoreCover",
    ],
)
def test_a_name_that_leads_nowhere_is_found(name):
    """In prose; the same words in a page's own example are the page's."""
    assert list(missing(f"See `{name}`, behind `i32.add`.\n")) == [name]
    assert list(missing(f"```text\n{name}\n```\n")) == []


@pytest.mark.parametrize(
    "name",
    ["tiers/oracle", "tools/gen_*.py", "stratavm.wasi.Clock", "Store.deadline", "await container.aget(T)", "i32.add"],
)
def test_a_name_that_leads_somewhere_is_none_to_tell(name):
    """Whatever folder it is written from."""
    assert list(missing(f"See `{name}`.\n")) == []
