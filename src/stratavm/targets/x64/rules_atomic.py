"""Selection rules of atomic instructions on shared memories. On others they are loads, stores and arithmetic."""

from __future__ import annotations

from collections.abc import Iterator

from stratavm.base.forms import Final
from stratavm.spec.ops.atomics import SHAPES
from stratavm.targets.x64.rules import Rule

_LOADS: Final = {1: "movzx8_rm", 2: "movzx16_rm", 4: "mov_rm", 8: "mov_rm"}


def _rules() -> Iterator[Rule]:
    for type_, bits in SHAPES:
        size = int(bits or type_[1:]) // 8
        u = "_u" if bits else ""
        yield Rule(f"{type_}.atomic.load{bits}{u}", "atomic_load", _LOADS[size], width=max(size, 4), extra=size)
        yield Rule(f"{type_}.atomic.store{bits}", "atomic_store", "xchg_mr", width=size, extra=size)
        for name in ("add", "sub", "and", "or", "xor", "xchg", "cmpxchg"):
            op = f"{type_}.atomic.rmw{bits}.{name}{u}"
            if name in ("xchg", "cmpxchg"):
                row = "xchg_mr" if name == "xchg" else "lockcmpxchg_mr"
                yield Rule(op, f"atomic_{name}", row, width=size, extra=size)
                continue
            shape = f"atomic_{name}" if name in ("add", "sub") else "atomic_logic"
            yield Rule(op, shape, f"lock{name}_mr", f"lock{name}_mi", f"{name}_rr", width=size, extra=size)
    yield Rule("memory.atomic.notify", "atomic_notify", extra=4)
    yield Rule("memory.atomic.wait32", "atomic_wait", extra=4)
    yield Rule("memory.atomic.wait64", "atomic_wait", extra=8)
    yield Rule("atomic.fence", "atomic_fence", "lockor_mi")


RULES: Final = tuple(_rules())
"""The family's rules."""
