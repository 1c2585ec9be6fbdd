"""Selection rules of integer operations and of conversions between integers."""

from __future__ import annotations

from collections.abc import Iterator

from stratavm.base.forms import Final
from stratavm.targets.x64.rules import Rule

_TYPES = (("i32", 4), ("i64", 8))
_COMPARES = {
    "eq": "e", "ne": "ne", "lt_s": "l", "lt_u": "b", "gt_s": "g", "gt_u": "a",
    "le_s": "le", "le_u": "be", "ge_s": "ge", "ge_u": "ae",
}  # fmt: skip
_SHIFTS = {"shl": "shl", "shr_s": "sar", "shr_u": "shr", "rotl": "rol", "rotr": "ror"}
_ROTATIONS = {"rol": 1, "ror": 2}
_DIV_SIGNED, _DIV_REM = 1, 2
_DIVISIONS = {"div_s": _DIV_SIGNED, "div_u": 0, "rem_s": _DIV_SIGNED | _DIV_REM, "rem_u": _DIV_REM}


def _rules() -> Iterator[Rule]:
    for t, width in _TYPES:
        for name in ("add", "sub", "and", "or", "xor"):
            yield Rule(f"{t}.{name}", "alu", f"{name}_rr", f"{name}_ri", width=width)
        yield Rule(f"{t}.mul", "mul", "imul_rr", "imul_rri", width=width)
        for name, asm in _SHIFTS.items():
            bmi = "rorx_rri" if asm in _ROTATIONS else f"{asm}x_rrr"
            yield Rule(f"{t}.{name}", "shift", f"{asm}_rc", f"{asm}_ri", bmi, width=width, extra=_ROTATIONS.get(asm, 0))
        for name, bits in _DIVISIONS.items():
            yield Rule(f"{t}.{name}", "divide", width=width, extra=bits)
        for name, cc in _COMPARES.items():
            yield Rule(f"{t}.{name}", "compare", width=width, cc=cc)
        yield Rule(f"{t}.eqz", "eqz", width=width, cc="e")
        yield Rule(f"{t}.clz", "clz", "lzcnt_rr", "P_CLZ", width=width)
        yield Rule(f"{t}.ctz", "clz", "tzcnt_rr", "P_CTZ", width=width)
        yield Rule(f"{t}.popcnt", "unary", "popcnt_rr", width=width)
        yield Rule(f"{t}.extend8_s", "unary", "movsx8_rr", width=width)
        yield Rule(f"{t}.extend16_s", "unary", "movsx16_rr", width=width)
    yield Rule("i64.extend32_s", "unary", "movsxd_rr", width=8)
    yield Rule("i64.extend_i32_s", "unary", "movsxd_rr", width=8)
    yield Rule("i64.extend_i32_u", "copy32")
    yield Rule("i32.wrap_i64", "copy32")


RULES: Final = tuple(_rules())
"""The family's rules."""
