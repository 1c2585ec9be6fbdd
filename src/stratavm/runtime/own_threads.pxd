# How threads of our own wait, and end when they are asked to: before a fork none of them lives where it can be spared.
cdef extern from * nogil:
    """
    #include <errno.h>
    #include <pthread.h>
    #include <sched.h>
    #include <stdint.h>
    #include <sys/syscall.h>
    #include <time.h>
    #include <unistd.h>

    static inline void strata_make_cond(pthread_cond_t *cond) {
        pthread_condattr_t attributes;
        pthread_condattr_init(&attributes);
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
        pthread_cond_init(cond, &attributes);
        pthread_condattr_destroy(&attributes);
    }

    /* 1: that time has come, by CLOCK_MONOTONIC. */
    static inline int strata_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t ns) {
        struct timespec until = {(time_t)(ns / 1000000000u), (long)(ns % 1000000000u)};
        return pthread_cond_timedwait(cond, mutex, &until) == ETIMEDOUT;
    }

    /* Wait until the kernel no longer counts a thread that was joined: it still does for a moment, and Python counts at a
       fork. A tenth of a second at most; what is at stake is a warning. */
    static inline void strata_wait_gone(int tid) {
        struct timespec pause = {0, 20000};
        int turn;
        for (turn = 0; turn < 2000 && syscall(__NR_tgkill, getpid(), tid, 0) == 0; turn++)
            turn < 8 ? (void)sched_yield() : (void)nanosleep(&pause, NULL);
    }
    """
    void make_cond "strata_make_cond"(void*)
    bint wait_until "strata_wait_until"(void*, void*, unsigned long)
    void wait_gone "strata_wait_gone"(int)
    int pthread_join(unsigned long, void**)
    int broadcast "pthread_cond_broadcast"(void*)
