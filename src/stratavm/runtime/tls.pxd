# The one thread-local variable of this package: this thread's ThreadBlock. For `threads` alone: each module that
# cimported this would have a variable of its own. Initial-exec: a fixed distance from the thread pointer, for every
# thread alike, so that others read it without a call (`current_block`), machine code included.
from libc.stdint cimport int64_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    static __thread void *strata_block __attribute__((tls_model("initial-exec")));
    #define strata_set_block(block) (strata_block = (block))
    static int64_t strata_block_distance(void) {
        char *here;
    #if defined(__x86_64__)
        __asm__("movq %%fs:0, %0" : "=r"(here)); /* the ABI: the thread pointer points to itself */
    #else
        here = (char *)__builtin_thread_pointer();
    #endif
        return (char *)&strata_block - here;
    }
    """
    void set_block "strata_set_block"(void*)
    int64_t block_distance "strata_block_distance"()
