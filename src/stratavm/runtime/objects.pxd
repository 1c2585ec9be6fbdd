# Objects of a store's guests: its heap, what they lie in it as, and what Python has of them.
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t
from stratavm.contract._gen_layout cimport ExecContext
from stratavm.heap.heap cimport Heap
from stratavm.heap.state cimport HeapState
from stratavm.runtime.handles cimport Marks

# Tells of the references in a table, a global or an instance's element segments. Runs nothing of Python's.
ctypedef void (*visit_holder_t)(object holder, HeapState* state) noexcept
cdef int are_visited_by(object kind, visit_holder_t visit, bint changes) except -1

ctypedef object (*new_thing_t)()
cdef void things_are_made_by(new_thing_t function) noexcept

cdef class ObjectRef:
    cdef Objects home
    cdef object store                # whose they are: it lives as long as somebody has one of its objects
    cdef uint64_t address
    cdef uint32_t place              # in ``having`` of its home
    cdef readonly uint32_t type_id
    cdef object __weakref__

@cython.final
cdef class Objects:
    cdef Heap heap
    cdef ExecContext* exec           # of the store; NULL once that is closed
    cdef dict things                 # address -> that of its ObjectRef, as long as there is one
    cdef list kept                   # Blueprints with types of objects: their ids mean the same as long as it has them
    cdef dict shapes                 # GuestType by canonical id: what Python has asked for
    cdef uint64_t views              # buffers of its objects that somebody has
    cdef list holders                # weak references to tables, globals and instances
    cdef int64_t known               # how many had come when they were listed; -1: they were not
    cdef bint listed_anew            # since the last collection
    cdef uint64_t* having            # owned: addresses of ``things``, and 0
    cdef uint32_t n_having
    cdef uint32_t room_having
    cdef uint32_t* vacant            # owned: places of things that have gone, of the same size
    cdef uint32_t n_vacant
    cdef bint stale                  # some of them are not 0
    cdef uint32_t* recent            # owned: places that were filled since the last collection
    cdef uint32_t n_recent
    cdef uint32_t room_recent
    cdef uint64_t* words             # owned: words of guests that run without machine code, of the same
    cdef uint64_t n_words
    cdef uint64_t room
    cdef uint64_t gathers            # how often roots were gathered
    cdef uint64_t charged            # bytes of the store's quota
    cdef list shown                  # ObjectRefs whose raw references a host has seen since the last time that
    cdef list shown_before           # handles were looked at, and before that
    cdef int end(self) noexcept
    cdef int make_room(self) except -1
    cdef void take(self, ObjectRef thing) noexcept
    cdef void let_go(self, ObjectRef thing) noexcept
    cdef ObjectRef known_thing(self, uint64_t address)
    cdef ObjectRef thing_at(self, uint64_t address)
    cdef ObjectRef thing_of(self, uint64_t address)
    cdef int check_here(self) except -1
    cdef object layout_of(self, object blueprint, object type_index)
    cdef int keep(self, object blueprint) except -1
    cdef uint32_t type_at(self, uint64_t address) noexcept
    cdef uint32_t admitted(self, uint64_t address) except? 0xFFFFFFFF
    cdef int take_words(self, object raws) except -1
    cdef int add_words(self, uint64_t low, uint64_t high) except -1
    cdef uint64_t make(self, uint32_t type_id, uint64_t length, object layout, uint64_t spare) except? 0
    cdef bint collect_is_due(self, uint64_t size) noexcept
    cdef int collect(self) except -1
    cdef void collected(self) noexcept
    cdef int mark_handles(self, Marks marks) except -1
    cdef int show(self, uint64_t word) except -1
    cdef int forget_shown(self) except -1
    cdef int check(self) except -1
    cdef int note(self, uint64_t address, uint64_t offset, object size) except -1
    cdef int place(self, uint64_t address, object offset, object size) except -1

cdef bint is_reference(uint64_t word) noexcept nogil
cdef Objects new_objects(Heap heap, ExecContext* context)
