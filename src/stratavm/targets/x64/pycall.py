"""The machine code that CPython calls: the vectorcall of a guest function, made per signature.

One piece of code does what ``engine.cells.unbox``, ``Store.enter``, the array entry, ``Store.leave`` and
``engine.cells.box`` do one after the other, for the usual case alone: plain numbers and vectors, an outermost call,
nothing pending. Floats and ints of one digit go from objects straight into the registers of the guest convention; with
other ints or vectors among the arguments all of them go through ``unbox`` and cells.

Whatever else it meets before the guest has run, it leaves to the generic path, which starts from the beginning; so
the rules and the words of errors stay there. What it meets afterwards (a trap, an event to deliver, a released GIL) it
hands to ``finish``. The frame, from rbp downwards: the saved registers, the Func, cells for results, an ``Entry``, the
block that the trap exit takes down, and the guest's stack arguments and results.
"""

from __future__ import annotations

from stratavm.base.forms import Final
from stratavm.base.importing import lru_cache
from stratavm.contract import layout
from stratavm.contract.stubs import PythonFacts
from stratavm.machine.code import Code
from stratavm.spec.types import F32, F64, I32, I64, V128, FuncType
from stratavm.targets.x64 import abi, stubs
from stratavm.targets.x64.asm import Asm
from stratavm.targets.x64.stubs import CELL, EXEC_AT, SAVED

NUMBERS: Final = frozenset({I32, I64, F32, F64, V128})
"""Types that this code converts."""
SMALLEST_INT: Final = -5
SMALL_INTS: Final = 262
"""CPython keeps the ints from -5 to 256 (``_PY_NSMALLNEGINTS``, ``_PY_NSMALLPOSINTS``)."""
_ONE_DIGIT: Final = 2 << 3
"""A tagged int of at most one digit has a smaller tag: the length lies above three bits, the sign in the lowest two."""
_SIGN: Final = 3
_FS: Final = bytes([0x64])
"""Prefix of an address relative to the thread pointer."""

_SAVED_BYTES: Final = 8 * len(SAVED)
_FUNC: Final = -_SAVED_BYTES - 8
"""Where the Func lies, from rbp."""
_EXIT_BYTES: Final = 8 * (len(SAVED) + 3)
"""What the trap exit pops: the cells pointer, the saved registers, rbp, the address that it returns to."""

_GATE = {f.name: layout.CALL_GATE.offset(f.name) for f in layout.CALL_GATE.fields}
_ACT = {f.name: layout.ACTIVATION.offset(f.name) for f in layout.ACTIVATION.fields}
_REC = {f.name: layout.FUNC_REC.offset(f.name) for f in layout.FUNC_REC.fields}
_UNUSABLE = layout.VMCTX.offset("unusable")


def fits(type_: FuncType) -> bool:
    """Whether a signature has numbers and vectors only; references take the generic path."""
    return NUMBERS.issuperset(type_.params) and NUMBERS.issuperset(type_.results)


@lru_cache(maxsize=256)
def python_entry(type_: FuncType, facts: PythonFacts) -> tuple[Code, int]:
    """The code for a signature that ``fits``, and the offset in it at which the trap exit must continue.

    Raises:
        ValueError: the signature does not fit.
    """
    if not fits(type_):
        raise ValueError(f"{type_} has other values than numbers and vectors")
    return _PythonEntry(type_, facts).make()


