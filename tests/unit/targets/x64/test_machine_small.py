"""Claims about the small passes of the machine level: scaled sums as addresses, zero by xor, aligned loops."""

from __future__ import annotations

from itertools import pairwise

import pytest

from stratavm.engine import Config, Engine, Module
from stratavm.engine.load import load
from stratavm.engine.store import Store
from stratavm.native.compile import dump_machine

VALUES = (0, 1, -1, 7, 2**31 - 1, -(2**31), 0x40000001)


def compiled(text: str, *passes: str, stage: str = "minst") -> str:
    """A stage of the module's only function under these passes."""
    module = Module(text, engine=Engine(Config(tier="jit1", strict=True, passes=(), machine_passes=passes)))
    return dump_machine(module.valid, 0, stage, machine=passes)


def run(text: str, *passes: str):
    """The exported function ``f``."""
    config = Config(tier="jit1", strict=True, passes=(), machine_passes=passes)
    return load(text, store=Store(Engine(config))).exports["f"]


def scaled(t: str, count: int, right: bool) -> str:
    shift = f"({t}.shl (local.get 1) ({t}.const {count}))"
    operands = f"(local.get 0) {shift}" if right else f"{shift} (local.get 0)"
    return f'(module (func (export "f") (param {t} {t}) (result {t}) ({t}.add {operands})))'


@pytest.mark.parametrize("right", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 31, 33, 35, 66])
@pytest.mark.parametrize("t", ["i32", "i64"])
def test_a_scaled_sum_wraps_as_the_two_operations_do(t, count, right):
    """Counts are taken modulo the width; 1 to 3 become one lea; results equal those of shift and addition."""
    text, bits = scaled(t, count, right), int(t[1:])
    function = run(text, "lea")
    for a in VALUES:
        for b in VALUES:
            total = (a + (b << count % bits)) & (1 << bits) - 1
            assert function(a, b) == (total - (1 << bits) if total >> bits - 1 else total), (a, b)
    assert ("lea_rm" in compiled(text, "lea")) == (1 <= count % bits <= 3)
    assert "shl" in compiled(text) and "lea" not in compiled(text)


def test_a_shift_with_another_use_stays():
    """The shifted value is needed anyway: a lea would compute it twice."""
    text = """(module (func (export "f") (param i32 i32) (result i32) (local $s i32)
      (i32.xor (i32.add (local.get 0) (local.tee $s (i32.shl (local.get 1) (i32.const 2)))) (local.get $s))))"""
    assert "lea" not in compiled(text, "lea")
    assert run(text, "lea")(5, 3) == (5 + 12) ^ 12


def test_zero_is_xor_and_never_stands_between_flags_and_their_reader():
    """Zero in both arms of a select and on an edge of a branch, whichever way it compares."""
    text = """(module (func (export "f") (param i32 i32) (result i32)
      (i32.add
        (select (i32.const 0) (local.get 0) (i32.lt_s (local.get 0) (local.get 1)))
        (i32.add
          (select (local.get 1) (i32.const 0) (i32.gt_u (local.get 0) (local.get 1)))
          (if (result i32) (i32.eq (local.get 0) (local.get 1)) (then (i32.const 0)) (else (i32.const 100)))))))"""
    assert "xor" in compiled(text, "zero", stage="asm")
    machine = compiled(text, "zero").splitlines()
    for before, after in pairwise(machine):
        assert not (" zero." in before and (" jcc." in after or "cmov" in after)), (before, after)
    with_xor, plain = run(text, "zero", "schedule"), run(text)
    for a in VALUES:
        for b in VALUES:
            assert with_xor(a, b) == plain(a, b), (a, b)


NESTED = """(module (func (export "f") (param i32) (result i32) (local $i i32) (local $j i32) (local $sum i32)
  (loop $outer
    (local.set $j (i32.mul (local.get 0) (i32.const 1)))
    (loop $inner
      (local.set $sum (i32.add (local.get $sum) (i32.mul (local.get $i) (local.get $j))))
      (br_if $inner (local.tee $j (i32.sub (local.get $j) (i32.const 1)))))
    (br_if $outer (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (local.get 0))))
  (local.get $sum)))"""


def backward_targets(asm: str) -> set[int]:
    """Where conditional jumps lead back to: the loops of the example, not the returns from polls."""
    found = set()
    for line in asm.splitlines()[1:]:
        address, _, mnemonic, *operands = line.split()
        if mnemonic[0] == "j" and mnemonic != "jmp" and (target := int(operands[0], 16)) < int(address, 16):
            found.add(target)
    return found


