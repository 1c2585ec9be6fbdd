# The runtime's events by name. What number each has in the ring of a bus is in StoreTemplate.kinds, which a store copies.
cdef enum:
    KIND_MEMORY_CREATED
    KIND_MEMORY_GROWN
    KIND_MEMORY_REFUSED
    KIND_TABLE_CREATED
    KIND_TABLE_GROWN
    KIND_TABLE_REFUSED
    KIND_INSTANCE_POISONED
    KIND_HANDLES_COLLECTED
    KIND_INTERRUPT_REQUESTED
    KIND_DEADLINE_SET
    KIND_STORE_CLOSED
    KIND_GUEST_PAUSED                # and those behind it: what a heap notes, in the order of NOTE_ in heap/state.pxd
    KIND_NURSERY_SIZED
    KIND_GROWTH_ALLOWED
    KIND_SLICES_SPACED
    KIND_NURSERY_KEPT
    KIND_MARKER_TIMED
    RUNTIME_KINDS
