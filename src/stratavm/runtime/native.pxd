# What the platform owns: atomics, signals, threads, machine contexts. Declarations and the few C lines that layouts force.
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from posix.signal cimport siginfo_t, sigset_t

ctypedef void (*handler3_t)(int, siginfo_t*, void*) noexcept nogil
ctypedef void (*handler1_t)(int) noexcept nogil
ctypedef void (*destructor_t)(void*) noexcept nogil
ctypedef void (*plain_t)() noexcept nogil
ctypedef void* (*thread_main_t)(void*) noexcept nogil
# An array entry: runs a function with its arguments in cells; 0 = returned, 1 = trapped.
ctypedef uint32_t (*array_entry_t)(void* func_rec, void* exec_context, void* cells) noexcept nogil

cdef extern from * nogil:
    """
    #include <signal.h>
    #include <stdint.h>
    #include <time.h>
    #include <ucontext.h>
    #include <unistd.h>
    #include <pthread.h>
    #include <sys/auxv.h>
    #include <sys/resource.h>
    #include <sys/syscall.h>
    #ifndef AT_MINSIGSTKSZ
    #define AT_MINSIGSTKSZ 51
    #endif

    #define strata_load_64(p) __atomic_load_n((uint64_t *)(p), __ATOMIC_SEQ_CST)
    #define strata_store_64(p, v) __atomic_store_n((uint64_t *)(p), (uint64_t)(v), __ATOMIC_SEQ_CST)
    #define strata_load_32(p) __atomic_load_n((uint32_t *)(p), __ATOMIC_SEQ_CST)
    #define strata_or_32(p, v) __atomic_fetch_or((uint32_t *)(p), (uint32_t)(v), __ATOMIC_SEQ_CST)
    #define strata_and_32(p, v) __atomic_fetch_and((uint32_t *)(p), (uint32_t)(v), __ATOMIC_SEQ_CST)
    #define strata_add_64(p, v) __atomic_add_fetch((uint64_t *)(p), (uint64_t)(v), __ATOMIC_SEQ_CST)
    #define strata_load_ptr(p) __atomic_load_n((void **)(p), __ATOMIC_ACQUIRE)
    #define strata_store_ptr(p, v) __atomic_store_n((void **)(p), (void *)(v), __ATOMIC_RELEASE)
    #define strata_store_relaxed(p, v) __atomic_store_n((void **)(p), (void *)(v), __ATOMIC_RELAXED)
    /* Whether a word was ``seen`` and is ``v`` from now on. */
    static inline int strata_swap_ptr(void **p, void *seen, void *v) {
        return __atomic_compare_exchange_n(p, &seen, v, 0, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
    }
    #define strata_compiler_fence() __atomic_signal_fence(__ATOMIC_SEQ_CST)
    #define strata_fence() __atomic_thread_fence(__ATOMIC_SEQ_CST)
    #define strata_stack_pointer() ((uint64_t)(uintptr_t)__builtin_frame_address(0))

    /* A barrier on every running thread of this process, so that hot paths need none of their own. Non-zero where the
       kernel has none (before 4.14, or refused by a filter). Each process registers once. */
    #define STRATA_MEMBARRIER_EXPEDITED (1 << 3)
    #define STRATA_MEMBARRIER_REGISTER (1 << 4)
    static inline int strata_register_barrier(void) {
        return (int)syscall(__NR_membarrier, STRATA_MEMBARRIER_REGISTER, 0, 0);
    }
    static inline int strata_barrier_everywhere(void) {
        return (int)syscall(__NR_membarrier, STRATA_MEMBARRIER_EXPEDITED, 0, 0);
    }

    #define strata_gettid() ((int)syscall(__NR_gettid))

    /* Unblock the signals of faults in this thread: one that is blocked when it happens ends the process. */
    static inline void strata_unblock_faults(void) {
        sigset_t faults;
        sigemptyset(&faults);
        sigaddset(&faults, SIGSEGV);
        sigaddset(&faults, SIGBUS);
        sigaddset(&faults, SIGFPE);
        sigaddset(&faults, SIGILL);
        pthread_sigmask(SIG_UNBLOCK, &faults, NULL);
    }

    /* Whether the 16 bytes at an unused address of a stack are there now, or can be added by the kernel: it is asked to
       write to them, and answers where a store of our own would be a fault. */
    static inline int strata_stack_reaches(uint64_t address) {
        return syscall(__NR_clock_gettime, CLOCK_MONOTONIC, (void *)address) == 0;
    }

    static inline uint64_t strata_clock_ns(clockid_t clock) {
        struct timespec t;
        clock_gettime(clock, &t);
        return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
    }
    #define strata_now_ns() strata_clock_ns(CLOCK_MONOTONIC)
    #define strata_thread_cpu_ns() strata_clock_ns(CLOCK_THREAD_CPUTIME_ID)

    #if defined(__x86_64__)
    #define STRATA_GREG(uc, r) (((ucontext_t *)(uc))->uc_mcontext.gregs[r])
    #define strata_uc_pc(uc) ((uint64_t)STRATA_GREG(uc, REG_RIP))
    #define strata_uc_sp(uc) ((uint64_t)STRATA_GREG(uc, REG_RSP))
    #define strata_uc_fp(uc) ((uint64_t)STRATA_GREG(uc, REG_RBP))
    #define strata_uc_vmctx(uc) ((uint64_t)STRATA_GREG(uc, REG_R14))
    #define strata_uc_go(uc, pc, exec) \\
        (STRATA_GREG(uc, REG_RIP) = (long long)(pc), STRATA_GREG(uc, REG_R15) = (long long)(exec))
    #elif defined(__aarch64__)
    #define STRATA_MC(uc) (((ucontext_t *)(uc))->uc_mcontext)
    #define strata_uc_pc(uc) ((uint64_t)STRATA_MC(uc).pc)
    #define strata_uc_sp(uc) ((uint64_t)STRATA_MC(uc).sp)
    #define strata_uc_fp(uc) ((uint64_t)STRATA_MC(uc).regs[29])
    #define strata_uc_vmctx(uc) ((uint64_t)STRATA_MC(uc).regs[27])
    #define strata_uc_go(uc, target, exec) \\
        (STRATA_MC(uc).pc = (uint64_t)(target), STRATA_MC(uc).regs[28] = (uint64_t)(exec))
    #else
    #error "no native tier for this processor"
    #endif
    """
    uint64_t load_64 "strata_load_64"(void*)
    void store_64 "strata_store_64"(void*, uint64_t)
    uint32_t load_32 "strata_load_32"(void*)
    uint32_t or_32 "strata_or_32"(void*, uint32_t)
    uint32_t and_32 "strata_and_32"(void*, uint32_t)
    uint64_t add_64 "strata_add_64"(void*, uint64_t)
    void* load_ptr "strata_load_ptr"(void*)
    void store_ptr "strata_store_ptr"(void*, void*)
    void store_relaxed "strata_store_relaxed"(void*, void*)
    bint swap_ptr "strata_swap_ptr"(void**, void*, void*)
    void compiler_fence "strata_compiler_fence"()
    int register_barrier "strata_register_barrier"()
    int barrier_everywhere "strata_barrier_everywhere"()
    void fence "strata_fence"()
    uint64_t stack_pointer "strata_stack_pointer"()
    uint64_t now_ns "strata_now_ns"()
    uint64_t thread_cpu_ns "strata_thread_cpu_ns"()

    uint64_t uc_pc "strata_uc_pc"(void*)
    uint64_t uc_sp "strata_uc_sp"(void*)
    uint64_t uc_fp "strata_uc_fp"(void*)
    uint64_t uc_vmctx "strata_uc_vmctx"(void*)
    void uc_go "strata_uc_go"(void*, uint64_t, void*)

    int SI_TKILL
    int SS_DISABLE
    int sigismember(const sigset_t*, int)
    int sigpending(sigset_t*)
    int raise_signal "raise"(int)
    unsigned long getauxval(unsigned long)
    unsigned long AT_MINSIGSTKSZ
    int getpid()
    int gettid "strata_gettid"()
    void unblock_faults "strata_unblock_faults"()
    int stack_reaches "strata_stack_reaches"(uint64_t)
    ctypedef struct rlimit "struct rlimit":
        unsigned long rlim_cur
    int RLIMIT_STACK
    int getrlimit(int, rlimit*)

    ctypedef unsigned long pthread_t
    ctypedef unsigned int pthread_key_t
    ctypedef struct pthread_attr_t:
        pass
    ctypedef struct timespec:
        long tv_sec
        long tv_nsec
    int CLOCK_MONOTONIC
    pthread_t pthread_self()
    int pthread_getattr_np(pthread_t, pthread_attr_t*)
    int pthread_attr_getstack(pthread_attr_t*, void**, size_t*)
    int pthread_attr_destroy(pthread_attr_t*)
    int pthread_key_create(pthread_key_t*, destructor_t)
    int pthread_setspecific(pthread_key_t, void*)
    int pthread_atfork(plain_t, plain_t, plain_t)
