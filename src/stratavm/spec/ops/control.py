"""Control instructions. They have no semantic function: the walk and the oracle's machine own what they mean.

Source: WebAssembly 3.0, sections 3.4.3 (validation) and 4.6 (execution) of control instructions.
"""

from __future__ import annotations

from stratavm.spec.declare import plain
from stratavm.spec.record import Effects

CALL = Effects(calls=True)

plain(0x00, "unreachable", walk="unreachable", ends=True, control=True, traps=("unreachable",), doc="Trap.")
plain(0x01, "nop", "->", walk="nop", fuel=0, control=True, doc="Do nothing.")
plain(0x02, "block", imms=("blocktype",), walk="block", fuel=0, control=True, doc="A label at the end.")
plain(0x03, "loop", imms=("blocktype",), walk="block", fuel=0, control=True, doc="A label at the start.")
plain(0x04, "if", imms=("blocktype",), walk="block", control=True, doc="One of two sequences.")
plain(0x05, "else", walk="else", fuel=0, control=True, doc="The second sequence of an if.")
plain(0x0B, "end", walk="end", fuel=0, control=True, doc="The end of a structured instruction or an expression.")
plain(0x0C, "br", imms=("label",), walk="branch", ends=True, control=True, doc="Branch.")
plain(0x0D, "br_if", imms=("label",), walk="branch", control=True, doc="Branch if not zero.")
plain(
    0x0E,
    "br_table",
    imms=("labels",),
    walk="br_table",
    ends=True,
    control=True,
    doc="Branch by index; the last label is the default.",
)
plain(0x0F, "return", walk="return", ends=True, control=True, doc="Branch to the end of the function.")
plain(0x10, "call", imms=("func",), walk="call", control=True, effects=CALL, doc="Call a function.")
plain(
    0x11,
    "call_indirect",
    imms=("type", "table"),
    walk="call_indirect",
    control=True,
    effects=Effects(reads=frozenset({"table"}), calls=True),
    traps=("undefined_element", "uninitialized_element", "indirect_call_mismatch"),
    doc="Call a function from a table after a comparison of its type.",
)
plain(0x1A, "drop", walk="drop", fuel=0, doc="Discard a value.")
plain(0x1B, "select", walk="select", fields=3, doc="One of two numbers or vectors by a condition.")
plain(
    0x1C,
    "select_t",
    imms=("valtypes",),
    walk="select",
    fields=3,
    feature="reference-types",
    text="select",
    doc="One of two values of the given type by a condition.",
)
