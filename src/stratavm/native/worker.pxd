# One compiling thread's arrays, and the stages that fill them.
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from stratavm.base.failures cimport Failure
from stratavm.ir.ssa cimport Ssa
from stratavm.ir.stage cimport Source, Stage
from stratavm.machine.minst cimport MCode
from stratavm.machine.regalloc.allocator cimport Allocator
from stratavm.machine.schedule cimport Scheduler
from stratavm.native.batch cimport Batch
from stratavm.runtime.codetable cimport CodeTable
from stratavm.targets.x64.emit cimport Emitter
from stratavm.targets.x64.isel cimport Selector
from stratavm.targets.x64.plan cimport ModulePlan

cdef enum:
    # in their order, as STAGES names them
    BUILD = 0
    OPTIMISE = 1
    SELECT = 2
    SCHEDULE = 3
    ALLOCATE = 4
    EMIT = 5
    N_STAGES = 6

@cython.final
cdef class Worker:
    cdef ModulePlan plan
    cdef uint32_t brief             # bytes of a body that is compiled with the GIL
    cdef object front
    cdef Source source              # of that front end
    cdef Ssa built                  # what it fills
    cdef Stage pipeline             # or None
    cdef Ssa ssa                    # what machine code is made from: `built` where there is no pipeline
    cdef MCode machine
    cdef Selector selector
    cdef Allocator allocator
    cdef Emitter emitter
    cdef Scheduler scheduler
    cdef bint scheduling
    cdef uint64_t[6] spent          # nanoseconds, by stage
    cdef uint32_t first, behind     # stages that `run` asks for
    cdef uint32_t defined           # index of the function at hand
    cdef uint32_t made              # of the one that is ready: `ssa` has it; NO_VALUE: there is none
    cdef void* seen                 # what its slot had when it was begun
    cdef Batch batch
    cdef uint32_t* wanted           # defined indices of a batch; then, from the left, of those that are refused
    cdef uint32_t n_wanted, cap_wanted, n_refused
    cdef readonly uint32_t done     # of a batch, as other threads may see meanwhile
    cdef Failure failure            # why it ended early
    cdef public int64_t apart       # bytes of scratch memory, if its stages run on a thread of their own; else 0
    cdef public object beside       # with `apart`: runs the stages of a worker there; false where there is no thread

    cdef int attach(self, object front, uint32_t defined) except -1
    cdef object finish(self, uint32_t first)
    cdef int compile_wanted(self) except -1 nogil
    cdef int one(self) except -1 nogil
    cdef uint32_t make(self, uint32_t index, void *seen) noexcept nogil
    cdef uint32_t point(self) noexcept nogil
    cdef int run(self, uint32_t first, uint32_t behind) except -1
    cdef int run_unchecked(self, uint32_t first, uint32_t behind) except -1
    cdef int check(self, uint32_t number) except -1
    cdef int stages(self) except -1 nogil
    cdef int stage(self, uint32_t number) except -1 nogil
    cdef int optimise(self) except -1 nogil
