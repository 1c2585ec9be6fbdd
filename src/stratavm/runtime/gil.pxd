# When a running guest has the GIL.
from libc.stdint cimport uint32_t
from stratavm.runtime.threads cimport ThreadBlock

cdef uint32_t asked   # of questions that wait for a guest to be at a poll; whoever has the GIL writes it

cdef void regain_gil(ThreadBlock* block) noexcept nogil
cdef int let_python_run(ThreadBlock* block) except -1
cdef bint signals_are_due(ThreadBlock* block) noexcept nogil
cdef void let_go_of_gil(ThreadBlock* block) noexcept nogil
cdef void give_turn(ThreadBlock* block) noexcept nogil
cdef void release_if_it_pays(ThreadBlock* block) noexcept nogil

# The thread leaves the guest for something that needs the GIL, and has it.
cdef inline void leave_guest(ThreadBlock* block) noexcept nogil:
    if block.tstate != NULL:
        regain_gil(block)
    block.host_calls += 1
    block.in_guest = 0
