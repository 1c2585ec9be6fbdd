# A growable code buffer: bytes, labels, fields that count from where they stand, and the constant pool behind the code.
# An emitter calls reserve() once per instruction and then put8/32/64, which do not check.
cimport cython
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

cdef enum:
    NO_LABEL = 0xFFFFFFFF

cdef enum FixupKind:
    FIX_LABEL = 0   # target = label
    FIX_POOL = 1    # target = byte offset in the constant pool
    FIX_JUMP = 2    # target = label: a jump that has a short form
    FIX_SHORT = 3   # the same, which got it: a field of one byte
    FIX_ALIGN = 4   # no field, but padding: target = the multiple at which it ends

cdef struct Fixup:
    uint32_t at       # position of the field, or of the padding
    uint32_t target
    uint32_t base     # bytes of the instruction behind the field
    uint32_t kind
    uint32_t size     # of the jump with its long field, or of the padding
    uint32_t head     # FIX_JUMP: first byte of the short form
    uint32_t moved    # how much shorter all that is before it became
    uint32_t slack    # how much longer that may become by paddings, where there are any

cdef struct Label:
    uint32_t at       # NO_LABEL while unbound
    uint32_t fixups   # that are before it

cdef bytes copied(const void* data, size_t size)   # as Python's bytes

@cython.final
cdef class CodeBuf:
    cdef uint8_t* data
    cdef uint32_t n, cap
    cdef readonly uint32_t reach   # bytes that a field spans: no function is longer
    cdef uint8_t[16][16] padding   # instructions that do nothing, by size
    cdef uint32_t longest          # of them
    cdef Label* labels
    cdef uint32_t n_labels, cap_labels
    cdef Fixup* fixups
    cdef uint32_t n_fixups, cap_fixups
    cdef uint32_t moved            # of the code's end
    cdef uint32_t slack            # what all paddings may grow by
    cdef uint32_t mode             # the target's: how it encodes

    cdef int clear(self) except -1 nogil
    cdef int grow(self, uint32_t size) except -1 nogil

    cdef inline int reserve(self, uint32_t size) except -1 nogil:
        """Make room for ``size`` more bytes; the capacity never exceeds ``reach``."""
        return 0 if size <= self.cap - self.n else self.grow(size)

    cdef uint32_t label(self) except? 0xFFFFFFFF nogil       # a new label
    cdef uint32_t label_block(self, uint32_t count) except? 0xFFFFFFFF nogil  # `count` new labels; returns the first
    cdef int bind(self, uint32_t label) except -1 nogil      # here
    cdef int rel32(self, uint32_t target, uint32_t kind, uint32_t base) except -1 nogil  # a field to patch
    cdef int jump(self, uint32_t label, uint32_t size, uint8_t head) except -1 nogil  # the field of a jump
    cdef int pad(self, uint32_t size) except -1 nogil
    cdef int align_code(self, uint32_t size) except -1 nogil
    cdef int relax(self) noexcept nogil
    cdef int weigh(self) noexcept nogil
    cdef int shorten(self) noexcept nogil
    cdef uint64_t growth(self, uint32_t one, uint32_t other) noexcept nogil
    cdef int bring(self, uint32_t src, uint32_t end) noexcept nogil
    cdef int lay_out(self) noexcept nogil
    cdef int follow(self, uint32_t* table, uint32_t stride, uint32_t count, bint behind) noexcept nogil
    cdef int compact(self) except -1 nogil
    cdef int align(self, uint32_t size, uint8_t fill) except -1 nogil
    cdef int finish(self, const uint64_t* pool, uint32_t n_words) except -1 nogil  # place the pool, patch all fields
    cdef int patch(self, uint32_t pool, uint32_t pool_bytes) except -1 nogil

cdef inline void put8(CodeBuf b, uint8_t v) noexcept nogil:
    b.data[b.n] = v
    b.n += 1

cdef inline void put32(CodeBuf b, uint32_t v) noexcept nogil:
    memcpy(b.data + b.n, &v, 4)
    b.n += 4

cdef inline void put64(CodeBuf b, uint64_t v) noexcept nogil:
    memcpy(b.data + b.n, &v, 8)
    b.n += 8
