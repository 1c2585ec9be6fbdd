"""Claims about the page of what is supported: nothing that exists is missing from it."""

from __future__ import annotations

from pathlib import Path

import pytest

from stratavm.module.features import FEATURES, Feature
from stratavm.wasi.p1 import functions as declared
from tests.spec.lists import Expected
from tools import gen, gen_support


def test_every_function_of_wasi_is_on_the_page():
    """The generator reads declarations as text, because it runs before anything is built."""
    assert sorted(name for name, _ in gen_support.functions()) == sorted(declared())


def test_a_declaration_that_is_not_understood_stops_the_generator(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """It does not leave the function out."""
    room = tmp_path / "src/stratavm/wasi/p1"
    room.mkdir(parents=True)
    (room / "odd.py").write_text('@PREVIEW1.function("a", "->i", *more)\ndef a():\n    """Does."""\n')
    monkeypatch.setattr(gen, "ROOT", tmp_path)
    with pytest.raises(ValueError, match=r"odd\.py: 0 declarations were understood"):
        list(gen_support.functions())


def test_what_is_there_on_request_alone_is_not_said_to_be_there():
    """Neither in the table of README, nor on the page; where a tier lacks it, that is said, asked for or not."""
    asked = [f for f in FEATURES.values() if f.asked]
    table = "\n".join(gen_support.proposals())
    assert asked and all(f"{f.name} ([on request](" in table for f in asked)
    assert table.count("on request") == len(asked)
    assert {gen_support.needing(f, "jit1", {}) for f in asked} == {"on request"}
    assert {gen_support.needing(FEATURES[name], "jit1", {}) for name in ("mvp", "gc")} == {"yes"}
    missing = {"new.wast": Expected(2, ("new",))}
    for new in (Feature("new", "4.0", "", asked=True), Feature("new", "4.0", "")):
        assert gen_support.needing(new, "jit0", missing) == "no (1)"
        assert ("on request" in gen_support.how_asked(new)) is new.asked


def test_who_makes_a_proposal_is_on_the_page_with_how_to_do_without():
    """What an error says where it is switched off."""
    page = (gen.ROOT / "docs/reference/support.md").read_text()
    told = [f for f in FEATURES.values() if f.avoid]
    assert {"gc", "simd", "threads"} <= {f.name for f in told}
    for feature in told:
        assert (
            f"| `{feature.name}` | {gen_support.plain(feature.emitted_by)} | {gen_support.plain(feature.avoid)} |"
            in page
        )
