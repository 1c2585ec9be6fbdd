"""Latency and ports of every machine operation, for the scheduler.

Microarchitecture: Intel Skylake server (the newer cores differ by a cycle here and there, which a schedule for an
out-of-order machine does not notice). Source: Agner Fog's *Instruction tables* and uops.info, public measurements,
rounded to whole cycles. A memory operand adds a load. Pseudo operations have the sum of their common path.
"""

from __future__ import annotations

import re

from stratavm.base.forms import Final, NamedTuple
from stratavm.targets.x64.encodings import ROWS

LOAD_LATENCY: Final = 5
P0, P1, P5, P6, LOADS, STORES = (1 << n for n in range(6))
"""Ports by bit; the two that load count as one that is free twice per cycle."""
ALU: Final = P0 | P1 | P5 | P6
PORTS: Final = 6
ISSUE_WIDTH: Final = 4
"""Instructions per cycle."""


class Timing(NamedTuple):
    """How long a result takes, where it runs, and how long it keeps that port busy."""

    latency: int
    ports: int = ALU
    busy: int = 1


_SHIFTS = P0 | P6
_FLOAT = P0 | P1
_BY_STEM: Final[dict[str, Timing]] = {
    "mov": Timing(1), "lea": Timing(1, P1 | P5), "movf": Timing(1, P0 | P1 | P5), "movaps": Timing(1, P0 | P1 | P5),
    "movups": Timing(1, P0 | P1 | P5), "movg2x": Timing(2, P5), "movx2g": Timing(2, P0),
    "add": Timing(1), "or": Timing(1), "adc": Timing(1, _SHIFTS), "sbb": Timing(1, _SHIFTS), "and": Timing(1),
    "sub": Timing(1), "xor": Timing(1), "cmp": Timing(1), "test": Timing(1), "not": Timing(1), "neg": Timing(1),
    "imul": Timing(3, P1), "mul": Timing(4, P1), "div": Timing(26, P0, 6), "idiv": Timing(26, P0, 6),
    "rol": Timing(1, _SHIFTS), "ror": Timing(1, _SHIFTS), "shl": Timing(1, _SHIFTS), "shr": Timing(1, _SHIFTS),
    "sar": Timing(1, _SHIFTS), "shld": Timing(3, P1), "bswap": Timing(2, P1 | P5), "setcc": Timing(1, _SHIFTS),
    "cmovcc": Timing(1, _SHIFTS), "cdq": Timing(1), "xchg": Timing(2), "movzx8": Timing(1), "movzx16": Timing(1),
    "movsx8": Timing(1), "movsx16": Timing(1), "movsxd": Timing(1), "bsf": Timing(3, P1), "bsr": Timing(3, P1),
    "tzcnt": Timing(3, P1), "lzcnt": Timing(3, P1), "popcnt": Timing(3, P1), "andn": Timing(1, P1 | P5),
    "blsr": Timing(1, P1 | P5), "blsi": Timing(1, P1 | P5),
    "bextr": Timing(2, _SHIFTS), "rorx": Timing(1, _SHIFTS), "shlx": Timing(1, _SHIFTS), "sarx": Timing(1, _SHIFTS),
    "shrx": Timing(1, _SHIFTS), "fadd": Timing(4, _FLOAT), "fmul": Timing(4, _FLOAT), "fsub": Timing(4, _FLOAT),
    "fmin": Timing(4, _FLOAT), "fmax": Timing(4, _FLOAT), "fdiv": Timing(14, P0, 4), "fsqrt": Timing(18, P0, 6),
    "ucomis": Timing(3, P0), "cmps": Timing(4, _FLOAT), "roundss": Timing(8, _FLOAT, 2),
    "roundsd": Timing(8, _FLOAT, 2), "andp": Timing(1, P0 | P1 | P5), "andnp": Timing(1, P0 | P1 | P5),
    "orp": Timing(1, P0 | P1 | P5), "xorp": Timing(1, P0 | P1 | P5),
    "cvtsi2ss": Timing(6, _FLOAT), "cvtsi2sd": Timing(5, _FLOAT), "cvttss2si": Timing(7, _FLOAT),
    "cvttsd2si": Timing(6, _FLOAT), "cvtss2sd": Timing(5, _FLOAT), "cvtsd2ss": Timing(5, _FLOAT),
    **dict.fromkeys(("lockadd", "lockor", "lockand", "locksub", "lockxor", "lockxadd", "lockcmpxchg"), Timing(13)),
}  # fmt: skip
_VECTOR = P0 | P1 | P5
_VECTORS: Final[tuple[tuple[str, Timing], ...]] = (
    ("p(add|sub)[bwdq]|p(and|andn|or|xor)|(and|andn|or|xor)p[sd]|blendp[sd]", Timing(1, _VECTOR)),
    ("p(add|sub)u?s[bw]|pcmp(eq[bwdq]|gt[bwd])|p(min|max)[su][bwd]|pavg[bw]|pabs[bwd]", Timing(1, _FLOAT)),
    ("p(sll|srl|sra)[wdq]", Timing(2, _FLOAT)),
    ("pmul(lw|huw|hw|hrsw|dq|udq)|pmadd(wd|ubsw)", Timing(5, _FLOAT)),
    ("pmulld", Timing(10, _FLOAT, 2)),
    ("pcmpgtq", Timing(3, P5)),
    ("p?unpck.*|pack.*|pshuf.*|shufp[sd]|ps[lr]ldq|palignr|pblendw|insertps|movs?h?d(dup|up)", Timing(1, P5)),
    ("vbroadcastss", Timing(1, P5)),
    ("pmov[sz]x.*|mov(hl|lh)ps|movs[sd]|mov[lh]ps|movq", Timing(1, P5)),
    ("(add|sub|mul|min|max|cmp)p[sd]|cvtt?(ps2dq|dq2ps)", Timing(4, _FLOAT)),
    ("divps", Timing(11, P0, 3)),
    ("divpd", Timing(14, P0, 4)),
    ("sqrtps", Timing(12, P0, 3)),
    ("sqrtpd", Timing(18, P0, 6)),
    ("roundp[sd]", Timing(8, _FLOAT, 2)),
    ("cvtt?(ps2pd|pd2ps|pd2dq|dq2pd)", Timing(5, P5, 1)),
    ("movmskp[sd]|pmovmskb", Timing(3, P0)),
    ("ptest", Timing(4, P0 | P5)),
    ("pinsr[bwdq]|pextr[bwdq]", Timing(3, P5, 2)),
)
"""Of vector rows, by pattern."""
CONTROL: Final = frozenset({"jmp", "jcc", "call", "ret", "push", "pop", "hlt", "int3", "mfence"})
"""Never inside a window: their timing is the default, and unused."""
PSEUDO_TIMINGS: Final[dict[str, Timing]] = {
    "setcc": Timing(2, _SHIFTS), "zero": Timing(1, P0 | P1 | P5), "select": Timing(2), "clz": Timing(5, P1),
    "ctz": Timing(4, P1), "fbit": Timing(1, P0 | P1 | P5), "copysign": Timing(3, P0 | P1 | P5, 2),
    "fmin": Timing(7, _FLOAT, 2), "fmax": Timing(7, _FLOAT, 2), "u64_to_float": Timing(7, _FLOAT, 2),
    "trunc": Timing(8, _FLOAT, 2), "divide": Timing(28, P0, 8),
}  # fmt: skip
"""Timing of pseudo operations that compute; every other one ends a window."""


def timing(name: str) -> Timing:
    """The timing of a row, by name."""
    stem, _, form = name.partition("_")
    if stem in CONTROL:
        return Timing(1)
    base = _BY_STEM.get(stem) or next(t for pattern, t in _VECTORS if re.fullmatch(pattern, stem))
    if form.startswith("m"):  # an address on the left: a store, or a comparison with memory
        return Timing(base.latency + LOAD_LATENCY, LOADS if stem in ("cmp", "test") else STORES)
    if "m" in form and stem != "lea":
        move = stem.startswith(("mov", "vbroadcast"))
        return Timing(LOAD_LATENCY + (0 if move else base.latency), LOADS if move else base.ports, base.busy)
    return base


def reads_memory(name: str) -> bool:
    """Whether a row reads through an address and writes none."""
    row = next(row for row in ROWS if row.name == name)
    return row.mem and not row.flags & 64 and not name.startswith("lea")
