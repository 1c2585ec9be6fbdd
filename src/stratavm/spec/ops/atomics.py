"""Atomic memory operations. They have no semantic function: what one reads, computes and writes is what others say.

Source: the proposal threads.
"""

from __future__ import annotations

from stratavm.base.forms import Any
from stratavm.spec.declare import TYPES, plain
from stratavm.spec.record import Access, Effects

ATOMIC: dict[str, Any] = {"prefix": 0xFE, "feature": "atomics", "walk": "atomic"}
TRAPS = ("memory_out_of_bounds", "unaligned_atomic")
BOTH = Effects(reads=frozenset({"memory"}), writes=frozenset({"memory"}))
SHAPES = (("i32", ""), ("i64", ""), ("i32", "8"), ("i32", "16"), ("i64", "8"), ("i64", "16"), ("i64", "32"))


def _access(code: int, name: str, signature: str, size: int, doc: str, store: bool = False) -> None:
    """One row with a memory argument."""
    plain(
        code,
        name,
        signature,
        imms=("memarg",),
        traps=TRAPS,
        effects=BOTH,
        access=Access(size, store=store),
        doc=doc,
        **ATOMIC,
    )


_access(0x00, "memory.atomic.notify", "ai->i", 4, "Wake threads that wait; how many.")
_access(0x01, "memory.atomic.wait32", "aiI->i", 4, "Wait for a notification; traps on a memory of one thread.")
_access(0x02, "memory.atomic.wait64", "aII->i", 8, "Wait for a notification; traps on a memory of one thread.")
plain(0x03, "atomic.fence", "->", imms=("zero",), effects=BOTH, doc="Order accesses.", **ATOMIC)

for _i, (_type, _width) in enumerate(SHAPES):
    _size = int(_width or _type[1:]) // 8
    _t = TYPES[_type]
    _u = "_u" if _width else ""
    _access(0x10 + _i, f"{_type}.atomic.load{_width}{_u}", f"a->{_t}", _size, "Load, zero-extended.")
    _access(0x17 + _i, f"{_type}.atomic.store{_width}", f"a{_t}->", _size, "Store the low bytes.", store=True)
    for _j, _name in enumerate(("add", "sub", "and", "or", "xor", "xchg", "cmpxchg")):
        _operands = f"a{_t}{_t}" if _name == "cmpxchg" else f"a{_t}"
        _access(
            0x1E + 7 * _j + _i,
            f"{_type}.atomic.rmw{_width}.{_name}{_u}",
            f"{_operands}->{_t}",
            _size,
            "Put another value in the place of one; the old one.",
            store=True,
        )
