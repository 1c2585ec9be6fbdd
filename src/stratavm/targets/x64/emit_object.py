# strata: hot
"""Emission of what makes and writes objects of guests, and of what asks for their types, with its rare paths."""

import cython
from cython.cimports.libc.stdint import int32_t, int64_t, uint32_t, uint64_t
from cython.cimports.stratavm.contract._gen_layout import (
    EXEC_HEAP_END,
    EXEC_HEAP_NEXT,
    EXEC_HEAP_SIDE,
    EXEC_NEW_STUB,
    EXEC_NOTE_STUB,
    VMCTX_TYPE_IDS,
)
from cython.cimports.stratavm.heap.state import GRANULE_SHIFT, TYPE_MASK, UNLOGGED
from cython.cimports.stratavm.targets.x64._gen_encodings import (
    MOP_ADD_RI,
    MOP_ADD_RM,
    MOP_AND_RI,
    MOP_CALL_M,
    MOP_CMP_RI,
    MOP_CMP_RM,
    MOP_CMP_RR,
    MOP_LEA_RM,
    MOP_MOV_MI,
    MOP_MOV_MR,
    MOP_MOV_RI,
    MOP_MOV_RM,
    MOP_MOV_RR,
    MOP_MOVUPS_MR,
    MOP_OR_RI,
    MOP_PUSH_R,
    MOP_SHL_RI,
    MOP_SHR_RI,
    MOP_TEST_MI,
    MOP_TEST_RR,
    R11,
    R14,
    R15,
    RIP,
    RSP,
    XMM15,
)
from cython.cimports.stratavm.targets.x64.emit_values import COLD_IS, COLD_NEW, COLD_NOTE, NOTHING_HELD
from cython.cimports.stratavm.targets.x64.encoder import NO_REG, Mem, based, indexed
from cython.cimports.stratavm.targets.x64.pseudo import (
    CC_A,
    CC_AE,
    CC_B,
    CC_E,
    CC_L,
    CC_NE,
    IS_ARRAY,
    IS_NULLABLE,
    IS_OPEN,
    IS_STRUCT,
    P_IS,
    P_NOTE,
)
from cython.cimports.stratavm.targets.x64.sequences import (
    emit_jcc,
    emit_jmp,
    emit_m,
    emit_mi,
    emit_r,
    emit_ri,
    emit_rm,
    emit_rr,
)

from stratavm.spec import types as T

GRANULE = cython.declare(int32_t, 1 << GRANULE_SHIFT)
LENGTH = cython.declare(int32_t, 4)  # where an array's length is
HEADER = cython.declare(int32_t, 8)  # bytes
MOST_CLEARED = cython.declare(uint32_t, 128)  # bytes of an object whose zeros are written one after the other
ARRAY_BIT = cython.declare(int64_t, T.ARRAY_ID)  # of a canonical id: it is an array's


