"""The row: what one opcode *is*. ``spec/ops`` declares rows; decoder, text format, validator, oracle and JIT derive.

A row's semantic function takes a *domain* ``d`` and operands and may only call primitives of ``d`` (``spec/prims.py``).
Signature letters: ``i`` i32, ``I`` i64, ``f`` f32, ``F`` f64, ``v`` v128, ``t`` the family's type, ``a`` an address
(the memory's or table's index type: i32 without memory64). Rows whose typing is polymorphic have an empty signature;
the walk that ``walk`` names decides their types (``select``, ``local``, ``call`` …).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Literal, TypeAlias

from stratavm.base.data import dataclass, field

Semantics: TypeAlias = Callable[..., Any]
Declare: TypeAlias = Callable[[Semantics], Semantics]

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
]  # fmt: skip
"""Rows that the walks over a body treat alike, where signature, immediates and access do not say everything."""

Kind: TypeAlias = Literal["", "compare", "quick"]
"""``compare``: the result is 1 or 0. ``quick``: integer arithmetic that takes a processor one cycle, so that a register
is worth more than not to do it again."""


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
    semantics: Semantics | None = None
    doc: str = ""
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


BULK_FUEL_SHIFT: Final = 3
"""Bulk operations on memories cost one unit per ``1 << BULK_FUEL_SHIFT`` bytes, those on tables one per element."""

ROWS: Final[dict[str, Row]] = {}
"""Every row by mnemonic, in order of declaration; filled by importing ``stratavm.spec.ops``."""

_TAKEN: Final[dict[tuple[int, int], Row]] = {}

TYPES: Final[Mapping[str, str]] = {"i32": "i", "i64": "I", "f32": "f", "f64": "F", "v128": "v"}


def add(row: Row) -> Row:
    """Register a row; refuses a mnemonic or an opcode that is taken."""
    if row.mnemonic in ROWS:
        raise ValueError(f"{row.mnemonic} is declared twice")
    taken = _TAKEN.setdefault((row.prefix, row.code), row)
    if taken is not row:
        raise ValueError(f"{row.mnemonic} and {taken.mnemonic} share {row.prefix:#x} {row.code:#x}")
    ROWS[row.mnemonic] = row
    return row


def plain(code: int, mnemonic: str, signature: str = "", **more: Any) -> Row:
    """Declare one row without a semantic function: its meaning is the walk's, the runtime's or not there yet."""
    return add(Row(mnemonic, more.pop("prefix", 0), code, signature=signature, **more))


def op(code: int, mnemonic: str, signature: str = "", *, prefix: int = 0, **more: Any) -> Declare:
    """Declare one row with the decorated function as its meaning."""

    def declare(semantics: Semantics) -> Semantics:
        doc = (getattr(semantics, "__doc__", None) or "").strip()
        add(Row(mnemonic, prefix, code, signature=signature, semantics=semantics, doc=doc, **more))
        return semantics

    return declare


TWINS: Final = {"i32": "i64", "i64": "i32"}


def family(codes: Mapping[str, int], name: str, signature: str, *, prefix: int = 0, **more: Any) -> Declare:
    """Declare one row per type: ``family({"i32": 0x6A, "i64": 0x7C}, "add", "tt->t")``.

    ``negation`` and ``mirror`` name another family; rows over both integer types are each other's twins.
    """

    def declare(semantics: Semantics) -> Semantics:
        for type_, code in codes.items():
            facts: dict[str, Any] = more | {k: f"{type_}.{more[k]}" for k in ("negation", "mirror") if k in more}
            if (other := TWINS.get(type_)) in codes:
                facts["twin"] = f"{other}.{name}"
            op(code, f"{type_}.{name}", signature.replace("t", TYPES[type_]), prefix=prefix, **facts)(semantics)
        return semantics

    return declare
