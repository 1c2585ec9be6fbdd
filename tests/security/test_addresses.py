"""Effective addresses have 33 bits and are never wrapped, sign-extended or taken from dirty registers."""

import pytest

from stratavm.base.errors import Trap

from . import worlds

PAGE = 65536
LOADS = {
    "i32.load8_u": 1, "i32.load8_s": 1, "i32.load16_u": 2, "i32.load16_s": 2, "i32.load": 4, "i64.load32_s": 4,
    "i64.load32_u": 4, "i64.load8_u": 1, "i64.load16_s": 2, "i64.load": 8, "f32.load": 4, "f64.load": 8,
}  # fmt: skip
STORES = {
    "i32.store8": 1, "i32.store16": 2, "i32.store": 4, "i64.store8": 1, "i64.store16": 2, "i64.store32": 4,
    "i64.store": 8, "f32.store": 4, "f64.store": 8,
}  # fmt: skip
OFFSETS = (0, 1, 7, PAGE - 8, PAGE - 1, PAGE, 0x7FFFFFF8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFF8, 0xFFFFFFFF)
BASES = (0, 1, PAGE - 8, PAGE - 1, PAGE, 0x7FFFFFFF, 0x80000000, 0x80000001, 0xFFFFFFF8, 0xFFFFFFFF)
DIRTY = "(i32.wrap_i64 (i64.or (i64.extend_i32_u (local.get 0)) (i64.const 0xdeadbeef00000000)))"


def access(name, offset, address):
    """One access, as an expression without a result."""
    if "load" in name:
        return f"(drop ({name} offset={offset} {address}))"
    return f"({name} offset={offset} {address} ({name[:3]}.const 0))"


def all_accesses():
    """Every access at every offset, by name: with the address in a parameter, and dirty."""
    for name, width in (LOADS | STORES).items():
        for offset in OFFSETS:
            yield f"{name} {offset} p", width, offset, f"(param i32) {access(name, offset, '(local.get 0)')}"
            yield f"{name} {offset} d", width, offset, f"(param i32) {access(name, offset, DIRTY)}"


def result_of(function, *args):
    """'ok' or the name of the trap."""
    try:
        function(*args)
    except Trap as trap:
        return trap.kind
    return "ok"


@pytest.mark.parametrize("pages", [0, 1])
@worlds.every_native
def test_every_access_traps_exactly_at_the_end(config, pages):
    """Each width at each offset and base, in registers with dirty upper halves too."""
    accesses = list(all_accesses())
    functions = "".join(f'(func (export "{name}") {body})' for name, _, _, body in accesses)
    exports = worlds.instance(f"(module (memory {pages} {pages}) {functions})", config).exports
    for name, width, offset, _ in accesses:
        function = exports[name]
        for base in BASES:
            wanted = "ok" if base + offset + width <= pages * PAGE else "memory_out_of_bounds"
            assert result_of(function, base) == wanted, (name, base)


@pytest.mark.parametrize("pages", [0, 1])
@worlds.every_native
def test_constant_addresses_trap_exactly_at_the_end(config, pages):
    """The same with constants, which selection folds into displacements."""
    chosen = [("i32.load8_u", 1), ("i64.load", 8), ("f32.store", 4), ("i64.store16", 2), ("i32.store", 4)]
    cases = [(n, w, o, b) for n, w in chosen for o in OFFSETS for b in BASES]
    functions = "".join(
        f'(func (export "{i}") {access(name, offset, f"(i32.const {base})")})'
        for i, (name, _, offset, base) in enumerate(cases)
    )
    exports = worlds.instance(f"(module (memory {pages} {pages}) {functions})", config).exports
    for i, (name, width, offset, base) in enumerate(cases):
        wanted = "ok" if base + offset + width <= pages * PAGE else "memory_out_of_bounds"
        assert result_of(exports[str(i)]) == wanted, (name, offset, base)


@worlds.every_native
def test_a_memory_of_four_gibibytes_ends_where_it_ends(config):
    """The last bytes are there, and not one more."""
    text = """(module (memory (export "memory") 65536 65536)
      (func (export "last") (param i32) (result i64) (i64.load offset=0xfffffff0 (local.get 0)))
      (func (export "set") (param i32 i64) (i64.store offset=0x7fffffff (local.get 0) (local.get 1)))
      (func (export "fill") (param i32 i32) (memory.fill (local.get 0) (i32.const 1) (local.get 1)))
      (func (export "size") (result i32) (memory.size))
      (func (export "grow") (result i32) (memory.grow (i32.const 1))))"""
    exports = worlds.instance(text, config).exports
    assert exports.size() == 65536
    assert exports.grow() == -1
    exports.set(0x7FFFFFF9, 0x1122334455667788)
    assert exports.last(8) == 0x1122334455667788
    assert exports.memory.read((1 << 32) - 8, 8) == bytes.fromhex("8877665544332211")
    assert result_of(exports.last, 9) == "memory_out_of_bounds"
    assert result_of(exports.set, 0x7FFFFFFA, 0) == "memory_out_of_bounds"
    exports.fill(0xFFFFFFFF, 1)
    assert exports.last(8) == 0x0122334455667788
    assert result_of(exports.fill, 0xFFFFFFFF, 2) == "memory_out_of_bounds"


@worlds.every_config
def test_dirty_upper_halves_reach_no_address_index_or_table(config):
    """i32 values from wraps, hosts, calls, selects, blocks and loops, as address, element and br_table index."""
    text = f"""(module (import "m" "h" (func $h (param i32) (result i32)))
      (memory 1) (data (i32.const 5) "\\2a") (table 8 funcref) (elem (i32.const 5) $r)
      (type $t (func (result i32))) (func $r (type $t) (i32.const 42))
      (func $wrap (param i64) (result i32) (i32.wrap_i64 (local.get 0)))
      (func $sel (param i64 i32) (result i32)
        (select (i32.wrap_i64 (local.get 0)) (i32.wrap_i64 (i64.add (local.get 0) (i64.const 0x100000000)))
          (local.get 1)))
      (func $blk (param i64) (result i32)
        (block (result i32) (br 0 (i32.wrap_i64 (local.get 0)))))
      (func $lop (param i64) (result i32) (local i32)
        (loop (local.set 1 (i32.wrap_i64 (i64.add (local.get 0) (i64.const -1))))
          (local.set 1 (i32.add (local.get 1) (i32.const 1)))
          (br_if 0 (i32.eqz (i32.const 1))))
        (local.get 1))
      (func $sum (param i64) (result i32) (i32.add (i32.wrap_i64 (local.get 0)) (i32.const 0)))
      (func $use (param i32) (result i32)
        (block (block (br_table 0 0 0 0 0 1 0 (local.get 0))) (return (i32.const -1)))
        (i32.add (i32.load8_u (local.get 0)) (call_indirect (type $t) (local.get 0))))
      {
        "".join(
            f'(func (export "{f}") (param i64) (result i32) (call $use (call ${f} (local.get 0))))'
            for f in ("wrap", "blk", "lop", "sum")
        )
    }
      (func (export "sel") (param i64) (result i32)
        (i32.add (call $use (call $sel (local.get 0) (i32.const 1)))
          (call $use (call $sel (local.get 0) (i32.const 0)))))
      (func (export "host") (param i64) (result i32) (call $use (call $h (i32.wrap_i64 (local.get 0))))))"""
    exports = worlds.instance(text, config, {"m": {"h": lambda x: x}}).exports
    dirty = 0x7FFFFFFF00000005
    for name in ("wrap", "blk", "lop", "sum", "host"):
        assert exports[name](dirty) == 84, name
    assert exports.sel(dirty) == 168
