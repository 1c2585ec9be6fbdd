# What construct.py needs of type objects: named fields, no numeric offsets.
from cpython.ref cimport PyObject

cdef extern from *:
    """
    #include <Python.h>
    #include <structmember.h>

    static inline Py_ssize_t strata_slot_offset(PyObject *descriptor) {
        return Py_IS_TYPE(descriptor, &PyMemberDescr_Type)
            ? ((PyMemberDescrObject *)descriptor)->d_member->offset : -1;
    }
    #define strata_set_slot(thing, offset, value) \\
        do { PyObject *v_ = (value); Py_INCREF(v_); *(PyObject **)((char *)(thing) + (offset)) = v_; } while (0)
    """
    ctypedef PyObject* (*constructor_t "vectorcallfunc")(PyObject*, PyObject**, size_t, PyObject*) except? NULL
    ctypedef struct PyTypeObject:
        constructor_t tp_vectorcall
        object (*tp_new)(PyTypeObject*, object, PyObject*)
    Py_ssize_t slot_offset "strata_slot_offset"(object)
    void set_slot "strata_set_slot"(object, Py_ssize_t, PyObject*)
    void type_modified "PyType_Modified"(PyTypeObject*)
    Py_ssize_t PyVectorcall_NARGS(size_t)
