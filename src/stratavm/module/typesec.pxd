from libc.stdint cimport uint32_t

from stratavm.module.reader cimport Reader

cdef uint32_t ref_type(Reader r) except? 0
cdef uint32_t val_type(Reader r) except? 0
cdef object rec_group(Reader r)
cdef object table_type(Reader r)
cdef object memory_type(Reader r)
cdef object global_type(Reader r)
