"""Claims about loads that become memory operands: same results, same traps, and where they may not move."""

from __future__ import annotations

import itertools
import struct

import pytest

from stratavm.engine import Config, Engine, Module
from stratavm.engine.load import load
from stratavm.engine.store import Store
from stratavm.native.compile import dump_machine
from tests.unit.targets.x64.jit import outcome

PAGE = 0x10000
OOB = "memory_out_of_bounds"
BINARY = {
    "i32": ("add", "sub", "and", "or", "xor", "mul", "eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "ge_u"),
    "i64": ("add", "sub", "and", "or", "xor", "mul", "eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_u", "ge_s"),
    "f32": ("add", "sub", "mul", "div", "eq", "ne", "lt", "gt", "le", "ge"),
    "f64": ("add", "sub", "mul", "div", "eq", "ne", "lt", "gt", "le", "ge"),
}
OPS = [f"{t}.{op}" for t, ops in BINARY.items() for op in ops]
DATA = {"i32": struct.pack("<i", -7), "i64": struct.pack("<q", -7), "f32": struct.pack("<f", 2.5),
        "f64": struct.pack("<d", 2.5)}  # fmt: skip


def engine(plan: str, *passes: str) -> Engine:
    """Level 1 without passes of the SSA form, with these of the machine level."""
    return Engine(Config(tier="jit1", strict=True, memory_plan=plan, passes=(), machine_passes=passes))


def source(op: str) -> str:
    """The operation with the load on the right, on the left, and deciding a branch and a select."""
    t = op[:3]
    compares = op[4:6] in ("eq", "ne", "lt", "gt", "le", "ge")
    result = "i32" if compares else t
    text = ""
    for name, args in {"r": "(local.get 1) (local.get 2)", "l": "(local.get 2) (local.get 1)"}.items():
        place = f"({t}.load (local.get 0))"
        body = f"({op} {args.replace('(local.get 2)', place)})"
        text += f'(func (export "{name}") (param i32 {t}) (result {result}) {body})'
        if compares:
            text += (
                f'(func (export "s{name}") (param i32 {t}) (result i32) (select (i32.const 5) (local.get 0) {body}))'
            )
            text += f"""(func (export "b{name}") (param i32 {t}) (result i32)
              (if (result i32) {body} (then (i32.const 8)) (else (i32.const 9))))"""
    data = "".join(f"\\{b:02x}" for b in DATA[t])
    return f'(module (memory 1) (data (i32.const {PAGE - len(DATA[t])}) "{data}") (data (i32.const 0) "{data}") {text})'


@pytest.mark.parametrize("plan", ["guard", "bounded"])
@pytest.mark.parametrize("op", OPS)
def test_a_folded_operand_at_the_end_of_memory(op, plan):
    """The last place is read, one byte further traps, and everything equals what separate instructions give."""
    t = op[:3]
    size = len(DATA[t])
    folding, plain = (load(source(op), store=Store(engine(plan, *passes))).exports for passes in (["fold-loads"], []))
    values = (-7, 3, 0, 2) if t[0] == "i" else (2.5, -1.5, float("nan"), 0.0)
    addresses = (0, PAGE - size, PAGE - size + 1, PAGE - 1, PAGE, -1)
    for name, address, value in itertools.product(folding, addresses, values):
        got, expected = (outcome(e[name], address, value) for e in (folding, plain))
        assert got == expected or (got != got and expected != expected), (name, address, value)
        if name != "memory":
            assert (got == OOB) == (not 0 <= address <= PAGE - size), (name, address)


def machine(body: str, plan: str = "guard", more: str = "") -> str:
    """Machine IR of one function under ``fold-loads``."""
    text = (
        f'(module (memory 1) (global $g (mut i32) (i32.const 0)) {more} (func (export "f") (param i32 i32 i64) {body}))'
    )
    module = Module(text, engine=engine(plan, "fold-loads"))
    return dump_machine(module.valid, 0, "minst", memory_plan=plan, machine=("fold-loads",))


@pytest.mark.parametrize("plan", ["guard", "bounded"])
def test_a_load_folds_where_nothing_happens_in_between(plan):
    """One use, same width, same block: no separate load is left, whichever side of a commutative operation it is on."""
    for body in (
        "(result i32) (i32.add (local.get 1) (i32.load (local.get 0)))",
        "(result i32) (i32.add (i32.load (local.get 0)) (local.get 1))",
        "(result i32) (i32.sub (local.get 1) (i32.load (local.get 0)))",
        "(result i32) (i32.lt_s (i32.load (local.get 0)) (local.get 1))",
        "(result i64) (i64.mul (local.get 2) (i64.load offset=4 (local.get 0)))",
        "(result i32) (if (result i32) (i32.eqz (i32.lt_u (local.get 1) (i32.load (local.get 0))))"
        " (then (i32.const 1)) (else (i32.const 2)))",
    ):
        text = machine(body, plan)
        assert "via.mov_rm" not in text, text
        assert "_rm.4 [" in text or "_rm.8 [" in text


REFUSED = {
    "left of a subtraction": "(result i32) (i32.sub (i32.load (local.get 0)) (local.get 1))",
    "two uses": "(result i32) (local $x i32) (i32.add (local.tee $x (i32.load (local.get 0))) (local.get $x))",
    "narrower than its user": "(result i32) (i32.add (local.get 1) (i32.load8_u (local.get 0)))",
    "extended to its user": "(result i64) (i64.add (local.get 2) (i64.load32_u (local.get 0)))",
    "a store between": "(result i32) (i32.add (i32.load (local.get 0)) (block (result i32)"
    " (i32.store (local.get 1) (i32.const 1)) (local.get 1)))",
    "a global written between": "(result i32) (i32.add (i32.load (local.get 0)) (block (result i32)"
    " (global.set $g (i32.const 1)) (local.get 1)))",
    "a division between": "(result i32) (i32.add (i32.load (local.get 0)) (i32.div_s (local.get 1) (local.get 0)))",
    "a growing memory between": "(result i32) (i32.add (i32.load (local.get 0)) (memory.grow (local.get 1)))",
    "another block": "(result i32) (i32.add (i32.load (local.get 0)) (if (result i32) (local.get 1)"
    " (then (i32.const 1)) (else (local.get 0))))",
}


@pytest.mark.parametrize("reason", REFUSED)
def test_a_load_stays_where_it_may_not_move(reason):
    """What could change the value, the order of effects or the bytes read keeps the load a load."""
    assert "via.mov" in machine(REFUSED[reason])


def test_an_unused_operation_still_traps():
    """Nothing reads the sum: the load in it traps all the same."""
    exports = load(
        '(module (memory 1) (func (export "f") (param i32) (drop (i32.add (local.get 0) (i32.load (local.get 0))))))',
        store=Store(engine("guard", "fold-loads")),
    ).exports
    assert outcome(exports["f"], 0) is None
    assert outcome(exports["f"], PAGE - 3) == OOB


def test_the_order_of_two_different_traps_is_kept():
    """The load comes before the division in the source: it traps first, whatever the division would do."""
    exports = load(
        """(module (memory 1)
          (func (export "f") (param i32 i32) (result i32)
            (i32.add (i32.load (local.get 0)) (i32.div_u (i32.const 1) (local.get 1))))
          (func (export "g") (param i32 i32) (result i32)
            (i32.add (i32.div_u (i32.const 1) (local.get 1)) (i32.load (local.get 0)))))""",
        store=Store(engine("guard", "fold-loads", "schedule")),
    ).exports
    assert outcome(exports["f"], -1, 0) == OOB
    assert outcome(exports["g"], -1, 0) == "div_by_zero"
