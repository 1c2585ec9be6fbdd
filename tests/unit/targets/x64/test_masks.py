"""Claims about masks: what only a comparison with zero uses is tested; the bit tricks of BMI1 are one instruction."""

from __future__ import annotations

import itertools

import pytest

from stratavm.engine import Config, Engine
from stratavm.engine.load import load
from stratavm.engine.module import Module
from stratavm.engine.store import Store
from stratavm.native.compile import Options, wasm_compiler

TIERS = (
    Config(tier="oracle"),
    Config(strict=True),
    Config(tier="jit1", strict=True),
    Config(tier="jit1", strict=True, passes=()),
    Config(tier="jit1", strict=True, machine_passes=()),
    Config(tier="jit1", strict=True, machine_passes=("bits",)),
)
VALUES = (0, 1, 2, 3, 6, 0x7F, 0x80, 0xFF, 0x100, 0x7FFFFFFF, -1, -2, -0x80, -0x80000000)
LONG = (0x100000000, 0x8000000000, -0x8000000000000000)
CONDITIONS = {
    "plain": "(local.set $c {mask})",
    "eqz": "(local.set $c ({t}.eqz {mask}))",
    "twice": "(local.set $c (i32.eqz ({t}.eqz {mask})))",
    "eq": "(local.set $c ({t}.eq {mask} ({t}.const 0)))",
    "ne": "(local.set $c ({t}.ne ({t}.const 0) {mask}))",
    "eq one": "(local.set $c ({t}.eq {mask} ({t}.const 1)))",
    "less": "(local.set $c ({t}.lt_s {mask} ({t}.const 0)))",
}
MASKS = (
    "(local.get 1)",
    *(f"({{t}}.const {n})" for n in (0, 1, 0x7F, 0x80, 0xFF, -1, -0x80)),
    "({t}.load (i32.const 8))",
)


def both(t: str, condition: str) -> str:
    """A condition that decides a branch, and one that decides a select."""
    return f"""
      (func (param {t} {t}) (result i32) (local $c i32) {condition}
        (if (result i32) (local.get $c) (then (i32.const 5)) (else (i32.const 9))))
      (func (param {t} {t}) (result i32) (local $c i32) {condition}
        (select (i32.const 5) (i32.const 9) (local.get $c)))"""


def module(functions: str) -> str:
    """Every function exported by its number."""
    count = functions.count("(func")
    exports = "".join(f'(export "{n}" (func {n}))' for n in range(count))
    return f'(module (memory 1) (data (i32.const 8) "\\06\\01\\00\\00\\00\\00\\00\\80") {functions} {exports})'


def agree(source: str, values: tuple[int, ...]) -> None:
    """Every tier does the same for all pairs of values."""
    exports = [load(source, store=Store(Engine(config))).exports for config in TIERS]
    for name in (n for n in exports[0] if n.isdigit()):
        for a, b in itertools.product(values, repeat=2):
            results = [e[name](a, b) for e in exports]
            assert results == results[:1] * len(TIERS), (name, a, b)


@pytest.mark.parametrize("t", ["i32", "i64"])
@pytest.mark.parametrize("kind", CONDITIONS)
def test_masks_as_conditions(kind, t):
    """Against zero or not, by a register, an immediate of one byte or four, or memory; the mask on either side."""
    if kind == "plain" and t == "i64":
        kind = "eqz"  # an i64 is no condition
    functions = ""
    for mask in MASKS:
        for pair in (f"(local.get 0) {mask}", f"{mask} (local.get 0)"):
            functions += both(t, CONDITIONS[kind].format(t=t, mask=f"({t}.and {pair})").format(t=t))
    agree(module(functions), VALUES if t == "i32" else (*VALUES[::2], *LONG))


TRICKS = {
    "andn": "(xor (local.get 1) (const -1))",
    "blsr": "(sub (local.get 0) (const 1))",
    "blsr, added": "(add (local.get 0) (const -1))",
    "blsi": "(sub (const 0) (local.get 0))",
    "of another": "(sub (local.get 1) (const 1))",
    "by two": "(sub (local.get 0) (const 2))",
}


