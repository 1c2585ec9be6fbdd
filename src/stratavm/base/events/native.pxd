# What delivery needs from C: a block for each thread. Cimported by core.py alone: the block is static.
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <Python.h>

    typedef struct { uint32_t depth; uint32_t queued; PyObject *queue; void *draining; } strata_delivery_t;
    static __thread strata_delivery_t strata_delivery;
    #define strata_delivery_here() (&strata_delivery)
    """
    ctypedef struct Delivery "strata_delivery_t":
        uint32_t depth            # 1 while this thread is delivering
        uint32_t queued           # nested emissions of the outermost one so far
        PyObject* queue           # list of (channel, event), owned; NULL while there is none
        void* draining            # the bus whose ring this thread empties, or NULL
    Delivery* delivery "strata_delivery_here"()
