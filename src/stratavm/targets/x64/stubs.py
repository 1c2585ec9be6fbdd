"""The machine code between the host and guest code: entries, exits and detours. Owns their bytes, not where they are
placed.

Every exit from guest code to the host goes through the gate. Every stub is position-independent, keeps the frame chain
(``push rbp; mov rbp, rsp`` first) and follows ``abi.py``.
Stack of an activation, seen from ``Activation.entry_sp``: the cells pointer, r15, r14, r13, r12, rbx, rbp, the host's
return address; entry stubs build it and the trap exit takes it down.
"""

from __future__ import annotations

from stratavm.base.errors import TRAPS_BY_NAME
from stratavm.base.forms import Final
from stratavm.base.importing import lru_cache
from stratavm.contract import builtins, layout
from stratavm.machine.code import Code
from stratavm.spec.types import F32, I32, V128, FuncType
from stratavm.targets.x64 import abi
from stratavm.targets.x64.asm import Asm
from stratavm.targets.x64.assemble import repeated

SAVED: Final = ("rbx", "r12", "r13", "r14", "r15")
"""Registers, besides rbp, that the C convention wants back."""
LAZY_STUB_BYTES: Final = 16
"""Size of one lazy stub: stub *i* of a block starts at ``i * LAZY_STUB_BYTES``."""
MAX_LAZY_STUBS: Final = 1_000_000
_LAZY_ENTRY: Final = bytes.fromhex("41bb00000000 e900000000 cccccccccc")
"""``mov r11d, index; jmp common``, padded; the numbers are at 2 and at 7."""
CELL: Final = layout.ARG_CELL
EXEC_AT: Final = {f.name: layout.EXEC.offset(f.name) for f in layout.EXEC.fields}
"""Offsets of an ExecContext, by field."""
_ENTRY_SP, _EXIT_SP = layout.ACTIVATION.offset("entry_sp"), layout.ACTIVATION.offset("exit_sp")
_FIBER = {f.name: layout.FIBER_STATE.offset(f.name) for f in layout.FIBER_STATE.fields}
_FIBER_AT = layout.ACTIVATION.offset("fiber")
_REC_CODE, _REC_VMCTX = layout.FUNC_REC.offset("code"), layout.FUNC_REC.offset("vmctx")


