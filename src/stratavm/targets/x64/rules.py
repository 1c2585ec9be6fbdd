"""What a selection rule is. The families declare rows of data; ``make gen`` bakes them; ``isel`` has the code of each
shape.
"""

from __future__ import annotations

from stratavm.base.forms import Final, dataclass

SHAPES: Final = (
    "none",  # no rule: Unsupported
    "alu",  # two-address with register, slot or immediate on the right: row _rr, row2 _ri
    "mul",
    "shift",  # row: count in cl, row2: immediate, row3: BMI2 form that leaves its input; extra: ROT_*
    "divide",  # extra: DIV_*
    "unary",  # D, U: row
    "clz",  # row when the CPU has it, else row2 (a pseudo operation); cpu in extra
    "compare",  # cc
    "eqz",
    "copy32",  # a true 32-bit move: wrap and zero extension
    "fbin",  # two-address float
    "fround",  # extra: rounding immediate
    "fcompare",  # cc; extra 1: operands swapped
    "fpseudo2",  # row: P_FMIN, P_FMAX, P_COPYSIGN
    "fbit",  # cc 0 abs, 1 neg
    "from_int",  # int to float; extra 1: source is an unsigned i32, 2: an unsigned i64
    "trunc",  # extra: TRUNC_*
    "move",  # between register classes
    "load",
    "store",
    "global_get",
    "global_set",
    "table_get",
    "table_set",
    "table_size",
    "memory_size",
    "memory_grow",
    "bulk",  # extra: builtin number; x and y packed, operands in order
    "table_grow",
    "drop",  # data.drop, elem.drop; extra: builtin number
    "ref_null",
    "ref_func",
    "ref_is_null",
    "select",
    "call",
    "call_indirect",
    "call_ref",
    "ref_as_non_null",
    # Objects of guests, references to them, and numbers in references.
    "object",
    "ref_test",
    "ref_i31",
    "i31_get",  # extra: 1 with the sign
    # Atomic instructions of shared memories, which select_atomic knows the ends of; extra: bytes.
    "atomic_load",
    "atomic_store",
    "atomic_add",  # row and row2: of a register and of a number where nobody asks what was there, here and below
    "atomic_sub",
    "atomic_logic",  # row3: in registers
    "atomic_xchg",
    "atomic_cmpxchg",
    "atomic_notify",
    "atomic_wait",
    "atomic_fence",
    # Vectors, in three parts of which select_vec knows the ends: rows, lanes; sequences on integers; other sequences.
    "v_two",  # row _rr, row2 _rm; extra: SWAPPED, INVERTED
    "v_one",  # row, row2 _rm; extra: bytes that it reads
    "v_round",  # extra: immediate
    "v_order",  # row: the greater or less of both, row2: equality with it; extra: INVERTED
    "v_fcompare",  # extra: predicate, SWAPPED << 4
    "v_shift",  # row: count in a register, row2: immediate; extra: bits of a lane
    "v_shift8",
    "v_sar8",
    "v_sar64",
    "v_splat",  # extra of these: bits of a lane
    "v_fsplat",
    "v_extract",  # row2: sign extension
    "v_fextract",
    "v_replace",
    "v_freplace",
    "v_bitmask",  # row2: narrows first
    "v_test",  # row: equality with zero, or none; cc
    "v_shuffle",
    "v_neg",
    "v_not",
    "v_bitselect",
    "v_swizzle",
    "v_popcnt",
    "v_abs64",
    "v_mul64",
    "v_q15",
    "v_high",  # of the upper half of the lanes
    "v_high_u",
    "v_extmul16",
    "v_extmul32",
    "v_extmul64",
    "v_pairs8",
    "v_pairs16",
    "v_dot_add",
    "v_sign",  # row _rm; extra: bits of a lane
    "v_minmax",  # row2: what merges both orders, row3: shift; extra: bits of a lane
    "v_madd",
    "v_convert_u",
    "v_convert_low_u",
    "v_trunc_s",
    "v_trunc_u",
    "v_trunc_zero_s",
    "v_trunc_zero_u",
)
"""Shapes of selection, by number."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one opcode is selected: a shape and its parameters. ``row``… name rows or pseudo operations."""

    op: str
    shape: str
    row: str = ""
    row2: str = ""
    row3: str = ""
    width: int = 4
    cc: str = ""
    extra: int = 0


CONDITIONS: Final = {
    name: n
    for n, name in enumerate(
        ("o", "no", "b", "ae", "e", "ne", "be", "a", "s", "ns", "p", "np", "l", "ge", "le", "g", "feq", "fne")
    )
}
"""Condition codes by name; the last two stand for pairs of jumps."""
