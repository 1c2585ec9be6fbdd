"""Generate ``ir/passes/_gen_fold.pxd``: what integer operations make of constants, as C, from the semantic functions of
their rows. Where one traps, it is not folded.
"""

from stratavm.base.errors import TRAPS_BY_NAME
from stratavm.spec.declare import Declared
from stratavm.spec.domain import LETTER_TYPES, WIDTHS, bound_type
from stratavm.spec.index import IDS
from stratavm.spec.lanes import LANES
from stratavm.spec.ops import BY_ID, BY_MNEMONIC
from stratavm.spec.record import Row
from tools.gen import write
from tools.gen_expand import IR_OPS
from tools.gen_ops import column, table

NODES = ("mulhi_u", "mulhi_s")
"""Operations of the IR that are primitives themselves, on two i64."""


class CExpressions:
    """The domain (see ``prims``) of C expressions over ``uint32_t`` or ``uint64_t``; conditions are C truth values.

    Signed reading is a cast, which the compiler defines as two's complement; so are right shifts of it.
    """

    def __init__(self, type_: str) -> None:
        self.type = type_
        self.bits = WIDTHS[type_]
        self.traps: list[str] = []

    def _unsigned(self, text: str) -> str:
        return f"((uint{self.bits}_t)({text}))"

    def _signed(self, text: str) -> str:
        return f"((int{self.bits}_t)({text}))"

    def const(self, value: int, to: str = "") -> str:
        bits = WIDTHS[to] if to else self.bits
        return f"((uint{bits}_t){value & (1 << bits) - 1:#x}ull)"

    def add(self, a: str, b: str) -> str:
        return self._unsigned(f"{a} + {b}")

    def sub(self, a: str, b: str) -> str:
        return self._unsigned(f"{a} - {b}")

    def mul(self, a: str, b: str) -> str:
        return self._unsigned(f"{a} * {b}")

    def div_s(self, a: str, b: str) -> str:
        """See ``prims``; the row has excluded what C does not define."""
        return self._unsigned(f"{self._signed(a)} / {self._signed(b)}")

    def div_u(self, a: str, b: str) -> str:
        return self._unsigned(f"{a} / {b}")

    def rem_s(self, a: str, b: str) -> str:
        """See ``prims``; C does not define a remainder by -1 where the quotient overflows."""
        return self._unsigned(f"{self._signed(b)} == -1 ? 0 : {self._signed(a)} % {self._signed(b)}")

    def rem_u(self, a: str, b: str) -> str:
        return self._unsigned(f"{a} % {b}")

    def mulhi_u(self, a: str, b: str) -> str:
        """See ``prims``; of i64, whose product C has a type for."""
        assert self.bits == 64
        return self._unsigned(f"((unsigned __int128){a} * {b}) >> 64")

    def mulhi_s(self, a: str, b: str) -> str:
        """See ``mulhi_u``."""
        assert self.bits == 64
        return self._unsigned(f"((__int128){self._signed(a)} * {self._signed(b)}) >> 64")

    def and_(self, a: str, b: str) -> str:
        return f"({a} & {b})"

    def or_(self, a: str, b: str) -> str:
        return f"({a} | {b})"

    def xor(self, a: str, b: str) -> str:
        return f"({a} ^ {b})"

    def shl(self, a: str, b: str) -> str:
        return self._unsigned(f"{a} << {b}")

    def shr_s(self, a: str, b: str) -> str:
        return self._unsigned(f"{self._signed(a)} >> {b}")

    def shr_u(self, a: str, b: str) -> str:
        return f"({a} >> {b})"

    def clz(self, a: str) -> str:
        """See ``prims``; C does not define the count of zeros in zero."""
        return self._unsigned(f"{a} ? __builtin_clzll({a}) - {64 - self.bits} : {self.bits}")

    def ctz(self, a: str) -> str:
        return self._unsigned(f"{a} ? __builtin_ctzll({a}) : {self.bits}")

    def popcnt(self, a: str) -> str:
        return self._unsigned(f"__builtin_popcountll({a})")

    def sext(self, a: str, width: int) -> str:
        return self._unsigned(f"{self._signed(f'(int{width}_t){a}')}")

    def eq(self, a: str, b: str) -> str:
        return f"({a} == {b})"

    def lt_s(self, a: str, b: str) -> str:
        return f"({self._signed(a)} < {self._signed(b)})"

    def lt_u(self, a: str, b: str) -> str:
        return f"({a} < {b})"

    def not_(self, a: str) -> str:
        return f"(!{a})"

    def both(self, a: str, b: str) -> str:
        return f"({a} && {b})"

    def either(self, a: str, b: str) -> str:
        return f"({a} || {b})"

    def bool_(self, a: str) -> str:
        return f"({a} ? 1u : 0u)"

    def select(self, c: str, a: str, b: str) -> str:
        return f"({c} ? {a} : {b})"

    def trap_if(self, c: str, kind: str) -> None:
        """See ``prims``; what traps stays in the program."""
        assert kind in TRAPS_BY_NAME
        self.traps.append(c)

    def wrap(self, a: str) -> str:
        return f"((uint32_t){a})"

    def widen_s(self, a: str) -> str:
        return f"((uint64_t)(int64_t)(int32_t){a})"

    def widen_u(self, a: str) -> str:
        return f"((uint64_t){a})"


