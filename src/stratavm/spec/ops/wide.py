"""Sums and products of 128 bits: two results each, the low half first. Source: the wide-arithmetic proposal.

No processor's instruction does all of one, and a node of the IR has one result: they are expanded by their meaning.
"""

from __future__ import annotations

from stratavm.base.forms import Any
from stratavm.spec.declare import op
from stratavm.spec.domain import Domain, V

WIDE: dict[str, Any] = {"prefix": 0xFC, "feature": "wide-arithmetic"}


@op(0x13, "i64.add128", "IIII->II", **WIDE)
def add128(d: Domain, a: V, a_high: V, b: V, b_high: V) -> tuple[V, V]:
    """Sum modulo 2**128: the low halves carry where their sum is below one of them."""
    low = d.add(a, b)
    return low, d.add(d.add(a_high, b_high), d.widen_u(d.bool_(d.lt_u(low, a))))


@op(0x14, "i64.sub128", "IIII->II", **WIDE)
def sub128(d: Domain, a: V, a_high: V, b: V, b_high: V) -> tuple[V, V]:
    """Difference modulo 2**128: the low halves borrow where the first is the smaller."""
    return d.sub(a, b), d.sub(d.sub(a_high, b_high), d.widen_u(d.bool_(d.lt_u(a, b))))


@op(0x15, "i64.mul_wide_s", "II->II", **WIDE)
def mul_wide_s(d: Domain, a: V, b: V) -> tuple[V, V]:
    """Product of signed numbers, all 128 bits."""
    return d.mul(a, b), d.mulhi_s(a, b)


@op(0x16, "i64.mul_wide_u", "II->II", **WIDE)
def mul_wide_u(d: Domain, a: V, b: V) -> tuple[V, V]:
    """Product of unsigned numbers, all 128 bits."""
    return d.mul(a, b), d.mulhi_u(a, b)
