"""Claims about the suite of building again: its limits fail where they must, and what it measures works."""

import pytest

from stratavm import Module
from tests.bench import rebuild, thresholds
from tests.bench.measure import Row


def rows(again, compiling):
    """The rows of one edit, of a full build of a second."""
    times = {rebuild.FULL: [1000.0] * 7, rebuild.AGAIN: [again] * 7}
    costs = {rebuild.FULL: [1000.0] * 7, rebuild.AGAIN: [compiling] * 7}
    return [
        Row("rebuild", name, "ms", {kind: found[0] for kind, found in samples.items()}, samples)
        for name, samples in (("same length", times), ("same length, compiling", costs))
    ]


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (rows(59, 9), 0),
        (rows(61, 9), 1),
        (rows(59, 11), 1),
        (rows(61, 11), 2),
        ([Row("rebuild", "python.wasm: skipped", "ms", {})], 0),
    ],
)
def test_limits(found, missed):
    """60 ms, and one in a hundred."""
    assert len(thresholds.missed(rebuild.verdicts(found))) == missed


LARGE = "(local.set 0 (i32.add (local.get 0) (i32.const 1)))" * 60
TEXT = f"""(module (func (export "a") (result i32) (i32.const 1)) (func (export "f") (param i32) (result i32) {LARGE}
  (local.get 0)) (func (export "b") (result i32) (i32.const 2)))"""


def test_an_edit_changes_one_function(tmp_path):
    """And nothing else: the first that is long enough, in as many bytes or in one more."""
    binary = Module(TEXT).model.binary
    for is_longer in (False, True):
        index, new = rebuild.edited(binary, is_longer)
        assert index == 1 and len(new) == len(binary) + is_longer
        old, found = Module(binary).model.functions, Module(new).model.functions
        differing = [i for i in range(3) if binary[old[i].start : old[i].end] != new[found[i].start : found[i].end]]
        assert differing == [1]
    with pytest.raises(ValueError, match="no function"):
        rebuild.edited(Module("(module (func))").model.binary, False)


def test_what_is_measured_is_built_again(tmp_path):
    """The measurement itself, with little work."""
    path = tmp_path / "a.wasm"
    path.write_bytes(Module(TEXT).model.binary)
    found = list(rebuild.measured(path, tmp_path, 1))
    assert [row.name for row in found] == [
        *(name + kind for name in rebuild.LENGTHS for kind in ("", ", processor", ", compiling"))
    ]
    assert all(value > 0 for row in found for value in row.values.values())
    assert len(rebuild.verdicts(found)) == 4
