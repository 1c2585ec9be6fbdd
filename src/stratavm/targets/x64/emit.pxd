# Emission: machine IR with places to bytes, trap table and position map.
from libc.stdint cimport int32_t, int64_t, uint32_t
from stratavm.machine.minst cimport MInst, MOperand, Move
from stratavm.targets.x64.emit_object cimport ObjectEmitter
from stratavm.targets.x64.emit_values cimport Cold

cdef class Emitter(ObjectEmitter):
    cdef bint aligning             # loops begin at a multiple of LOOP_ALIGN (level 1)
    cdef uint32_t turn             # flags of the blocks that are emitted now: 0 or BF_LATE
    cdef uint32_t defined          # index of the function among those defined

    cdef int emit(self) except -1 nogil
    cdef int layout_frame(self) except -1 nogil
    cdef int count_call(self) except -1 nogil
    cdef int cold_count(self, Cold* c) except -1 nogil
    cdef int prologue(self) except -1 nogil
    cdef bint needs_nothing(self) noexcept nogil
    cdef int look_at_stack(self) except -1 nogil
    cdef int poison_frame(self) except -1 nogil
    cdef int poison_registers(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef uint32_t innermost(self, uint32_t number) noexcept nogil
    cdef bint leads_into_loop(self, uint32_t number) noexcept nogil
    cdef bint dispatches(self, uint32_t number) noexcept nogil
    cdef int blocks(self) except -1 nogil
    cdef bint comes_late(self) noexcept nogil
    cdef int block(self, uint32_t number, uint32_t* move) except -1 nogil
    cdef int head(self, uint32_t number, const Move* moves) except -1 nogil
    cdef uint32_t label_of(self, uint32_t block) noexcept nogil
    cdef int pass_held(self, uint32_t number) except -1 nogil
    cdef int again(self, uint32_t number, uint32_t dst, uint32_t at, uint32_t last) except -1 nogil
    cdef int instruction(self, uint32_t number, uint32_t block) except -1 nogil
    cdef int pseudo(self, MInst* inst, MOperand* ops, uint32_t block) except -1 nogil
    cdef int control(self, MInst* inst, MOperand* ops, uint32_t block) except -1 nogil
    cdef int via(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int call(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int element(self, MInst* inst) except -1 nogil
    cdef int call_builtin(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int leave_rec(self, MInst* inst) except -1 nogil
    cdef int land(self, MInst* inst) except -1 nogil
    cdef int restore_context(self, int64_t popped) except -1 nogil
    cdef int tail_call(self, MInst* inst) except -1 nogil
    cdef int take_down(self, int32_t given) except -1 nogil
    cdef int thread_jumps(self) except -1 nogil
    cdef uint32_t next_block(self, uint32_t block) noexcept nogil
    cdef int jump_if(self, uint32_t cc, uint32_t target) except -1 nogil
    cdef int jump_to(self, uint32_t target, uint32_t following) except -1 nogil
    cdef int branch(self, MInst* inst, uint32_t block) except -1 nogil
    cdef int branch_table(self, MInst* inst, MOperand* ops, uint32_t block) except -1 nogil
    cdef int ret(self, MInst* inst) except -1 nogil
    cdef int cold_part(self) except -1 nogil
    cdef int poll(self, MInst* inst, MOperand* ops) except -1 nogil
    cdef int cold_global(self, Cold* c, bint load) except -1 nogil
    cdef int cold_poll(self, Cold* c) except -1 nogil
    cdef int jump_tables(self) except -1 nogil
