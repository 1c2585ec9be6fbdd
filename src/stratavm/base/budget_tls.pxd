# This thread's budget. For `budget` alone: each module that cimported this would have a variable of its own.
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
