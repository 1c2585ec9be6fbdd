# Giving C arrays back as the object goes that owns them, with the GIL: the kernel takes milliseconds to take back what is
# large, and others run Python meanwhile.
cdef extern from *:
    """
    #include <malloc.h>
    #include <stdlib.h>
    #include <Python.h>
    static inline void strata_vec_free(void *items) {
        PyThreadState *state;
        if (items == NULL || malloc_usable_size(items) < (1u << 20)) {
            free(items);
            return;
        }
        state = PyEval_SaveThread();
        free(items);
        PyEval_RestoreThread(state);
    }
    """
    void vec_free "strata_vec_free"(void* items)
