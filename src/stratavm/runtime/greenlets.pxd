# Which greenlet of a thread runs, where greenlets are in use.
from stratavm.runtime.threads cimport ThreadBlock

cdef object current_greenlet    # greenlet.getcurrent where that module was imported, else None
cdef int notice_greenlets() noexcept
cdef void* greenlet_here() noexcept
cdef bint in_other_greenlet(ThreadBlock* block) noexcept