def _up16(n: int) -> int:
    return -(-n // 16) * 16


def _builtin(a: Asm, name: str, gate: str = "gate") -> None:
    """Call a builtin through the gate; its operands from the third on stand in registers, rsp is a multiple of 16."""
    a.ins("mov_ri", "rax", width=4, imm=builtins.NUMBERS[name])
    a.ins("call_m", base="r15", disp=EXEC_AT[gate])
    a.returned()


@lru_cache(maxsize=1)
def gate() -> tuple[Code, int]:
    """The one way from guest code to the host: calls the builtin whose number is in rax; and the offset of the same
    for builtins that return a value.

    Its frame is the lowest of the guest's: what ``exit_sp`` points to is the guest's FP, then where the guest goes on.
    """
    a = Asm()
    _leave_guest(a)
    a.ins("test_rr", "rax", "rax", width=4)
    refused = a.jump("ne")
    _return_to_guest(a)
    a.align(16)
    for_values = a.here()
    _leave_guest(a)
    _return_to_guest(a)
    a.label(refused)
    _refuse(a)
    return a.finish(), for_values


def _refuse(a: Asm) -> None:
    """A builtin has ended with a status: the guest goes on where it catches an exception, or traps."""
    a.ins("cmp_ri", "rax", width=4, imm=builtins.STATUSES["throw"])
    traps = [a.jump("ne")]
    a.ins("mov_rm", "r11", base="r15", disp=EXEC_AT["catch_pc"])
    a.ins("test_rr", "r11", "r11")
    traps.append(a.jump("e"))
    a.ins("mov_rm", "rbp", base="r15", disp=EXEC_AT["catch_fp"])
    a.ins("jmp_r", "r11")  # which sets the stack pointer
    for label in traps:
        a.label(label)
    a.ins("mov_mr", "rax", width=4, base="r15", disp=EXEC_AT["trap_code"])
    a.trap(TRAPS_BY_NAME["dynamic"].code)


def _leave_guest(a: Asm, on_fiber: bool = False) -> None:
    """Say where the guest's stack ends, and call; from a fiber, on the thread's stack."""
    a.ins("push_r", "rbp")
    a.ins("mov_rr", "rbp", "rsp")
    a.ins("mov_rm", "r11", base="r15", disp=EXEC_AT["activation"])
    a.ins("mov_mr", "rsp", base="r11", disp=_EXIT_SP)
    a.ins("mov_rr", "rdi", "r15")
    a.ins("mov_rr", "rsi", "r14")
    if on_fiber:
        a.ins("mov_rm", "r10", base="r11", disp=_FIBER_AT)
        a.ins("test_rr", "r10", "r10")
        on_thread = a.jump("e")  # a guest that a host function has called meanwhile
        a.ins("mov_rm", "rsp", base="r10", disp=_FIBER["thread_sp"])
        a.label(on_thread)
    a.ins("call_m", base="r15", index="rax", disp=EXEC_AT["builtins"])
    a.returned()
    if on_fiber:
        a.ins("mov_rr", "rsp", "rbp")  # C keeps rbp


def _return_to_guest(a: Asm) -> None:
    a.ins("pop_r", "rbp")
    a.ins("ret")


@lru_cache(maxsize=1)
def fiber_gate() -> tuple[Code, tuple[int, int, int, int]]:
    """The gate of stores in which a guest is on a fiber; and the offsets of that, of the same for values, and of the C
    functions that start and resume fibers.

    Those two have the same frame on the thread's stack, and a guest returns to the newest.
    """
    a = Asm()
    _leave_guest(a, on_fiber=True)
    a.ins("cmp_ri", "rax", width=4, imm=builtins.STATUSES["suspend"])
    suspends = a.jump("e")
    goes_on = a.here()
    a.ins("test_rr", "rax", "rax", width=4)
    refused = [a.jump("ne")]
    _return_to_guest(a)
    a.align(16)
    for_values = a.here()
    _leave_guest(a, on_fiber=True)
    _return_to_guest(a)
    a.align(16)
    start = a.here()
    _leave_thread(a)
    a.ins("mov_rr", "rbx", "rdi")
    a.ins("mov_rr", "rdi", "rdx")
    a.ins("mov_rr", "rdx", "r8")
    a.ins("mov_rr", "rsp", "r9")
    a.ins("xor_rr", "rbp", "rbp", width=4)  # the frame chain ends here
    a.ins("call_r", "rcx")
    a.returned()
    a.ins("mov_rm", "rsp", base="rbx", disp=_FIBER["thread_sp"])
    returns = a.here()
    a.ins("add_ri", "rsp", imm=8)
    _return_to_host(a)
    a.align(16)
    resume = a.here()
    _leave_thread(a)
    a.ins("mov_rr", "r15", "rsi")
    a.ins("mov_rm", "r14", base="rdi", disp=_FIBER["vmctx"])
    a.ins("mov_rm", "rsp", base="rdi", disp=_FIBER["sp"])
    a.ins("mov_rr", "rbp", "rsp")
    a.ins("mov_rr", "rax", "rdx", width=4)
    a.jump_to_offset(goes_on)
    a.label(suspends)
    a.ins("mov_rm", "r10", base="r15", disp=EXEC_AT["activation"])
    a.ins("mov_rm", "r10", base="r10", disp=_FIBER_AT)
    a.ins("test_rr", "r10", "r10")
    refused.append(a.jump("e"))  # it is on the thread's stack
    a.ins("mov_mr", "rbp", base="r10", disp=_FIBER["sp"])
    a.ins("mov_mr", "r14", base="r10", disp=_FIBER["vmctx"])
    a.ins("mov_rm", "rsp", base="r10", disp=_FIBER["thread_sp"])
    a.jump_to_offset(returns)
    for label in refused:
        a.label(label)
    _refuse(a)
    return a.finish(), (0, for_values, start, resume)


def _leave_thread(a: Asm) -> None:
    """Begin a C function that runs a fiber: rdi = its FiberState."""
    a.ins("push_r", "rbp")
    a.ins("mov_rr", "rbp", "rsp")
    for register in SAVED:
        a.ins("push_r", register)
    a.ins("sub_ri", "rsp", imm=8)
    a.ins("mov_mr", "rsp", base="rdi", disp=_FIBER["thread_sp"])


def load_place(a: Asm, place: abi.Place, base: str, disp: int) -> None:
    """A cell or stack cell into the place's register."""
    assert place.register is not None
    register = abi.name(place.register)
    if place.type == V128:
        a.ins("movups_rm", register, width=16, base=base, disp=disp)
    elif place.register >= abi.XMM0:
        a.ins("movf_rm", register, width=place.width, base=base, disp=disp)
    else:
        a.ins("mov_rm", register, width=place.width, base=base, disp=disp)


def store_place(a: Asm, place: abi.Place, base: str, disp: int) -> None:
    """The place's register into a 16-byte cell, zero-extended."""
    assert place.register is not None
    register = abi.name(place.register)
    if place.type == V128:
        a.ins("movups_mr", register, width=16, base=base, disp=disp)
    elif place.register >= abi.XMM0:
        a.ins("movf_mr", register, width=place.width, base=base, disp=disp)
        if place.type == F32:
            a.ins("mov_mi", width=4, base=base, disp=disp + 4, imm=0)
    else:
        a.ins("mov_mr", register, width=8, base=base, disp=disp)


def copy_place(a: Asm, place: abi.Place, source: tuple[str, int], target: tuple[str, int]) -> None:
    """A value between memory cells of any two kinds, through the scratch registers, zero-extended to eight bytes."""
    if place.type == V128:
        a.ins("movups_rm", "xmm15", width=16, base=source[0], disp=source[1])
        a.ins("movups_mr", "xmm15", width=16, base=target[0], disp=target[1])
        return
    a.ins("mov_rm", "r11", width=4 if place.type in (I32, F32) else 8, base=source[0], disp=source[1])
    a.ins("mov_mr", "r11", base=target[0], disp=target[1])


@lru_cache(maxsize=1024)
def entry_stub(type_: FuncType) -> Code:
    """``u32 array_entry(FuncRec* rdi, ExecContext* rsi, cells* rdx)`` of a signature: 0 = returned, 1 = trapped."""
    signature = abi.assign(type_)
    a = Asm()
    a.append(_entry_begins())
    area = signature.stack_bytes + signature.result_bytes
    if area:
        a.ins("sub_ri", "rsp", imm=area)
    for i, place in enumerate(signature.params):
        if place.register is None:
            copy_place(a, place, ("r12", CELL * i), ("rsp", place.offset))
        else:
            load_place(a, place, "r12", CELL * i)
    if signature.result_bytes:
        a.ins("lea_rm", "r9", base="rsp", disp=signature.stack_bytes)
    a.ins("call_r", "rbx")
    a.returned()
    # The stack arguments are popped: the result area, if any, begins at rsp. The guest may have used r12: reload it.
    a.ins("mov_rm", "r12", base="rbp", disp=-8 * (len(SAVED) + 1))
    for i, place in enumerate(signature.results):
        if place.register is None:
            copy_place(a, place, ("rsp", place.offset), ("r12", CELL * i))
        else:
            store_place(a, place, "r12", CELL * i)
    a.append(_entry_ends())
    return a.finish()


@lru_cache(maxsize=1)
def _entry_begins() -> bytes:
    """What is the same in every entry: a program asks for dozens."""
    a = Asm()
    a.ins("push_r", "rbp")
    a.ins("mov_rr", "rbp", "rsp")
    for register in (*SAVED, "rdx"):
        a.ins("push_r", register)
    a.ins("mov_rr", "r15", "rsi")
    a.ins("mov_rm", "r14", base="rdi", disp=_REC_VMCTX)
    a.ins("mov_rm", "rbx", base="rdi", disp=_REC_CODE)
    a.ins("mov_rr", "r12", "rdx")
    a.ins("mov_rm", "r11", base="r15", disp=EXEC_AT["activation"])
    a.ins("mov_mr", "rsp", base="r11", disp=_ENTRY_SP)
    return a.finish().code


@lru_cache(maxsize=1)
def _entry_ends() -> bytes:
    """As ``_entry_begins``."""
    a = Asm()
    a.ins("lea_rm", "rsp", base="rbp", disp=-8 * len(SAVED))
    a.ins("xor_rr", "rax", "rax", width=4)
    _return_to_host(a)
    return a.finish().code


def _return_to_host(a: Asm) -> None:
    for register in reversed(SAVED):
        a.ins("pop_r", register)
    a.ins("pop_r", "rbp")
    a.ins("ret")


@lru_cache(maxsize=1)
def trap_exit() -> Code:
    """Leaves the innermost activation with 1. Entered by a jump from a signal handler: r15 = ExecContext, any stack."""
    a = Asm()
    a.ins("mov_rm", "r11", base="r15", disp=EXEC_AT["activation"])
    a.ins("mov_rm", "rsp", base="r11", disp=_ENTRY_SP)
    a.ins("add_ri", "rsp", imm=8)
    a.ins("mov_ri", "rax", width=4, imm=1)
    _return_to_host(a)
    return a.finish()


def _call_with_cells(type_: FuncType, builtin: str, index: int | None) -> Code:
    """A guest entry that puts its arguments into cells, calls a host builtin with them and returns the results."""
    signature = abi.assign(type_)
    cells = max(len(signature.params), len(signature.results))
    frame = CELL * cells + 16  # the result pointer is kept at [rbp - 8]
    a = Asm()
    a.ins("push_r", "rbp")
    a.ins("mov_rr", "rbp", "rsp")
    a.ins("sub_ri", "rsp", imm=frame)
    if signature.result_bytes:
        a.ins("mov_mr", "r9", base="rbp", disp=-8)
    for i, place in enumerate(signature.params):
        if place.register is None:
            copy_place(a, place, ("rbp", 16 + place.offset), ("rsp", CELL * i))
        else:
            store_place(a, place, "rsp", CELL * i)
    if index is None:
        a.ins("mov_rr", "rdx", "rsp")
    else:
        a.ins("mov_ri", "rdx", width=4, imm=index)
        a.ins("mov_rr", "rcx", "rsp")
    _builtin(a, builtin)
    if signature.result_bytes:
        a.ins("mov_rm", "r9", base="rbp", disp=-8)
    for i, place in enumerate(signature.results):
        if place.register is None:
            copy_place(a, place, ("rsp", CELL * i), ("r9", place.offset))
        else:
            load_place(a, place, "rsp", CELL * i)
    a.ins("mov_rr", "rsp", "rbp")
    a.ins("pop_r", "rbp")
    if signature.stack_bytes:
        a.ins("ret_i", imm=signature.stack_bytes)
    else:
        a.ins("ret")
    return a.finish(frame)


@lru_cache(maxsize=1024)
def host_stub(type_: FuncType) -> Code:
    """``FuncRec.code`` of a host function: r14 = its HostFunc; arguments and results travel in cells through
    ``host_call``.
    """
    return _call_with_cells(type_, "host_call", None)


def oracle_stub(type_: FuncType, defined_index: int) -> Code:
    """Code of a defined function that runs on the oracle (its body has a row that the compiler does not know)."""
    return _call_with_cells(type_, "oracle_call", defined_index)


def _save_area(a: Asm, registers: tuple[str, ...], restore: bool = False) -> None:
    """Store registers at the bottom of the frame, or load them: XMM registers whole, first."""
    xmm = [r for r in registers if r.startswith("xmm")]
    for i, register in enumerate(xmm):
        a.ins("movups_rm" if restore else "movups_mr", register, width=16, base="rsp", disp=16 * i)
    for i, register in enumerate(r for r in registers if not r.startswith("xmm")):
        disp = 16 * len(xmm) + 8 * i
        a.ins("mov_rm" if restore else "mov_mr", register, base="rsp", disp=disp)


def _area_bytes(registers: tuple[str, ...]) -> int:
    return _up16(sum(16 if r.startswith("xmm") else 8 for r in registers))


_ARGUMENTS = (*(abi.name(r) for r in (*abi.INT_REGISTERS, abi.RESULT_POINTER, *abi.FLOAT_REGISTERS)),)
SAVED_BY_POLLS: Final = (
    *("rax", "rcx", "rdx", "rbx", "rsi", "rdi", "r8", "r9", "r10", "r12", "r13"),
    *(f"xmm{i}" for i in range(15)),
)
"""Registers that a stub keeps which is called with all of them live: each that may hold a value."""


def _lazy_entries(count: int, common: int) -> bytes:
    """Every entry: a large module has tens of thousands."""
    first = common - 11  # a jump counts from its end, 11 bytes into the entry
    made: bytes = repeated(_LAZY_ENTRY, count, ((2, 0, 1), (7, first, -LAZY_STUB_BYTES)))
    return made


@lru_cache(maxsize=64)
def lazy_stubs(count: int) -> Code:
    """A block of ``count`` entries, one per defined function, that compile the function at its first call and continue
    in it.

    Entry *i* begins at ``i * LAZY_STUB_BYTES``; the common part follows them.
    """
    if not 0 <= count <= MAX_LAZY_STUBS:
        raise ValueError(f"{count} lazy stubs, the limit is {MAX_LAZY_STUBS}")
    a = Asm()
    common = count * LAZY_STUB_BYTES
    a.append(_lazy_entries(count, common))
    frame = _area_bytes(_ARGUMENTS) + 16
    a.ins("push_r", "rbp")
    a.ins("mov_rr", "rbp", "rsp")
    a.ins("sub_ri", "rsp", imm=frame)
    _save_area(a, _ARGUMENTS)
    a.ins("mov_mr", "r11", width=4, base="rbp", disp=-8)
    a.ins("mov_rr", "rdx", "r11", width=4)
    again = a.here()
    _builtin(a, "lazy_compile", "value_gate")
    a.ins("test_rr", "rax", "rax")
    trap = a.jump("e")
    a.ins("mov_rr", "r11", "rax")
    _save_area(a, _ARGUMENTS, restore=True)
    a.ins("mov_rr", "rsp", "rbp")
    a.ins("pop_r", "rbp")
    a.ins("jmp_r", "r11")
    a.label(trap)  # lazy_compile has set exec.trap_code
    a.ins("mov_rm", "rax", width=4, base="r15", disp=EXEC_AT["trap_code"])
    a.ins("cmp_ri", "rax", width=4, imm=builtins.STATUSES["suspend"])
    fails = [a.jump("ne")]
    a.ins("mov_rm", "rdx", width=4, base="rbp", disp=-8)
    a.ins("cmp_ri", "rdx", width=4, imm=builtins.LAZY_AGAIN)
    fails.append(a.jump("ae"))  # it has waited once
    a.ins("or_ri", "rdx", width=4, imm=builtins.LAZY_WAIT)
    _builtin(a, "lazy_compile")
    a.ins("mov_rm", "rdx", width=4, base="rbp", disp=-8)
    a.ins("or_ri", "rdx", width=4, imm=builtins.LAZY_AGAIN)
    a.ins("mov_mr", "rdx", width=4, base="rbp", disp=-8)
    a.jump_to_offset(again)
    for label in fails:
        a.label(label)
    a.trap(TRAPS_BY_NAME["dynamic"].code)
    return a.finish(frame)


@lru_cache(maxsize=1)
def poll_stub() -> Code:
    """The slow path of every poll, called with all registers live; r11 = the lowest stack address the caller wants to
    use. Where the poll says so, the function that polled goes on in other code: its frame is taken down, and rax has
    what that reads first.
    """
    a = Asm()
    frame = _save_all(a)
    a.ins("mov_rr", "rdx", "r11")
    a.ins("cmp_rr", "rdx", "rsp")
    a.ins("cmovcc_rr", "rdx", "rsp", cc="a")
    _builtin(a, "poll")
    a.ins("mov_rm", "r11", base="r15", disp=EXEC_AT["osr_code"])
    a.ins("test_rr", "r11", "r11")
    leaves = a.jump("ne")
    _restore_all(a)
    a.label(leaves)
    a.ins("mov_mi", base="r15", disp=EXEC_AT["osr_code"], imm=0)
    a.ins("mov_rm", "rax", base="r15", disp=EXEC_AT["osr_values"])
    a.ins("mov_rm", "rbp", base="rbp")
    a.ins("mov_rr", "rsp", "rbp")
    a.ins("pop_r", "rbp")
    a.ins("jmp_r", "r11")
    return a.finish(frame)


def saved_at(register: str) -> int:
    """Where a stub that keeps every register has one: bytes from its frame pointer."""
    xmm = [r for r in SAVED_BY_POLLS if r.startswith("xmm")]
    at = 16 * xmm.index(register) if register in xmm else 16 * len(xmm) + 8 * (SAVED_BY_POLLS.index(register))
    return at - _area_bytes(SAVED_BY_POLLS)


@lru_cache(maxsize=1)
def count_stub() -> Code:
    """Where a prologue goes whose word of counters has run out, called with all registers live; r11 = the defined index
    of the function.
    """
    a = Asm()
    frame = _save_all(a)
    a.ins("mov_rr", "rdx", "r11", width=4)
    _builtin(a, "count")
    _restore_all(a)
    return a.finish(frame)


@lru_cache(maxsize=1)
def note_stub() -> Code:
    """The slow path of the write barrier, called with all registers live; r11 = the word that is about to change; the
    object lies behind the return address, and is popped.
    """
    a = Asm()
    frame = _save_all(a, pushed=8)
    a.ins("mov_rm", "rdx", base="rbp", disp=16)
    a.ins("mov_rr", "rcx", "r11")
    _builtin(a, "note", "value_gate")
    _restore_all(a, pushed=8)
    return a.finish(frame)


@lru_cache(maxsize=1)
def new_stub() -> Code:
    """Makes an object that the window has no room for, called with all registers live, so that whoever collects garbage
    finds them on the stack; r11 = the index of its type and, in the upper half, how many elements it has; then the
    reference.
    """
    a = Asm()
    frame = _save_all(a)
    a.ins("mov_rr", "rdx", "r11", width=4)
    a.ins("mov_rr", "rcx", "r11")
    a.ins("shr_ri", "rcx", imm=32)
    _builtin(a, "object_new")
    a.ins("mov_rm", "r11", base="r15", disp=EXEC_AT["waited"])
    _restore_all(a)
    return a.finish(frame)


def _save_all(a: Asm, pushed: int = 0) -> int:
    """Begin a stub that keeps every register, and before whose call so many bytes were pushed; gives the bytes of its
    frame."""
    frame = _area_bytes(SAVED_BY_POLLS) + pushed
    a.ins("push_r", "rbp")
    a.ins("mov_rr", "rbp", "rsp")
    a.ins("sub_ri", "rsp", imm=frame)
    _save_area(a, SAVED_BY_POLLS)
    return frame


def _restore_all(a: Asm, pushed: int = 0) -> None:
    """End it, with every register as it was."""
    _save_area(a, SAVED_BY_POLLS, restore=True)
    a.ins("mov_rr", "rsp", "rbp")
    a.ins("pop_r", "rbp")
    if pushed:
        a.ins("ret_i", imm=pushed)
    else:
        a.ins("ret")
