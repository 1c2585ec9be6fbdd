"""Tables. Source: WebAssembly 3.0, sections 3.4.6 and 4.6.6 (table instructions)."""

from __future__ import annotations

from stratavm.base.forms import Any
from stratavm.spec.declare import plain
from stratavm.spec.record import Effects

TABLE = frozenset({"table"})
READ = Effects(reads=TABLE)
WRITE = Effects(writes=TABLE)
OUT_OF_BOUNDS = ("table_out_of_bounds",)
BULK: dict[str, Any] = {"prefix": 0xFC, "feature": "bulk-memory"}
REFS: dict[str, Any] = {"prefix": 0xFC, "feature": "reference-types"}

plain(
    0x25,
    "table.get",
    imms=("table",),
    walk="table",
    fields=1,
    feature="reference-types",
    traps=OUT_OF_BOUNDS,
    effects=READ,
    doc="Read an element.",
)
plain(
    0x26,
    "table.set",
    imms=("table",),
    walk="table",
    fields=2,
    feature="reference-types",
    traps=OUT_OF_BOUNDS,
    effects=WRITE,
    doc="Write an element.",
)
plain(
    12,
    "table.init",
    "aii->",
    walk="bulk_table",
    imms=("elem", "table"),
    traps=OUT_OF_BOUNDS,
    effects=WRITE,
    doc="Copy from a segment.",
    **BULK,
)
plain(13, "elem.drop", "->", walk="bulk_table", imms=("elem",), effects=WRITE, doc="Empty a segment.", **BULK)
plain(
    14,
    "table.copy",
    "aaa->",
    walk="bulk_table",
    imms=("table", "table"),
    traps=OUT_OF_BOUNDS,
    effects=Effects(reads=TABLE, writes=TABLE),
    doc="Copy; ranges may overlap. Immediates: destination, source; the length has the smaller address type.",
    **BULK,
)
plain(
    15,
    "table.grow",
    imms=("table",),
    walk="table",
    traps=("out_of_fuel",),  # where fuel is counted: a unit per element
    effects=Effects(reads=TABLE, writes=TABLE),
    doc="Grow by elements filled with a value; the old size, or -1.",
    **REFS,
)
plain(16, "table.size", "->a", walk="table", imms=("table",), effects=READ, doc="Size in elements.", **REFS)
plain(
    17,
    "table.fill",
    imms=("table",),
    walk="table",
    traps=OUT_OF_BOUNDS,
    effects=WRITE,
    doc="Set elements.",
    **REFS,
)
