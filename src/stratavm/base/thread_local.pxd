# What belongs to a thread: its budget, for `budget` alone, and its guard, for `failures` alone. Whoever else cimported one
# of them would have a variable of its own.
cdef extern from * nogil:
    """
    static __thread void *strata_budget;
    #define strata_set_budget(budget) (strata_budget = (void *)(budget))
    #define strata_get_budget() (strata_budget)
    """
    void set_budget "strata_set_budget"(void*)
    void* get_budget "strata_get_budget"()

cdef extern from "Python.h":
    int handle_signals "PyErr_CheckSignals"() noexcept   # -1 leaves the exception set

cdef extern from * nogil:
    """
    #include <setjmp.h>

    typedef struct strata_guard {
        jmp_buf at;
        void *failure;            /* what `fail` notes */
    } strata_guard;
    static __thread strata_guard *strata_guarded_by;

    /* 0, 1 where the work was left by a jump, 2 where it returned with a Python exception. Nothing is jumped over in the
       trace build: a trace function wants to see how each function ends. */
    static int strata_guarded(int (*work)(void *), void *subject, void *failure) {
        strata_guard here;
        strata_guard *outer = strata_guarded_by;
        int how;
        here.failure = failure;
        if (setjmp(here.at)) {
            how = 1;
        } else {
    #if !CYTHON_TRACE_NOGIL
            strata_guarded_by = &here;
    #endif
            how = work(subject) < 0 ? 2 : 0;
        }
        strata_guarded_by = outer;
        return how;
    }
    static void *strata_guard_failure(void) { return strata_guarded_by ? strata_guarded_by->failure : NULL; }
    static void strata_guard_leave(void) { longjmp(strata_guarded_by->at, 1); }
    #define strata_set_guard(guard) (strata_guarded_by = (strata_guard *)(guard))
    #define strata_get_guard() ((void *)strata_guarded_by)
    """
    int run_guarded "strata_guarded"(void* work, void* subject, void* failure) noexcept
    void* noted "strata_guard_failure"() noexcept
    void leave "strata_guard_leave"() noexcept
    void set_guard "strata_set_guard"(void*) noexcept
    void* get_guard "strata_get_guard"() noexcept
