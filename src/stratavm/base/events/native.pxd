# What delivery needs from C: a block for each thread. Cimported by core.py alone: the block is static.
from cpython.ref cimport PyObject
from libc.stdint cimport uint32_t

cdef extern from * nogil:
    """
    #include <stdint.h>
    #include <Python.h>

    typedef struct { uint32_t depth; uint32_t queued; PyObject *queue; void *draining; } strata_delivery_t;
    /* Initial-exec: a load instead of a call; 32 bytes fit what libc keeps free for libraries that are loaded late. */
    static __thread __attribute__((tls_model("initial-exec"))) strata_delivery_t strata_delivery;
    #define strata_delivery_here() (&strata_delivery)

    static inline PyObject *strata_call_one(PyObject *function, PyObject *argument) {
        PyObject *arguments[2] = {NULL, argument};
        PyTypeObject *type = Py_TYPE(function);
        if (PyType_HasFeature(type, Py_TPFLAGS_HAVE_VECTORCALL)) {
            vectorcallfunc call = *(vectorcallfunc *)((char *)function + type->tp_vectorcall_offset);
            if (call)
                return call(function, arguments + 1, 1 | PY_VECTORCALL_ARGUMENTS_OFFSET, NULL);
        }
        return PyObject_CallOneArg(function, argument);
    }
    """
    ctypedef struct Delivery "strata_delivery_t":
        uint32_t depth            # 1 while this thread is delivering
        uint32_t queued           # nested emissions of the outermost one so far
        PyObject* queue           # list of (channel, event), owned; NULL while there is none
        void* draining            # the bus whose ring this thread empties, or NULL
    Delivery* delivery "strata_delivery_here"()

cdef extern from *:
    object call_one "strata_call_one"(object, object)
