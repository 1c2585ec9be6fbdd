# Stacks of fibers.
from libc.stdint cimport uint64_t

cdef struct Slab:             # address space for up to 64 stacks of one size
    char* base
    uint64_t stack_bytes      # of each, guard and reserve included
    uint64_t whole            # a bit for each stack that there is
    uint64_t free             # those that nobody has
    uint64_t guarded          # those whose guard was made
    uint64_t warm             # free ones whose pages stay
    int order                 # their size class
    Slab* next                # of the same class, with free stacks
    Slab* prev

cdef struct FiberStack:
    Slab* slab                # NULL: none
    uint64_t limit            # the lowest SP of guests
    uint64_t top

cdef int take_stack(FiberStack* stack, uint64_t wanted) except -1
cdef void give_stack(FiberStack* stack) noexcept

cdef extern from * nogil:
    """
    #include <errno.h>
    #include <sys/mman.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    #ifndef MADV_GUARD_INSTALL
    #define MADV_GUARD_INSTALL 102  /* Linux 6.13 */
    #endif
    /* Whether this thread has a shadow stack, which a switch of stacks would have to switch as well. */
    static inline int strata_shadow_stack(void) {
    #if defined(__x86_64__)
        unsigned long features = 0;
        return syscall(__NR_arch_prctl, 0x5005 /* ARCH_SHSTK_STATUS */, &features) == 0 && (features & 1);
    #else
        return 0;
    #endif
    }
    """
    int has_shadow_stack "strata_shadow_stack"()
    int MADV_GUARD_INSTALL
