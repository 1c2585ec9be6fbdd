# When garbage is collected: decisions, from numbers to numbers.
from libc.stdint cimport uint64_t

cpdef uint64_t next_nursery(uint64_t nursery, uint64_t took_ns, uint64_t most_ns) noexcept nogil