class _PythonEntry:
    """One piece of code in the making. Before the guest runs: rbx = Func, r12 = arguments, r13 = ThreadBlock,
    r14 = VMContext, r15 = ExecContext; r9, r10, r11 are free."""

    def __init__(self, type_: FuncType, facts: PythonFacts) -> None:
        self.type = type_
        self.facts = facts
        self.signature = abi.assign(type_)
        self.a = Asm()
        self.unusual: list[str] = []
        self.other: list[str] = []
        self.finish: list[str] = []
        self.cells = _FUNC - CELL * max(1, len(type_.results), len(type_.params))
        self.entry = self.cells - facts.entry_bytes
        area = self.signature.stack_bytes + self.signature.result_bytes
        self.bottom = -(-(_EXIT_BYTES - self.entry + area) // 16) * -16
        self.entry_sp = self.bottom + area

    def make(self) -> tuple[Code, int]:
        """All parts, in the order of addresses."""
        a, facts = self.a, self.facts
        early = self._arity()
        a.ins("push_r", "rbp")
        a.ins("mov_rr", "rbp", "rsp")
        for register in SAVED:
            a.ins("push_r", register)
        a.ins("lea_rm", "rsp", base="rbp", disp=self.bottom)
        a.ins("mov_rr", "rbx", "rdi")
        a.ins("mov_rr", "r12", "rsi")
        self._unbox()
        unboxed = a.here()
        undo = self._may_enter()
        self._enter()
        a.ins("call_m", base="r10", disp=_REC["code"])
        a.returned()
        self._leave()
        self._box()
        # Cold parts.
        if self.other:
            self._unbox_in_c()
            a.jump_to_offset(unboxed)
        a.label(undo)
        a.ins("mov_mi", base="r13", disp=facts.block_running_at, imm=0)
        self._place(self.unusual)
        a.ins("mov_rr", "rdi", "rbx")
        a.ins("mov_rr", "rsi", "r12")
        a.ins("mov_ri", "rdx", width=4, imm=len(self.type.params))
        a.ins("xor_rr", "rcx", "rcx", width=4)
        self._epilogue()
        self._place(early)
        a.ins("mov_ri", "r11", imm=facts.call_generic)
        a.ins("jmp_r", "r11")
        self._place(self.finish)
        if len(self.type.results) == 1:
            stubs.store_place(a, self.signature.results[0], "rbp", self.cells)
        a.ins("xor_rr", "rcx", "rcx", width=4)
        ended = a.jump("e")  # after xor: always
        landing = a.here()
        a.ins("lea_rm", "rsp", base="rbp", disp=self.bottom)
        a.ins("mov_ri", "rcx", width=4, imm=1)
        a.label(ended)
        a.ins("mov_rm", "rdi", base="rbp", disp=_FUNC)
        a.ins("lea_rm", "rsi", base="rbp", disp=self.entry)
        a.ins("lea_rm", "rdx", base="rbp", disp=self.cells)
        a.ins("mov_ri", "r11", imm=facts.finish)
        a.ins("call_r", "r11")
        self._epilogue()
        a.ins("ret")
        return a.finish(-self.bottom), landing

    def _place(self, labels: list[str]) -> None:
        for label in labels:
            self.a.label(label)

    def _refuse(self, cc: str) -> None:
        """Take the generic path on a condition."""
        self.unusual.append(self.a.jump(cc))

    def _epilogue(self) -> None:
        self.a.ins("lea_rm", "rsp", base="rbp", disp=-_SAVED_BYTES)
        for register in reversed(SAVED):
            self.a.ins("pop_r", register)
        self.a.ins("pop_r", "rbp")

    def _arity(self) -> list[str]:
        """No keywords, and as many arguments as parameters. The top bit of the number is a flag."""
        a = self.a
        a.ins("test_rr", "rcx", "rcx")
        early = [a.jump("ne")]
        a.ins("mov_rr", "rax", "rdx")
        a.ins("add_rr", "rax", "rax")
        a.ins("cmp_ri", "rax", imm=2 * len(self.type.params))
        return [*early, a.jump("ne")]

    # ---- arguments ----

    def _unbox(self) -> None:
        """Arguments to their places. Reads objects and writes registers and our own frame, nothing else."""
        a, facts = self.a, self.facts
        if V128 in self.type.params:
            a.ins("xor_rr", "rcx", "rcx", width=4)
            self.other.append(a.jump("e"))  # after xor: always
            return
        if any(t in (I32, I64) for t in self.type.params):
            a.ins("mov_ri", "r11", imm=facts.int_type)
        if any(t in (F32, F64) for t in self.type.params):
            a.ins("mov_ri", "r13", imm=facts.float_type)
        for i, place in enumerate(self.signature.params):
            a.ins("mov_rm", "r10", base="r12", disp=8 * i)
            a.ins("cmp_rm", "r13" if abi.is_float(place.type) else "r11", base="r10", disp=facts.type_at)
            self.other.append(a.jump("ne"))
            (self._float if abi.is_float(place.type) else self._int)(place)

    def _int(self, place: abi.Place) -> None:
        """The int in r10, if it has one digit at most: its digit times its sign. Every such number fits an i32."""
        a, facts = self.a, self.facts
        target = "r14" if place.register is None else abi.name(place.register)
        a.ins("mov_rm", "r9", base="r10", disp=facts.int_head_at)
        if facts.tagged:
            a.ins("cmp_ri", "r9", imm=_ONE_DIGIT)
            self.other.append(a.jump("ae"))
            a.ins("and_ri", "r9", width=4, imm=_SIGN)
            a.ins("neg_r", "r9")
            a.ins("add_ri", "r9", imm=1)
        else:
            a.ins("lea_rm", "r14", base="r9", disp=1)
            a.ins("cmp_ri", "r14", imm=2)
            self.other.append(a.jump("a"))
        a.ins("mov_rm", target, width=4, base="r10", disp=facts.int_digit_at)
        a.ins("imul_rr", target, "r9", width=4 if place.type == I32 else 8)
        if place.register is None:
            a.ins("mov_mr", target, base="rsp", disp=place.offset)

    def _float(self, place: abi.Place) -> None:
        """The float in r10; an f32 is rounded to nearest, as the C cast does."""
        a, facts = self.a, self.facts
        target = "xmm15" if place.register is None else abi.name(place.register)
        row = "cvtsd2ss_rm" if place.type == F32 else "movf_rm"
        a.ins(row, target, width=8, base="r10", disp=facts.float_value_at)
        if place.register is None:
            a.ins("movf_mr", target, width=8, base="rsp", disp=place.offset)

    def _unbox_in_c(self) -> None:
        """Arguments to cells by ``engine.cells.unbox``, which runs nothing, and from there to their places."""
        a, facts = self.a, self.facts
        self._place(self.other)
        a.ins("mov_rm", "rdi", base="rbx", disp=facts.gate_at + _GATE["codes"])
        a.ins("mov_ri", "rsi", width=4, imm=len(self.type.params))
        a.ins("mov_rr", "rdx", "r12")
        a.ins("lea_rm", "rcx", base="rbp", disp=self.cells)
        a.ins("mov_ri", "r11", imm=facts.unbox)
        a.ins("call_r", "r11")
        a.ins("test_rr", "rax", "rax", width=4)
        self._refuse("ne")
        for i, place in enumerate(self.signature.params):
            source = self.cells + CELL * i
            if place.register is None:
                stubs.copy_place(a, place, ("rbp", source), ("rsp", place.offset))
            else:
                stubs.load_place(a, place, "rbp", source)

    # ---- entering ----

    def _may_enter(self) -> str:
        """See whether this is an outermost call with nothing unusual about it; returns the label of the undo part.

        What ``Store.enter`` checks, one by one. The ticker is looked at after this thread has said that it runs.
        """
        a, facts = self.a, self.facts
        a.ins("mov_rm", "r15", base="rbx", disp=facts.gate_at + _GATE["exec"])
        a.ins("mov_rm", "r10", base="rbx", disp=facts.gate_at + _GATE["rec"])
        a.ins("mov_rm", "r14", base="r10", disp=_REC["vmctx"])
        a.ins("mov_ri", "r13", imm=facts.tls)
        a.append(_FS)
        a.ins("mov_rm", "r13", base="r13")
        a.ins("cmp_mi", base="r14", disp=_UNUSABLE, imm=0)
        self._refuse("ne")
        a.ins("cmp_mi", base="r15", disp=EXEC_AT["occupant"], imm=0)
        self._refuse("ne")
        a.ins("cmp_mi", base="r15", disp=EXEC_AT["pending"], imm=0)  # and attention, behind it
        self._refuse("ne")
        a.ins("test_rr", "r13", "r13")
        self._refuse("e")
        a.ins("cmp_mi", base="r13", disp=facts.block_running_at, imm=0)
        self._refuse("ne")
        a.ins("mov_rm", "r11", base="r13", disp=facts.block_limit_at)
        a.ins("cmp_rr", "rsp", "r11")
        self._refuse("b")
        for limit in ("real_limit", "poll_limit"):
            a.ins("cmp_rm", "r11", base="r15", disp=EXEC_AT[limit])
            self._refuse("ne")
        a.ins("mov_mr", "r15", base="r13", disp=facts.block_running_at)
        a.ins("mov_ri", "r11", imm=facts.ticker_state)
        a.ins("cmp_mi", width=4, base="r11", imm=facts.ticks)
        return a.jump("ne")

    def _enter(self) -> None:
        """Occupy the store and push the activation. What only unusual ends read, ``finish`` fills in."""
        a, facts = self.a, self.facts
        a.ins("mov_mr", "rbx", base="rbp", disp=_FUNC)
        a.ins("mov_rm", "r11", base="r13", disp=facts.block_serial_at)
        a.ins("mov_mr", "r11", base="r15", disp=EXEC_AT["occupant"])
        a.ins("mov_mr", "r13", base="r15", disp=EXEC_AT["thread"])
        a.ins("lea_rm", "r11", base="rbp", disp=self.entry)
        a.ins("lea_rm", "r12", base="rbp", disp=self.entry_sp)
        a.ins("mov_mr", "r15", base="r11", disp=_ACT["exec"])
        a.ins("mov_mr", "r12", base="r11", disp=_ACT["entry_sp"])
        a.ins("mov_mi", base="r11", disp=_ACT["prev"], imm=0)
        # The block of the trap exit: it pops registers, of which only rbp matters, and returns to the landing.
        a.ins("mov_rm", "r12", base="rbx", disp=facts.gate_at + _GATE["landing"])
        a.ins("mov_mr", "rbp", base="rbp", disp=self.entry_sp + _EXIT_BYTES - 16)
        a.ins("mov_mr", "r12", base="rbp", disp=self.entry_sp + _EXIT_BYTES - 8)
        a.ins("mov_mr", "r11", base="r15", disp=EXEC_AT["activation"])
        a.ins("mov_mr", "r11", base="r13", disp=facts.block_activation_at)
        a.ins("add_mi", base="r13", disp=facts.block_calls_at, imm=1)
        a.ins("mov_mi", width=4, base="r13", disp=facts.block_in_guest_at, imm=1)
        if self.signature.result_bytes:
            a.ins("lea_rm", "r9", base="rsp", disp=self.signature.stack_bytes)

    # ---- leaving ----

    def _leave(self) -> None:
        """Pop the activation, unless there is more to do. One result stays in its register, several go to cells."""
        a, facts = self.a, self.facts
        if len(self.type.results) > 1:
            for i, place in enumerate(self.signature.results):
                target = self.cells + CELL * i
                if place.register is None:
                    source = self.entry_sp - self.signature.result_bytes + place.offset
                    stubs.copy_place(a, place, ("rbp", source), ("rbp", target))
                else:
                    stubs.store_place(a, place, "rbp", target)
        a.ins("mov_rm", "r13", base="r15", disp=EXEC_AT["thread"])
        a.ins("cmp_mi", base="r13", disp=facts.block_tstate_at, imm=0)
        self.finish.append(a.jump("ne"))
        a.ins("mov_mi", width=4, base="r13", disp=facts.block_in_guest_at, imm=0)
        a.ins("cmp_mi", base="r15", disp=EXEC_AT["pending"], imm=0)
        self.finish.append(a.jump("ne"))
        a.ins("mov_rm", "rcx", base="r15", disp=EXEC_AT["ring"])
        a.ins("test_rr", "rcx", "rcx")
        no_ring = a.jump("e")
        a.ins("mov_rm", "rdx", base="rcx", disp=facts.ring_head_at)
        a.ins("cmp_rm", "rdx", base="rcx", disp=facts.ring_tail_at)
        self.finish.append(a.jump("ne"))
        a.ins("cmp_mi", base="rcx", disp=facts.ring_overflow_at, imm=0)
        self.finish.append(a.jump("ne"))
        a.label(no_ring)
        a.ins("xor_rr", "rdx", "rdx", width=4)
        a.ins("mov_mr", "rdx", base="r13", disp=facts.block_running_at)
        a.ins("mov_mr", "rdx", base="r13", disp=facts.block_activation_at)
        for field in ("activation", "thread", "occupant"):
            a.ins("mov_mr", "rdx", base="r15", disp=EXEC_AT[field])

    def _box(self) -> None:
        """Make the object that the call returns, and return it."""
        a, facts = self.a, self.facts
        types = self.type.results
        if not types:
            a.ins("mov_ri", "rax", imm=facts.none)
            self._return_old()
        elif len(types) > 1:
            a.ins("mov_rm", "rdi", base="rbp", disp=_FUNC)
            a.ins("lea_rm", "rsi", base="rbp", disp=self.cells)
            a.ins("mov_ri", "r11", imm=facts.results)
            a.ins("call_r", "r11")  # not a jump: the cells are in this frame
            self._epilogue()
            a.ins("ret")
        elif types[0] == V128:
            stubs.store_place(a, self.signature.results[0], "rbp", self.cells)
            a.ins("lea_rm", "rdi", base="rbp", disp=self.cells)
            a.ins("mov_ri", "rsi", width=4, imm=CELL)
            a.ins("mov_ri", "r11", imm=facts.from_bytes)
            a.ins("call_r", "r11")
            self._epilogue()
            a.ins("ret")
        elif types[0] in (F32, F64):
            if types[0] == F32:
                a.ins("cvtss2sd_rr", "xmm0", "xmm0", width=8)
            self._return_made(facts.from_float)
        else:
            self._box_int(types[0])

    def _box_int(self, type_: int) -> None:
        a, facts = self.a, self.facts
        if type_ == I32:
            a.ins("movsxd_rr", "rdi", "rax")
        else:
            a.ins("mov_rr", "rdi", "rax")
        if facts.small_ints:
            a.ins("lea_rm", "rax", base="rdi", disp=-SMALLEST_INT)
            a.ins("cmp_ri", "rax", imm=SMALL_INTS)
            large = a.jump("ae")
            a.ins("imul_rri", "rax", "rax", imm=facts.small_int_bytes)
            a.ins("mov_ri", "rcx", imm=facts.small_ints)
            a.ins("add_rr", "rax", "rcx")
            self._return_old()
            a.label(large)
        self._return_made(facts.from_int)

    def _return_old(self) -> None:
        """Return the object in rax, which lives already, as a new reference."""
        if not self.facts.immortal:
            self.a.ins("add_mi", base="rax", disp=self.facts.refcount_at, imm=1)
        self._epilogue()
        self.a.ins("ret")

    def _return_made(self, function: int) -> None:
        """Continue in a C function that makes the object."""
        self._epilogue()
        self.a.ins("mov_ri", "r11", imm=function)
        self.a.ins("jmp_r", "r11")
