"""Claims about the shape of the code that import-linter cannot see: what Cython cimports."""

import tomllib
from pathlib import Path

import pytest

from tools import build

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]


def height_of() -> dict[str, int]:
    """Package → its level in the layers contract, the lowest 0."""
    layers = next(c["layers"] for c in CONTRACTS if c["id"] == "layers")
    return {name.strip(" ()"): level for level, line in enumerate(reversed(layers)) for name in line.split("|")}


HEIGHT = height_of()
FILES = sorted([*SRC.rglob("*.pxd"), *(m.source for m in build.discover(ROOT))])


def package_of(path: Path) -> str:
    """The layer that a file belongs to."""
    return path.relative_to(SRC / "stratavm").parts[0]


@pytest.mark.parametrize("path", FILES, ids=lambda p: str(p.relative_to(SRC)))
def test_a_cimport_goes_down(path):
    """A struct or inline function comes from the same package or from a lower layer."""
    for other in build.cimported(path, SRC):
        if len(other.relative_to(SRC).parts) > 2 and package_of(other) != package_of(path):
            below, above = package_of(other), package_of(path)
            assert HEIGHT[below] < HEIGHT[above], f"{path} cimports {other}"


def test_the_contract_is_exhaustive():
    """A new package must be placed in a layer; the tool checks it only while this stays true."""
    assert next(c for c in CONTRACTS if c["id"] == "layers")["exhaustive"] is True
    present = {p.parent.name for p in (SRC / "stratavm").glob("*/__init__.py")}
    assert present <= HEIGHT.keys()
