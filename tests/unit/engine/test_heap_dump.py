"""``Store.heap_dump``: what lies in a heap, by type, with and without garbage."""

from __future__ import annotations

import copy
import dataclasses
import json
import pickle

import pytest

from stratavm import Closed, Engine, HeapDump, Module, Store, StoreBusy, load
from stratavm.base import switches

TEXT = """(module
  (import "env" "ask" (func $ask))
  (type $node (sub (struct (field (mut (ref null $node))) (field i64))))
  (type $wide (sub $node (struct (field (mut (ref null $node))) (field i64) (field v128))))
  (type $bytes (array (mut i8)))
  (type (struct))
  (global $g (mut (ref null any)) (ref.null any))
  (func (export "keep") (param i32) (result (ref $bytes)) (array.new_default $bytes (local.get 0)))
  (func (export "hold")
    (global.set $g (struct.new $wide (struct.new_default $node) (i64.const 1) (v128.const i64x2 0 0))))
  (func (export "none") (result (ref any)) (struct.new 3))
  (func (export "drop") (param $k i32)
    (loop (drop (struct.new_default $node)) (br_if 0 (local.tee $k (i32.sub (local.get $k) (i32.const 1))))))
  (func (export "ask") (call $ask)))"""


@pytest.mark.parametrize("tier", ["oracle", "jit0", "jit1", "auto"])
def test_objects_and_bytes_by_type(tier: str) -> None:
    """What is reachable, or what is there; large objects, fresh holes and old ones."""
    seen: list[HeapDump] = []
    instance = load(TEXT, {"env": {"ask": lambda: seen.append(store.heap_dump(collect=False))}}, tier=tier)
    store, call = instance.store, instance.exports
    assert str(store.heap_dump()) == "0 objects, 0 bytes; 0 bytes of blocks in use"
    kept = [call["keep"](100_000), call["keep"](1), call["none"]()]
    call["hold"]()
    call["drop"](10)
    full = store.heap_dump(collect=False)
    found = {row.type.name: row.objects for row in full.rows}
    assert found.pop("node") == 11 or switches.CHECK.value() >= 2  # then there is no garbage
    assert found == {"bytes": 2, "wide": 1, "": 1}
    live = store.heap_dump()
    assert [(row.type.title, row.objects, row.bytes) for row in live.rows] == [
        ("array $bytes", 2, 100_016 + 16),
        ("struct $wide", 1, 48),
        ("struct $node", 1, 32),
        ("struct type 3", 1, 16),
    ]
    assert (live.objects, live.bytes) == (5, 100_128)
    assert live.used_bytes == 5 * (1 << 15)
    assert str(live).splitlines()[1:3] == [
        "     objects          bytes  type",
        "           2        100,032  array $bytes",
    ]
    del kept
    call["ask"]()
    assert seen[0].objects == 5
    assert store.heap_dump().objects == 2


def test_dumps_that_cannot_be_had() -> None:
    """Of a store that is closed, and with a collection inside of a call."""
    found: list[Exception] = []

    def ask() -> None:
        try:
            store.heap_dump()
        except StoreBusy as error:
            found.append(error)

    engine = Engine()
    instance = load(TEXT, {"env": {"ask": ask}}, store=Store(engine))
    store = instance.store
    instance.exports["ask"]()
    assert found
    with pytest.raises(TypeError, match="collect must be True or False"):
        store.heap_dump(collect=1)
    store.close()
    with pytest.raises(Closed):
        store.heap_dump()
    with pytest.raises(Closed):
        store.heap_dump(collect=False)
    assert Module(TEXT, engine).object_type("node").title == "struct $node"


def test_what_lay_in_a_heap_can_be_kept_and_sent_elsewhere() -> None:
    """As other figures: it is data, and holds neither the store nor its engine."""
    instance = load(TEXT, {"env": {"ask": lambda: None}})
    kept = instance.exports["keep"](5)
    found = instance.store.heap_dump()
    for again in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert again == found and hash(again) == hash(found) and str(again) == str(found)
    row = {"type": {"name": "bytes", "index": 2, "is_array": True, "title": "array $bytes"}, "objects": 1, "bytes": 16}
    assert json.loads(json.dumps(dataclasses.asdict(found))) == {"rows": [row], "used_bytes": found.used_bytes}
    assert kept.type == instance.module.object_type(found.rows[0].type.name)
