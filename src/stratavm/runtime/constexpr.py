"""Values of constant expressions, as raw bits. Owns the few instructions that the specification calls constant."""

from __future__ import annotations

from _collections_abc import Callable

from stratavm.base.errors import Unsupported
from stratavm.base.forms import Any, Final
from stratavm.base.importing import importing
from stratavm.base.leb import read_sleb, read_uleb
from stratavm.module.model import ConstExpr

_MASK32: Final = 0xFFFF_FFFF
_MASK64: Final = (1 << 64) - 1
_END: Final = 0x0B
_BINARY: Final[dict[int, tuple[Callable[[int, int], int], int]]] = {
    0x6A: (int.__add__, _MASK32),
    0x6B: (int.__sub__, _MASK32),
    0x6C: (int.__mul__, _MASK32),
    0x7C: (int.__add__, _MASK64),
    0x7D: (int.__sub__, _MASK64),
    0x7E: (int.__mul__, _MASK64),
}


def evaluate(expression: ConstExpr, instance: Any) -> int:
    """The value of a valid constant expression; ``instance`` gives globals and functions by index."""
    if expression.lone_i32 is not None:
        return expression.lone_i32
    code = expression.code
    stack: list[int] = []
    at = 0
    while code[at] != _END:
        at = _step(code, at, stack, instance, expression.offset)
    return stack[-1]


def _step(code: bytes, at: int, stack: list[int], instance: Any, offset: int) -> int:
    """Run the instruction at ``at``; the position behind it."""
    op, at = code[at], at + 1
    end = len(code)
    if op in _BINARY:
        operation, mask = _BINARY[op]
        right = stack.pop()
        stack[-1] = operation(stack[-1], right) & mask
    elif op in (0x41, 0x42):
        value, at = read_sleb(code, at, 32 if op == 0x41 else 64, end)
        stack.append(value & (_MASK32 if op == 0x41 else _MASK64))
    elif op in (0x43, 0x44):
        size = 4 if op == 0x43 else 8
        stack.append(int.from_bytes(code[at : at + size], "little"))
        at += size
    elif op == 0xFD:  # v128.const
        _, at = read_uleb(code, at, 32, end)
        stack.append(int.from_bytes(code[at : at + 16], "little"))
        at += 16
    elif op == 0x23:
        index, at = read_uleb(code, at, 32, end)
        stack.append(instance.export("global", index).bits)
    elif op == 0xD0:
        _, at = read_sleb(code, at, 33, end)
        stack.append(0)
    elif op == 0xD2:
        index, at = read_uleb(code, at, 32, end)
        stack.append(instance.func_ref(index))
    elif op == 0xFB:
        at = _object_step(code, at, stack, instance)
    else:
        raise Unsupported(f"instruction {op:#x} in a constant expression", offset=offset + at - 1)
    return at


def _object_step(code: bytes, at: int, stack: list[int], instance: Any) -> int:
    """One that makes an object, or converts a reference: the position behind it."""
    with importing:
        from stratavm.contract import objects
        from stratavm.spec.index import BY_CODE

    end = len(code)
    what, at = read_uleb(code, at, 32, end)
    row = BY_CODE[0xFB, what].mnemonic
    if row == "ref.i31":
        stack[-1] = objects.I31_TAG | (stack[-1] & objects.I31_BITS)
        return at
    if row == "any.convert_extern" or row == "extern.convert_any":
        return at  # the same word
    index, at = read_uleb(code, at, 32, end)
    if row.startswith("struct.new"):
        count = 0 if row == "struct.new_default" else len(instance.model.types[index].composite.fields)
        raws = stack[len(stack) - count :]
        del stack[len(stack) - count :]
        stack.append(objects.new_struct(instance, index, raws))
        return at
    if row == "array.new_fixed":
        count, at = read_uleb(code, at, 32, end)
        raws = stack[len(stack) - count :]
        del stack[len(stack) - count :]
    else:
        count = stack.pop()
        raws = [0] if row == "array.new_default" else [stack.pop()]
    stack.append(objects.new_array(instance, index, count, raws))
    return at
