"""The first pass of level 1: folding against the oracle's arithmetic, what is shared, what must not be."""

from __future__ import annotations

import itertools

import pytest

from stratavm.base.errors import Trap
from stratavm.ir.passes.fold import fold_bits, vector_bits
from stratavm.ir.pipeline import PASSES, Pipeline
from stratavm.ir.ssa import IR_OPS, Ssa
from stratavm.ir.text import print_ssa
from stratavm.ir.verify import verify
from stratavm.module.parser import parse_module
from stratavm.module.validate import validate
from stratavm.spec.concrete import DOMAINS, evaluate
from stratavm.spec.declare import Declared
from stratavm.spec.ops import BY_ID, BY_MNEMONIC
from stratavm.spec.record import row_id
from tests.unit.ir.forms import build

SAMPLES = {
    "i": (0, 1, 2, 5, 31, 32, 33, 0x7F, 0x80, 0xFF, 0x8000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF),
    "I": (0, 1, 3, 63, 64, 0x80, 0xFFFF, 0x80000000, 0xFFFFFFFF, 1 << 32, (1 << 63) - 1, 1 << 63, (1 << 64) - 1),
}
FOLDABLE = [
    row
    for row in BY_ID.values()
    if row.semantics is not None and row.results in ("i", "I") and set(row.signature) <= set("iI->") and not row.imms
]


def outcome(row: Declared, *values: int) -> int | None:
    """The oracle's result; None where it traps."""
    try:
        return evaluate(row, *values)
    except Trap:
        return None


@pytest.mark.parametrize("row", FOLDABLE, ids=lambda row: row.mnemonic)
def test_folding_agrees_with_the_oracle(row):
    """Every integer operation, on all pairs of samples; what traps stays, and nothing else."""
    for values in itertools.product(*(SAMPLES[letter] for letter in row.operands)):
        assert fold_bits(row_id(row), *values) == outcome(row, *values), (row.mnemonic, values)


def test_only_operations_on_integers_are_folded():
    """Floats may differ between the processor that compiles and the one that runs: NaN payloads."""
    assert len(FOLDABLE) == 66
    others = [row for row in BY_ID.values() if row not in FOLDABLE]
    assert all(fold_bits(row_id(row), 1, 1) is None for row in others)


VECTORS = (0, (1 << 128) - 1, 0x80 << 120 | 0x7F, 0x8081_8283_7F7E_0100_FFFF_8000_0001_7FFF, 0x0102_0304 << 61)
VECTOR_SAMPLES = SAMPLES | {"v": VECTORS, "f": (0x7FC0_0001, 0x3F80_0000), "F": (0x7FF4 << 48 | 1, 1 << 63)}
OF_VECTORS = [row for row in BY_ID.values() if row.prefix == 0xFD and row.semantics is not None]


def test_folding_of_vectors_agrees_with_the_oracle():
    """Where a row does in each lane what a folded one does, and where lanes are put in and taken out; every lane."""
    folded = set()
    for row in OF_VECTORS:
        lanes = range(int(row.shape.partition("x")[2])) if row.walk == "lane" else (0,)
        for lane, values in itertools.product(lanes, itertools.product(*(VECTOR_SAMPLES[t] for t in row.operands))):
            found = None if len(values) > 2 else vector_bits(row_id(row), *values[:1], *(values[1:] or (0,)), lane)
            if found is not None:
                immediates = (lane,) if row.walk == "lane" else ()
                assert found == evaluate(row, *values, *immediates), (row.mnemonic, values, lane)
                folded.add(row.mnemonic)
    integers = {row.mnemonic for row in OF_VECTORS if row.lane and row.lane[0] == "i" and row.lane in KNOWN}
    lanes = {row.mnemonic for row in OF_VECTORS if row.walk == "lane" or row.mnemonic.endswith(".splat")}
    assert folded == integers | lanes
    assert len(folded) > 75


KNOWN = {row.mnemonic for row in FOLDABLE}


@pytest.mark.parametrize("name", ["mulhi_u", "mulhi_s"])
def test_upper_halves_of_products_are_folded(name):
    """As the domain of numbers says."""
    for a, b in itertools.product(SAMPLES["I"], repeat=2):
        assert fold_bits(IR_OPS[name], a, b) == getattr(DOMAINS["i64"], name)(a, b), (a, b)


def optimised(text: str, passes: tuple[str, ...] = tuple(p for p in PASSES if p != "inline")) -> str:
    """The function's SSA form after the passes, verified."""
    ssa, out = Ssa(), Ssa()
    valid = validate(parse_module(text))
    build(valid, 0, ssa)
    Pipeline(passes).run(ssa, out)
    verify(out)
    return print_ssa(out)


def body(code: str, head: str = "(param i32 i32) (result i32)") -> str:
    """A module with a memory, a global and one function."""
    return f"(module (memory 1) (global $g (mut i32) (i32.const 0)) (func {head} {code}) (func $f))"


@pytest.mark.parametrize(
    ("code", "left"),
    [
        ("(i32.add (i32.const 2) (i32.const 3))", "const 5"),
        ("(i32.add (local.get 0) (i32.const 0))", "return v0"),
        ("(i32.sub (local.get 0) (local.get 0))", "const 0"),
        ("(i32.mul (local.get 0) (i32.const 8))", "i32.shl"),
        ("(i32.div_u (local.get 0) (i32.const 16))", "i32.shr_u"),
        ("(i32.rem_u (local.get 0) (i32.const 16))", "i32.and"),
        ("(i32.add (i32.add (local.get 0) (i32.const 3)) (i32.const 4))", "const 7"),
        ("(i32.eqz (i32.lt_s (local.get 0) (local.get 1)))", "i32.ge_s"),
        ("(i32.wrap_i64 (i64.extend_i32_s (local.get 0)))", "return v0"),
        ("(select (local.get 0) (local.get 1) (i32.const 1))", "return v0"),
    ],
)
def test_an_identity_applies(code, left):
    """What is left of the expression."""
    assert left in optimised(body(code))