def trick(name: str, t: str, swapped: bool = False) -> str:
    """The body of a function."""
    inner = TRICKS[name].replace("(xor", f"({t}.xor").replace("(sub", f"({t}.sub").replace("(add", f"({t}.add")
    inner = inner.replace("(const", f"({t}.const")
    return f"({t}.and {inner} (local.get 0))" if swapped else f"({t}.and (local.get 0) {inner})"


@pytest.mark.parametrize("t", ["i32", "i64"])
@pytest.mark.parametrize("name", TRICKS)
def test_bit_tricks(name, t):
    """Each spelled both ways, and where the inner value is used again."""
    functions = "".join(f"(func (param {t} {t}) (result {t}) {trick(name, t, s)})" for s in (False, True))
    inner = trick(name, t).removeprefix(f"({t}.and (local.get 0) ")[:-1]
    functions += f"""(func (param {t} {t}) (result {t}) (local $x {t})
      (local.set $x {inner}) ({t}.add ({t}.and (local.get 0) (local.get $x)) (local.get $x)))"""
    agree(module(functions), VALUES if t == "i32" else (*VALUES, *LONG))


def machine(source: str, features: set[str], *passes: str) -> str:
    """Machine IR of the one function."""
    valid = Module(source, engine=Engine()).valid
    compiler = wasm_compiler(valid, Options(machine=passes, features=frozenset({"sse42", "popcnt", *features})))
    with compiler.worker() as worker:
        worker.build(compiler.front, 0)
        return str(worker.machine_ir("minst"))


@pytest.mark.parametrize(
    ("name", "row"),
    [("andn", "andn_rrr"), ("blsr", "blsr_rr"), ("blsr, added", "blsr_rr"), ("blsi", "blsi_rr"),
     ("of another", "and_rr"), ("by two", "and_rr")],
)  # fmt: skip
def test_which_tricks_are_one_instruction(name, row):
    """With BMI1; without it, or without the pass, none is."""
    source = f"(module (func (param i32 i32) (result i32) {trick(name, 'i32')}))"
    assert f" {row}." in machine(source, {"bmi1"}, "bits")
    assert " and_rr." in machine(source, set(), "bits")
    assert " and_rr." in machine(source, {"bmi1"})  # no pass


def test_a_mask_that_is_used_again_is_computed():
    """And then compared."""
    source = """(module (func (param i32 i32) (result i32) (local $m i32)
      (if (result i32) (local.tee $m (i32.and (local.get 0) (local.get 1)))
        (then (local.get $m)) (else (i32.const 9)))))"""
    text = machine(source, set())
    assert "and_rr" in text
    assert "test_" not in text


@pytest.mark.parametrize("t", ["i32", "i64"])
@pytest.mark.parametrize("op", ["add", "sub", "and", "or", "xor", "mul", "shl"])
def test_results_compared_with_zero(op, t):
    """The zero flag of an operation serves for (in)equality alone; the result is used again, or is not."""
    functions = ""
    for condition in (
        "{t}.eqz {r}",
        *(f"{{t}}.{compare} {{r}} ({{t}}.const 0)" for compare in ("ne", "lt_s", "gt_s", "gt_u", "le_u")),
    ):
        text = f"({condition})".format(t=t, r="(local.get 2)")
        for operands in ("(local.get 0) (local.get 1)", f"(local.get 0) ({t}.const 1)"):
            result = f"(local.set 2 ({t}.{op} {operands}))"
            functions += f"""
              (func (param {t} {t}) (result {t}) (local {t}) {result}
                (if (result {t}) {text} (then (local.get 2)) (else ({t}.const 77))))
              (func (param {t} {t}) (result {t}) (local {t}) {result}
                (select ({t}.const 5) ({t}.add (local.get 2) (local.get 0)) {text}))"""
    agree(module(functions), VALUES if t == "i32" else (*VALUES, *LONG))
