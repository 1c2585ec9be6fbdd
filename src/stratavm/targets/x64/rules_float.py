"""Selection rules of floating point, and of conversions to and from integers."""

from __future__ import annotations

from collections.abc import Iterator

from stratavm.base.forms import Final
from stratavm.targets.x64.rules import Rule

_TYPES = (("f32", 4, "ss"), ("f64", 8, "sd"))
_ROUNDING = {"nearest": 8, "floor": 9, "ceil": 10, "trunc": 11}  # bit 3: no precision exception
# After ucomis a, b: a > b is "above", a >= b is "above or equal", both false when unordered; a < b swaps the operands.
_COMPARES = {"eq": ("feq", 0), "ne": ("fne", 0), "gt": ("a", 0), "ge": ("ae", 0), "lt": ("a", 1), "le": ("ae", 1)}
_64, _UNSIGNED, _SAT = 1, 2, 4  # TRUNC_*


def _arithmetic() -> Iterator[Rule]:
    for t, width, suffix in _TYPES:
        for name in ("add", "sub", "mul", "div"):
            yield Rule(f"{t}.{name}", "fbin", f"f{name}_rr", width=width)
        for name, (cc, swapped) in _COMPARES.items():
            yield Rule(f"{t}.{name}", "fcompare", "ucomis_rr", width=width, cc=cc, extra=swapped)
        for name, mode in _ROUNDING.items():
            yield Rule(f"{t}.{name}", "fround", f"round{suffix}_rri", width=width, extra=mode)
        yield Rule(f"{t}.sqrt", "unary", "fsqrt_rr", width=width)
        yield Rule(f"{t}.abs", "fbit", "P_FBIT", width=width)
        yield Rule(f"{t}.neg", "fbit", "P_FBIT", width=width, extra=1)
        for name in ("min", "max", "copysign"):
            pseudo = "P_COPYSIGN" if name == "copysign" else f"P_F{name.upper()}"
            yield Rule(f"{t}.{name}", "fpseudo2", pseudo, width=width)


def _conversions() -> Iterator[Rule]:
    yield Rule("f32.demote_f64", "unary", "cvtsd2ss_rr", width=8)
    yield Rule("f64.promote_f32", "unary", "cvtss2sd_rr", width=8)
    for t, width, suffix in _TYPES:
        row = f"cvtsi2{suffix}_rr"
        yield Rule(f"{t}.convert_i32_s", "from_int", row, width=4)
        yield Rule(f"{t}.convert_i32_u", "from_int", row, width=8)  # zero-extended: a positive i64
        yield Rule(f"{t}.convert_i64_s", "from_int", row, width=8)
        yield Rule(f"{t}.convert_i64_u", "from_int", "P_U64_TO_FLOAT", width=width, extra=1)
        for i, bits in (("i32", 0), ("i64", _64)):
            for sign, unsigned in (("s", 0), ("u", _UNSIGNED)):
                yield Rule(f"{i}.trunc_{t}_{sign}", "trunc", width=width, extra=bits | unsigned)
                yield Rule(f"{i}.trunc_sat_{t}_{sign}", "trunc", width=width, extra=bits | unsigned | _SAT)
    yield Rule("i32.reinterpret_f32", "move", "movx2g_rr", width=4)
    yield Rule("i64.reinterpret_f64", "move", "movx2g_rr", width=8)
    yield Rule("f32.reinterpret_i32", "move", "movg2x_rr", width=4)
    yield Rule("f64.reinterpret_i64", "move", "movg2x_rr", width=8)


RULES: Final = (*_arithmetic(), *_conversions())
"""The family's rules."""
