# How work that runs without the GIL fails. Under a guard an error is a status: what happened is noted, and the work is
# left by a jump. Whoever holds the GIL afterwards raises the exception. Elsewhere (tests, tools) the GIL is taken and the
# exception raised at once.
#
# So code that fails holds nothing that a jump would lose: no lock, no reference, no memory but what its objects own.
# (Cython refuses references below the GIL; tests/arch/test_failures.py looks for the rest.)
from libc.stdint cimport uint32_t, uint64_t

cdef enum FailKind:     # 0 is none
    FAIL_RAISED = 1         # the exception is set in this thread already
    FAIL_WRONG = 2          # AssertionError: an invariant does not hold
    FAIL_MEMORY = 3         # MemoryError
    FAIL_LIMIT = 4          # ResourceLimit, `label` names the limit
    FAIL_UNSUPPORTED = 5    # Unsupported, `label` is the feature
    FAIL_OTHER = 6          # what `raiser` raises, as of the others where it is not NULL

cdef struct Failure
ctypedef int (*Raiser)(const Failure*) except -1
ctypedef int (*Work)(void*) except -1 nogil

cdef struct Failure:
    uint32_t kind           # FailKind
    Raiser raiser
    const char* label
    const char* text        # with fields for `details`, as in str.format
    uint64_t[3] details

cdef int fail(const Failure* failure) except -1 nogil
cdef int fail_wrong(const char* text, uint64_t a=*, uint64_t b=*, uint64_t c=*) except -1 nogil
cdef int fail_memory(const char* text) except -1 nogil
cdef int fail_limit(const char* label, const char* text, uint64_t a=*, uint64_t b=*) except -1 nogil
cdef int fail_unsupported(const char* feature, const char* text, uint64_t a=*, uint64_t b=*) except -1 nogil
cdef int fail_unsupported_by(Raiser raiser, uint64_t a=*, uint64_t b=*) except -1 nogil
cdef int fail_by(Raiser raiser, const char* text, uint64_t a=*, uint64_t b=*) except -1 nogil
cdef int fail_raised() except -1 nogil

cdef uint32_t guarded(Failure* failure, Work work, void* subject) noexcept nogil
cdef int refused(const Failure* failure) except -1 nogil
cdef int raise_failure(const Failure* failure) except -1
cdef void* suspend_guard() noexcept nogil
cdef void resume_guard(void* guard) noexcept nogil
