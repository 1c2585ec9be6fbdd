"""Locals and globals. Source: WebAssembly 3.0, sections 3.4.4 and 4.6.5 (variable instructions)."""

from __future__ import annotations

from stratavm.spec.declare import plain
from stratavm.spec.record import Effects

plain(0x20, "local.get", imms=("local",), walk="local", doc="Push a local.")
plain(0x21, "local.set", imms=("local",), walk="local", doc="Pop into a local.")
plain(0x22, "local.tee", imms=("local",), walk="local", doc="Copy the top into a local.")
plain(
    0x23,
    "global.get",
    imms=("global",),
    walk="global",
    effects=Effects(reads=frozenset({"global"})),
    doc="Push a global.",
)
plain(
    0x24,
    "global.set",
    imms=("global",),
    walk="global",
    fields=1,
    effects=Effects(writes=frozenset({"global"})),
    doc="Pop into a mutable global.",
)
