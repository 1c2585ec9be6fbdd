"""Claims about memory accesses, tables, globals and bulk operations, run in every variant of the jit."""

from __future__ import annotations

import pytest

from tests.unit.targets.x64.jit import outcome

OOB = "memory_out_of_bounds"
PAGE = 0x10000
WIDTHS = {
    "i32.load8_u": 1, "i32.load8_s": 1, "i32.load16_u": 2, "i32.load16_s": 2, "i32.load": 4,
    "i64.load8_u": 1, "i64.load8_s": 1, "i64.load16_u": 2, "i64.load16_s": 2, "i64.load32_u": 4, "i64.load32_s": 4,
    "i64.load": 8, "f32.load": 4, "f64.load": 8,
}  # fmt: skip
STORES = {
    "i32.store8": 1, "i32.store16": 2, "i32.store": 4, "i64.store8": 1, "i64.store16": 2, "i64.store32": 4,
    "i64.store": 8, "f32.store": 4, "f64.store": 8,
}  # fmt: skip
OFFSETS = [0, 1, 127, 128, PAGE - 8, PAGE, 2**31 - 8, 2**31 - 1, 2**31, 2**31 + 1, 2**32 - 16, 2**32 - 1]
INDICES = [0, 1, PAGE - 8, PAGE - 1, PAGE, 2**31 - 1, 2**31, 2**32 - 8, 2**32 - 1]


def to_i32(value: int) -> int:
    return value - 2**32 if value >= 2**31 else value


@pytest.mark.parametrize("op", WIDTHS)
def test_a_load_reaches_exactly_the_last_byte(jit, op):
    """Offsets up to 2**32 - 1 with any index, in registers and as constants: in bounds or a trap, never wrapped."""
    width, type_ = WIDTHS[op], op.partition(".")[0]
    functions = []
    for i, offset in enumerate(OFFSETS):
        functions.append(f'(func (export "r{i}") (param i32) (result {type_}) ({op} offset={offset} (local.get 0)))')
        functions += [
            f'(func (export "c{i}_{index}") (result {type_}) ({op} offset={offset} (i32.const {index})))'
            for index in INDICES
        ]
    instance = jit(f"(module (memory 1) {''.join(functions)})")
    for i, offset in enumerate(OFFSETS):
        for index in INDICES:
            expected = 0 if index + offset + width <= PAGE else OOB
            assert outcome(instance.exports[f"r{i}"], to_i32(index)) == expected, (offset, index)
            assert outcome(instance.exports[f"c{i}_{index}"]) == expected, (offset, index)


@pytest.mark.parametrize("op", STORES)
def test_a_store_reaches_exactly_the_last_byte(jit, op):
    """The same for stores, of registers and of constants; a store that traps writes nothing."""
    width, type_ = STORES[op], op.partition(".")[0]
    one = "1.5" if type_[0] == "f" else "-2"
    functions = []
    for i, offset in enumerate(OFFSETS):
        functions.append(
            f'(func (export "r{i}") (param i32 {type_}) ({op} offset={offset} (local.get 0) (local.get 1)))'
        )
        functions.append(
            f'(func (export "k{i}") (param i32) ({op} offset={offset} (local.get 0) ({type_}.const {one})))'
        )
    instance = jit(f'(module (memory (export "m") 1) {"".join(functions)})')
    view = instance.exports.m
    value = float(one) if type_[0] == "f" else int(one)
    for i, offset in enumerate(OFFSETS):
        for index in INDICES:
            fits = index + offset + width <= PAGE
            for name, arguments in ((f"r{i}", (value,)), (f"k{i}", ())):
                assert outcome(instance.exports[name], to_i32(index), *arguments) == (None if fits else OOB)
                data = bytes(view[0:PAGE])
                at = index + offset
                assert not fits or any(data[at : at + width])
                assert data[:at].count(0) == len(data[:at])
                assert not any(data[at + width :]) if fits else not any(data)
                view[0:PAGE] = bytes(PAGE)


def test_loads_extend_as_their_names_say(jit):
    """Sign and zero extension from every width, at the last bytes of memory."""
    names = [op for op in WIDTHS if op[0] == "i"]
    functions = [f'(func (export "{op}") (param i32) (result {op[:3]}) ({op} (local.get 0)))' for op in names]
    instance = jit(f'(module (memory (export "m") 1) {"".join(functions)})')
    for pattern in (bytes(range(0x81, 0x89)), bytes(range(0x71, 0x79)), b"\xff" * 8):
        instance.exports.m[PAGE - 8 : PAGE] = pattern
        for op in names:
            width = WIDTHS[op]
            expected = int.from_bytes(pattern[8 - width :], "little", signed=not op.endswith("_u"))
            if op == "i32.load" or op == "i64.load":
                expected = int.from_bytes(pattern[8 - width :], "little", signed=True)
            assert instance.exports[op](PAGE - width) == expected, op


