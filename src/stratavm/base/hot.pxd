# What a hot module may ask about the build it lives in.
# `from cython.cimports.stratavm.base.hot import CHECKED`: true in STRATA_BUILD=checked, a constant
# that the C compiler folds away elsewhere.
cdef extern from *:
    """
    #ifndef STRATA_CHECKED
    #define STRATA_CHECKED 0
    #endif
    """
    const bint CHECKED "STRATA_CHECKED"
