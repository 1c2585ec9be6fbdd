"""The two walks over a body, of which neither may know a row that the other does not."""

import re
from pathlib import Path

import pytest

from stratavm.spec.index import BY_ID
from tools.gen_walk import kind

SOURCES = Path(__file__).parents[3] / "src/stratavm"


@pytest.mark.parametrize("name", ["module/validate_walk.py", "front/wasm/build_walk.py"])
def test_each_kind_of_row_has_an_arm(name: str) -> None:
    """What has none is passed over in silence, which is right for a ``nop`` alone."""
    loop = (SOURCES / name).read_text().partition("def run(self)")[2]
    kinds = {kind(row) for row in BY_ID.values()}
    assert [k for k in sorted(kinds) if not re.search(rf"kind == WK_{k.upper()}\b", loop)] == ["nop"]
