"""Exceptions. Source: WebAssembly 3.0, sections 3.4.3 and 4.6.12 (exception handling)."""

from __future__ import annotations

from stratavm.base.forms import Any
from stratavm.spec.declare import plain
from stratavm.spec.record import Effects

EXCEPTIONS: dict[str, Any] = {"feature": "exceptions", "control": True}
ALLOCATES = Effects(allocates=True)

plain(0x08, "throw", imms=("tag",), ends=True, effects=ALLOCATES, doc="Raise an exception.", **EXCEPTIONS)
plain(0x0A, "throw_ref", ends=True, traps=("null_reference",), doc="Raise an exception again.", **EXCEPTIONS)
plain(
    0x1F,
    "try_table",
    imms=("blocktype", "catches"),
    doc="A block that catches exceptions.",
    **EXCEPTIONS,
)
