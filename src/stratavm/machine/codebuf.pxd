# A growable code buffer: bytes, labels, fields that count from where they stand, and the constant pool behind the code.
# An emitter calls reserve() once per instruction and then put8/16/32/64, which do not check.
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    NO_LABEL = 0xFFFFFFFF

cdef enum FixupKind:
    FIX_LABEL = 0   # target = label
    FIX_POOL = 1    # target = byte offset in the constant pool
    FIX_TABLE = 2   # entry of a jump table: label `target` minus label `base`

cdef struct Fixup:
    uint32_t at       # position of the rel32 field
    uint32_t target
    uint32_t base     # FIX_TABLE: the table's label; else the bytes of the instruction behind the field
    uint32_t kind

@cython.final
cdef class CodeBuf:
    cdef uint8_t* data
    cdef uint32_t n, cap
    cdef readonly uint32_t reach   # bytes that a field spans: no function is longer
    cdef uint32_t* labels      # position of each label, NO_LABEL while unbound
    cdef uint32_t n_labels, cap_labels
    cdef Fixup* fixups
    cdef uint32_t n_fixups, cap_fixups

    cdef int clear(self) except -1 nogil
    cdef int grow(self, uint32_t size) except -1 nogil

    cdef inline int reserve(self, uint32_t size) except -1 nogil:
        """Make room for ``size`` more bytes; the capacity never exceeds ``reach``."""
        return 0 if size <= self.cap - self.n else self.grow(size)

    cdef uint32_t label(self) except? 0xFFFFFFFF nogil       # a new label
    cdef uint32_t label_block(self, uint32_t count) except? 0xFFFFFFFF nogil  # `count` new labels; returns the first
    cdef int bind(self, uint32_t label) except -1 nogil      # here
    cdef int rel32(self, uint32_t target, uint32_t kind, uint32_t base) except -1 nogil  # a field to patch
    cdef int align(self, uint32_t size, uint8_t fill) except -1 nogil
    cdef int finish(self, const uint64_t* pool, uint32_t n_words) except -1 nogil  # place the pool, patch all fields
    cdef int patch(self, uint32_t pool, uint32_t pool_bytes) except -1 nogil

cdef inline void put8(CodeBuf b, uint8_t v) noexcept nogil:
    b.data[b.n] = v
    b.n += 1

cdef inline void put16(CodeBuf b, uint16_t v) noexcept nogil:
    memcpy(b.data + b.n, &v, 2)
    b.n += 2

cdef inline void put32(CodeBuf b, uint32_t v) noexcept nogil:
    memcpy(b.data + b.n, &v, 4)
    b.n += 4

cdef inline void put64(CodeBuf b, uint64_t v) noexcept nogil:
    memcpy(b.data + b.n, &v, 8)
    b.n += 8
