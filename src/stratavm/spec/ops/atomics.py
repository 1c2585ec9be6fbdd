"""Atomic memory operations: known by name and code, without meaning yet. Source: the threads proposal."""

from __future__ import annotations

from stratavm.base.forms import Any
from stratavm.spec.declare import TYPES, plain
from stratavm.spec.record import Access, Effects

THREADS: dict[str, Any] = {"prefix": 0xFE, "feature": "threads"}
TRAPS = ("memory_out_of_bounds", "unaligned_atomic")
BOTH = Effects(reads=frozenset({"memory"}), writes=frozenset({"memory"}))
SHAPES = (("i32", ""), ("i64", ""), ("i32", "8"), ("i32", "16"), ("i64", "8"), ("i64", "16"), ("i64", "32"))


def _access(code: int, name: str, signature: str, size: int, store: bool = False) -> None:
    """One row with a memory argument."""
    plain(
        code,
        name,
        signature,
        imms=("memarg",),
        traps=TRAPS,
        effects=BOTH,
        access=Access(size, store=store),
        **THREADS,
    )


_access(0x00, "memory.atomic.notify", "ai->i", 4)
_access(0x01, "memory.atomic.wait32", "aiI->i", 4)
_access(0x02, "memory.atomic.wait64", "aII->i", 8)
plain(0x03, "atomic.fence", "->", imms=("zero",), effects=BOTH, **THREADS)

for _i, (_type, _width) in enumerate(SHAPES):
    _size = int(_width or _type[1:]) // 8
    _t = TYPES[_type]
    _u = "_u" if _width else ""
    _access(0x10 + _i, f"{_type}.atomic.load{_width}{_u}", f"a->{_t}", _size)
    _access(0x17 + _i, f"{_type}.atomic.store{_width}", f"a{_t}->", _size, store=True)
    for _j, _name in enumerate(("add", "sub", "and", "or", "xor", "xchg", "cmpxchg")):
        _operands = f"a{_t}{_t}" if _name == "cmpxchg" else f"a{_t}"
        _access(0x1E + 7 * _j + _i, f"{_type}.atomic.rmw{_width}.{_name}{_u}", f"{_operands}->{_t}", _size, store=True)