def is_folded(row: Declared) -> bool:
    """Whether a row is an operation on integers with one result."""
    return row.semantics is not None and set(row.operands) <= set("iI") and row.results in ("i", "I")


def case(number: int, row: Declared) -> list[str]:
    """A row's case of the switch: operands are read in their widths, a trap leaves."""
    assert row.semantics is not None
    domain = CExpressions(bound_type(row))
    names = ["x", "y"][: len(row.operands)]
    result = row.semantics(domain, *names)
    reads = [
        f"const uint{WIDTHS[LETTER_TYPES[letter]]}_t {name} = (uint{WIDTHS[LETTER_TYPES[letter]]}_t){raw};"
        for letter, name, raw in zip(row.operands, names, "ab", strict=False)
    ]
    leaves = [f"if ({condition}) return 0;" for condition in domain.traps]
    return [
        f"case {number}: {{ /* {row.mnemonic} */",
        *(f"    {line}" for line in reads + leaves),
        f"    *result = {result};",
        "    return 1;",
        "}",
    ]


def lane_row(row: Row) -> int:
    """The scalar row that says what is done in each lane, if it is folded itself; else 0."""
    return IDS[row.lane] if row.lane and is_folded(BY_MNEMONIC[row.lane]) else 0


def lane_bits(row: Row) -> int:
    """The width of a vector row's lanes; bits that are all alike are taken 64 at a time."""
    return WIDTHS[LANES[row.shape]] if row.shape in LANES else 64 if row.shape else 0


def nodes() -> list[Declared]:
    """The IR's own operations that are folded, as rows."""
    return [
        Declared(name, 0, IR_OPS[name], signature="II->I", semantics=lambda d, a, b, name=name: getattr(d, name)(a, b))
        for name in NODES
    ]


def text() -> str:
    """The whole file."""
    cases = [line for number, row in BY_ID.items() if is_folded(row) for line in case(number, row)]
    cases += [line for row in nodes() for line in case(row.code, row)]
    body = [
        "static int fold_row(uint16_t op, uint64_t a, uint64_t b, uint64_t* result) {",
        "    (void)b;",
        "    switch (op) {",
        *(f"    {line}" for line in cases),
        "    default: return 0;",
        "    }",
        "}",
    ]
    tables = [
        table("uint16_t", "LANE_ROW", column(lane_row)),
        table("uint8_t", "LANE_BITS", column(lane_bits)),
    ]
    return "\n".join(
        [
            "# Generated by tools/gen_fold.py from the semantic functions of spec/ops; do not edit.",
            "# Raw bits of an operation on constants; 0 where it is not folded: it traps, or is not one on integers.",
            "# LANE_ROW: the folded row whose operation a vector row does in each lane, or 0; LANE_BITS: lanes' width.",
            "from libc.stdint cimport uint8_t, uint16_t, uint64_t",
            "",
            "cdef extern from *:",
            '    """',
            *(f"    {line}" for line in body),
            *(f"    {line}" for lines, _ in tables for line in lines),
            '    """',
            *(declaration for _, declaration in tables),
            "    bint fold_row(uint16_t op, uint64_t a, uint64_t b, uint64_t* result) noexcept nogil",
            "",
        ]
    )


def main() -> None:
    """Write the file."""
    write("src/stratavm/ir/passes/_gen_fold.pxd", text())


if __name__ == "__main__":
    main()
