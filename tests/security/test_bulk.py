"""Bulk operations, segments and instantiation at their limits."""

import pytest

from stratavm.base.errors import LinkError, Trap
from stratavm.engine.store import Store

from . import worlds

OPERATIONS = """(module (memory (export "memory") 1 3) (table (export "t") 8 16 funcref) (table $u 4 funcref)
  (data $d "0123456789") (elem $e funcref (ref.func $f) (ref.func $f) (ref.null func)) (elem declare func $f) (func $f)
  (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
  (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
  (func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
  (func (export "data_drop") (data.drop $d))
  (func (export "tcopy") (param i32 i32 i32) (table.copy 0 0 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "tacross") (param i32 i32 i32) (table.copy $u 0 (local.get 0) (local.get 1) (local.get 2)))
  (func (export "tinit") (param i32 i32 i32) (table.init 0 $e (local.get 0) (local.get 1) (local.get 2)))
  (func (export "tfill") (param i32 i32) (table.fill (local.get 0) (ref.func $f) (local.get 1)))
  (func (export "elem_drop") (elem.drop $e))
  (func (export "tgrow") (param i32) (result i32) (table.grow (ref.func $f) (local.get 0)))
  (func (export "tget") (param i32) (result i32) (ref.is_null (table.get (local.get 0))))
  (func (export "tset") (param i32) (table.set (local.get 0) (ref.null func)))
  (func (export "mgrow") (param i32) (result i32) (memory.grow (local.get 0))))"""
P, M = 65536, 0xFFFFFFFF
EDGES = (0, 1, 7, 8, 9, 10, 11, 16, 17, P - 1, P, P + 1, 0x7FFFFFFF, 0x80000000, M - 9, M)


def kind_of(function, *args):
    """'ok' or the trap."""
    try:
        function(*args)
    except Trap as trap:
        return trap.kind
    return "ok"


@worlds.every_config
def test_bulk_operations_are_exact_at_every_edge(config):
    """Zero lengths at the end and one past it, sums that wrap 32 bits, sources and targets of other sizes."""
    exports = worlds.instance(OPERATIONS, config).exports
    sizes = {
        "copy": (P, P), "fill": (P, None), "init": (P, 10), "tcopy": (8, 8), "tacross": (4, 8),
        "tinit": (8, 3),
    }  # fmt: skip
    for name, (target, source) in sizes.items():
        trap = "table_out_of_bounds" if name.startswith("t") else "memory_out_of_bounds"
        for d in EDGES:
            for n in (0, 1, 2, 8, 10, P, 0x80000000, M):
                for s in EDGES if source is not None else (0x1FF,):
                    inside = d + n <= target and (source is None or s + n <= source)
                    given = (d, s, n)
                    assert kind_of(exports[name], *given) == ("ok" if inside else trap), (name, given)
    for d in EDGES:
        for n in (0, 1, 8, 9, M):
            assert kind_of(exports.tfill, d, n) == ("ok" if d + n <= 8 else "table_out_of_bounds"), (d, n)
        assert kind_of(exports.tget, d) == kind_of(exports.tset, d) == ("ok" if d < 8 else "table_out_of_bounds")


@worlds.every_config
def test_what_traps_has_written_nothing(config):
    """The bytes before the end stay as they are."""
    exports = worlds.instance(OPERATIONS, config).exports
    exports.memory.write(P - 4, b"abcd")
    for act, args in (("fill", (P - 4, 0, 5)), ("copy", (P - 4, 0, 5)), ("init", (P - 4, 0, 5))):
        assert kind_of(exports[act], *args) == "memory_out_of_bounds"
        assert exports.memory.read(P - 4, 4) == b"abcd"
    assert kind_of(exports.tinit, 6, 0, 3) == kind_of(exports.tfill, 6, 3) == "table_out_of_bounds"
    assert [exports.tget(i) for i in range(8)] == [1] * 8


@worlds.every_config
def test_growth_has_exact_limits_and_dropped_segments_are_empty(config):
    """Deltas up to 2**32 - 1; new elements hold what was asked for; dropping twice is nothing."""
    exports = worlds.instance(OPERATIONS, config).exports
    for delta in (9, M, 0x80000000, 0x7FFFFFFF):
        assert exports.tgrow(delta) == -1
    for delta in (3, 0x10000, M, 0x80000000):
        assert exports.mgrow(delta) == -1
    assert [exports.tgrow(8), exports.tgrow(0), exports.tgrow(1)] == [8, 16, -1]
    assert [exports.tget(i) for i in range(16)] == [1] * 8 + [0] * 8
    assert [exports.mgrow(2), exports.mgrow(0), exports.mgrow(1)] == [1, 3, -1]
    for _ in range(2):
        exports.data_drop()
        exports.elem_drop()
    assert kind_of(exports.init, 0, 0, 0) == kind_of(exports.tinit, 16, 0, 0) == "ok"
    assert kind_of(exports.init, 0, 0, 1) == kind_of(exports.init, 0, 1, 0) == "memory_out_of_bounds"
    assert kind_of(exports.tinit, 0, 0, 1) == "table_out_of_bounds"


@worlds.every_config
def test_a_failed_instantiation_leaves_working_functions_in_shared_tables(config):
    """Effects up to the trap remain, and what was written keeps its instance alive: memory, globals and all."""
    store = Store(worlds.engine(config))
    owner = worlds.instance('(module (table (export "t") 4 funcref) (memory (export "m") 1))', config, None, store)
    failing = """(module (import "o" "t" (table 4 funcref)) (import "o" "m" (memory 1))
      (global $g (mut i32) (i32.const 40)) (elem (i32.const 0) $f) (data (i32.const 0) "written")
      (func $f (result i32) (global.set $g (i32.add (global.get $g) (i32.const 1))) (global.get $g)) {end})"""
    ends = ('(data (i32.const 65536) "x")', "(elem (i32.const 4) $f)", "(func $s unreachable) (start $s)")
    for end in ends:
        owner.exports.t[0] = None
        owner.exports.m.write(0, bytes(7))
        with pytest.raises(Trap):
            worlds.instance(failing.replace("{end}", end), config, {"o": owner.exports}, store)
        for _ in range(50):  # reuse whatever was freed
            worlds.instance("(module (memory 1) (global (mut i32) (i32.const 7)) (func))", config, None, store)
        assert [owner.exports.t[0]() for _ in range(3)] == [41, 42, 43]
        if "elem" not in end:
            assert owner.exports.m.read(0, 7) == b"written"
    with pytest.raises(LinkError):
        worlds.instance('(module (import "o" "t" (table 5 funcref)) (elem (i32.const 0) func))', config,
                        {"o": owner.exports}, store)  # fmt: skip


@worlds.every_config
def test_new_memories_and_tables_hold_nothing_of_old_ones(config):
    """Filled, freed and made again, zero pages included."""
    text = """(module (memory (export "memory") {n} 4) (table (export "t") 9000 externref)
      (func (export "fill") (memory.fill (i32.const 0) (i32.const 165) (i32.mul (memory.size) (i32.const 65536)))))"""
    for pages in (2, 0, 1, 0, 2):
        store = Store(worlds.engine(config))
        exports = worlds.instance(text.replace("{n}", str(pages)), config, None, store).exports
        assert not any(exports.memory.read(0, pages * P))
        assert exports.memory.grow(1) == pages
        assert not any(exports.memory.read(0, (pages + 1) * P))
        assert exports.t[8999] is None
        exports.fill()
        exports.t[8999] = "secret"
        store.close()
        del exports, store
