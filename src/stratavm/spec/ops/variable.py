"""Locals and globals. Source: WebAssembly 3.0, sections 3.4.4 and 4.6.5 (variable instructions)."""

from __future__ import annotations

from stratavm.spec.record import Effects, plain

plain(0x20, "local.get", imms=("local",), check="local.get", doc="Push a local.")
plain(0x21, "local.set", imms=("local",), check="local.set", doc="Pop into a local.")
plain(0x22, "local.tee", imms=("local",), check="local.tee", doc="Copy the top into a local.")
plain(
    0x23,
    "global.get",
    imms=("global",),
    check="global.get",
    effects=Effects(reads=frozenset({"global"})),
    doc="Push a global.",
)
plain(
    0x24,
    "global.set",
    imms=("global",),
    check="global.set",
    effects=Effects(writes=frozenset({"global"})),
    doc="Pop into a mutable global.",
)
