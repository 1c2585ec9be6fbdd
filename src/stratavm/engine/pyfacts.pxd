# Where CPython keeps what the machine code of a call reads: from its own headers, at compile time.
from cpython.ref cimport PyObject

cdef extern from *:
    """
    #include <stddef.h>
    #include <stdint.h>
    #if PY_VERSION_HEX < 0x030C0000
    #define STRATA_INT_HEAD offsetof(PyVarObject, ob_size)
    #define STRATA_INT_DIGIT offsetof(struct _longobject, ob_digit)
    #define STRATA_TAGGED 0
    #else
    #define STRATA_INT_HEAD offsetof(struct _longobject, long_value.lv_tag)
    #define STRATA_INT_DIGIT offsetof(struct _longobject, long_value.ob_digit)
    #define STRATA_TAGGED 1
    #endif
    #if defined(Py_GIL_DISABLED) || defined(Py_TRACE_REFS) || defined(Py_REF_DEBUG)
    #define STRATA_PLAIN_OBJECTS 0
    #define STRATA_TYPE_AT 0
    #define STRATA_REFCOUNT_AT 0
    #else
    #define STRATA_PLAIN_OBJECTS 1
    #define STRATA_TYPE_AT offsetof(PyObject, ob_type)
    #define STRATA_REFCOUNT_AT offsetof(PyObject, ob_refcnt)
    #endif
    #define STRATA_FLOAT_AT offsetof(PyFloatObject, ob_fval)
    #define STRATA_DIGIT_BYTES sizeof(digit)
    """
    int TAGGED "STRATA_TAGGED"
    int PLAIN_OBJECTS "STRATA_PLAIN_OBJECTS"
    int INT_HEAD "STRATA_INT_HEAD"
    int INT_DIGIT "STRATA_INT_DIGIT"
    int DIGIT_BYTES "STRATA_DIGIT_BYTES"
    int TYPE_AT "STRATA_TYPE_AT"
    int REFCOUNT_AT "STRATA_REFCOUNT_AT"
    int FLOAT_AT "STRATA_FLOAT_AT"

cdef extern from "Python.h":
    PyObject PyLong_Type
    PyObject PyFloat_Type
    PyObject* None_ "Py_None"
    PyObject* PyLong_FromLong(long) noexcept
    PyObject* PyFloat_FromDouble(double) noexcept
    PyObject* PyBytes_FromStringAndSize(const char*, Py_ssize_t) noexcept
