"""Tail calls and calls through typed references. Source: WebAssembly 3.0, sections 3.4.3 and 4.6.10."""

from __future__ import annotations

from stratavm.spec.declare import plain
from stratavm.spec.record import Effects

CALL = Effects(calls=True)
INDIRECT = Effects(reads=frozenset({"table"}), calls=True)
INDIRECT_TRAPS = ("undefined_element", "uninitialized_element", "indirect_call_mismatch")
NULL = ("null_function",)

plain(
    0x12,
    "return_call",
    imms=("func",),
    walk="call",
    ends=True,
    control=True,
    feature="tail-call",
    effects=CALL,
    doc="Call a function in the place of this one.",
)
plain(
    0x13,
    "return_call_indirect",
    imms=("type", "table"),
    walk="call_indirect",
    ends=True,
    control=True,
    feature="tail-call",
    effects=INDIRECT,
    traps=INDIRECT_TRAPS,
    doc="Call a function from a table in the place of this one.",
)
plain(
    0x14,
    "call_ref",
    imms=("type",),
    walk="call_ref",
    control=True,
    feature="function-references",
    effects=CALL,
    traps=NULL,
    doc="Call a function through its reference.",
)
plain(
    0x15,
    "return_call_ref",
    imms=("type",),
    walk="call_ref",
    ends=True,
    control=True,
    feature="tail-call",
    effects=CALL,
    traps=NULL,
    doc="Call a function through its reference in the place of this one.",
)
