"""A straight-line function in SSA form as Z3 terms: what it computes, for all arguments at once."""

from __future__ import annotations

from itertools import chain
from typing import Any

from stratavm.ir.ssa import IR_OPS
from stratavm.ir.view import SsaView
from stratavm.spec.domain import WIDTHS, bound_type
from stratavm.spec.ops import BY_ID
from tests import needed

z3: Any = needed.module("z3")

NAMES = {number: name for name, number in IR_OPS.items()}
TYPE_BITS = {1: 32, 2: 64, 5: 128}


class Terms:
    """The domain of bit-vector terms; conditions are boolean terms, traps are collected."""

    def __init__(self, type_: str, traps: dict[str, list[Any]] | None = None) -> None:
        self.type, self.bits = type_, WIDTHS[type_]
        self.traps = {} if traps is None else traps

    def at(self, type_: str) -> Terms:
        return Terms(type_, self.traps)

    def split(self, a: Any, width: int) -> list[Any]:
        return [z3.Extract(at + width - 1, at, a) for at in range(0, 128, width)]

    def join(self, lanes: Any, width: int) -> Any:
        assert [lane.size() for lane in lanes] == [width] * (128 // width)
        return z3.Concat(*reversed(lanes))

    def resize_s(self, a: Any, to: str) -> Any:
        more = WIDTHS[to] - self.bits
        return z3.SignExt(more, a) if more > 0 else z3.Extract(WIDTHS[to] - 1, 0, a)

    def resize_u(self, a: Any, to: str) -> Any:
        more = WIDTHS[to] - self.bits
        return z3.ZeroExt(more, a) if more > 0 else z3.Extract(WIDTHS[to] - 1, 0, a)

    def fill(self, a: Any) -> Any:
        return z3.If(a != 0, self.const(-1), self.const(0))

    def const(self, value: int, to: str = "") -> Any:
        return z3.BitVecVal(value, WIDTHS[to] if to else self.bits)

    def trap_if(self, c: Any, kind: str) -> None:
        self.traps.setdefault(kind, []).append(c)

    def sext(self, a: Any, width: int) -> Any:
        return z3.SignExt(self.bits - width, z3.Extract(width - 1, 0, a))

    def bool_(self, c: Any) -> Any:
        return z3.If(c, z3.BitVecVal(1, 32), z3.BitVecVal(0, 32))

    def count(self, name: str, a: Any) -> Any:
        """A count of bits: a function of which only the range is known; no rule knows more."""
        sort = z3.BitVecSort(self.bits)
        value = z3.Function(f"{name}{self.bits}", sort, sort)(a)
        return z3.If(z3.ULE(value, self.bits), value, z3.BitVecVal(self.bits, self.bits))

    def mulhi_s(self, a: Any, b: Any) -> Any:
        return self.upper(z3.SignExt(self.bits, a), z3.SignExt(self.bits, b))

    def mulhi_u(self, a: Any, b: Any) -> Any:
        return self.upper(z3.ZeroExt(self.bits, a), z3.ZeroExt(self.bits, b))

    def upper(self, a: Any, b: Any) -> Any:
        """The upper half of a product that is twice as wide."""
        return z3.Extract(2 * self.bits - 1, self.bits, a * b)

    def popcnt(self, a: Any) -> Any:
        return self.count("popcnt", a)

    def clz(self, a: Any) -> Any:
        return self.count("clz", a)

    def ctz(self, a: Any) -> Any:
        return self.count("ctz", a)

    add = staticmethod(lambda a, b: a + b)
    sub = staticmethod(lambda a, b: a - b)
    mul = staticmethod(lambda a, b: a * b)
    and_ = staticmethod(lambda a, b: a & b)
    or_ = staticmethod(lambda a, b: a | b)
    xor = staticmethod(lambda a, b: a ^ b)
    shl = staticmethod(lambda a, b: a << b)
    shr_s = staticmethod(lambda a, b: a >> b)
    shr_u = staticmethod(z3.LShR)
    div_s = staticmethod(lambda a, b: a / b)
    div_u = staticmethod(z3.UDiv)
    rem_s = staticmethod(z3.SRem)
    rem_u = staticmethod(z3.URem)
    eq = staticmethod(lambda a, b: a == b)
    lt_s = staticmethod(lambda a, b: a < b)
    lt_u = staticmethod(z3.ULT)
    not_ = staticmethod(z3.Not)
    both = staticmethod(z3.And)
    either = staticmethod(z3.Or)
    select = staticmethod(z3.If)
    wrap = staticmethod(lambda a: z3.Extract(31, 0, a))
    widen_s = staticmethod(lambda a: z3.SignExt(32, a))
    widen_u = staticmethod(lambda a: z3.ZeroExt(32, a))


def terms(view: SsaView) -> tuple[list[Any], Any]:
    """The results of a function of one block, and when it traps."""
    assert len(view.blocks) == 1
    values: list[Any] = []
    traps: dict[str, list[Any]] = {}
    for op, type_, _flags, a, b, c in view.nodes:
        name = NAMES.get(op)
        if name == "param":
            values.append(z3.BitVec(f"p{c}", TYPE_BITS[type_]))
        elif name == "const":
            values.append(z3.BitVecVal(a | b << 32, TYPE_BITS[type_]))
        elif name == "const_v128":
            values.append(z3.BitVecVal(view.constants[a] | view.constants[a + 1] << 64, 128))
        elif name == "return":
            return [values[v] for v in view.args[b : b + c]], z3.Or(False, *chain.from_iterable(traps.values()))
        elif name in ("mulhi_u", "mulhi_s"):
            values.append(getattr(Terms("i64", traps), name)(values[a], values[b]))
        elif BY_ID[op].mnemonic == "select":
            values.append(z3.If(values[c] != 0, values[a], values[b]))
        elif (access := BY_ID[op].access) is not None:  # any value of its width, the same in both forms
            bits = TYPE_BITS[type_] - 8 * access.bytes
            memory = z3.Function(f"memory{access.bytes}", z3.BitVecSort(32), z3.BitVecSort(8 * access.bytes))
            raw = memory(values[a])
            values.append((z3.SignExt if access.signed else z3.ZeroExt)(bits, raw) if bits else raw)
        else:
            row = BY_ID[op]
            assert row.semantics is not None
            domain: Any = Terms(bound_type(row), traps)
            lane = (c,) if row.walk == "lane" else ()
            values.append(row.semantics(domain, *(values[v] for v in (a, b, c)[: len(row.operands)]), *lane))
    raise AssertionError("the block does not return")
