# Selection of objects of guests and references to them.
from libc.stdint cimport int32_t, uint32_t, uint64_t
from stratavm.targets.x64.plan cimport ValuePlace
from stratavm.targets.x64.select_atomic cimport AtomicSelector

cdef enum:
    MOST_BLOCKS = 16               # that are looked at for a check of null

cdef class ObjectSelector(AtomicSelector):
    cdef uint32_t* sure            # by node: the block in which it is known not to be null, or NO_VALUE
    cdef uint32_t cap_sure
    cdef uint32_t* origins         # by block: the only one that leads there, if that is known; NO_VALUE
    cdef uint32_t cap_origins
    cdef uint32_t here             # the block at hand
    cdef int forget_checks(self) except -1 nogil
    cdef int enter_block(self, uint32_t number) noexcept nogil
    cdef int learn(self, uint32_t test, uint32_t taken, uint32_t otherwise) noexcept nogil
    cdef bint is_sure(self, uint32_t node) noexcept nogil
    cdef int check_null(self, uint32_t node, uint32_t kind) except -1 nogil
    cdef bint object(self, uint32_t n, uint32_t shape) except -1 nogil
    cdef int row_of_objects(self, uint32_t n, uint32_t op) except -1 nogil
    cdef uint32_t immediate(self, uint32_t n, uint32_t which) noexcept nogil
    cdef ValuePlace* place_of(self, uint32_t n, uint32_t field) noexcept nogil
    cdef uint32_t not_null(self, uint32_t node, uint32_t kind) except? 0xFFFFFFFF nogil
    cdef int load_value(self, uint32_t n, uint32_t bytes, uint32_t reference, uint32_t index, uint32_t scale, int32_t offset) except -1 nogil
    cdef int save_value(self, uint32_t type, uint32_t bytes, uint32_t value, uint32_t reference, uint32_t index, uint32_t scale, int32_t offset) except -1 nogil
    cdef int note(self, uint32_t node, uint32_t reference, uint32_t index, uint32_t scale, int32_t offset) except -1 nogil
    cdef int field(self, uint32_t n, bint write) except -1 nogil
    cdef int element(self, uint32_t n, bint write) except -1 nogil
    cdef int length(self, uint32_t n) except -1 nogil
    cdef int new(self, uint32_t n, uint64_t size, uint32_t length, bint zeros) except -1 nogil
    cdef bint is_zeroed(self, uint32_t node) noexcept nogil
    cdef int new_of_length(self, uint32_t n, ValuePlace* place, uint32_t length) except -1 nogil
    cdef int ask_for(self, uint32_t n, uint32_t length) except -1 nogil
    cdef int new_array(self, uint32_t n, bint filled) except -1 nogil
    cdef int put(self, uint32_t n, uint32_t node, ValuePlace* place, uint32_t at) except -1 nogil
    cdef int clear(self, uint32_t reference, uint32_t bytes, uint32_t offset) except -1 nogil
    cdef int make(self, uint32_t n) except -1 nogil
    cdef int ask(self, uint32_t n) except -1 nogil
    cdef bint is_inline(self, uint32_t node) noexcept nogil
    cdef bint is_condition(self, uint32_t node) noexcept nogil
    cdef uint32_t flags_of(self, uint32_t node) except? 0xFFFFFFFF nogil
    cdef uint32_t flags_of_test(self, uint32_t node, bint nullable) except? 0xFFFFFFFF nogil
    cdef int test(self, uint32_t n) except -1 nogil
    cdef int trap(self, uint32_t kind) except -1 nogil
    cdef uint32_t reference_tested(self, uint32_t block) noexcept nogil
    cdef int number(self, uint32_t n) except -1 nogil
    cdef int number_of(self, uint32_t n) except -1 nogil