def test_the_same_register_is_address_and_value(jit):
    """store8 [x] = x, and a load whose result overwrites its address."""
    instance = jit(
        """(module (memory (export "m") 1)
        (func (export "s") (param i32) (i32.store8 (local.get 0) (local.get 0)))
        (func (export "l") (param i32) (result i32) (local.set 0 (i32.load (local.get 0))) (local.get 0)))"""
    )
    instance.exports.s(200)
    assert instance.exports.m[200] == 200
    assert instance.exports.l(200) == 200


def test_effects_happen_in_order(jit):
    """A store before a trap is visible, one after it is not; the first of two traps wins."""
    instance = jit(
        """(module (memory (export "m") 1) (global $g (export "g") (mut i32) (i32.const 0)) (table 1 funcref)
        (func (export "div") (param i32 i32) (result i32)
          (i32.store (i32.const 0) (i32.const 1))
          (i32.div_s (local.get 0) (local.get 1))
          (i32.store (i32.const 4) (i32.const 1)))
        (func (export "load_div") (param i32 i32) (result i32)
          (i32.add (i32.load (local.get 0)) (i32.div_u (i32.const 1) (local.get 1))))
        (func (export "div_load") (param i32 i32) (result i32)
          (i32.add (i32.div_u (i32.const 1) (local.get 1)) (i32.load (local.get 0))))
        (func (export "dead_load") (param i32) (drop (i32.load (local.get 0))) (global.set $g (i32.const 5)))
        (func (export "dead_div") (param i32) (drop (i32.rem_s (i32.const 1) (local.get 0)))
          (global.set $g (i32.const 6)))
        (func (export "dead_trunc") (param f64) (drop (i32.trunc_f64_s (local.get 0))) (global.set $g (i32.const 7)))
        (func (export "dead_get") (param i32) (drop (table.get 0 (local.get 0))) (global.set $g (i32.const 8)))
        (func (export "store_load") (param i32 i32) (result i32)
          (i32.store (local.get 0) (i32.const 77)) (i32.load (local.get 1))))"""
    )
    e = instance.exports
    assert outcome(e.div, 1, 0) == "div_by_zero"
    assert bytes(e.m[0:8]) == bytes([1, 0, 0, 0, 0, 0, 0, 0])
    assert outcome(e.load_div, -1, 0) == OOB
    assert outcome(e.div_load, -1, 0) == "div_by_zero"
    assert outcome(e.dead_load, -1) == OOB
    assert outcome(e.dead_div, 0) == "div_by_zero"
    assert outcome(e.dead_trunc, 1e300) == "int_overflow"
    assert outcome(e.dead_get, 1) == "table_out_of_bounds"
    assert e.g.value == 0
    assert (outcome(e.store_load, 8, 8), outcome(e.store_load, -4, 8), outcome(e.store_load, 8, -4)) == (77, OOB, OOB)


def test_memory_grows_while_code_runs(jit):
    """The bound follows growth, in the function that grows and in its caller; failure is -1."""
    instance = jit(
        """(module (memory 1 4)
        (func $grow (export "grow") (param i32) (result i32) (memory.grow (local.get 0)))
        (func (export "size") (result i32) (memory.size))
        (func (export "try") (param i32) (result i32) (i32.load (local.get 0)))
        (func (export "both") (param i32 i32) (result i32)
          (drop (i32.load (i32.const 0))) (drop (call $grow (local.get 1)))
          (i32.store (local.get 0) (i32.const 9)) (i32.load (local.get 0))))"""
    )
    e = instance.exports
    assert (e.size(), e.grow(1), e.size(), e.grow(5), e.size()) == (1, 1, 2, -1, 2)
    assert outcome(e.both, 3 * PAGE - 4, 1) == 9
    assert outcome(e.both, 3 * PAGE, 0) == OOB
    assert outcome(e.both, 4 * PAGE - 4, 1) == 9
    assert (e.grow(1), e.grow(-1), e.grow(0)) == (-1, -1, 4)


def test_bulk_operations(jit):
    """copy (overlapping both ways), fill, init and drop, with bounds checked before anything is written."""
    instance = jit(
        """(module (memory (export "m") 1) (data $d "abcdef")
        (func (export "copy") (param i32 i32 i32) (memory.copy (local.get 0) (local.get 1) (local.get 2)))
        (func (export "fill") (param i32 i32 i32) (memory.fill (local.get 0) (local.get 1) (local.get 2)))
        (func (export "init") (param i32 i32 i32) (memory.init $d (local.get 0) (local.get 1) (local.get 2)))
        (func (export "drop") (data.drop $d)))"""
    )
    e = instance.exports
    e.init(0, 1, 4)
    assert bytes(e.m[0:5]) == b"bcde\0"
    e.copy(1, 0, 4)
    assert bytes(e.m[0:6]) == b"bbcde\0"
    e.copy(0, 1, 4)
    assert bytes(e.m[0:6]) == b"bcdee\0"
    e.fill(2, 0x1FF, 2)
    assert bytes(e.m[0:6]) == b"bc\xff\xffe\0"
    for call in (
        (e.copy, PAGE - 1, 0, 2),
        (e.copy, 0, PAGE - 1, 2),
        (e.fill, PAGE, 1, 1),
        (e.init, 0, 5, 2),
        (e.fill, -1, 1, -1),
    ):
        assert outcome(*call) == OOB
    assert outcome(e.fill, PAGE, 1, 0) is None
    e.drop()
    assert outcome(e.init, 0, 0, 1) == OOB
    assert outcome(e.init, 0, 0, 0) is None


