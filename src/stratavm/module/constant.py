"""Typing of constant expressions: offsets of segments, initial values of globals, elements.

Source: WebAssembly 3.0, section 3.4.13 (expressions).
"""

from __future__ import annotations

from stratavm.base.budget import check
from stratavm.base.errors import ValidationError
from stratavm.base.forms import TYPE_CHECKING, Final
from stratavm.base.importing import importing
from stratavm.base.leb import read_sleb, read_uleb
from stratavm.module.features import advice, refusal
from stratavm.module.model import ConstExpr, Module
from stratavm.module.valid import Context
from stratavm.spec import types as T
from stratavm.spec.index import BY_CODE, opcode_at

if TYPE_CHECKING:
    from stratavm.spec.record import Row

NUMBERS: Final = {
    "i32.const": (T.I32, 32),
    "i64.const": (T.I64, 64),
    "f32.const": (T.F32, -4),
    "f64.const": (T.F64, -8),
    "v128.const": (T.V128, -16),
}
"""Type, and bits of the LEB128 number or minus the bytes that follow."""
EXTENDED: Final = {f"{name}.{op}": t for name, t in (("i32", T.I32), ("i64", T.I64)) for op in ("add", "sub", "mul")}
CONSTS: Final = {0x41: T.I32, 0x42: T.I64}


class Constants:
    """Checks the constant expressions of one module."""

    def __init__(self, module: Module, context: Context, features: frozenset[str]) -> None:
        self.module, self.context, self.features = module, context, features
        self.imported_globals = len(module.global_types) - len(module.globals)

    def check(self, expression: ConstExpr, expected: T.ValType, globals_before: int) -> None:
        """The expression leaves one value of type ``expected``; it may read the first ``globals_before`` globals."""
        if expression.lone_i32 is not None and expected == T.I32:
            return
        code, at = expression.code, 0
        if is_one_constant(code) and expected == CONSTS[code[0]]:
            return
        check()
        stack: list[T.ValType] = []
        while True:
            start = at
            prefix, number, at = opcode_at(code, at)
            row = BY_CODE.get((prefix, number))
            if row is not None and row.mnemonic == "end":
                break
            at = self._step(row, code, at, stack, globals_before, expression.offset + start)
        found = " ".join(map(T.type_name, stack)) or "nothing"
        if len(stack) != 1 or not self.context.is_subtype(stack[0], expected):
            raise ValidationError(
                "type mismatch", offset=expression.offset, expected=T.type_name(expected), found=found
            )

    def _step(
        self, row: Row | None, code: bytes, at: int, stack: list[T.ValType], globals_before: int, offset: int
    ) -> int:
        """One instruction: change the stack of types, return the position behind it."""
        mnemonic = row.mnemonic if row is not None else ""
        if mnemonic in NUMBERS:
            type_, bits = NUMBERS[mnemonic]
            if type_ == T.V128:
                self._need("simd", mnemonic, offset)
            stack.append(type_)
            return at - bits if bits < 0 else read_sleb(code, at, bits)[1]
        if mnemonic == "global.get":
            index, at = read_uleb(code, at)
            stack.append(self._global(index, globals_before, offset))
            return at
        if mnemonic == "ref.func":
            index, at = read_uleb(code, at)
            if index >= len(self.module.func_type_indices):
                raise ValidationError(f"unknown function {index}", offset=offset, op=mnemonic)
            stack.append(T.ref(T.CONCRETE + self.module.func_type_indices[index], False))
            return at
        if mnemonic == "ref.null":
            heap, at = read_sleb(code, at, 33)
            if heap >= 0:
                self._need("function-references", "ref.null of a type index", offset)
            stack.append(T.ref(heap & 0x7F if heap < 0 else T.CONCRETE + heap))
            return at
        if mnemonic in EXTENDED:
            self._need("extended-const", mnemonic, offset)
            wanted = EXTENDED[mnemonic]
            if stack[-2:] != [wanted, wanted]:
                found = " ".join(map(T.type_name, stack[-2:])) or "nothing"
                name = T.type_name(wanted)
                raise ValidationError(
                    "type mismatch", offset=offset, op=mnemonic, expected=f"{name} {name}", found=found
                )
            stack.pop()
            return at
        if row is not None and row.feature == "gc":
            with importing:
                from stratavm.module.constant_objects import CONSTANT, object_step

            if mnemonic in CONSTANT:
                self._need("gc", mnemonic, offset)
                return object_step(self.module, self.context, row, code, at, stack, offset)
        raise ValidationError("constant expression required", offset=offset, op=mnemonic)

    def _global(self, index: int, globals_before: int, offset: int) -> T.ValType:
        """The type of a global that a constant expression may read: defined before, immutable."""
        known = globals_before if "extended-const" in self.features else self.imported_globals
        if index >= known:
            raise ValidationError(f"unknown global {index}", offset=offset, op="global.get", expected=f"below {known}")
        found = self.module.global_types[index]
        if found.mutable:
            raise ValidationError(
                "constant expression required", offset=offset, op="global.get", found="a mutable global"
            )
        return found.value

    def _need(self, feature: str, what: str, offset: int) -> None:
        """Refuse an instruction unless its proposal is enabled."""
        if feature in self.features:
            return
        raise ValidationError(refusal(feature), offset=offset, op=what, hint=advice(feature))


def is_one_constant(code: bytes) -> bool:
    """Whether it is ``i32.const`` or ``i64.const``, then ``end``: programs have tens of thousands of such offsets."""
    if not 3 <= len(code) <= 12 or code[0] not in CONSTS:
        return False
    return code[-1] == 0x0B and code[-2] < 0x80 <= min(code[1:-2], default=0x80)
