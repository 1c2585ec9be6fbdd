"""Claims about the suite of updates: its limits fail where they must, and what it measures works."""

import pytest

import stratavm
from tests.bench import thresholds, updates
from tests.bench.measure import Row, row_of


def rows(call=9.0, pause=0.5, rollback=0.5, failed=0.0, older=0.0, made=1e6, growth=3.0, back=0.5, lost=0.0):
    """The rows of QuickJS, and of a thousand updates."""
    counts = {"made": made, "failed": failed, "of an older version": older}
    return [
        row_of("updates", "QuickJS, first call", "ms", {updates.UPDATE: [call] * 20, updates.RESTART: [80.0] * 3}),
        row_of("updates", "QuickJS, pause", "ms", {updates.WAITING: [0.5] * 20, updates.RUNNING: [pause] * 20}),
        row_of("updates", "QuickJS, rollback", "ms", {"rollback": [rollback] * 20}),
        Row("updates", "calls beside 1000 updates", "calls", counts),
        row_of("updates", "swap, rollback", "ms", {"rollback": [back] * 20}),
        Row("updates", "calls beside 100 swaps", "calls", {"made": 9.0, "failed": 0.0, "lost": lost}),
        Row("updates", "resident size", "MiB", {"after 10%": 50.0, "at the end": 50.0 + growth}),
    ]


@pytest.mark.parametrize(
    ("found", "missed"),
    [
        (rows(), 0),
        (rows(call=11), 1),
        (rows(pause=1.1), 1),
        (rows(rollback=1.1), 1),
        (rows(failed=1.0), 1),
        (rows(older=1.0), 1),
        (rows(made=999_999.0), 1),
        (rows(growth=4.1), 1),
        (rows(back=1.1), 1),
        (rows(lost=1.0), 1),
        (rows(11, 2, 2, 1, 1, 0, 5, 2, 1), 9),
        ([Row("updates", "quickjs.wasm: skipped", "ms", {})], 0),
    ],
)
def test_limits(found, missed):
    """What PLUG-3 states."""
    assert len(thresholds.missed(updates.verdicts(found))) == missed


PRINTING = """(module
  (import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1) (data (i32.const 16) "1\\n")
  (func $other (export "other") (result i32)
    (i32.and (call $write (i32.const 9) (i32.const 0) (i32.const 0) (i32.const 8)) (i32.const 65535)))
  (func $print (result i32)
    (i32.and (call $write (i32.const 1) (i32.const 0) (i32.const 1) (i32.const 8)) (i32.const 65535)))
  (func (export "_start") (i32.store (i32.const 0) (i32.const 16)) (i32.store (i32.const 4) (i32.const 2))
    (loop $l (br_if $l (i32.eqz (call $print))))))"""
COMPUTING = PRINTING.replace("(loop $l (br_if $l (i32.eqz (call $print))))", "(drop (call $print)) (loop $l (br $l))")


def test_an_edit_is_another_mask_in_a_function_that_writes():
    """Of the one that is on the stack, and each time another binary."""
    binary = stratavm.Module(PRINTING).model.binary
    edits = updates.Edits(binary)
    assert len(edits.places) == 2
    found = {edits.next(edits.places[1]) for _ in range(300)}
    assert len(found) == 300 and {len(each) for each in found} == {len(binary)}
    assert all(stratavm.Module(each).model.functions for each in list(found)[:3])
    with pytest.raises(ValueError, match="no function was chosen"):
        edits.next()
    with pytest.raises(ValueError, match="has such a mask"):
        updates.masks(stratavm.Module(PRINTING.replace("65535", "255")).model.binary)


def test_what_is_measured_is_updated(tmp_path, monkeypatch):
    """The measurement itself, with little work."""
    path = tmp_path / "a.wasm"
    path.write_bytes(stratavm.Module(PRINTING).model.binary)
    monkeypatch.setattr(updates, "beside", lambda *given: [0.1])
    found = list(updates.measured("QuickJS", path, (), (), 3))
    assert [row.name for row in found] == [f"QuickJS, {what}" for what in ("first call", "pause", "rollback")]
    assert all(value > 0 for row in found for value in row.values.values())
    assert len(found[0].samples[updates.UPDATE]) == 3
    assert len(updates.verdicts(found)) == 4


def test_pauses_beside_a_program_that_computes():
    """It goes on all the time, and ends when it is told to."""
    edits = updates.Edits(stratavm.Module(COMPUTING).model.binary)
    edits.chosen = edits.places[1]
    with stratavm.Engine(cache=False) as engine:
        assert len(updates.beside(engine, edits, (), 3)) == 3


def test_calls_beside_updates_are_counted():
    """As many as were wanted, none failed, none on an older version."""
    calls, average, resident = updates.thousand(20, 500)
    assert calls.values["made"] >= 500
    assert (calls.values["failed"], calls.values["of an older version"]) == (0, 0)
    assert average.values["on average"] > 0
    assert len(resident.values) == 2


def test_swaps_beside_calls_lose_nothing():
    """As many as were wanted, and no call failed."""
    times, back, calls = updates.swaps(5)
    assert len(times.samples["calls wait"]) == 5
    assert all(value > 0 for value in times.values.values())
    assert back.values["rollback"] > 0
    assert (calls.values["failed"], calls.values["of an older version"], calls.values["lost"]) == (0, 0, 0)
