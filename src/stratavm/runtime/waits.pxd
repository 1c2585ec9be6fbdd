# Threads, and calls on fibers, that wait at shared memories.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.contract._gen_layout cimport MemDef
from stratavm.runtime.own_threads cimport Link
from stratavm.runtime.parking cimport Parker

cdef struct SharedDef:        # what a shared memory has beside its definition
    MemDef d
    uint32_t waiters          # that are in a queue
    uint32_t most_waiters

cdef struct Waiter:
    Link link                 # in the queue of its address, or of those to tell
    char* at
    SharedDef* memory
    Parker* parker            # of the thread that sleeps; NULL: a call on a fiber waits
    void* notice              # borrowed PyObject* of the Notice of such a call
    uint32_t is_queued
    uint32_t is_notified      # with that somebody else does not look at it any more

cdef int wait_in_python(SharedDef* memory, char* at, uint32_t width, uint64_t expected, uint64_t until_ns) except -1
cdef uint32_t notify(char* at, uint64_t count)
