"""A heap that ends before a part that another thread has since: what it had before that is as good as it was."""

from __future__ import annotations

from typing import Final

from tests.apart import assert_silent
from tests.unit.heap.test_pages import needs_pages

LOST: Final = """
import stratavm
from stratavm.heap.pages import plant
from tests.unit.heap.test_pages import MIB, is_there

TEXT = '''(module
  (type $node (struct (field i32) (field (ref null $node))))
  (global $list (mut (ref null $node)) (ref.null $node))
  (func (export "drop") (global.set $list (ref.null $node)))
  (func (export "grow") (param $n i32)
    (loop (global.set $list (struct.new $node (local.get $n) (global.get $list)))
      (br_if 0 (local.tee $n (i32.sub (local.get $n) (i32.const 1)))))))'''

def grown():
    pieces = 0
    try:
        while pieces < 50:
            exports.grow(MIB // 2 // 32)
            pieces += 1
    except stratavm.ResourceLimit as error:
        assert error.limit == "heap", error
    return pieces / 2

instance = stratavm.load(TEXT, gc=stratavm.GcConfig(pause_us=60_000_000))
exports, store = instance.exports, instance.store
exports.grow(7 * MIB // 32)
assert is_there(1)
plant(2)
first = 7 + grown()
plant(0)
assert 7 <= first < 14, first  # it has ended
for _ in range(2):
    exports.drop()
    store.gc()
    again = grown()
    assert again >= first - 0.5, (first, again)
"""


@needs_pages
def test_what_a_heap_had_before_it_ended_can_be_used_again() -> None:
    """All of it: it is no half of a reservation any more, as a heap has at most of others."""
    assert_silent(LOST)
