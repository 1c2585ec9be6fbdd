"""What Python takes and drops while a full collection waits between two slices."""

from __future__ import annotations

import gc
import os

import pytest

from stratavm import Engine, GcConfig, Linker, Module, Store
from stratavm.engine.instance import Instance
from tests.unit.engine.test_gc import TIERS

TEXT = """(module
  (type $n (struct (field $v (mut i32)) (field $next (mut (ref null $n)))))
  (type $row (array (mut (ref null $n))))
  (global $row (export "row") (mut (ref null $row)) (ref.null $row))
  (func (export "fill") (param $k i32)
    (global.set $row (array.new_default $row (local.get $k)))
    (loop
      (local.set $k (i32.sub (local.get $k) (i32.const 1)))
      (array.set $row (global.get $row) (local.get $k) (struct.new $n (local.get $k) (ref.null $n)))
      (br_if 0 (local.get $k)))))"""
READS = 300_000
MOST = 1 << 20


def made(tier: str) -> Instance:
    """An instance whose heap is collected by generations."""
    engine = Engine(tier=tier, gc=GcConfig(generations=True))
    return Linker(engine).instantiate(Store(engine), Module(TEXT, engine))


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_reads_between_two_slices_take_no_memory() -> None:
    """Each took a place of its own, 12 bytes, until the collection went on, and the places stayed."""
    instance = made("jit0")
    instance.exports.fill(2000)
    row = instance.exports.row.value
    if not instance.store.gc_for_at_most(0, begin=True):
        pytest.skip("nothing waits where each allocation collects")
    for _ in range(100):
        row[0]
    gc.collect()
    before = resident()
    for at in range(READS):
        row[at % 1000]
    assert resident() - before < MOST


@pytest.mark.parametrize("tier", TIERS)
def test_what_python_moves_between_two_slices_stays(tier: str) -> None:
    """Objects that it had before, that it takes and that it makes: each is put elsewhere, and dropped."""
    instance = made(tier)
    instance.exports.fill(3000)
    store, row = instance.store, instance.exports.row.value
    kind = row[0].type
    before = [row[at] for at in range(0, 3000, 2)]
    store.gc_for_at_most(0, begin=True)
    chain = kind.new(store, [-1, None])
    for at in range(3000):
        node = before.pop() if at % 2 and before else row[at]
        if node is None or row[node["v"]] is None:
            continue  # it was moved
        row[node["v"]] = None
        node["next"], chain = chain, node
        if at % 500 == 0:
            store.gc_for_at_most(0)
        if at % 7 == 0:
            chain = kind.new(store, [-1, chain])
    row[0] = chain
    del chain, node, before
    while store.gc_for_at_most(0.001):
        pass
    store.gc()
    found, at = set(), row[0]
    while at is not None:
        found.add(at["v"])
        at = at["next"]
    left = {thing["v"] for thing in row if thing is not None}
    assert found | left == {*range(3000), -1}
