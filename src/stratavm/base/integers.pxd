# Python's ints as machine words.
from cpython.ref cimport PyObject

cdef extern from *:
    """
    /* The value of an int (or a subclass's) that fits 64 bits: 0, else 1. Small ints without a call: most arguments are. */
    static inline int strata_int_value(PyObject *o, long long *value) {
        int overflow;
    #if PY_VERSION_HEX >= 0x030C0000
        if (PyUnstable_Long_IsCompact((PyLongObject *)o)) {
            *value = (long long)PyUnstable_Long_CompactValue((PyLongObject *)o);
            return 0;
        }
    #else
        Py_ssize_t size = Py_SIZE(o);
        if (size == 1 || size == 0 || size == -1) {
            *value = size ? (long long)size * (long long)((PyLongObject *)o)->ob_digit[0] : 0;
            return 0;
        }
    #endif
        *value = PyLong_AsLongLongAndOverflow(o, &overflow);
        return overflow != 0;
    }
    """
    bint int_value "strata_int_value"(PyObject*, long long*) noexcept
