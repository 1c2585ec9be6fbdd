# How often this process and those before it were forked, as they count who had it loaded then. For one module only: each
# that includes it has a count of its own.
from libc.stdint cimport uint64_t

cdef extern from * nogil:
    """
    #include <pthread.h>
    #include <stdint.h>

    static uint64_t strata_forks;
    static void strata_count_fork(void) { strata_forks++; }
    static int strata_watch_forks(void) { return pthread_atfork(strata_count_fork, NULL, NULL); }
    """
    uint64_t n_forks "strata_forks"
    int watch_forks "strata_watch_forks"()
