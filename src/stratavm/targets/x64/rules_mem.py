"""Selection rules of everything that touches the instance: memories, tables, globals, references, calls."""

from __future__ import annotations

from collections.abc import Iterator

from stratavm.base.forms import Final
from stratavm.contract.builtins import NUMBERS
from stratavm.spec.index import BY_MNEMONIC
from stratavm.targets.x64.rules import Rule

# (row, width of the operation): a load into 32 bits zeroes the upper half, so unsigned loads are 32-bit everywhere.
_LOADS = {
    "i32.load": ("mov_rm", 4), "i64.load": ("mov_rm", 8), "f32.load": ("movf_rm", 4), "f64.load": ("movf_rm", 8),
    "i32.load8_s": ("movsx8_rm", 4), "i32.load8_u": ("movzx8_rm", 4),
    "i32.load16_s": ("movsx16_rm", 4), "i32.load16_u": ("movzx16_rm", 4),
    "i64.load8_s": ("movsx8_rm", 8), "i64.load8_u": ("movzx8_rm", 4),
    "i64.load16_s": ("movsx16_rm", 8), "i64.load16_u": ("movzx16_rm", 4),
    "i64.load32_s": ("movsxd_rm", 8), "i64.load32_u": ("mov_rm", 4),
    "v128.load": ("movups_rm", 16), "v128.load32_zero": ("movf_rm", 4), "v128.load64_zero": ("movf_rm", 8),
}  # fmt: skip
_STORES = {
    "i32.store": ("mov_mr", 4), "i64.store": ("mov_mr", 8), "f32.store": ("movf_mr", 4), "f64.store": ("movf_mr", 8),
    "i32.store8": ("mov_mr", 1), "i32.store16": ("mov_mr", 2),
    "i64.store8": ("mov_mr", 1), "i64.store16": ("mov_mr", 2), "i64.store32": ("mov_mr", 4),
    "v128.store": ("movups_mr", 16),
}  # fmt: skip
_BULK = ("memory.copy", "memory.fill", "memory.init", "table.copy", "table.init", "table.fill")
_PLAIN = (
    "global.get", "global.set", "table.get", "table.set", "table.size", "table.grow", "memory.size", "memory.grow",
    "ref.null", "ref.func", "ref.is_null", "ref.as_non_null", "select", "call", "call_indirect", "call_ref",
)  # fmt: skip


def _bytes(op: str) -> int:
    """Bytes in memory."""
    access = BY_MNEMONIC[op].access
    assert access is not None
    return access.bytes


def _rules() -> Iterator[Rule]:
    for op, (row, width) in _LOADS.items():
        yield Rule(op, "load", row, width=width, extra=_bytes(op))
    for op, (row, width) in _STORES.items():
        yield Rule(op, "store", row, width=width, extra=_bytes(op))
    for op in _BULK:
        yield Rule(op, "bulk", extra=NUMBERS[op.replace(".", "_")])
    for op in ("data.drop", "elem.drop"):
        yield Rule(op, "drop", extra=NUMBERS[op.replace(".", "_")])
    for op in _PLAIN:
        yield Rule(op, op.replace(".", "_"))
    for op in ("call", "call_indirect", "call_ref"):
        yield Rule(f"return_{op}", op)
    yield Rule("select_t", "select")


RULES: Final = tuple(_rules())
"""The family's rules."""