@cython.cclass
class ObjectEmitter(ValueEmitter):
    """Adds the pseudo operations on objects. r11 is scratch; it holds no pointer of the context behind them."""

    def of_objects(self, inst, ops):
        """One of them."""
        self.held = NOTHING_HELD
        if inst.op == P_NOTE:
            return self.note(inst, ops)
        if inst.op == P_IS:
            return self.is_of(inst, ops)
        return self.new_object(inst, ops)

    def cold_object(self, c):
        """The rare path of one."""
        if c.kind == COLD_NOTE:
            return self.cold_note(c)
        if c.kind == COLD_IS:
            return self.cold_is(c)
        return self.cold_new(c)

    def new_object(self, inst, ops):
        """A new object where the window has room (ADR-0077). Before its header there is nothing that polls or
        collects."""
        object_: uint32_t = ops[0].loc
        size: uint32_t = cython.cast(uint32_t, inst.imm)
        count: uint32_t = cython.cast(uint32_t, inst.imm >> 32)
        length: uint32_t = ops[1].loc if inst.nops == 2 else NO_REG
        label: uint32_t = self.cold(COLD_NEW, object_)
        self.colds[self.n_colds - 1].b = inst.aux
        self.colds[self.n_colds - 1].c = count
        self.colds[self.n_colds - 1].d = length
        if length != NO_REG:  # no more than an object in a hole may have, so that its size is a small number
            emit_ri(self.b, MOP_CMP_RI, 4, length, cython.cast(int32_t, count))
            emit_jcc(self.b, CC_A, label)
        emit_rm(self.b, MOP_MOV_RM, 8, object_, based(R15, EXEC_HEAP_NEXT))
        if length != NO_REG:
            self.end_of(inst, object_, length)
        else:
            emit_rm(self.b, MOP_LEA_RM, 8, R11, based(object_, size))
        emit_rm(self.b, MOP_CMP_RM, 8, R11, based(R15, EXEC_HEAP_END))
        emit_jcc(self.b, CC_A, label)
        emit_rm(self.b, MOP_MOV_MR, 8, R11, based(R15, EXEC_HEAP_NEXT))
        emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, VMCTX_TYPE_IDS))
        emit_rm(self.b, MOP_MOV_RM, 4, R11, based(R11, 4 * cython.cast(int32_t, inst.aux)))
        if length != NO_REG:
            emit_rm(self.b, MOP_MOV_MR, 4, R11, based(object_, 0))
            emit_rm(self.b, MOP_MOV_MR, 4, length, based(object_, LENGTH))
        else:
            emit_rm(self.b, MOP_MOV_MR, 8, R11, based(object_, 0))  # no elements
            if count:
                emit_mi(self.b, MOP_MOV_MI, 4, based(object_, LENGTH), cython.cast(int32_t, count))
        if length != NO_REG:
            self.clear(object_, MOST_CLEARED + 1)
        elif inst.cc:
            self.clear(object_, size)
        return self.b.bind(self.colds[self.n_colds - 1].back)

    def clear(self, object_, size):
        """Zeros behind the header of a new object of so many bytes, by xmm15; in a loop up to the end of what is handed
        out, which is its own, where they are many or not known."""
        at: uint32_t = GRANULE
        first: uint32_t
        emit_mi(self.b, MOP_MOV_MI, 8, based(object_, HEADER), 0)
        if size > GRANULE:
            self.forget(XMM15)
        if size <= MOST_CLEARED:
            while at < size:
                emit_rm(self.b, MOP_MOVUPS_MR, 16, XMM15, based(object_, at))
                at += GRANULE
            return 0
        first = self.b.label_block(2)
        emit_rr(self.b, MOP_MOV_RR, 8, R11, object_)
        emit_jmp(self.b, first + 1)
        self.b.bind(first)
        emit_rm(self.b, MOP_MOVUPS_MR, 16, XMM15, based(R11, 0))
        self.b.bind(first + 1)
        emit_ri(self.b, MOP_ADD_RI, 8, R11, GRANULE)
        emit_rm(self.b, MOP_CMP_RM, 8, R11, based(R15, EXEC_HEAP_NEXT))
        return emit_jcc(self.b, CC_B, first)

    def end_of(self, inst, object_, length):
        """r11 = where an array of so many elements ends, as objects do: at a granule."""
        place: Mem = indexed(object_, R11, inst.cc)
        place.disp = cython.cast(int32_t, inst.imm) + GRANULE - 1
        emit_rr(self.b, MOP_MOV_RR, 4, R11, length)
        if inst.cc > 3:  # no address has a scale of 16
            emit_ri(self.b, MOP_SHL_RI, 8, R11, inst.cc)
            place.scale = 0
        emit_rm(self.b, MOP_LEA_RM, 8, R11, place)
        return emit_ri(self.b, MOP_AND_RI, 8, R11, -GRANULE)

    def cold_new(self, c):
        """The shared stub keeps every register but r11, in which it takes what is wanted and gives the reference."""
        wanted: uint64_t = cython.cast(uint64_t, c.c) << 32 | c.b
        if c.d != NO_REG:
            emit_rr(self.b, MOP_MOV_RR, 4, R11, c.d)
            emit_ri(self.b, MOP_SHL_RI, 8, R11, 32)
            emit_ri(self.b, MOP_OR_RI, 8, R11, c.b)
        else:
            emit_ri(self.b, MOP_MOV_RI, 8, R11, cython.cast(int64_t, wanted))
        emit_m(self.b, MOP_CALL_M, R15, EXEC_NEW_STUB)
        self.return_site()
        emit_rr(self.b, MOP_MOV_RR, 8, c.a, R11)
        return emit_jmp(self.b, c.back)

    def note(self, inst, ops):
        """The write barrier (ADR-0077). Its rare path is for a word whose granule is old and was not written to since
        the last collection."""
        index: uint32_t = NO_REG if inst.scale == NO_REG else ops[1].loc
        side: Mem = based(R11, 0)
        label: uint32_t = self.cold(COLD_NOTE, ops[0].loc | index << 8 | cython.cast(uint32_t, inst.scale) << 16)
        self.colds[self.n_colds - 1].d = cython.cast(uint32_t, inst.disp)
        if index == NO_REG:  # an object begins at a granule
            emit_rr(self.b, MOP_MOV_RR, 8, R11, ops[0].loc)
            side.disp = inst.disp >> GRANULE_SHIFT
        else:
            emit_rm(self.b, MOP_LEA_RM, 8, R11, self.noted(cython.address(self.colds[self.n_colds - 1])))
        emit_ri(self.b, MOP_SHR_RI, 8, R11, GRANULE_SHIFT)
        emit_rm(self.b, MOP_ADD_RM, 8, R11, based(R15, EXEC_HEAP_SIDE))
        emit_mi(self.b, MOP_TEST_MI, 1, side, UNLOGGED)
        emit_jcc(self.b, CC_NE, label)
        return self.b.bind(self.colds[self.n_colds - 1].back)

    def noted(self, c):
        """The word that a barrier is for."""
        place: Mem = based(c.a & 0xFF, cython.cast(int32_t, c.d))
        if c.a >> 8 & 0xFF != NO_REG:
            place.index = c.a >> 8 & 0xFF
            place.scale = c.a >> 16
        return place

    def cold_note(self, c):
        """The shared stub keeps every register; it takes the object from the stack, and r11 has the word."""
        emit_r(self.b, MOP_PUSH_R, c.a & 0xFF)
        emit_rm(self.b, MOP_LEA_RM, 8, R11, self.noted(c))
        emit_m(self.b, MOP_CALL_M, R15, EXEC_NOTE_STUB)
        self.return_site()
        return emit_jmp(self.b, c.back)

    def is_of(self, inst, ops):
        """Flags: equal where a reference is of a type. Null, handles and numbers are less than any address."""
        reference: uint32_t = ops[0].loc
        end: uint32_t = self.b.label()
        if inst.cc & IS_NULLABLE:
            emit_rr(self.b, MOP_TEST_RR, 8, reference, reference)
            emit_jcc(self.b, CC_E, end)
        emit_rm(self.b, MOP_CMP_RM, 8, reference, based(RIP, cython.cast(int32_t, inst.aux)))
        emit_jcc(self.b, CC_L, end)
        if inst.cc & IS_STRUCT:
            emit_mi(self.b, MOP_TEST_MI, 4, based(reference, 0), ARRAY_BIT)
            return self.b.bind(end)
        if inst.cc & IS_ARRAY:
            emit_rm(self.b, MOP_MOV_RM, 4, R11, based(reference, 0))
            emit_ri(self.b, MOP_AND_RI, 4, R11, ARRAY_BIT)
            emit_ri(self.b, MOP_CMP_RI, 4, R11, ARRAY_BIT)
            return self.b.bind(end)
        emit_rm(self.b, MOP_MOV_RM, 8, R11, based(R14, VMCTX_TYPE_IDS))
        emit_rm(self.b, MOP_MOV_RM, 4, R11, based(R11, 4 * cython.cast(int32_t, inst.imm)))
        emit_rm(self.b, MOP_CMP_RM, 4, R11, based(reference, 0))
        if inst.cc & IS_OPEN:
            emit_jcc(self.b, CC_NE, self.cold(COLD_IS, reference))
            self.colds[self.n_colds - 1].b = ops[1].loc
            self.colds[self.n_colds - 1].c = ops[2].loc
            self.b.bind(self.colds[self.n_colds - 1].back)
        return self.b.bind(end)

    def cold_is(self, c):
        """The type is another one than that whose id is in r11, but may be below it: go up (``TypeIds.above``)."""
        again: uint32_t = self.b.label()
        none: uint32_t = self.b.label()
        emit_rm(self.b, MOP_MOV_RM, 4, c.b, based(c.a, 0))
        emit_rm(self.b, MOP_MOV_RM, 8, c.c, based(R14, VMCTX_TYPE_IDS))
        emit_rm(self.b, MOP_MOV_RM, 8, c.c, based(c.c, -8))
        emit_rm(self.b, MOP_MOV_RM, 8, c.c, based(c.c, 0))
        self.b.bind(again)
        emit_ri(self.b, MOP_AND_RI, 4, c.b, TYPE_MASK)
        emit_rm(self.b, MOP_CMP_RM, 4, c.b, based(c.c, -4))
        emit_jcc(self.b, CC_AE, none)  # it has come after the array was made, and nothing is above it
        emit_rm(self.b, MOP_MOV_RM, 4, c.b, indexed(c.c, c.b, 2))
        emit_rr(self.b, MOP_CMP_RR, 4, c.b, R11)
        emit_jcc(self.b, CC_E, c.back)
        emit_rr(self.b, MOP_TEST_RR, 4, c.b, c.b)
        emit_jcc(self.b, CC_NE, again)
        self.b.bind(none)
        emit_rr(self.b, MOP_TEST_RR, 8, RSP, RSP)  # not equal
        return emit_jmp(self.b, c.back)