def test_the_innermost_loop_begins_at_a_multiple_of_32_bytes():
    """Only the inner loop is padded for, level 0 pads nothing, and the results do not change."""
    aligned, plain = compiled(NESTED, "align", stage="asm"), compiled(NESTED, stage="asm")
    assert [t for t in backward_targets(aligned) if t % 32 == 0]
    assert not [t for t in backward_targets(plain) if t % 32 == 0], "the example is aligned by chance: change it"
    assert "nop" in aligned and "nop" not in plain
    assert run(NESTED, "align")(9) == run(NESTED)(9) == sum(i * j for i in range(9) for j in range(1, 10))


DISPATCH = """(module (memory 1) (func (export "f") (param i32) (result i32) (local $acc i32)
  (loop $next
    (block $out
      (block $add (block $double
        (br_table $double $add (i32.and (local.get 0) (i32.const 1))))
        (local.set $acc (i32.mul (local.get $acc) (i32.const 2))) (br $out))
      (local.set $acc (i32.add (local.get $acc) (local.get 0))))
    (br_if $next (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
  (local.get $acc)))"""


@pytest.mark.parametrize("passes", [(), ("align",)], ids=["level 0", "align"])
def test_a_loop_that_begins_with_a_br_table_begins_with_a_line_of_the_cache(passes):
    """On both levels: the indirect jump of an interpreter's loop is predicted badly where its block crosses a line."""
    machine = compiled(DISPATCH, *passes, stage="asm")
    entry = machine.index("nop")
    assert machine.index("jmp r11") > entry
    header = next(line for line in machine[entry:].splitlines() if "cmp rsp" in line)
    assert int(header.split()[0], 16) == 64
    expected = 0
    for n in range(9, 0, -1):
        expected = expected + n if n % 2 else expected * 2
    assert run(DISPATCH, *passes)(9) == expected


INDICES = {
    "(i32.load8_u (local.get 0))": 8,
    "(i32.load16_u (local.get 0))": 16,
    "(i32.and (local.get 0) (i32.const 5))": 3,
    "(i32.and (local.get 0) (i32.const 0))": 0,
    "(i32.shr_u (local.get 0) (i32.const 29))": 3,
    "(i32.shr_u (local.get 0) (i32.const 32))": 32,
    "(i32.shr_s (local.get 0) (i32.const 29))": 32,
    "(local.get 0)": 32,
}
"""Indices of a br_table, and how many bits their operation leaves them."""


def table_of(index: str, entries: int) -> str:
    """A function that returns 10 plus the entry that an index leads to, of so many and the default."""
    labels = [f"$l{i}" for i in range(entries)]
    body = f"(br_table {' '.join(labels)} $default {index})"
    image = "".join(f"\\{i:02x}" for i in range(256))
    for number, label in enumerate(labels):
        body = f"(block {label} {body}) (return (i32.const {10 + number}))"
    return f"""(module (memory 1) (data (i32.const 0) "{image}")
      (func (export "f") (param i32) (result i32) (block $default {body}) (i32.const 7)))"""


@pytest.mark.parametrize("entries", [0, 2, 3, 4, 7, 8, 126, 127, 255, 256, 300])
@pytest.mark.parametrize("index", INDICES)
def test_an_index_is_clamped_unless_the_table_has_an_entry_for_all_that_it_can_be(index, entries):
    """A table grows to twice its length at most, for 256 entries at most; results are those of the definition."""
    text, needed = table_of(index, entries), 1 << INDICES[index]
    clamped = needed > 256 or needed > 2 * (entries + 1)
    assert ("cmovbe" in compiled(text, stage="asm")) == clamped
    function = run(text)
    for argument in (*range(260), 1023, -1, -(2**31), 2**31 - 1, *(i << 29 for i in range(-4, 4))):
        found = meaning(index, argument)
        if found is not None:
            assert function(argument) == (10 + found if found < entries else 7), argument


def meaning(index: str, argument: int) -> int | None:
    """What an index is for an argument, unsigned; None where it would be outside of the memory."""
    bits = argument & 0xFFFFFFFF
    if "load" in index:
        width = 1 if "load8" in index else 2
        image = bytes(range(256)) + bytes(65536 - 256)
        return int.from_bytes(image[bits : bits + width], "little") if bits + width <= 65536 else None
    if "and" in index:
        return bits & int(index.split("const ")[1].rstrip(") "))
    if "shr_u" in index:
        return bits >> int(index.split("const ")[1].rstrip(") ")) % 32
    return bits if "shr_s" not in index else argument >> 29 & 0xFFFFFFFF
