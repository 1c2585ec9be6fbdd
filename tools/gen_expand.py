"""Generate ``front/wasm/_gen_expand.pxd``: templates of the rows that the builder expands into nodes of other rows,
recorded from their semantic functions. Those are rows that no node can be (of several results, or more than three
operands), and rows for which the target has no selection rule.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from stratavm.spec.concrete import f32_bits, f64_bits
from stratavm.spec.declare import Declared
from stratavm.spec.domain import LETTER_TYPES, bound_type
from stratavm.spec.index import IDS
from stratavm.spec.ops import BY_ID
from stratavm.spec.record import Row
from tools import gen_rules
from tools.gen import ROOT, write
from tools.gen_ops import LETTERS, MOST_RESULTS, column, table

NODE_OPERANDS = 3
"""Operands that a node has in its fields; a node has one result."""
NOTHING = 0xFF
"""An operand of a step that is not there."""
IR_NAME = re.compile(r"^    IR_(\w+) = (0x\w+)", re.MULTILINE)
IR_OPS = {
    name.lower(): int(number, 16) for name, number in IR_NAME.findall((ROOT / "src/stratavm/ir/ssa.pxd").read_text())
}
"""The IR's own operations, read where they are declared: no compiled module may be needed to make sources."""
TYPES = {name: LETTERS[letter] for letter, name in LETTER_TYPES.items()}
SAME = {
    **{
        name: name for name in ("add", "sub", "mul", "div_s", "div_u", "rem_s", "rem_u", "xor", "shl", "shr_s", "shr_u")
    },
    **{name: name for name in ("clz", "ctz", "popcnt")},
    **{
        name: name[1:]
        for name in ("fadd", "fsub", "fmul", "fdiv", "fsqrt", "fmin", "fmax", "fceil", "ffloor", "ftrunc")
    },
    **{name: name[1:] for name in ("fnearest", "fneg", "fabs", "fcopysign")},
    "and_": "and",
    "or_": "or",
}
"""Primitives with a result of their own type, and the operation that does them."""
TESTS = {"eq": "eq", "lt_s": "lt_s", "lt_u": "lt_u", "feq": "eq", "flt": "lt", "fle": "le"}


class CannotExpand(Exception):
    """A row whose meaning is not a sequence of nodes of other rows."""


@dataclass(frozen=True, slots=True)
class Value:
    """A value of a template: its number (operands come first) and its type."""

    number: int
    type: str


@dataclass(slots=True)
class Step:
    """A node of a template; of a constant ``word`` is the value."""

    op: str
    type: str
    operands: tuple[int, ...] = ()
    word: int = 0


@dataclass
class Recorder:
    """The domain (see ``prims``) of template values. A condition is an i32 that is 1 or 0."""

    row: Declared
    type: str
    steps: list[Step] = field(default_factory=list)

    @property
    def bits(self) -> int:
        """Width of the bound type."""
        return int(self.type[1:])

    def step(self, op: str, type_: str, *operands: Value, word: int = 0) -> Value:
        """Append a node."""
        if op == self.row.mnemonic:
            raise CannotExpand(f"{op} is defined by itself: it needs a selection rule")
        self.steps.append(Step(op, type_, tuple(v.number for v in operands), word))
        return Value(len(self.row.operands) + len(self.steps) - 1, type_)

    def __getattr__(self, name: str) -> Callable[..., Value]:
        """The primitives that are one operation of the same type, or a test."""
        if name in ("mulhi_s", "mulhi_u"):
            return lambda a, b: self.step(name, "i64", a, b) if self.type == "i64" else self.upper_half(name, a, b)
        if name in SAME:
            return lambda *operands: self.step(f"{self.type}.{SAME[name]}", self.type, *operands)
        if name in TESTS:
            return lambda *operands: self.step(f"{self.type}.{TESTS[name]}", "i32", *operands)
        raise CannotExpand(f"{self.row.mnemonic} needs {name}, which no node does: it needs a selection rule")

    def upper_half(self, name: str, a: Value, b: Value) -> Value:
        """The upper half of a product of i32, which no node has: those of the IR are of i64."""
        widen = self.widen_s if name == "mulhi_s" else self.widen_u
        product = self.step("i64.mul", "i64", widen(a), widen(b))
        return self.wrap(self.step("i64.shr_u", "i64", product, self.step("const", "i64", word=32)))

    def const(self, value: int, to: str = "") -> Value:
        type_ = to or self.type
        return self.step("const", type_, word=value & (1 << int(type_[1:])) - 1)

    def fconst(self, value: float) -> Value:
        return self.step("const", self.type, word=f32_bits(value) if self.type == "f32" else f64_bits(value))

    def sext(self, a: Value, width: int) -> Value:
        return self.step(f"{self.type}.extend{width}_s", self.type, a)

    def not_(self, a: Value) -> Value:
        return self.step("i32.eqz", "i32", a)

    def both(self, a: Value, b: Value) -> Value:
        return self.step("i32.and", "i32", a, b)

    def either(self, a: Value, b: Value) -> Value:
        return self.step("i32.or", "i32", a, b)

    def bool_(self, a: Value) -> Value:
        return a

    def select(self, c: Value, a: Value, b: Value) -> Value:
        return self.step("select", a.type, a, b, c)

    def trap_if(self, c: Value, kind: str) -> None:
        """See ``prims``; a trap by a condition is a branch, and no node."""
        raise CannotExpand(
            f"{self.row.mnemonic} may trap, which no node does by a condition: it needs a selection rule"
        )

    def wrap(self, a: Value) -> Value:
        return self.step("i32.wrap_i64", "i32", a)

    def widen_s(self, a: Value) -> Value:
        return self.step("i64.extend_i32_s", "i64", a)

    def widen_u(self, a: Value) -> Value:
        return self.step("i64.extend_i32_u", "i64", a)

    def promote(self, a: Value, to: str) -> Value:
        return self.step("f64.promote_f32", to, a)

    def demote(self, a: Value, to: str) -> Value:
        return self.step("f32.demote_f64", to, a)

    def from_int_s(self, a: Value, to: str) -> Value:
        return self.step(f"{to}.convert_{self.type}_s", to, a)

    def from_int_u(self, a: Value, to: str) -> Value:
        return self.step(f"{to}.convert_{self.type}_u", to, a)

    def reinterpret(self, a: Value, to: str) -> Value:
        return self.step(f"{to}.reinterpret_{self.type}", to, a)


