"""Exceptions, and the form that came before them. Source: WebAssembly 3.0, sections 3.4.3 and 4.6.12; for the earlier
form, the document "legacy exception handling" of the proposal.
"""

from __future__ import annotations

from stratavm.base.forms import Any
from stratavm.spec.declare import plain
from stratavm.spec.record import Effects

EXCEPTIONS: dict[str, Any] = {"feature": "exceptions", "control": True}
LEGACY: dict[str, Any] = {"feature": "legacy-exceptions", "control": True}
ALLOCATES = Effects(allocates=True)
NULL = ("null_reference",)

plain(0x08, "throw", imms=("tag",), walk="throw", ends=True, effects=ALLOCATES, doc="Raise an exception.", **EXCEPTIONS)
plain(0x0A, "throw_ref", walk="throw_ref", ends=True, traps=NULL, doc="Raise an exception again.", **EXCEPTIONS)
plain(
    0x1F,
    "try_table",
    imms=("blocktype", "catches"),
    walk="try_table",
    fuel=0,
    doc="A block that catches exceptions: each clause branches.",
    **EXCEPTIONS,
)
plain(0x06, "try", imms=("blocktype",), walk="try", fuel=0, doc="A block with arms that catch exceptions.", **LEGACY)
plain(0x07, "catch", imms=("tag",), walk="catch", fuel=0, doc="An arm of a try, for one tag.", **LEGACY)
plain(0x19, "catch_all", walk="catch_all", fuel=0, doc="The last arm of a try, for any tag.", **LEGACY)
plain(
    0x18, "delegate", imms=("label",), walk="delegate", fuel=0, doc="The end of a try that catches nothing.", **LEGACY
)
plain(0x09, "rethrow", imms=("label",), walk="rethrow", ends=True, doc="Raise again what an arm caught.", **LEGACY)
