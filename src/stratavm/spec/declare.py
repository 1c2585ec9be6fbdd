"""Declaring rows, with what they mean. The files of ``spec/ops`` do; who wants all of them asks that package.

A row's semantic function takes a *domain* ``d`` and operands and may only call primitives of ``d`` (``spec/prims.py``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from stratavm.base.forms import Any, Final, TypeAlias, dataclass
from stratavm.spec.record import Row

Semantics: TypeAlias = Callable[..., Any]
Declare: TypeAlias = Callable[[Semantics], Semantics]


@dataclass(frozen=True, slots=True)
class Declared(Row):
    """A row and what it means; ``index.py`` has the rows alone, as data."""

    semantics: Semantics | None = None
    """Immediates of the row (a lane, the lanes of a shuffle) come behind its operands, as Python's values."""
    doc: str = ""


ROWS: Final[dict[str, Declared]] = {}
"""Every row by mnemonic, in order of declaration; filled by importing ``stratavm.spec.ops``."""

_TAKEN: Final[dict[tuple[int, int], Declared]] = {}

TYPES: Final[Mapping[str, str]] = {"i32": "i", "i64": "I", "f32": "f", "f64": "F", "v128": "v"}


def add(row: Declared) -> Declared:
    """Register a row; refuses a mnemonic or an opcode that is taken."""
    if row.mnemonic in ROWS:
        raise ValueError(f"{row.mnemonic} is declared twice")
    taken = _TAKEN.setdefault((row.prefix, row.code), row)
    if taken is not row:
        raise ValueError(f"{row.mnemonic} and {taken.mnemonic} share {row.prefix:#x} {row.code:#x}")
    ROWS[row.mnemonic] = row
    return row


def plain(code: int, mnemonic: str, signature: str = "", **more: Any) -> Declared:
    """Declare one row without a semantic function: its meaning is the walk's, the runtime's or not there yet."""
    return add(Declared(mnemonic, more.pop("prefix", 0), code, signature=signature, **more))


def op(code: int, mnemonic: str, signature: str = "", *, prefix: int = 0, **more: Any) -> Declare:
    """Declare one row with the decorated function as its meaning."""

    def declare(semantics: Semantics) -> Semantics:
        doc = (getattr(semantics, "__doc__", None) or "").strip()
        add(Declared(mnemonic, prefix, code, signature=signature, semantics=semantics, doc=doc, **more))
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
