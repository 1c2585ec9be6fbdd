# Short ways of hot functions.
from libc.stdint cimport int64_t, uint32_t, uint64_t
from stratavm.engine.shortway cimport ShortWay
from stratavm.runtime.memory cimport Memory
from stratavm.wasi.p1.kernel cimport Buffers
from stratavm.wasi.state cimport DescriptorState, WorldState

cdef class Short(ShortWay):
    cdef WorldState world
    cdef DescriptorState find(self, uint64_t cell, uint64_t rights)
    cdef int leave(self, DescriptorState found) except -1

cdef class Timed(Short):
    cdef object known                 # the clock that was looked at
    cdef bint is_system
    cdef int64_t start_ns             # below zero, where a guest goes on that was frozen
    cdef int64_t cpu_start_ns
    cdef int time_of(self, uint32_t clock, uint64_t* ns) except -1

cdef class ClockTimeGet(Timed):
    pass

cdef class PollOneoff(Timed):
    cdef int due_in(self, Memory memory, uint64_t at, uint64_t* ns) except -1
    cdef int sleep(self, Memory memory, uint64_t ns) except -1

cdef class RandomGet(Short):
    cdef object known
    cdef bint is_system
    cdef int knows_source(self) except -1

cdef class FdSeek(Short):
    cdef int seek(self, Memory memory, uint64_t* cells, int64_t delta, uint32_t whence, uint64_t out) except -1

cdef class FdTell(FdSeek):
    pass

cdef class FdFdstatGet(Short):
    pass

cdef class FdFilestatGet(Short):
    pass

cdef class Moving(Short):
    cdef object begin                 # ``transfers.begin``, once it was wanted
    cdef int move(self, Memory memory, uint64_t* cells, bint writes, bint at_offset) except -1
    cdef int hand_over(
        self, DescriptorState found, Memory memory, Buffers* buffers, bint writes, int64_t offset, uint64_t out
    ) except -1

cdef class FdRead(Moving):
    pass

cdef class FdPread(Moving):
    pass

cdef class FdWrite(Moving):
    pass

cdef class FdPwrite(Moving):
    pass

cdef class Strings(Short):
    cdef bint of_environ
    cdef list strings(self)

cdef class ArgsSizesGet(Strings):
    pass

cdef class EnvironSizesGet(ArgsSizesGet):
    pass

cdef class ArgsGet(Strings):
    pass

cdef class EnvironGet(ArgsGet):
    pass

cdef class Preopened(Short):
    cdef bytes name(self, uint64_t cell)

cdef class FdPrestatGet(Preopened):
    pass

cdef class FdPrestatDirName(Preopened):
    pass

cdef class FdFdstatSetFlags(Short):
    pass

cdef class SchedYield(Short):
    cdef readonly uint64_t yielded_ns # when the kernel was told last
    cdef uint32_t yields              # of guests with threads
    cdef int let_others_run(self) except -1