def test_the_same_value_is_computed_once():
    """Also with its operands exchanged, and in blocks that the first dominates."""
    product, twin = "(i32.mul (local.get 0) (local.get 1))", "(i32.mul (local.get 1) (local.get 0))"
    text = optimised(
        body(
            f"(local $x i32) (local.set $x {product})"
            f"(i32.add (local.get $x) (if (result i32) (local.get 0) (then {twin}) (else (i32.add {product} {twin}))))"
        )
    )
    assert text.count("i32.mul") == 1


def test_a_value_of_one_arm_is_not_shared_with_the_other():
    """Dominance: each arm computes its own."""
    text = optimised(
        body(
            "(if (result i32) (local.get 0)"
            "(then (i32.xor (local.get 0) (local.get 1))) (else (i32.xor (local.get 0) (local.get 1))))"
        )
    )
    assert text.count("i32.xor") == 2


@pytest.mark.parametrize(
    ("between", "loads"),
    [
        ("", 1),
        ("(i32.store (local.get 1) (i32.const 7))", 2),
        ("(i32.store8 (i32.const 9) (i32.const 7))", 2),
        ("(call $f)", 2),
        ("(drop (memory.grow (i32.const 0)))", 2),
        ("(memory.fill (i32.const 0) (i32.const 0) (i32.const 1))", 2),
        ("(global.set $g (i32.const 1))", 1),
        ("(loop)", 2),
    ],
)
def test_a_load_is_shared_only_where_nothing_can_have_written(between, loads):
    """Stores, calls, growth, bulk operations and polls end what is known of memory; a global.set does not."""
    load = "(i32.load (local.get 0))"
    code = f"(local $x i32) (local.set $x {load}) {between} (i32.add (local.get $x) {load})"
    assert optimised(body(code)).count("i32.load") == loads


def test_a_load_takes_the_value_that_was_just_stored():
    """A whole store of the same address and width; a narrower one does not tell."""
    whole = "(i32.store offset=4 (local.get 0) (local.get 1)) (i32.load offset=4 (local.get 0))"
    assert "i32.load" not in optimised(body(whole))
    narrow = "(i32.store8 (local.get 0) (local.get 1)) (i32.load8_u (local.get 0))"
    assert "i32.load8_u" in optimised(body(narrow))


def test_a_dead_load_stays_since_it_may_trap():
    """Sharing removes a twin; it never removes the first."""
    assert optimised(body("(drop (i32.load (local.get 0))) (i32.const 1)")).count("i32.load") == 1


def test_a_switched_off_pass_does_nothing():
    """Each name works alone: what the others do is left."""
    code = "(i32.add (i32.load (i32.const 8)) (i32.load (i32.const 8))) (drop (i32.add (i32.const 1) (i32.const 2)))"
    assert optimised(body(code), ("fold",)).count("i32.load") == 2
    assert optimised(body(code), ("loads", "share")).count("i32.load") == 1
    with pytest.raises(ValueError, match="unknown passes: nothing"):
        Pipeline(("nothing",))


def test_rows_of_the_table_exist():
    """The enumeration that the pass was compiled against is the present one."""
    assert BY_ID[row_id(BY_MNEMONIC["i32.add"])].mnemonic == "i32.add"


SUM = "(i32.add (i32.mul (local.get 0) (i32.const 12)) (i32.const 4))"
KEEP = f"(local.set $x (i32.xor (local.get $x) {SUM}))"


@pytest.mark.parametrize(
    ("code", "products", "sums"),
    [
        (f"{KEEP} (if (local.get 1) (then {KEEP}) (else {KEEP})) {KEEP}", 1, 1),
        # neither arm comes before the other, nor before what follows
        (f"(if (local.get 1) (then {KEEP}) (else {KEEP})) {KEEP}", 3, 3),
        # a product stays known in a loop and behind it; what takes a cycle is not worth a register on the way
        (f"{KEEP} (loop $l {KEEP} (br_if $l (local.tee 1 (i32.sub (local.get 1) (i32.const 1))))) {KEEP}", 1, 3),
    ],
)
def test_equal_constants_of_two_blocks_are_the_same_operand(code, products, sums):
    """Each block has constants of its own; what they are operands of is computed once all the same."""
    head = "(param i32 i32) (result i32) (local $x i32)"
    text = optimised(body(f"{code} (local.get $x)", head), ("share",))
    assert text.count("i32.mul") == products
    assert text.count("i32.add") == sums


def test_a_comparison_with_a_constant_is_made_where_it_decides():
    """It costs nothing beside a branch, and a value that is carried there would be compared again."""
    code = "(i32.lt_s (local.get 0) (i32.const 7))"
    arm = f"(if {code} (then (global.set $g (i32.const 1))))"
    text = optimised(body(f"(global.set $g {code}) {arm} (if (local.get 1) (then {arm})) (i32.const 0)"), ("share",))
    assert text.count("i32.lt_s") == 3 - 1  # the first two stand in one block


def test_a_load_from_a_constant_address_is_known_in_later_blocks():
    """As long as nothing wrote."""
    load = "(global.set $g (i32.load (i32.const 8)))"
    text = optimised(body(f"{load} (if (local.get 1) (then {load})) (i32.const 0)"), ("share", "loads"))
    assert text.count("i32.load") == 1