def test_globals_own_and_imported(jit):
    """Every type, mutable ones through an import share one cell."""
    types = {"i32": ("5", 5), "i64": ("-6", -6), "f32": ("1.5", 1.5), "f64": ("-2.25", -2.25)}
    exporter = jit(
        "(module"
        + "".join(f'(global (export "{t}") (mut {t}) ({t}.const {text}))' for t, (text, _) in types.items())
        + ")"
    )
    imports = {"e": {t: exporter.exports[t] for t in types}}
    body = "".join(f'(import "e" "{t}" (global ${t} (mut {t})))' for t in types)
    body += "".join(
        f"(global $o{t} (mut {t}) ({t}.const 1))"
        f'(func (export "get_{t}") (result {t} {t}) (global.get ${t}) (global.get $o{t}))'
        f'(func (export "set_{t}") (param {t}) (global.set ${t} (local.get 0)) (global.set $o{t} (local.get 0)))'
        for t in types
    )
    importer = load_into(jit, f"(module {body})", imports, exporter)
    for t, (_, value) in types.items():
        assert importer.exports[f"get_{t}"]() == (value, 1)
        importer.exports[f"set_{t}"](value + 1)
        assert importer.exports[f"get_{t}"]() == (value + 1, value + 1)
        assert exporter.exports[t].value == value + 1


def load_into(jit, source, imports, other):
    """Load into the store of another instance."""
    return jit(source, imports, store=other.store)


def test_tables(jit):
    """get, set, size, grow, fill, copy, init, drop; null and bounds."""
    instance = jit(
        """(module (table $t (export "t") 4 10 funcref) (table $u 2 funcref) (elem $e func $f $g)
        (func $f (result i32) (i32.const 1)) (func $g (result i32) (i32.const 2)) (type $r (func (result i32)))
        (func (export "call") (param i32) (result i32) (call_indirect $t (type $r) (local.get 0)))
        (func (export "null") (param i32) (result i32) (ref.is_null (table.get $t (local.get 0))))
        (func (export "set") (param i32) (table.set $t (local.get 0) (ref.func $g)))
        (func (export "clear") (param i32) (table.set $t (local.get 0) (ref.null func)))
        (func (export "size") (result i32) (table.size $t))
        (func (export "grow") (param i32) (result i32) (table.grow $t (ref.func $f) (local.get 0)))
        (func (export "fill") (param i32 i32) (table.fill $t (local.get 0) (ref.func $f) (local.get 1)))
        (func (export "init") (param i32 i32 i32) (table.init $t $e (local.get 0) (local.get 1) (local.get 2)))
        (func (export "copy") (param i32 i32 i32) (table.copy $u $t (local.get 0) (local.get 1) (local.get 2)))
        (func (export "ucall") (param i32) (result i32) (call_indirect $u (type $r) (local.get 0)))
        (func (export "drop") (elem.drop $e)))"""
    )
    e = instance.exports
    assert [e.null(i) for i in range(4)] == [1] * 4
    assert outcome(e.null, 4) == outcome(e.null, -1) == outcome(e.set, 4) == "table_out_of_bounds"
    e.set(2)
    assert (e.null(2), e.call(2), outcome(e.call, 1), outcome(e.call, 4)) == (
        0, 2, "uninitialized_element", "undefined_element",
    )  # fmt: skip
    e.clear(2)
    assert outcome(e.call, 2) == "uninitialized_element"
    assert (e.size(), e.grow(3), e.size(), e.grow(4), e.call(6)) == (4, 4, 7, -1, 1)
    e.init(0, 0, 2)
    assert (e.call(0), e.call(1)) == (1, 2)
    e.copy(0, 1, 1)
    assert (e.ucall(0), outcome(e.ucall, 1), outcome(e.ucall, 2)) == (2, "uninitialized_element", "undefined_element")
    e.fill(1, 2)
    assert (e.call(1), e.call(2)) == (1, 1)
    bad = "table_out_of_bounds"
    assert outcome(e.init, 0, 1, 2) == outcome(e.copy, 1, 0, 2) == outcome(e.fill, 6, 2) == bad
    e.drop()
    assert outcome(e.init, 0, 0, 1) == bad
