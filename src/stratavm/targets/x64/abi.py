"""The guest calling convention on x86-64: where every argument and result of a function type lives. Data, no code.

Registers with a fixed role: rsp, rbp (frame chain), r15 = ExecContext, r14 = VMContext of the running instance (of a
host function: its HostFunc). r11 and xmm15 are scratch of the emitter and of stubs. Nothing is callee-saved.

* Parameters: integers and references 1-6 in rax rcx rdx rsi rdi r8, floats (and v128) 1-8 in xmm0-7, counted
  separately in parameter order. Every other parameter has an 8-byte stack cell (v128: 16, aligned), in parameter
  order from [rsp] before the call. The area is rounded up to 16 bytes and **popped by the callee**; so rsp is a
  multiple of 16 at every call.
* Results: the same sequence of registers. Every other result has a cell, laid out like parameters', in an area whose
  address the *caller* passes in **r9**. r9 is meaningful only for types with such results. The callee may write the
  cells at any time; on return r9 holds nothing. A tail call passes r9 on.
* An i32 is zero-extended in a register and in a cell, an f32 is the low four bytes (the upper ones are arbitrary in
  registers and in stack cells, zero in the 16-byte cells of an array entry).
* Flags, all other registers and all stack below rsp are clobbered. The direction flag is clear.
"""

from __future__ import annotations

from stratavm.base.errors import ResourceLimit
from stratavm.base.forms import Final, Literal, TypeAlias, dataclass
from stratavm.base.importing import lru_cache
from stratavm.spec.types import F32, F64, I32, V128, FuncType, ValType
from stratavm.targets.x64.regs import GPR_NAMES, NUMBER, XMM_BASE, XMM_NAMES

XMM0: Final = XMM_BASE
"""Location of xmm0 where general and XMM registers share one numbering."""
RAX, RCX, RDX, RSI, RDI, R8, R9 = (NUMBER[n] for n in ("rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9"))

INT_REGISTERS: Final = (RAX, RCX, RDX, RSI, RDI, R8)
FLOAT_REGISTERS: Final = tuple(range(XMM0, XMM0 + 8))
RESULT_POINTER: Final = R9
MAX_PARAMS: Final = 1000
MAX_RESULTS: Final = 1000

Class: TypeAlias = Literal["int", "float"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where one value lives: a register (0-15 general, 16-31 XMM), or a stack cell at ``offset`` when ``register`` is
    None.
    """

    type: ValType
    register: int | None
    offset: int = 0

    @property
    def width(self) -> int:
        """Bytes that carry the value: 4, 8 or 16."""
        return width(self.type)


@dataclass(frozen=True, slots=True)
class Signature:
    """A function type, assigned. ``stack_bytes``: the area the callee pops. ``result_bytes``: the area behind r9, 0 =
    none.
    """

    params: tuple[Place, ...]
    results: tuple[Place, ...]
    stack_bytes: int
    result_bytes: int


def width(t: ValType) -> int:
    """Bytes of a value of this type in a register or slot."""
    return 16 if t == V128 else 4 if t in (I32, F32) else 8


def is_float(t: ValType) -> bool:
    """Whether the type lives in XMM registers."""
    return t in (F32, F64, V128)


_place = lru_cache(maxsize=1024)(Place)
"""The few places there are: hundreds of thousands of types may have values in them."""


def _assign(types: tuple[ValType, ...]) -> tuple[tuple[Place, ...], int]:
    """Places in order, and the bytes of the cells that did not fit registers (a multiple of 16)."""
    places: list[Place] = []
    free: dict[bool, list[int]] = {False: list(INT_REGISTERS[::-1]), True: list(FLOAT_REGISTERS[::-1])}
    cells = 0
    for t in types:
        registers = free[is_float(t)]
        if registers:
            places.append(_place(t, registers.pop()))
            continue
        size = 16 if t == V128 else 8
        cells = -(-cells // size) * size
        places.append(_place(t, None, cells))
        cells += size
    return tuple(places), -(-cells // 16) * 16


@lru_cache(maxsize=4096)
def assign(type_: FuncType) -> Signature:
    """Registers and stack cells of a function type; refuses types beyond the documented limits."""
    if len(type_.params) > MAX_PARAMS:
        raise ResourceLimit(f"{len(type_.params)} parameters, the limit is {MAX_PARAMS}", limit="params")
    if len(type_.results) > MAX_RESULTS:
        raise ResourceLimit(f"{len(type_.results)} results, the limit is {MAX_RESULTS}", limit="results")
    params, stack_bytes = _assign(type_.params)
    results, result_bytes = _assign(type_.results)
    return Signature(params, results, stack_bytes, result_bytes)


def name(register: int) -> str:
    """The 64-bit name of a register in the common numbering."""
    return (*GPR_NAMES, *XMM_NAMES)[register]
