# When garbage is collected: decisions, from numbers to numbers.
from libc.stdint cimport uint64_t

cpdef uint64_t next_nursery(uint64_t nursery, uint64_t took_ns, uint64_t most_ns, uint64_t rate) noexcept nogil
cpdef uint64_t time_for_new(uint64_t most_ns, uint64_t roots_ns) noexcept nogil
cpdef uint64_t bytes_between(uint64_t live, uint64_t rate, uint64_t slice_ns, uint64_t runway) noexcept nogil
cpdef uint64_t next_rate(uint64_t rate, uint64_t looked_at, uint64_t took_ns) noexcept nogil
cpdef uint64_t growth_allowed(uint64_t live, uint64_t born, uint64_t rate, uint64_t soft, uint64_t share) noexcept nogil
cpdef uint64_t next_born(uint64_t born, uint64_t grown, uint64_t guest_ns) noexcept nogil
