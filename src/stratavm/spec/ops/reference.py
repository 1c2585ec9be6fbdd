"""References: null, functions, and the typed references of 3.0. Source: WebAssembly 3.0, sections 3.4.5 and 4.6.4."""

from __future__ import annotations

from stratavm.spec.declare import plain

plain(0xD0, "ref.null", imms=("heaptype",), walk="reference", feature="reference-types", doc="A null reference.")
plain(0xD1, "ref.is_null", walk="reference", fields=1, feature="reference-types", doc="1 if the reference is null.")
plain(0xD2, "ref.func", imms=("func",), walk="reference", feature="reference-types", doc="A reference to a function.")

plain(0xD3, "ref.eq", walk="object", fields=2, feature="gc", doc="1 if both references are the same.")
plain(
    0xD4,
    "ref.as_non_null",
    walk="reference",
    fields=1,
    feature="function-references",
    traps=("null_reference",),
    doc="The reference, known not to be null.",
)
plain(
    0xD5,
    "br_on_null",
    imms=("label",),
    walk="branch_null",
    control=True,
    feature="function-references",
    doc="Branch if null.",
)
plain(
    0xD6,
    "br_on_non_null",
    imms=("label",),
    walk="branch_null",
    control=True,
    feature="function-references",
    doc="Branch with the reference if it is not null.",
)
