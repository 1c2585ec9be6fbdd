"""The row: what one opcode *is*, and its id. ``spec/ops`` declares rows; decoder, text format, validator, oracle and
JIT derive.

Signature letters: ``i`` i32, ``I`` i64, ``f`` f32, ``F`` f64, ``v`` v128, ``t`` the family's type, ``a`` an address
(the memory's or table's index type: i32 without memory64). Rows whose typing is polymorphic have an empty signature;
the walk that ``walk`` names decides their types (``select``, ``local``, ``call`` …).
"""

from __future__ import annotations

from _collections_abc import Iterable

from stratavm.base.forms import Literal, TypeAlias, TypeVar, dataclass, field
from stratavm.spec.ids import ID_RANGES

Imm: TypeAlias = Literal[
    "local", "global", "func", "table", "elem", "data", "memory", "type", "tag", "label", "labels", "blocktype",
    "memarg", "i32", "i64", "f32", "f64", "v128", "lane", "lanes16", "heaptype", "valtypes", "catches", "field", "u32",
    "castflags", "zero",
]  # fmt: skip
"""Kinds of immediates, in the binary's order. ``labels`` is br_table's vector plus default; ``valtypes`` typed
select's; ``castflags`` one byte of nullability bits; ``zero`` a reserved byte 0x00 (``atomic.fence``) that the text
does not spell."""


Walk: TypeAlias = Literal[
    "", "local", "const", "global", "block", "else", "end", "branch", "br_table", "call", "call_indirect", "return",
    "unreachable", "nop", "drop", "select", "memory", "table", "bulk_table", "reference",
    "branch_null", "call_ref", "atomic", "throw", "throw_ref", "try_table", "try", "catch", "catch_all", "delegate",
    "rethrow", "v128", "lane", "lanes", "vector_access", "object", "branch_cast",
]  # fmt: skip
"""Rows that the walks over a body treat alike, where signature, immediates and access do not say everything."""

Kind: TypeAlias = Literal["", "compare", "quick"]
"""``compare``: the result is 1 or 0. ``quick``: integer arithmetic that takes a processor one cycle, so that a register
is worth more than not to do it again."""


Shape: TypeAlias = Literal["", "i8x16", "i16x8", "i32x4", "i64x2", "f32x4", "f64x2", "v128"]
"""How a row sees vectors: lanes of a type, or all bits alike."""


@dataclass(frozen=True, slots=True)
class Effects:
    """What an operation may do besides computing its result. Sets of {"memory", "table", "global", "gc"}."""

    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    calls: bool = False
    allocates: bool = False

    @property
    def pure(self) -> bool:
        """No effect but possibly a trap."""
        return not (self.reads or self.writes or self.calls or self.allocates)


@dataclass(frozen=True, slots=True)
class Access:
    """A memory access: ``bytes`` moved, sign or zero extension for loads."""

    bytes: int
    signed: bool = False
    store: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One opcode. ``prefix`` is 0 for one-byte opcodes; ``code`` the byte, or the LEB128 number behind the prefix."""

    mnemonic: str
    prefix: int
    code: int
    imms: tuple[Imm, ...] = ()
    signature: str = ""
    feature: str = "mvp"
    traps: tuple[str, ...] = ()
    effects: Effects = field(default_factory=Effects)
    access: Access | None = None
    walk: Walk = ""
    control: bool = False
    ends: bool = False
    """Nothing behind it in its block is reached."""
    text: str = ""
    """Spelling in the text format where two rows share one (``select_t`` is ``select`` there); else empty."""
    fuel: int = 1
    """Units that running it costs; what bulk operations cost by their size comes on top."""
    fields: int = 0
    """Operands in the fields of its node, where the row has no signature; 0: none, or they are in a list."""
    kind: Kind = ""
    negation: str = ""
    """The row that is 1 where this one is 0."""
    mirror: str = ""
    """The row that means the same with its two operands exchanged."""
    commutes: bool = False
    """The operands may be exchanged."""
    reflexive: bool = False
    """A comparison that holds between a value and itself; one that has a negation and is not so never does."""
    twin: str = ""
    """The row with the same meaning over integers of the other width."""
    bits: int = 0
    """Low bits of an integer result that may be one; 0: all of them."""
    extends: int = 0
    """The result is the sign extension of its so many low bits; 0: it may be anything."""
    reload: str = ""
    """Of a store of a whole value: the load that finds it again."""
    shape: Shape = ""
    """Of a vector operation: its lanes; where it changes their width, those of the result."""
    lane: str = ""
    """The scalar row that says what is done in each lane: its operation, over the lanes' width. Where it is a
    comparison, its 1 fills the lane."""
    part: str = ""
    """Of a vector access: the narrower one that it does, on whose value ``via`` works."""
    via: str = ""
    """Of a vector access: the row that makes the result of what was loaded, or what is stored of the vector."""

    @property
    def spelling(self) -> str:
        """The mnemonic in the text format."""
        return self.text or self.mnemonic

    @property
    def operands(self) -> str:
        """Letters of the operands, first pushed first; empty where the walk decides."""
        return self.signature.partition("->")[0]

    @property
    def results(self) -> str:
        """Letters of the results; empty where the walk decides."""
        return self.signature.partition("->")[2]

    @property
    def symbol(self) -> str:
        """Name in generated enums: ``OP_I32_ADD``."""
        return "OP_" + self.mnemonic.upper().replace(".", "_")


R = TypeVar("R", bound=Row)


def row_id(row: Row) -> int:
    """The stable id of a row; refuses one that has none."""
    ids = ID_RANGES.get(row.prefix)
    if ids is None:
        raise ValueError(f"{row.mnemonic} has the prefix {row.prefix:#x}, for which spec/ids.py reserves no ids")
    if not 0 <= row.code < len(ids):
        raise ValueError(
            f"{row.mnemonic} has code {row.code:#x}, and behind {row.prefix:#x} spec/ids.py reserves ids for codes "
            f"below {len(ids):#x} only: give the prefix a larger range"
        )
    return ids.start + row.code


def rows_by_id(rows: Iterable[R]) -> dict[int, R]:
    """Rows in order of their ids."""
    return dict(sorted((row_id(row), row) for row in rows))
