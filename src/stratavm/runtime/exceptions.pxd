# Tags, and exceptions of WebAssembly with their values as raw bits.
from libc.stdint cimport uint32_t, uint64_t
from stratavm.contract._gen_layout cimport TagDef
from stratavm.runtime.store cimport Store

cdef class Tag:
    cdef TagDef d
    cdef readonly Store store
    cdef readonly object type        # TagType
    cdef object params               # FuncType's
    cdef bytes widths                # of its values, as of a function's
    cdef object handled              # places of values that are handles, or None
    cdef bint hidden                 # some values are exceptions, which Python does not see
    cdef str name                    # what a module calls it, empty for nothing; None: not looked for yet
    cdef object keeps                # what its type id means lives as long
    cdef object __weakref__
    cdef int begin(self, Store store, object type, uint64_t type_id) except -1

cdef class Exn:
    cdef readonly Tag tag
    cdef uint64_t* cells             # owned
    cdef tuple held                  # the objects behind handles, where Python may hold it; or None
    cdef int hold(self) except -1
    cdef int renew(self) except -1

cdef Exn made_exception(Tag tag, object raws, bint step)
cdef Exn exn_of(Store store, object error)
cdef int free_dropped(Store store) except -1
cdef int throw_now(Store store, Exn exn) except -1
cdef object caught_by(Store store, object error)
cdef object exnref_of(Store store, object error)
cdef object thrown_again(Store store, object raw)
cdef Tag instance_tag(Store store, object type, uint64_t type_id)
cdef uint32_t keep_raised(Store store, object error) noexcept
cdef uint32_t keep_for_later(Store store, object error) noexcept
cdef uint32_t look_for_handler(Store store) noexcept
