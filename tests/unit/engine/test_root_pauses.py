"""What looks at new objects take for roots: of these are as many as new objects, or as somebody holds, and no more."""

from __future__ import annotations

from statistics import median

import pytest

from stratavm import GcConfig, load
from stratavm.heap.report import FIRST_PART, PARTS

TEXT = """(module
  (type $s (struct))
  (type $row (array (mut (ref null $s))))
  (global $row (mut (ref null $row)) (ref.null $row))
  (func (export "row") (param $n i32) (result (ref $row)) (local $at i32)
    (global.set $row (array.new_default $row (local.get $n)))
    (loop
      (array.set $row (global.get $row) (local.get $at) (struct.new $s))
      (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (local.get $n))))
    (ref.as_non_null (global.get $row)))
  (func $garbage (export "garbage") (param $k i32)
    (loop (drop (struct.new $s))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func $deep (param $depth i32) (param $before (ref $s)) (result i32) (local $mine (ref $s))
    (local.set $mine (struct.new $s))
    (call $garbage (i32.const 600))
    (if (result i32) (local.get $depth)
      (then (i32.add (ref.eq (local.get $before) (local.get $mine))
        (call $deep (i32.sub (local.get $depth) (i32.const 1)) (local.get $mine))))
      (else (i32.const 0))))
  (func (export "deep") (param $depth i32) (param $k i32)
    (loop (drop (call $deep (local.get $depth) (struct.new $s)))
      (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1)))))))"""
NEW = FIRST_PART + PARTS.index("new")
ROOTS = FIRST_PART + PARTS.index("roots")


def test_old_objects_that_a_host_gets_are_no_roots_of_looks_at_new_ones() -> None:
    """A host that goes through a large array has as many handles at once; what is old need not be told again."""
    row_of = load(TEXT, gc=GcConfig(journal_entries=1 << 14))
    row = row_of.exports.row(200_000)
    row_of.exports.garbage(600_000)
    for _ in range(2):
        row_of.store.gc()
    looks = []
    for _ in range(3):
        held = list(row)
        row_of.store.gc_journal()
        row_of.exports.garbage(600_000)
        looks += [[note[2 + ROOTS] for note in row_of.store.gc_journal() if note[0] == 0 and note[2 + NEW]]]
        del held
    firsts = min(look[0] for look in looks)
    others = median(ns for look in looks for ns in look[1:])
    assert firsts < 10 * others + 100_000, (firsts, others)  # 1.5 ms and more before, to 20 us


@pytest.mark.trace_slow  # its figures mean nothing there
def test_words_of_stacks_that_lead_to_new_objects_do_not_make_pauses_long() -> None:
    """What such a word points into is looked for from the beginning of its hole, which counts as a look at new objects:
    a nursery is no larger than can be looked at so."""
    deep = load(TEXT, gc=GcConfig(journal_entries=1 << 14, pause_us=300))
    deep.exports.garbage(3_000_000)  # the nursery is as large as it gets
    deep.exports.deep(300, 20)  # and small enough from here on
    deep.store.gc_journal()
    deep.exports.deep(300, 40)
    took = [note[2] for note in deep.store.gc_journal() if note[0] == 0 and note[2 + NEW]]
    assert median(took) < 500_000, sorted(took)  # 2.5 ms before
