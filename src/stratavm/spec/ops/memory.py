"""Loads, stores and bulk memory. They have no semantic function: ``access`` says all that a load or store does.

Source: WebAssembly 3.0, sections 3.4.7 and 4.6.7 (memory instructions).
"""

from __future__ import annotations

from stratavm.base.forms import Any
from stratavm.spec.declare import TYPES, plain
from stratavm.spec.record import Access, Effects

MEMORY = frozenset({"memory"})
READ = Effects(reads=MEMORY)
WRITE = Effects(writes=MEMORY)
OUT_OF_BOUNDS = ("memory_out_of_bounds",)


def _load(code: int, mnemonic: str, size: int, signed: bool = False) -> None:
    """One load: ``i64.load8_s`` …"""
    plain(
        code,
        mnemonic,
        f"a->{TYPES[mnemonic[:3]]}",
        imms=("memarg",),
        traps=OUT_OF_BOUNDS,
        effects=READ,
        access=Access(size, signed),
        doc=f"Load {size} bytes, little-endian.",
    )


def _store(code: int, mnemonic: str, size: int, reload: str = "") -> None:
    """One store: ``i64.store32`` …"""
    plain(
        code,
        mnemonic,
        f"a{TYPES[mnemonic[:3]]}->",
        imms=("memarg",),
        traps=OUT_OF_BOUNDS,
        effects=WRITE,
        access=Access(size, store=True),
        reload=reload,
        doc=f"Store the low {size} bytes, little-endian.",
    )


_load(0x28, "i32.load", 4)
_load(0x29, "i64.load", 8)
_load(0x2A, "f32.load", 4)
_load(0x2B, "f64.load", 8)
_load(0x2C, "i32.load8_s", 1, signed=True)
_load(0x2D, "i32.load8_u", 1)
_load(0x2E, "i32.load16_s", 2, signed=True)
_load(0x2F, "i32.load16_u", 2)
_load(0x30, "i64.load8_s", 1, signed=True)
_load(0x31, "i64.load8_u", 1)
_load(0x32, "i64.load16_s", 2, signed=True)
_load(0x33, "i64.load16_u", 2)
_load(0x34, "i64.load32_s", 4, signed=True)
_load(0x35, "i64.load32_u", 4)
_store(0x36, "i32.store", 4, reload="i32.load")
_store(0x37, "i64.store", 8, reload="i64.load")
_store(0x38, "f32.store", 4, reload="f32.load")
_store(0x39, "f64.store", 8, reload="f64.load")
_store(0x3A, "i32.store8", 1)
_store(0x3B, "i32.store16", 2)
_store(0x3C, "i64.store8", 1)
_store(0x3D, "i64.store16", 2)
_store(0x3E, "i64.store32", 4)

plain(0x3F, "memory.size", "->a", walk="memory", imms=("memory",), effects=READ, doc="Size in pages.")
plain(
    0x40,
    "memory.grow",
    "a->a",
    walk="memory",
    imms=("memory",),
    effects=Effects(reads=MEMORY, writes=MEMORY),
    doc="Grow by pages; the old size, or -1.",
)

BULK: dict[str, Any] = {"prefix": 0xFC, "feature": "bulk-memory"}
plain(
    8,
    "memory.init",
    "aii->",
    walk="memory",
    imms=("data", "memory"),
    traps=OUT_OF_BOUNDS,
    effects=WRITE,
    doc="Copy from a segment.",
    **BULK,
)
plain(9, "data.drop", "->", walk="memory", imms=("data",), effects=WRITE, doc="Empty a segment.", **BULK)
plain(
    10,
    "memory.copy",
    "aaa->",
    walk="memory",
    imms=("memory", "memory"),
    traps=OUT_OF_BOUNDS,
    effects=Effects(reads=MEMORY, writes=MEMORY),
    doc="Copy; ranges may overlap. Immediates: destination, source; the length has the smaller address type.",
    **BULK,
)
plain(
    11,
    "memory.fill",
    "aia->",
    walk="memory",
    imms=("memory",),
    traps=OUT_OF_BOUNDS,
    effects=WRITE,
    doc="Set bytes.",
    **BULK,
)
