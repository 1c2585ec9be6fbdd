# Giving C arrays back as the object goes that owns them, with the GIL: the kernel takes milliseconds to take back what is
# large, and others run Python meanwhile.
from libc.stdint cimport uintptr_t

cdef extern from *:
    """
    #include <malloc.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <Python.h>
    #ifndef STRATA_GIVE_PAGES
    #define STRATA_GIVE_PAGES
    /* The whole pages of a range that nobody reads again, two megabytes at a time: to take back many at once keeps other
       threads from changing the address space for tens of milliseconds. */
    static inline void strata_give_pages(uintptr_t start, uintptr_t end) {
        const uintptr_t page = 4095, huge = (1u << 21) - 1;
        uintptr_t next;
        start = (start + page) & ~page;
        end &= ~page;
        for (; start < end; start = next) {
            next = (start | huge) + 1;
            if (next > end || next < start) next = end;
            madvise((void *)start, next - start, MADV_DONTNEED);
        }
    }
    #endif
    static inline void strata_vec_free(void *items) {
        PyThreadState *state;
        size_t size = items == NULL ? 0 : malloc_usable_size(items);
        if (size < (1u << 20)) {
            free(items);
            return;
        }
        state = PyEval_SaveThread();
        strata_give_pages((uintptr_t)items, (uintptr_t)items + size);
        free(items);
        PyEval_RestoreThread(state);
    }
    """
    void vec_free "strata_vec_free"(void* items)
    void give_pages "strata_give_pages"(uintptr_t start, uintptr_t end) nogil