@dataclass(frozen=True, slots=True)
class Template:
    """The nodes of an expanded row, and the numbers of its results."""

    row: Declared
    steps: tuple[Step, ...]
    results: tuple[int, ...]


def record(row: Declared) -> Template:
    """The template of a row.

    Raises:
        CannotExpand: it has no semantic function, or one that no nodes stand for.
    """
    if row.semantics is None:
        shape = f"{len(row.operands)} operands and {len(row.results)} results"
        raise CannotExpand(
            f"{row.mnemonic} has {shape} and no semantic function to expand it by; a node has at most "
            f"{NODE_OPERANDS} operands and one result"
        )
    if "v" in row.signature:
        raise CannotExpand(f"{row.mnemonic} is of vectors, which no nodes take apart: it needs a selection rule")
    domain: Any = Recorder(row, bound_type(row))
    operands = [Value(i, LETTER_TYPES[letter]) for i, letter in enumerate(row.operands)]
    found = row.semantics(domain, *operands)
    results = found if isinstance(found, tuple) else (found,)
    if [v.type for v in results] != [LETTER_TYPES[letter] for letter in row.results]:
        raise CannotExpand(f"{row.mnemonic} gives {[v.type for v in results]}, its signature says {row.signature}")
    return Template(row, tuple(domain.steps), tuple(v.number for v in results))


def no_node(row: Row) -> bool:
    """Whether a row is more than a node can be, on any target."""
    return len(row.results) > 1 or (len(row.operands) > NODE_OPERANDS and not row.walk)


def is_expanded(row: Declared, ruled: frozenset[str]) -> bool:
    """Whether the builder expands a row, given the rows that have selection rules."""
    plain = bool(row.signature) and not row.imms and not row.walk
    unruled = row.semantics is not None and row.mnemonic not in ruled
    return no_node(row) or (plain and unruled)


def templates() -> list[Template]:
    """Those of all rows that the builder expands."""
    ruled = frozenset(rule.op for rule in gen_rules.ALL)
    try:
        return [record(row) for row in BY_ID.values() if is_expanded(row, ruled)]
    except CannotExpand as error:
        raise SystemExit(str(error)) from None


def text() -> str:
    """The whole file."""
    found = templates()
    numbers = {template.row.mnemonic: i + 1 for i, template in enumerate(found)}
    steps = [step for template in found for step in template.steps]
    ends = [0]
    for template in found:
        ends.append(ends[-1] + len(template.steps))
    padded = [(*step.operands, *[NOTHING] * (NODE_OPERANDS - len(step.operands))) for step in steps]
    results = [(*template.results, *[NOTHING] * (MOST_RESULTS - len(template.results))) for template in found]
    tables = [
        table("uint8_t", "OP_EXPANSION", column(lambda row: numbers.get(row.mnemonic, 0))),
        table("uint16_t", "EXPANSION_ENDS", ends),
        table("uint8_t", "EXPANSION_RESULTS", [0] * MOST_RESULTS + [n for row in results for n in row]),
        table("uint16_t", "STEP_OP", [IR_OPS.get(step.op, IDS.get(step.op, 0)) for step in steps]),
        table("uint8_t", "STEP_TYPE", [TYPES[step.type] for step in steps]),
        table("uint8_t", "STEP_OPERANDS", [n for row in padded for n in row]),
        table("uint64_t", "STEP_WORD", [step.word for step in steps]),
    ]
    most = max(len(template.row.operands) + len(template.steps) for template in found)
    return "\n".join(
        [
            "# Generated by tools/gen_expand.py from spec/ops and the selection rules; do not edit.",
            "# OP_EXPANSION: number of a row's template, or 0. Steps: EXPANSION_ENDS[n - 1] up to [n]; results:",
            "# EXPANSION_RESULTS[4 * n] and on. Values are numbered: the operands, then the steps; 255 is none.",
            "from libc.stdint cimport uint8_t, uint16_t, uint64_t",
            "",
            "cdef enum:",
            f"    EXPANSION_VALUES = {most}  # of the largest template",
            f"    NO_STEP = {NOTHING}",
            "",
            "cdef extern from *:",
            '    """',
            *(f"    {line}" for lines, _ in tables for line in lines),
            '    """',
            *(declaration for _, declaration in tables),
            "",
        ]
    )


def main() -> None:
    """Write the file."""
    write("src/stratavm/front/wasm/_gen_expand.pxd", text())


if __name__ == "__main__":
    main()
